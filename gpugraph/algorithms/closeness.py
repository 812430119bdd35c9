"""Closeness and harmonic centrality, from distances of pivots."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugraph.algorithms.shortest_paths import (
    Classes,
    batches,
    count_shortest_paths,
    depths,
    pivots,
)
from gpugraph.arrays import Array, Device, namespace
from gpugraph.fallback import falls_back
from gpugraph.node_values import NodeValues

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpugraph.graph import NeuronGraph
    from gpugraph.population import Population


@falls_back
def closeness_centrality(
    graph: NeuronGraph,
    k: int | None = None,
    wf_improved: bool = True,
    seed: Any = None,
    *,
    device: Device = "auto",
) -> NodeValues:
    """Return the inverse of the mean distance to each node from those that reach it.

    Distances count edges. As in networkx, they are those *to* the node.

    Parameters
    ----------
    graph : NeuronGraph
    k : int, optional
        Estimate from the distances from k nodes drawn at random [2]_. By default from all, which
        is exact and takes as many sweeps: for small graphs.
    wf_improved : bool
        Multiply by the share of nodes that reach the node (Wasserman and Faust).
    seed : int or random state, optional
        Of the draw.
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    NodeValues
        0 for nodes that no pivot reaches.

    Raises
    ------
    SelectionError
        If k is not between 1 and the number of nodes.

    References
    ----------
    .. [1] Freeman (1979). Centrality in social networks. Social Networks 1(3).
    .. [2] Eppstein, Wang (2004). Fast approximation of centrality. Journal of Graph Algorithms
       and Applications 8(1).
    """
    sources = pivots(graph, k, None, seed)
    reaching, total = _sums(graph, sources, [np.ones_like, lambda d: d], device)
    xp, others = namespace(device), max(graph.n_nodes - 1, 1)
    values = xp.where(total > 0, reaching / xp.where(total > 0, total, 1), 0)
    if wf_improved:
        values *= reaching * (graph.n_nodes / max(len(sources), 1) / others)
    return NodeValues(graph, values, "closeness_centrality")


@falls_back
def harmonic_centrality(
    graph: NeuronGraph,
    k: int | None = None,
    sources: Iterable[int] | None = None,
    seed: Any = None,
    *,
    device: Device = "auto",
) -> NodeValues:
    """Return, per node, the sum of 1 / distance from the nodes that reach it.

    Parameters
    ----------
    graph : NeuronGraph
    k : int, optional
        Estimate from k nodes drawn at random, scaled up to all. By default all are taken: for
        small graphs.
    sources : iterable of int, optional
        Sum over these nodes alone, as in networkx: nothing is scaled.
    seed : int or random state, optional
        Of the draw.
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    NodeValues

    Raises
    ------
    SelectionError
        If k or sources name nodes that do not exist.

    References
    ----------
    .. [1] Boldi, Vigna (2014). Axioms for centrality. Internet Mathematics 10(3-4).
    """
    chosen = pivots(graph, k, sources, seed)
    (total,) = _sums(graph, chosen, [np.reciprocal], device)
    if k is not None:
        total *= graph.n_nodes / k
    return NodeValues(graph, total, "harmonic_centrality")


def _sums(
    graph: NeuronGraph,
    sources: list[int],
    terms: list[Callable[[np.ndarray], np.ndarray]],
    device: Device,
) -> list[Array]:
    """Sum functions of the distance from every source to each node that it reaches."""
    xp = namespace(device)
    totals = [xp.zeros(graph.n_nodes) for _ in terms]
    for rows in batches(graph, sources):
        starts = depths(graph, rows)

        def visit(
            population: Population,
            classes: Classes,
            rows: list[int] = rows,
            starts: np.ndarray = starts,
        ) -> None:
            for steps, paths in classes.items():
                far = np.maximum(population.depth - starts - steps, 1.0)  # 0: the source itself
                reached = xp.asarray(paths.values > 0, dtype=np.float64)
                for row, node in enumerate(rows):
                    if node in population.ids:
                        reached[row, node - population.offset] = 0
                for total, term in zip(totals, terms, strict=True):
                    total[population.slice] += xp.asarray(term(far)) @ reached

        count_shortest_paths(graph, rows, visit, xp)
    return totals
