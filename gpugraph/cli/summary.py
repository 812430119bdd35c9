"""``gpugraph summary``."""

from __future__ import annotations

from gpugraph.cli.app import EPILOG, app
from gpugraph.cli.loading import check_norm, graph_of, merged
from gpugraph.cli.options import (
    AllowNonfinite,
    By,
    Couplings,
    InputShapes,
    Json,
    Model,
    NormOfBy,
    Probe,
    Trace,
    Weights,
)
from gpugraph.text_table import printable


@app.command(epilog=EPILOG)
def summary(
    model: Model,
    input_shape: InputShapes = None,
    weights: Weights = None,
    couplings: Couplings = False,
    probe: Probe = False,
    trace: Trace = False,
    by: By = None,
    norm: NormOfBy = None,
    allow_nonfinite: AllowNonfinite = False,
    as_json: Json = False,
) -> None:
    """Show nodes and edges per population, memory and file sizes. Makes no edge."""
    check_norm(by, norm)

    from gpugraph.cli import terminal
    from gpugraph.summary import HEADER, NUMERIC

    graph = graph_of(model, input_shape, weights, couplings, probe, trace, allow_nonfinite)
    result = merged(graph, by, norm).summary()
    if as_json:
        terminal.show_json(result.to_dict())
        return
    rows = [row.cells for row in result.rows]
    terminal.show(
        f"Model {printable(result.model)}\n",
        terminal.table(HEADER, rows, NUMERIC, result.total, expendable=2),
        "",
        *result.notes,
    )
