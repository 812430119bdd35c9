"""``gpugraph stats``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpugraph.cli.app import EPILOG, app
from gpugraph.cli.loading import graph_of
from gpugraph.cli.options import (
    AllowNonfinite,
    Couplings,
    InputShapes,
    Json,
    Model,
    Overwrite,
    Probe,
    Trace,
    Weights,
)
from gpugraph.cli.output import TABLE_ENDINGS, check_table
from gpugraph.cli.row_table import put_out


@app.command(epilog=EPILOG)
def stats(
    model: Model,
    persistence: Annotated[
        bool,
        typer.Option(
            "--persistence/--no-persistence",
            help="Find neural persistence too: the slow part, for large dense layers.",
        ),
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help=f"Write the whole table too: {', '.join(TABLE_ENDINGS)}."
        ),
    ] = None,
    overwrite: Overwrite = False,
    input_shape: InputShapes = None,
    weights: Weights = None,
    seed: Annotated[int, typer.Option(min=0, help="Of random weights.")] = 0,
    couplings: Couplings = False,
    probe: Probe = False,
    trace: Trace = False,
    allow_nonfinite: AllowNonfinite = False,
    as_json: Json = False,
) -> None:
    """Show statistics of the weights and strengths between layers. Makes no edge."""
    check_table(out, overwrite)

    from gpugraph.cli import terminal

    graph = graph_of(
        model, input_shape, weights, couplings, probe, trace, allow_nonfinite, seed=seed
    )

    from gpugraph.algorithms.layer_statistics import HEADER, NUMERIC, layer_statistics

    with terminal.status("Measuring layers"):
        result = layer_statistics(graph, persistence=persistence)
    put_out(
        result,
        HEADER,
        NUMERIC,
        expendable=len(HEADER) - 4,
        out=out,
        overwrite=overwrite,
        as_json=as_json,
    )
