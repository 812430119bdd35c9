"""``gpugraph verify``."""

from __future__ import annotations

from typing import Annotated

import typer

from gpugraph.cli.app import EPILOG, FAILED, app
from gpugraph.cli.loading import graph_of
from gpugraph.cli.options import (
    AllowNonfinite,
    Couplings,
    InputShapes,
    Json,
    Model,
    Probe,
    Trace,
    Weights,
)

WORST_SHOWN = 10


@app.command(epilog=EPILOG)
def verify(
    model: Model,
    input_shape: InputShapes = None,
    weights: Weights = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise, and of random weights.")] = 0,
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0, help="Largest error that passes, as a share of a population's largest value."
        ),
    ] = None,
    couplings: Couplings = False,
    probe: Probe = False,
    trace: Trace = False,
    allow_nonfinite: AllowNonfinite = False,
    as_json: Json = False,
) -> None:
    """Run the graph on noise and compare every population with Keras. Exits 1 if they differ."""
    from gpugraph.cli import terminal

    graph = graph_of(
        model, input_shape, weights, couplings, probe, trace, allow_nonfinite, seed=seed
    )
    with terminal.status("Running graph and model"):
        result = graph.verify(seed=seed, tolerance=tolerance)
    if as_json:
        terminal.show_json(
            {
                "model": graph.name,
                "passed": result.passed,
                "tolerance": result.tolerance,
                # JSON knows no infinity.
                "errors": {n: e if e < float("inf") else None for n, e in result.errors.items()},
            }
        )
    else:
        worst = sorted(result.errors.items(), key=lambda item: -item[1])[:WORST_SHOWN]
        rows = [
            (name, graph.populations[name].layer, f"{error:.1e}", _verdict(error, result.tolerance))
            for name, error in worst
        ]
        header = ("worst populations", "layer", "error", "")
        terminal.show(
            terminal.table(header, rows, (False, False, True, False)),
            "",
            str(result),
        )
    if not result.passed:
        raise typer.Exit(FAILED)


def _verdict(error: float, tolerance: float) -> str:
    return "" if error <= tolerance else "too large"
