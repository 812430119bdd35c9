"""Shortest paths from some nodes: their lengths, and the node before each on the way."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugraph.algorithms.edge_lengths import (
    Length,
    check_length,
    require_at_most_one,
    turn_into_lengths,
)
from gpugraph.algorithms.reach import marked
from gpugraph.algorithms.requirements import (
    float_dtype,
    require_finite_weights,
    require_non_negative,
)
from gpugraph.arrays import Array, Device, namespace, namespace_of, on_host
from gpugraph.engines.choice import Engine, is_cugraph, require_sweep
from gpugraph.fallback import falls_back
from gpugraph.node_values import NodeValues
from gpugraph.products.apply import send_each
from gpugraph.scalars import whole
from gpugraph.views import Weight, weight_view

if TYPE_CHECKING:
    from gpugraph.algorithms.reach import Nodes
    from gpugraph.graph import NeuronGraph
    from gpugraph.projection import Projection


# Columns of so many edges stay in the processor's cache.
CHUNK_EDGES = 2**18


class Distances(NodeValues):
    """Distances per node; infinity for nodes that cannot be reached.

    Parameters
    ----------
    graph : NeuronGraph
    array : array of shape ``(n_nodes,)``
    find_predecessors : callable
        Gives the predecessors' ids, shape ``(n_nodes,)``, when they are asked for.
    """

    def __init__(
        self, graph: NeuronGraph, array: Array, find_predecessors: Callable[[], Array]
    ) -> None:
        super().__init__(graph, array, "distance")
        self._find_predecessors = find_predecessors

    @cached_property
    def predecessors(self) -> NodeValues:
        """The node before each on a shortest path to it; -1 at sources and where there is none.

        Where several are, any of them.
        """
        return NodeValues(self.graph, self._find_predecessors(), "predecessor")


@falls_back
def bfs(
    graph: NeuronGraph,
    sources: Nodes,
    depth_limit: int | None = None,
    *,
    device: Device = "auto",
    engine: Engine = "auto",
) -> Distances:
    """Return every node's distance from the nearest of some nodes, in edges.

    Parameters
    ----------
    graph : NeuronGraph
    sources : int, iterable of int, or str
        Node ids, or the name of a population.
    depth_limit : int, optional
        Look no further than this.
    device : {"auto", "cpu", "cuda"}
    engine : {"auto", "sweep", "cugraph"}

    Returns
    -------
    Distances
        Float64. Its ``predecessors`` make all edges once, in chunks, when they are asked for.

    Raises
    ------
    SelectionError
        If a node does not exist, or the limit is below 1.
    DeviceError, MissingDependencyError, GraphTooLargeError
        With ``engine="cugraph"``, as for `louvain`.
    """
    start = marked(graph, sources)
    if depth_limit is not None:
        depth_limit = whole(depth_limit, "depth_limit", 1)
    if is_cugraph(engine):
        from gpugraph.engines import cugraph

        return cugraph.bfs(graph, start, depth_limit)
    require_sweep(engine)
    xp = namespace(device)
    distances = hops(graph, start, xp)
    if depth_limit is not None:
        distances = xp.where(distances <= depth_limit, distances, np.inf)
    one_each = partial(_lengths, weight=None, length="weight")
    return Distances(graph, distances, partial(_predecessors, graph, start, distances, one_each))


@falls_back
def sssp(
    graph: NeuronGraph,
    source: int,
    length: Length,
    weight: Weight = "magnitude",
    dtype: Any = np.float64,
    *,
    device: Device = "auto",
    engine: Engine = "auto",
) -> Distances:
    """Return the length of the shortest path from a node to every other.

    Parameters
    ----------
    graph : NeuronGraph
    source : int
        A node's id.
    length : {"inverse", "negative_log", "weight"}
        What makes an edge long. "inverse": 1 / weight, so that strong edges are short.
        "negative_log": -log(weight), so that the shortest path has the largest product of
        weights; they may be 1 at most. Of both, edges of weight 0, or next to it, lead nowhere.
        "weight": the weight itself, so that strong edges are long.
    weight : {"magnitude", "positive", "negative", "weight", None}
        View of the weights; ``"weight"`` where none is negative.
    dtype : float64 or float32
    device : {"auto", "cpu", "cuda"}
    engine : {"auto", "sweep", "cugraph"}

    Returns
    -------
    Distances
        Its ``predecessors`` make all edges once, in chunks, when they are asked for.

    Raises
    ------
    SelectionError
        If the node, the rule or the type does not exist, or the weights do not fit the rule.
    SignedWeightsError
        If the view holds negative weights.
    NonFiniteError
        If weights hold NaN or infinity.
    RangeError
        With ``engine="cugraph"``: if the sum of all lengths is beyond the type's range.
    DeviceError, MissingDependencyError, GraphTooLargeError
        With ``engine="cugraph"``, as for `louvain`.

    Notes
    -----
    One forward sweep in the min-plus semiring [1]_: since the graph has no cycle, the paths to
    all that leads to a node are known before the node is. No edge is made; each is weighed once.

    `gpugraph.strongest_paths` lists the paths of the largest product.

    References
    ----------
    .. [1] Cormen, Leiserson, Rivest, Stein. Introduction to Algorithms: single-source shortest
       paths in directed acyclic graphs.
    """
    check_length(length)
    graph.node(source)
    require_non_negative(graph, weight, "A length")
    number = float_dtype(dtype)
    if is_cugraph(engine):
        from gpugraph.engines import cugraph

        return cugraph.sssp(graph, int(source), length, weight, number)
    require_sweep(engine)
    require_finite_weights(graph, "Shortest paths")
    xp = namespace(device)
    start = marked(graph, int(source))
    distances = xp.where(xp.asarray(start), 0, np.inf).astype(number)
    if length == "negative_log":
        require_at_most_one(_largest_weight(graph, weight, xp))
    measured = partial(_lengths, weight=weight, length=length)
    for p in graph.projections:
        reached = distances[p.source.slice]
        if bool(xp.isfinite(reached).any()):
            _shorten(p, reached, measured, distances[p.target.slice])
    return Distances(graph, distances, partial(_predecessors, graph, start, distances, measured))


def hops(
    graph: NeuronGraph, start: np.ndarray, xp: ModuleType = np, *, backward: bool = False
) -> Array:
    """Return the number of edges from the nearest marked node to all.

    Parameters
    ----------
    graph : NeuronGraph
    start : bool array of shape ``(n_nodes,)``
    xp : module
        numpy or cupy.
    backward : bool
        Count against the edges: from every node to the nearest marked one.

    Returns
    -------
    float64 array of shape ``(n_nodes,)``
        Infinite where there is no path.
    """
    distances = xp.where(xp.asarray(start), 0.0, np.inf)
    for p in reversed(graph.projections) if backward else graph.projections:
        turned = p.transposed if backward else p
        arriving = distances[turned.source.slice] + 1
        if bool(xp.isfinite(arriving).any()):
            turned.apply(arriving, None, "min", out=distances[turned.target.slice])
    return distances


# Of weights, in a type.
Measured = Callable[[Array, np.dtype], Array]


def _lengths(weights: Array, dtype: np.dtype, weight: Weight, length: Length) -> Array:
    """Return the lengths of edges of these weights, as an array of its own."""
    seen = (
        namespace_of(weights).ones_like(weights) if weight is None else weight_view(weights, weight)
    )
    lengths = seen.astype(dtype)
    turn_into_lengths(lengths, length)
    return lengths


def _shorten(projection: Projection, reached: Array, measured: Measured, into: Array) -> None:
    """Take the ways along a projection into account: ``into = min(into, reached + length)``."""

    def send(values: Array, weights: Array) -> Array:
        return values + measured(weights, values.dtype)

    send_each(projection, reached[None], send, "min", into[None])


def _largest_weight(graph: NeuronGraph, weight: Weight, xp: ModuleType) -> float:
    """Return the largest weight of all edges, or 0."""
    largest = 0.0
    for p in graph.projections:
        arriving = p.apply(xp.ones(p.source.size), weight, "max")
        if arriving.size:
            largest = max(largest, float(arriving.max()))
    return largest


def _predecessors(
    graph: NeuronGraph, start: np.ndarray, distances: Array, measured: Measured
) -> np.ndarray:
    """Return a node before each on a shortest path to it, by all edges, chunk by chunk."""
    distances = on_host(distances)
    nearest = np.full(graph.n_nodes, np.inf, distances.dtype)
    found = np.full(graph.n_nodes, -1, np.int64)
    for p in graph.projections:
        if np.isfinite(distances[p.source.slice]).any():
            for src, dst, weights in p.chunks(CHUNK_EDGES, graph.index_dtype):
                ways = distances[src] + measured(weights, distances.dtype)
                np.minimum.at(nearest, dst, ways)
                is_nearest = (ways == nearest[dst]) & np.isfinite(ways)
                found[dst[is_nearest]] = src[is_nearest]
    found[start | ~np.isfinite(distances)] = -1
    return found
