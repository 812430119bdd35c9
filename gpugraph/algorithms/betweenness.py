"""Betweenness of nodes and edges: Brandes's algorithm, whole populations at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugraph.algorithms.scaled import NOTHING, Scaled, pull
from gpugraph.algorithms.shortest_paths import Classes, batches, count_shortest_paths, pivots, saved
from gpugraph.algorithms.sweep import Incoming, sweep
from gpugraph.arrays import Array, Device, may_hold, namespace, namespace_of, require_memory
from gpugraph.edge_values import EdgeValues, Term
from gpugraph.engines.choice import Engine, is_cugraph, is_networkx
from gpugraph.fallback import falls_back
from gpugraph.node_values import NodeValues

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph
    from gpugraph.population import Population
    from gpugraph.projection import Projection

# What targets send back: (1 + dependency) / paths, by the steps that their paths save.
Shares = dict[int, Scaled]


@falls_back
def betweenness_centrality(
    graph: NeuronGraph,
    k: int | None = None,
    normalized: bool = True,
    endpoints: bool = False,
    seed: Any = None,
    sources: Iterable[int] | None = None,
    *,
    device: Device = "auto",
    engine: Engine = "auto",
) -> NodeValues:
    """Return, per node, the share of shortest paths between others that lead through it.

    Paths are counted in edges, whatever their weights; parallel edges make separate paths.

    Parameters
    ----------
    graph : NeuronGraph
    k : int, optional
        Estimate from the paths that start at k nodes drawn at random. By default all nodes are
        taken, which is exact and takes as many sweeps: for small graphs.
    normalized : bool
        Divide by the number of pairs, as networkx does.
    endpoints : bool
        Count a path's two ends too.
    seed : int or random state, optional
        Of the draw; for the same seed networkx draws the same nodes.
    sources : iterable of int, optional
        Take the paths from these nodes instead.
    device : {"auto", "cpu", "cuda"}
    engine : {"auto", "sweep", "networkx", "cugraph"}

    Returns
    -------
    NodeValues
        NaN for the source if there is a single one and its ends do not count: nothing is known
        of it, as networkx says too.

    Raises
    ------
    SelectionError
        If k is not between 1 and the number of nodes, or sources are none, given twice or do
        not exist.

    Notes
    -----
    Brandes's algorithm [1]_, a batch of sources at a time: one forward sweep counts shortest
    paths, one backward sweep adds up dependencies, both by products that make no edge. In a
    residual network paths to nodes of one layer differ in length; they are kept apart by the
    steps that they save. Counts may outgrow floats; a node with 10^300 times fewer paths than
    another of its population counts as out of reach. Takes about 24 bytes per node and source of
    a batch.

    References
    ----------
    .. [1] Brandes (2001). A faster algorithm for betweenness centrality. Journal of Mathematical
       Sociology 25(2). Brandes, Pich (2007). Centrality estimation in large networks.
       International Journal of Bifurcation and Chaos 17(7).
    """
    chosen = pivots(graph, k, sources, seed)
    if is_cugraph(engine):
        from gpugraph.engines import cugraph

        some = None if k is None and sources is None else chosen
        return cugraph.betweenness_centrality(graph, some, normalized, endpoints)
    if is_networkx(engine):
        from gpugraph.engines.networkx import node_values

        sampled = (
            {} if k is None and sources is None else {"k": len(chosen), "seed": _Drawn(chosen)}
        )
        options = {"normalized": normalized, "endpoints": endpoints, **sampled}
        return node_values(graph, "betweenness_centrality", None, **options)
    xp = namespace(device)
    total = xp.zeros(graph.n_nodes)

    def visit(
        population: Population, rows: Sequence[int], dependency: Array, reached: Array
    ) -> None:
        ids = population.ids
        for row, node in enumerate(rows):
            if node in ids:
                dependency[row, node - ids.start] = 0
                reached[row, node - ids.start] = False
        total[population.slice] += (dependency + reached if endpoints else dependency).sum(axis=0)
        if endpoints:
            for node, n in zip(rows, reached.sum(axis=1).tolist(), strict=True):
                total[node] += n

    for rows in batches(graph, chosen):
        _accumulate(graph, rows, xp, visit)
    is_sampled = k is not None or sources is not None
    scale, at_sources = _scales(graph.n_nodes, len(chosen), is_sampled, normalized, endpoints)
    is_source = xp.zeros(graph.n_nodes, bool)
    is_source[xp.asarray(chosen, dtype=np.int64)] = True
    total *= xp.where(is_source, at_sources, scale)
    return NodeValues(graph, total, "betweenness_centrality")


@falls_back
def edge_betweenness_centrality(
    graph: NeuronGraph,
    k: int | None = None,
    normalized: bool = True,
    seed: Any = None,
    sources: Iterable[int] | None = None,
    *,
    device: Device = "auto",
) -> EdgeValues:
    """Return, per edge, the share of shortest paths between nodes that lead along it.

    Parameters as in `betweenness_centrality`.

    Returns
    -------
    EdgeValues
        Held per node and source: 16 bytes each.

    Raises
    ------
    GraphTooLargeError
        If that does not fit in memory: take fewer sources.
    """
    xp, chosen = namespace(device), pivots(graph, k, sources, seed)
    require_memory(
        16 * graph.n_nodes * len(chosen),
        f"Edge betweenness from {len(chosen):,} sources",
        "Take fewer (k=...), or a part of the graph.",
        xp,
    )
    n = graph.n_nodes
    scale = 1.0 if n < 2 else 1 / (len(chosen) * (n - 1)) if normalized else n / len(chosen)
    terms: dict[Projection, list[Term]] = {p: [] for p in graph.projections}

    def visit_edges(projection: Projection, paths: Scaled, shares: Scaled) -> None:
        exponent = paths.exponent + shares.exponent
        top = int(exponent.max())
        values = Scaled(shares.values, exponent).at(top) * scale
        terms[projection].append(Term(paths.values, values, top))

    for rows in batches(graph, chosen):
        _accumulate(graph, rows, xp, None, visit_edges)
    found = [terms[p] for p in graph.projections]
    return EdgeValues(graph, found, None, "edge_betweenness_centrality")


def _accumulate(
    graph: NeuronGraph,
    sources: Sequence[int],
    xp: ModuleType,
    visit: Callable[[Population, Sequence[int], Array, Array], None] | None,
    visit_edges: Callable[[Projection, Scaled, Scaled], None] | None = None,
) -> None:
    """Visit every reached population with its nodes' dependencies, per source (row).

    ``visit(population, sources, dependency, reached)`` gets arrays of shape ``(rows, size)`` that
    it may write to; ``visit_edges(projection, paths, shares)`` what edges multiply.
    """
    paths: dict[str, Classes] = {}
    of = {p.transposed: p for p in graph.projections}

    def keep(population: Population, classes: Classes) -> None:
        paths[population.name] = classes

    def go_back(population: Population, incoming: Incoming[Shares]) -> Shares:
        dependency = reached = None
        shares: Shares = {}
        for steps, here in paths.pop(population.name, {}).items():
            arriving = []
            for projection, sent in incoming:
                key = steps + saved(projection.source, population)
                if key in sent:
                    arriving.append((projection, sent[key]))
                    if visit_edges is not None:
                        visit_edges(of[projection], here, sent[key])
            through = _through(here, pull(population, arriving, None, xp.zeros_like(here.values)))
            counted = here.values > 0
            share = (1 + through) / xp.where(counted, here.values, np.inf)
            shares[steps] = Scaled(share, -here.exponent).rescaled()
            # A node is in one class: sums over classes only put them together.
            dependency = through if dependency is None else dependency + through
            reached = counted if reached is None else reached | counted
        if shares and visit is not None:
            visit(population, sources, dependency, reached)
        return shares

    count_shortest_paths(graph, sources, keep, xp)
    sweep(graph, go_back, backward=True)


def _through(paths: Scaled, shares: Scaled) -> Array:
    """Multiply paths to nodes by what comes back to them, as plain numbers: they are in range."""
    xp = namespace_of(paths.values)
    power = paths.exponent + shares.exponent
    power = xp.where(shares.exponent == NOTHING, np.int32(0), power)
    product = xp.multiply(paths.values, shares.values, out=shares.values)
    return xp.ldexp(product, power) if may_hold(power) else product


def _scales(
    n: int, n_sources: int, is_sampled: bool, normalized: bool, endpoints: bool
) -> tuple[float, float]:
    """Return what sums over the sources' paths are multiplied by: at other nodes, at sources.

    From all other nodes' paths, a node that is no source misses none; one that is a source
    misses those that start at itself.
    """
    others = n if endpoints else n - 1
    if others < 2:
        return 1.0, 1.0
    if not is_sampled:
        n_sources = others
    pairs = (others - 1) if normalized else 1 / others
    elsewhere = 1 / (n_sources * pairs)
    if not is_sampled or endpoints:
        return elsewhere, elsewhere
    return elsewhere, 1 / ((n_sources - 1) * pairs) if n_sources > 1 else np.nan


class _Drawn(Random):
    """What networkx takes for a source of randomness, and which draws what we drew."""

    def __init__(self, nodes: Sequence[int]) -> None:
        super().__init__()
        self.nodes = list(nodes)

    def sample(self, population: Any, k: int, *, counts: Any = None) -> list[Any]:
        """Return our nodes."""
        return self.nodes
