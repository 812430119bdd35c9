"""A table of rows that a command makes: written to a file, and shown as text or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gpugraph.cli.output import written
from gpugraph.text_table import printable

if TYPE_CHECKING:
    from gpugraph.algorithms.layer_statistics import LayerStatistics
    from gpugraph.model.weights import WeightsTable


def put_out(
    result: LayerStatistics | WeightsTable,
    header: Sequence[str],
    numeric: Sequence[bool],
    *,
    expendable: int,
    total: Sequence[str] | None = None,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write a table to ``out``, if given, and show it, naming what columns there is no room for.

    ``expendable`` counts the last columns, which go first.
    """
    from gpugraph.cli import terminal

    if out is not None:
        from gpugraph.export.table_file import write_table

        rows = result.to_arrow()
        write_table(out, rows.schema, rows.to_batches(), overwrite=overwrite)
    if as_json:
        terminal.show_json({**result.to_dict(), "path": None if out is None else str(out)})
        return
    cells = [row.cells for row in result.rows]
    shown = terminal.table(header, cells, numeric, total, expendable)
    left_out = ", ".join(header[len(shown.columns) :])
    notes = [f"No room here, but in --json and --out: {left_out}."] if left_out else []
    notes += written(out)
    terminal.show(f"Model {printable(result.model)}\n", shown, *([""] if notes else []), *notes)
