"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast
from uuid import uuid4

from gpugraph.arrays import format_bytes
from gpugraph.errors import OutputError

PARTIAL = ".partial"

# A level that keeps pace with the disk; 9 takes five times as long for a tenth less.
GZIP_LEVEL = 4

Progress = Callable[[int], None]


def no_progress(n_edges: int) -> None:
    """Take notice of ``n_edges`` more edges written: the default, which takes none."""


@contextmanager
def new_file(path: str | os.PathLike[str], *, overwrite: bool, least_bytes: int) -> Iterator[Path]:
    """Give a path to write to; it becomes ``path`` when the block ends, and vanishes if it fails.

    Parameters
    ----------
    path : path
        Where the file shall appear.
    overwrite : bool
        Whether a file that stands there may be replaced.
    least_bytes : int
        What the file will take at least (before compression, where its name ends in ``.gz``);
        checked against the disk before anything is written.

    Raises
    ------
    OutputError
        If something stands there already, the folder is missing or not writable, or the disk
        is full.
    """
    path = output_path(path)
    if is_compressed(path):
        least_bytes //= 20  # what compression makes of the most repetitive graphs
    with _new(path, overwrite, least_bytes) as partial:
        yield partial


def is_compressed(path: Path) -> bool:
    """Whether a file's name asks for gzip; what is being written ends in ``.partial``."""
    return path.name.removesuffix(PARTIAL).endswith(".gz")


@contextmanager
def open_output(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that `new_file` gave for writing, compressed where its name says so."""
    if is_compressed(path):
        with gzip.open(path, "wb", compresslevel=GZIP_LEVEL) as file:
            yield cast(IO[bytes], file)
    else:
        with open(path, "wb") as file:
            yield file


@contextmanager
def new_folder(
    path: str | os.PathLike[str], *, overwrite: bool, least_bytes: int, contents: set[str]
) -> Iterator[Path]:
    """Give an empty folder to write to, which becomes ``path`` when the block ends.

    With ``overwrite``, a folder is replaced only if it holds nothing but ``contents``: names that
    we wrote. Otherwise as `new_file`.
    """
    path = output_path(path)
    check_output(path, overwrite)
    if path.is_dir():
        strange = sorted({p.name for p in path.iterdir()} - contents)
        if strange:
            raise OutputError(
                f"The folder '{path}' holds '{strange[0]}', which gpugraph did not write. It is "
                "not replaced: remove it yourself, or choose another name."
            )
    with _new(path, overwrite, least_bytes) as partial:
        partial.mkdir()
        yield partial


@contextmanager
def _new(path: Path, overwrite: bool, least_bytes: int) -> Iterator[Path]:
    """Yield a path beside ``path``; move what was made there into place, or remove it."""
    check_output(path, overwrite)
    path = path.resolve()  # a link stays, and what it points to is replaced
    free = shutil.disk_usage(path.parent).free
    if least_bytes > free:
        raise OutputError(
            f"'{path}' would take at least {format_bytes(least_bytes)}, but only "
            f"{format_bytes(free)} are free on its disk. Write a part of the graph (subgraph, "
            "threshold, strongest), or a smaller format such as Parquet."
        )
    ending = ".gz" if path.suffix == ".gz" else ""
    partial = path.parent / f".gpugraph-{uuid4().hex}{ending}{PARTIAL}"
    try:
        yield partial
        _flush(partial)
        _replace(partial, path)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        full = error.errno == errno.ENOSPC or "No space left" in str(error)
        cause = "the disk is full" if full else error.strerror or str(error)
        raise OutputError(
            f"Cannot write '{path}': {cause}. Nothing of it was kept"
            f"{'; what stood there is untouched' if path.exists() else ''}."
        ) from error
    finally:
        _remove(partial)


def output_path(path: str | os.PathLike[str]) -> Path:
    """Return where to write; raise OutputError where that is no path, or ends in no name."""
    try:
        where = Path(path)
    except TypeError as error:
        raise OutputError(f"Cannot write to {path!r}: it is no path.") from error
    if not where.name or "\0" in where.name:
        raise OutputError(f"Cannot write to {str(path)!r}: it does not end in the name of a file.")
    return where


def check_output(path: str | os.PathLike[str], overwrite: bool) -> None:
    """Raise OutputError where a file or folder cannot be put; before any work is done."""
    path = output_path(path)
    try:
        exists = path.exists()
    except OSError as error:  # such as a name that is too long
        raise OutputError(f"Cannot write '{path}': {error.strerror}.") from error
    if exists and not overwrite:
        raise OutputError(
            f"'{path}' exists already. Choose another name, or pass overwrite=True (--overwrite)."
        )
    if not path.parent.is_dir():
        raise OutputError(f"Cannot write '{path}': there is no folder '{path.parent}'.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"Cannot write '{path}': folder '{path.parent}' is not writable.")


def _flush(partial: Path) -> None:
    """Have the disk hold every byte before the name does: a power cut must not leave a stump."""
    for file in [partial] if partial.is_file() else partial.rglob("*.*"):
        with open(file, "rb+") as opened:
            os.fsync(opened.fileno())


def _replace(partial: Path, path: Path) -> None:
    """Move what was made into place; a folder cannot be replaced in one step, so move it aside."""
    if partial.is_dir() != path.is_dir() and path.exists():
        kinds = ("folder", "file") if partial.is_dir() else ("file", "folder")
        raise OutputError(f"'{path}' is a {kinds[1]}; it is not replaced by a {kinds[0]}.")
    if not path.is_dir():
        os.replace(partial, path)
        return
    aside = path.parent / f".gpugraph-{uuid4().hex}.replaced"
    os.replace(path, aside)
    try:
        os.replace(partial, path)
    except BaseException:
        os.replace(aside, path)
        raise
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            path.unlink()
