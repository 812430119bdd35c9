"""What commands write: refused before any work, and told of after it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import typer

from gpugraph.text_table import printable

TABLE_ENDINGS = (".parquet", ".csv", ".csv.gz")


def ending_of(out: Path, endings: Iterable[str]) -> str:
    """Return the ending of the output that decides its format; the longest that fits."""
    fitting = [ending for ending in endings if out.name.endswith(ending)]
    if not fitting:
        raise typer.BadParameter(
            f"'{out}' has no known ending. Choose one of {', '.join(endings)}."
        )
    return max(fitting, key=len)


def check_table(out: Path | None, overwrite: bool) -> None:
    """Refuse an ``--out`` that cannot be written, before a model is loaded for nothing."""
    if out is None:
        return
    ending_of(out, TABLE_ENDINGS)

    from gpugraph.export.table_file import check_table

    check_table(out, overwrite)


def written(out: Path | None) -> list[str]:
    """Say what ``--out`` wrote, if anything."""
    if out is None:
        return []

    from gpugraph.arrays import format_bytes

    return [f"Wrote {printable(str(out))}: {format_bytes(size_of(out))}."]


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(size_of(inner) for inner in path.iterdir())
    return path.stat().st_size
