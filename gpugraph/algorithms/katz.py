"""Katz centrality, exactly, in one forward sweep."""

from __future__ import annotations

from math import frexp, isfinite, sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from gpugraph.algorithms.node_array import PerNode, node_array
from gpugraph.algorithms.requirements import float_dtype, require_finite, require_view
from gpugraph.algorithms.scaled import Scaled, node_values, pull, whole_numbers
from gpugraph.algorithms.sweep import Incoming, sweep
from gpugraph.arrays import Array, Device, namespace, namespace_of
from gpugraph.engines.choice import Engine, is_cugraph, is_networkx
from gpugraph.errors import SelectionError
from gpugraph.fallback import falls_back
from gpugraph.node_values import NodeValues
from gpugraph.scalars import real
from gpugraph.views import Weight

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph
    from gpugraph.population import Population


@falls_back
def katz_centrality(
    graph: NeuronGraph,
    alpha: float = 0.1,
    beta: PerNode = 1.0,
    normalized: bool = True,
    weight: Weight = None,
    *,
    dtype: DTypeLike = np.float64,
    device: Device = "auto",
    engine: Engine = "auto",
) -> NodeValues:
    """Return the Katz centrality of every node: exact, not iterated, without making an edge.

    Parameters
    ----------
    graph : NeuronGraph
    alpha : float
        What a walk loses per edge. Any number will do: on an acyclic graph walks end, and the
        sum over them is finite.
    beta : number, mapping or array
        What every node starts with: one number, numbers by node id or population, or one per
        node.
    normalized : bool
        Scale to a sum of squares of 1, as networkx does.
    weight : {"weight", "magnitude", "positive", "negative", None}
        View of the weights; None counts edges, as by default in networkx.
    dtype : float64 or float32
        What is computed in.
    device : {"auto", "cpu", "cuda"}
    engine : {"auto", "sweep", "networkx", "cugraph"}

    Returns
    -------
    NodeValues
        With exponents where numbers outgrow floats, as over hundreds of layers they can.

    Raises
    ------
    SelectionError, ShapeError
        If alpha or beta is no finite number, or beta names nodes that do not exist or has
        another shape.
    NonFiniteError
        If weights hold NaN or infinity.

    Notes
    -----
    ``x = alpha A^T x + beta`` [1]_, solved population by population. Numbers are scaled per
    population by powers of two, so none overflows on the way.

    References
    ----------
    .. [1] Katz (1953). A new status index derived from sociometric analysis. Psychometrika 18(1).
    """
    xp, number = namespace(device), float_dtype(dtype)
    require_view(weight)
    alpha, start = real(alpha, "alpha"), node_array(graph, beta, "beta")
    if not isfinite(alpha) or not np.isfinite(start).all():
        raise SelectionError("alpha and beta must be finite numbers.")
    if is_cugraph(engine):
        from gpugraph.engines import cugraph

        return cugraph.katz_centrality(graph, alpha, start, normalized, weight, number)
    if is_networkx(engine):
        return _by_networkx(graph, alpha, start, normalized, weight)
    x = xp.empty(graph.n_nodes, number)
    begin = xp.asarray(start.astype(number, copy=False))
    exponents: dict[str, Array] = {}
    factor, power = frexp(alpha)

    def visit(population: Population, incoming: Incoming[Scaled]) -> Scaled:
        total = pull(population, incoming, weight, begin[None, population.slice].copy())
        x[population.slice] = total.values[0]
        exponents[population.name] = total.exponent
        return Scaled(total.values * factor, total.exponent + power)

    sweep(graph, visit)
    require_finite(graph, x, "Katz centrality")
    powers = whole_numbers(exponents)
    if normalized and graph.n_nodes:
        _normalise(graph, x, powers)
    return node_values(graph, x, powers, "katz_centrality")


def _normalise(graph: NeuronGraph, x: Array, exponents: dict[str, int]) -> None:
    """Scale to a sum of squares of 1."""
    top = max(exponents.values())
    parts = (x[p.slice].astype(np.float64, copy=False) for p in graph.populations.values())
    squares = namespace_of(x).stack([part @ part for part in parts]).tolist()
    total = sum(
        square * 2.0 ** max(2 * (exponents[name] - top), -2000)
        for name, square in zip(graph.populations, squares, strict=True)
    )
    norm, power = frexp(sqrt(total) or 1.0)
    x /= norm
    for name in exponents:
        exponents[name] -= top + power


def _by_networkx(
    graph: NeuronGraph, alpha: float, start: np.ndarray, normalized: bool, weight: Weight
) -> NodeValues:
    from gpugraph.engines.networkx import node_values

    return node_values(
        graph,
        "katz_centrality",
        weight,
        alpha=alpha,
        beta=dict(enumerate(start.tolist())),
        normalized=normalized,
        tol=1e-15,
        weight="weight",
    )
