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
    Weights,
)
from gpugraph.cli.output import TABLE_ENDINGS, check_table, written


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
    allow_nonfinite: AllowNonfinite = False,
    as_json: Json = False,
) -> None:
    """Show statistics of the weights and strengths between layers. Makes no edge."""
    check_table(out, overwrite)

    from gpugraph import terminal

    graph = graph_of(model, input_shape, weights, couplings, probe, allow_nonfinite, seed=seed)

    from gpugraph.algorithms.layer_statistics import HEADER, NUMERIC, layer_statistics

    with terminal.status("Measuring layers"):
        result = layer_statistics(graph, persistence=persistence)
    if out is not None:
        from gpugraph.export.table_file import write_table

        rows = result.to_arrow()
        write_table(out, rows.schema, rows.to_batches(), overwrite=overwrite)
    if as_json:
        terminal.show_json({**result.to_dict(), "path": None if out is None else str(out)})
        return
    shown = terminal.table(
        HEADER, [row.cells for row in result.rows], NUMERIC, expendable=len(HEADER) - 4
    )
    left_out = ", ".join(HEADER[len(shown.columns) :])
    notes = [f"No room here, but in --json and --out: {left_out}."] if left_out else []
    notes += written(out)
    terminal.show(
        f"Model {terminal.printable(result.model)}\n", shown, *([""] if notes else []), *notes
    )
