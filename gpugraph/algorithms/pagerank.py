"""PageRank, exactly, in one forward sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from gpugraph.algorithms.node_array import PerNode, node_array
from gpugraph.algorithms.requirements import (
    float_dtype,
    require_finite,
    require_non_negative,
)
from gpugraph.algorithms.sweep import Incoming, sweep
from gpugraph.arrays import Array, Device, namespace
from gpugraph.engines.choice import Engine, is_cugraph, is_networkx
from gpugraph.errors import SelectionError
from gpugraph.fallback import falls_back
from gpugraph.node_values import NodeValues
from gpugraph.scalars import real
from gpugraph.views import Weight

if TYPE_CHECKING:
    from types import ModuleType

    from gpugraph.graph import NeuronGraph
    from gpugraph.population import Population


@falls_back
def pagerank(
    graph: NeuronGraph,
    alpha: float = 0.85,
    personalization: PerNode | None = None,
    weight: Weight = "magnitude",
    dangling: PerNode | None = None,
    *,
    dtype: DTypeLike = np.float64,
    device: Device = "auto",
    engine: Engine = "auto",
) -> NodeValues:
    """Return the PageRank of every node: exact, not iterated, without making an edge.

    Parameters
    ----------
    graph : NeuronGraph
    alpha : float
        Probability of following an edge, from 0 to 1; in proportion to the edges' weights.
    personalization : optional
        Where a jump lands: numbers of at least 0 by node id or population
        (``{"input": 1}``), or one per node; scaled to a sum of 1. By default all nodes alike.
    weight : {"magnitude", "positive", "negative", "weight", None}
        View of the weights; ``"weight"`` where none is negative, None for all alike. Parallel
        edges add up.
    dangling : optional
        Where a walk goes on from nodes without out-strength, in the same forms; by default as
        ``personalization``.
    dtype : float64 or float32
        What is computed in.
    device : {"auto", "cpu", "cuda"}
    engine : {"auto", "sweep", "networkx", "cugraph"}

    Returns
    -------
    NodeValues
        They sum to 1.

    Raises
    ------
    SelectionError
        If alpha is no probability, or personalization or dangling no distribution.
    SignedWeightsError
        If the view holds negative weights.
    NonFiniteError
        If weights hold NaN or infinity.

    Notes
    -----
    PageRank [1]_ is the solution of ``x = alpha P^T x + (alpha m) d + (1 - alpha) v``, where P
    divides weights by their source's out-strength, v and d are the two distributions and m is
    the rank on dangling nodes. ``(I - alpha P^T) u = v`` is one forward sweep, because the graph
    has no cycle, and x is a sum of the solutions for v and d. Extra memory: about two numbers per
    node, and four while a part of the graph is worked on.

    References
    ----------
    .. [1] Page, Brin, Motwani, Winograd (1999). The PageRank citation ranking. Stanford InfoLab.
       Langville, Meyer (2004). Deeper inside PageRank. Internet Mathematics 1(3).
    """
    alpha = real(alpha, "alpha", 0, 1)
    jump = (
        None
        if personalization is None
        else _distribution(graph, personalization, "personalization")
    )
    hang = None if dangling is None else _distribution(graph, dangling, "dangling")
    require_non_negative(graph, weight, "PageRank")
    if is_cugraph(engine):
        return _by_cugraph(graph, alpha, jump, hang, weight, float_dtype(dtype))
    if is_networkx(engine):
        return _by_networkx(graph, alpha, jump, hang, weight)
    xp, dtype = namespace(device), float_dtype(dtype)
    if hang is None:
        x = _solve(graph, alpha, [jump], weight, xp, dtype)[0][0]
    else:
        (u, w), (mass_u, mass_w) = _solve(graph, alpha, [jump, hang], weight, xp, dtype)
        # A walk that never jumps ends up with all its rank going round through `dangling`.
        x = w if alpha == 1 else u + (alpha * mass_u / (1 - alpha * mass_w)) * w
    require_finite(graph, x, "PageRank")
    x /= x.sum(dtype=np.float64).astype(dtype)
    return NodeValues(graph, x, "pagerank")


def _solve(
    graph: NeuronGraph,
    alpha: float,
    starts: list[np.ndarray | None],
    weight: Weight,
    xp: ModuleType,
    dtype: np.dtype,
) -> tuple[Array, list[float]]:
    """Solve ``(I - alpha P^T) x = start`` for some starts at once (None: uniform).

    Returns the solutions, shape ``(len(starts), n_nodes)``, and their mass on dangling nodes.
    """
    x = xp.empty((len(starts), graph.n_nodes), dtype)
    mass = xp.zeros(len(starts), np.float64)
    begin = [None if start is None else xp.asarray(start) for start in starts]

    def visit(population: Population, incoming: Incoming[Array]) -> Array:
        part = x[:, population.slice]
        for row, start in zip(part, begin, strict=True):
            row[...] = 1 / graph.n_nodes if start is None else start[population.slice]
        for projection, sent in incoming:
            projection.apply(sent, weight, out=part)
        strength = xp.zeros(population.size, dtype)
        for projection in graph.projections_from[population.name]:
            projection.out_strength(weight, out=strength)
        is_end = strength == 0
        if len(starts) > 1:  # only a start of their own asks how much is there
            mass[...] += xp.where(is_end, part, 0).sum(axis=1, dtype=np.float64)
        xp.copyto(strength, np.inf, where=is_end)
        factor = xp.divide(alpha, strength, out=strength)
        return xp.multiply(part, factor, out=factor[None] if len(starts) == 1 else None)

    sweep(graph, visit)
    return x, mass.tolist()


def _distribution(graph: NeuronGraph, given: PerNode | None, what: str) -> np.ndarray | None:
    """Return numbers per node scaled to a sum of 1; None as it is."""
    if given is None:
        return None
    values = node_array(graph, given, what)
    total = values.sum()
    if not (values >= 0).all() or not 0 < total < np.inf:
        raise SelectionError(f"{what} must be numbers of at least 0, and some above 0.")
    return values / total


def _by_networkx(
    graph: NeuronGraph,
    alpha: float,
    jump: np.ndarray | None,
    hang: np.ndarray | None,
    weight: Weight,
) -> NodeValues:
    from gpugraph.engines.networkx import node_values

    options = {
        name: dict(enumerate(values.tolist()))
        for name, values in (("personalization", jump), ("dangling", hang))
        if values is not None
    }
    return node_values(graph, "pagerank", weight, alpha=alpha, tol=1e-15, max_iter=1000, **options)


def _by_cugraph(
    graph: NeuronGraph,
    alpha: float,
    jump: np.ndarray | None,
    hang: np.ndarray | None,
    weight: Weight,
    dtype: np.dtype,
) -> NodeValues:
    from gpugraph.engines.cugraph import pagerank

    if hang is not None:
        raise SelectionError(
            "cuGraph's PageRank goes on from dangling nodes as jumps do: leave dangling out, or "
            "choose engine='sweep'."
        )
    return pagerank(graph, alpha, jump, weight, dtype)
