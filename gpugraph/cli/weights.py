"""``gpugraph weights``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpugraph.cli.app import EPILOG, app
from gpugraph.cli.loading import load
from gpugraph.cli.options import Json, Model, Overwrite, Weights
from gpugraph.cli.output import TABLE_ENDINGS, check_table, written


@app.command(epilog=EPILOG)
def weights(
    model: Model,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"Write the table too: {', '.join(TABLE_ENDINGS)}."),
    ] = None,
    overwrite: Overwrite = False,
    weights: Weights = None,
    seed: Annotated[int, typer.Option(min=0, help="Of random weights.")] = 0,
    as_json: Json = False,
) -> None:
    """List every array of the model: whose it is, its axes by name, and statistics."""
    check_table(out, overwrite)

    from gpugraph import terminal

    loaded, _ = load(model, None, weights, seed)

    from gpugraph.model_weights import HEADER, NUMERIC, weights_table

    with terminal.status("Reading weights"):
        result = weights_table(loaded)
    if out is not None:
        from gpugraph.export.table_file import write_table

        rows = result.to_arrow()
        write_table(out, rows.schema, rows.to_batches(), overwrite=overwrite)
    if as_json:
        terminal.show_json({**result.to_dict(), "path": None if out is None else str(out)})
        return
    shown = terminal.table(
        HEADER, [row.cells for row in result.rows], NUMERIC, result.total, expendable=8
    )
    left_out = ", ".join(HEADER[len(shown.columns) :])
    notes = [f"No room here, but in --json and --out: {left_out}."] if left_out else []
    notes += written(out)
    terminal.show(
        f"Model {terminal.printable(result.model)}\n", shown, *([""] if notes else []), *notes
    )
