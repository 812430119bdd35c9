"""The application: its commands' errors, exit codes and signals."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from gpugraph import __version__
from gpugraph.errors import (
    GpugraphError,
    GraphTooLargeError,
    ModelError,
    NonFiniteError,
    OutputError,
    SelectionError,
    ShapeError,
    SignedWeightsError,
    UndefinedMeasureError,
    UnsupportedLayerError,
)
from gpugraph.text_table import printable

# The first class that fits an error decides; any other GpugraphError exits with FAILED.
EXIT_CODES: dict[type[BaseException], int] = {
    ModelError: 2,
    ShapeError: 2,
    SelectionError: 2,
    NonFiniteError: 2,
    SignedWeightsError: 2,
    UndefinedMeasureError: 2,
    UnsupportedLayerError: 3,
    GraphTooLargeError: 4,
    MemoryError: 4,
    OutputError: 5,
}
FAILED = 1
INTERRUPTED = 130
EPILOG = """\b
Exit codes:
  0    done
  1    verification failed, doctor found that nothing works, or an error that
       none of the others fits
  2    wrong usage, or a model, shape, value or name that cannot be used
  3    a layer is not supported
  4    too large for the memory at hand
  5    output could not be written: it exists, the disk is full ...
  130  interrupted (143: terminated)
"""


class _Commands(TyperGroup):
    """Turns errors of all commands into one line on standard error and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except GpugraphError as error:
            _fail(
                str(error), next((c for t, c in EXIT_CODES.items() if isinstance(error, t)), FAILED)
            )
        except MemoryError as error:
            _fail(f"Out of memory. {error}", EXIT_CODES[MemoryError])
        except KeyboardInterrupt:
            _fail("Interrupted.", INTERRUPTED)


def _fail(message: str, code: int) -> NoReturn:
    _say(message)
    raise typer.Exit(code)


def _say(message: str) -> None:
    line = printable(" ".join(message.split()))
    color = False if "NO_COLOR" in os.environ else None
    typer.secho(f"Error: {line}", fg="red", err=True, color=color)


app = typer.Typer(
    cls=_Commands,
    help="Keras models as neuron graphs: every activation a node, every use of a weight an edge.",
    epilog=EPILOG,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Rich's help takes longer to import than all else that --help needs.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line."""
    for name in ("SIGTERM", "SIGHUP"):  # no SIGHUP on Windows
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _terminate)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed; its descriptor must not become that of a file
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        # Names of layers may hold what the terminal's encoding lacks.
        getattr(sys, name).reconfigure(errors="backslashreplace")
    try:
        app()
    except OSError:
        _require_stdout()
        raise


def _require_stdout() -> None:
    """Exit if standard output cannot be written: help and version are printed by typer itself."""
    from gpugraph.cli import terminal

    try:
        with terminal.stdout_errors():
            print(flush=True)  # noqa: T201
    except OutputError as error:
        _say(str(error))
        sys.exit(EXIT_CODES[OutputError])


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """Leave by an exception, so that half-written files are removed."""
    raise SystemExit(128 + number)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gpugraph {__version__}")
        raise typer.Exit


@app.callback()
def _gpugraph(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass
