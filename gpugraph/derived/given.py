"""The graph as one input sees it: every weight times what its source sends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugraph.errors import ModelError, NonFiniteError, ShapeError
from gpugraph.evaluate import evaluate, input_arrays

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph


def given(graph: NeuronGraph, inputs: Any) -> NeuronGraph:
    """Weigh every edge by its source's activation; see `NeuronGraph.given`."""
    from gpugraph.graph import NeuronGraph

    if graph.topology is None:
        raise ModelError(
            f"'{graph.name}' is not a whole model's graph, so its activations cannot be computed. "
            "Call given() on the graph that from_keras gives, and take the part afterwards."
        )
    arrays = input_arrays(graph, inputs)
    n_samples = max(len(x) for x in arrays.values())
    if n_samples != 1:
        raise ShapeError(
            f"given() weighs '{graph.name}' by the activations of one sample, but the inputs hold "
            f"{n_samples}. Pass one at a time, with its batch axis: inputs[i : i + 1]."
        )
    values = evaluate(graph, arrays)
    activations = {name: value.reshape(-1) for name, value in values.items()}
    for name, activation in activations.items():
        if not np.isfinite(activation).all():
            raise NonFiniteError(
                f"For this input, activations of population '{name}' of '{graph.name}' are NaN or "
                "infinite, and so would be the weights out of it. Pass finite, smaller inputs."
            )
    found = NeuronGraph(
        name=f"{graph.name} given an input",
        populations=graph.populations,
        projections=[
            replace(p, source_factor=activations[p.source.name]) for p in graph.projections
        ],
        tensors=graph.tensors,
    )
    found.inputs, found.outputs = graph.inputs, graph.outputs
    return found
