"""Path strength: products of weights along all input-to-output paths, by two sweeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from gpugraph.algorithms.requirements import float_dtype, require_finite, require_view
from gpugraph.algorithms.scaled import Scaled, node_values, pull, whole_numbers
from gpugraph.algorithms.sweep import Incoming, sweep
from gpugraph.arrays import Array, Device, namespace
from gpugraph.edge_values import EdgeValues, Term
from gpugraph.fallback import falls_back
from gpugraph.node_values import NodeValues
from gpugraph.views import Weight

if TYPE_CHECKING:
    from types import ModuleType

    from gpugraph.graph import NeuronGraph
    from gpugraph.population import Population


@falls_back
def path_strength(
    graph: NeuronGraph,
    weight: Weight = "magnitude",
    *,
    dtype: DTypeLike = np.float64,
    device: Device = "auto",
) -> NodeValues:
    """Return, per node, the sum over all input-to-output paths through it of their products.

    A path's product is that of its edges' weights. With ``weight="magnitude"`` this is the
    synaptic flow of SynFlow [1]_ through each neuron; with ``"weight"``, the derivative of the
    outputs' sum by a factor on the neuron, were all activations linear.

    Parameters
    ----------
    graph : NeuronGraph
    weight : {"magnitude", "weight", "positive", "negative", None}
        View of the weights; None counts paths (`path_count`).
    dtype : float64 or float32
        What is computed in.
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    NodeValues
        With exponents where numbers leave the range of floats: read ``log10()`` there.

    Raises
    ------
    NonFiniteError
        If weights hold NaN or infinity.

    Notes
    -----
    One forward sweep from the inputs, one backward from the outputs, multiplied. Paths start at
    the model's inputs and end at its outputs; in a part of a graph, at populations without
    projections in, and without projections out. Beside the largest of a population, values
    10^300 times smaller (10^30 in float32) are 0.

    References
    ----------
    .. [1] Tanaka, Kunin, Yamins, Ganguli (2020). Pruning neural networks without any data by
       iteratively conserving synaptic flow. arXiv:2006.05467.
    """
    return through(graph, weight, float_dtype(dtype), namespace(device), "path_strength")


@falls_back
def edge_path_strength(
    graph: NeuronGraph,
    weight: Weight = "magnitude",
    *,
    dtype: DTypeLike = np.float64,
    device: Device = "auto",
) -> EdgeValues:
    """Return, per edge, the sum over all input-to-output paths along it of their products.

    ``values.per_parameter(projection)`` adds up the edges of each weight: SynFlow's score.
    Parameters and errors as in `path_strength`.

    Returns
    -------
    EdgeValues
        Held as values of sources and targets, not per edge.
    """
    xp, number = namespace(device), float_dtype(dtype)
    require_view(weight)
    parts = [one_way(graph, weight, number, xp, backward=backward) for backward in (False, True)]
    for part in parts:
        values = [part[name].values[0] for name in graph.populations]
        require_finite(graph, xp.concatenate([xp.zeros(0, number), *values]), "path_strength")
    ends = [(parts[0][p.source.name], parts[1][p.target.name]) for p in graph.projections]
    exponents = whole_numbers(
        {i: source.exponent + target.exponent for i, (source, target) in enumerate(ends)}
    )
    terms = [
        [Term(source.values, target.values, exponents[i])]
        for i, (source, target) in enumerate(ends)
    ]
    return EdgeValues(graph, terms, weight, "path_strength")


def one_way(
    graph: NeuronGraph, weight: Weight, dtype: np.dtype, xp: ModuleType, *, backward: bool
) -> dict[str, Scaled]:
    """Products along all paths from the inputs to each node, or from it to the outputs."""
    found: dict[str, Scaled] = {}
    ends = {p.name for p in (graph.outputs if backward else graph.inputs)}

    def visit(population: Population, incoming: Incoming[Scaled]) -> Scaled:
        own = xp.full((1, population.size), float(population.name in ends), dtype)
        found[population.name] = pull(population, incoming, weight, own)
        return found[population.name]

    sweep(graph, visit, backward=backward)
    return found


def through(
    graph: NeuronGraph, weight: Weight, dtype: np.dtype, xp: ModuleType, name: str
) -> NodeValues:
    """Sums of products over all paths through each node."""
    require_view(weight)
    x = xp.empty(graph.n_nodes, dtype)
    exponents: dict[str, Array] = {}
    ends = {p.name for p in graph.inputs}, {p.name for p in graph.outputs}

    def visit_forward(population: Population, incoming: Incoming[Scaled]) -> Scaled:
        total = pull(population, incoming, weight, _start(population, ends[0]))
        x[population.slice] = total.values[0]
        exponents[population.name] = total.exponent
        return total

    def visit_backward(population: Population, incoming: Incoming[Scaled]) -> Scaled:
        total = pull(population, incoming, weight, _start(population, ends[1]))
        x[population.slice] *= total.values[0]
        exponents[population.name] = exponents[population.name] + total.exponent
        return total

    def _start(population: Population, names: set[str]) -> Array:
        return xp.full((1, population.size), float(population.name in names), dtype)

    sweep(graph, visit_forward)
    sweep(graph, visit_backward, backward=True)
    require_finite(graph, x, name)
    return node_values(graph, x, whole_numbers(exponents), name)
