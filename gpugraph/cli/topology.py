"""``gpugraph topology``."""

from __future__ import annotations

from gpugraph.cli.app import EPILOG, app
from gpugraph.cli.loading import load
from gpugraph.cli.options import InputShapes, Json, Model, Weights
from gpugraph.text_table import printable


@app.command(epilog=EPILOG)
def topology(
    model: Model,
    input_shape: InputShapes = None,
    weights: Weights = None,
    as_json: Json = False,
) -> None:
    """List the layer calls in the order in which they run, and what each reads."""
    from gpugraph.cli import terminal

    loaded, shape = load(model, input_shape, weights)

    from gpugraph.model.topology import topology as list_calls

    calls = list_calls(loaded, shape)
    if as_json:
        terminal.show_json(
            {
                "model": calls.name,
                "n_parameters": calls.n_parameters,
                "inputs": list(calls.inputs),
                "outputs": [list(ref) for ref in calls.outputs],
                "calls": [
                    {
                        "name": call.name,
                        "layer": call.layer_class,
                        "inputs": [list(ref) for ref in call.inputs],
                        "input_shapes": [list(shape) for shape in call.input_shapes],
                        "output_shapes": [list(shape) for shape in call.output_shapes],
                        "n_parameters": call.n_parameters,
                    }
                    for call in calls
                ],
            }
        )
        return
    rows = [
        (
            call.name,
            call.layer_class,
            ", ".join(ref.call for ref in call.inputs),
            "; ".join("x".join(map(str, shape)) for shape in call.output_shapes),
            f"{call.n_parameters:,}",
        )
        for call in calls
    ]
    header = ("layer call", "layer", "reads", "output shape", "parameters")
    total = ("total", "", "", "", f"{calls.n_parameters:,}")
    terminal.show(
        f"Model {printable(calls.name)}: {len(calls)} layer calls\n",
        terminal.table(header, rows, (False, False, False, False, True), total),
    )
