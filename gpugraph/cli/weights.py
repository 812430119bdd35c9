"""``gpugraph weights``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpugraph.cli.app import EPILOG, app
from gpugraph.cli.loading import load
from gpugraph.cli.options import Json, Model, Overwrite, Weights
from gpugraph.cli.output import TABLE_ENDINGS, check_table
from gpugraph.cli.row_table import put_out


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

    from gpugraph.cli import terminal

    loaded, _ = load(model, None, weights, seed)

    from gpugraph.model.weights import HEADER, NUMERIC, weights_table

    with terminal.status("Reading weights"):
        result = weights_table(loaded)
    put_out(
        result,
        HEADER,
        NUMERIC,
        expendable=8,
        total=result.total,
        out=out,
        overwrite=overwrite,
        as_json=as_json,
    )
