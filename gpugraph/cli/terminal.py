"""What the commands share: consoles, tables, progress, and a Keras that starts silently."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from gpugraph.errors import MissingDependencyError, OutputError
from gpugraph.text_table import printable

# Where nothing wraps: text that is piped or saved is easier to search in whole lines.
UNBOUNDED = 10_000
GAP = 2  # columns of a table are this far apart


class _Output(Console):
    """A console on standard output that outlives its reader, as in ``gpugraph ... | head``."""

    def on_broken_pipe(self) -> None:
        """Drop the rest, and let the command end with the exit code that it earned."""
        self.quiet = True
        _drop_stdout()


def show(*parts: str | Text | Table) -> None:
    """Print text and tables to standard output.

    Raises
    ------
    OutputError
        If standard output cannot be written.
    """
    console = _Output(
        width=None if sys.stdout.isatty() else UNBOUNDED, highlight=False, markup=False
    )
    with stdout_errors():
        for part in parts:
            console.print(part)


def show_json(document: object) -> None:
    """Print one JSON document to standard output.

    Raises
    ------
    OutputError
        If standard output cannot be written.
    """
    import json

    with stdout_errors():
        print(json.dumps(document, indent=2), flush=True)  # noqa: T201


@contextmanager
def stdout_errors() -> Iterator[None]:
    """Raise OutputError where standard output cannot be written; where nobody reads it, be still.

    What it still holds is dropped.
    """
    try:
        yield
    except BrokenPipeError:
        _drop_stdout()
    except OSError as error:
        _drop_stdout()
        raise OutputError(f"Cannot write to standard output: {error.strerror}.") from error


def _drop_stdout() -> None:
    """Send what standard output still holds nowhere, or Python would complain at its exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    numeric: Sequence[bool],
    total: Sequence[str] | None = None,
    expendable: int = 0,
) -> Table:
    """Return a table with one column per entry of ``header``, numbers to the right.

    ``expendable`` counts the last columns that are left out where the terminal is too narrow.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, total or header, strict=True)]
    while expendable and sys.stdout.isatty() and sum(widths) + GAP * (len(widths) - 1) > _width():
        expendable -= 1
        widths.pop()
    header, numeric = header[: len(widths)], numeric[: len(widths)]
    shown = Table(
        box=box.SIMPLE,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
        show_footer=total is not None,
    )
    for i, (name, right) in enumerate(zip(header, numeric, strict=True)):
        shown.add_column(
            name,
            footer="" if total is None else total[i],
            footer_style="bold",
            justify="right" if right else "left",
            # Where the terminal is too narrow, words break; names and numbers stay on one line.
            no_wrap=right or i == 0,
            overflow="ellipsis" if i == 0 else "fold",
        )
    for row in rows:
        shown.add_row(*(Text(printable(cell)) for cell in row[: len(widths)]))
    return shown


def _width() -> int:
    return Console().width


def duration(seconds: float) -> str:
    """Return a time as people read it."""
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:,.1f} s"


@contextmanager
def status(what: str) -> Iterator[None]:
    """Show a spinner on standard error, if that is a terminal, while something takes its time."""
    with _terminal() as file:
        if file is None:
            yield
        else:
            with Console(file=file).status(f"{what} ..."):
                yield


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error, if that is a terminal.

    Yields
    ------
    callable
        To be called with the number of edges done since the last call.
    """
    with _terminal() as file:
        if file is None:
            yield lambda done: None
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            _EdgeRate(),
            TimeRemainingColumn(compact=True),
        )
        with Progress(*columns, console=Console(file=file), transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.advance(task, done)


class _EdgeRate(ProgressColumn):
    """Edges done and edges per second."""

    def render(self, task: Task) -> Text:
        rate = f", {task.speed / 1e6:,.1f} M/s" if task.speed else ""
        return Text(f"{int(task.completed):,} edges{rate}")


@contextmanager
def _terminal() -> Iterator[TextIO | None]:
    """Give a copy of the terminal that standard error is, or None where it is none.

    A copy, because `load_keras` turns the descriptor itself away for a while.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    with os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding=sys.stderr.encoding) as file:
        yield file


def load_keras() -> None:
    """Import Keras without the lines that its backend's libraries print when they start.

    Raises
    ------
    MissingDependencyError
        If Keras or its backend is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _stderr_dropped():
            importlib.import_module("keras")
    except (ImportError, ValueError) as error:  # ValueError: of a backend that Keras lacks
        raise MissingDependencyError(
            f"Keras does not start: {error}. Install its backend (pip install tensorflow), or name "
            "an installed one in KERAS_BACKEND."
        ) from error


@contextmanager
def _stderr_dropped() -> Iterator[None]:
    """Send file descriptor 2 nowhere: C++ code writes there past ``sys.stderr``."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed, so nothing shows anyway
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
