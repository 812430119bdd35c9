"""Neuron graphs as cuGraph's: all edges as columns on the GPU, built through pylibcugraph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugraph.algorithms.edge_lengths import Length, require_at_most_one, turn_into_lengths
from gpugraph.arrays import (
    SHARE_OF_FREE_MEMORY,
    Array,
    free_memory,
    give_back,
    require_gpu,
    require_memory,
)
from gpugraph.cuda_libraries import load_cugraph
from gpugraph.edges import Edgelist, edge_maker
from gpugraph.errors import (
    ConvergenceError,
    MissingDependencyError,
    NonFiniteError,
    RangeError,
)
from gpugraph.fallback import gpu_memory_errors
from gpugraph.node_values import NodeValues
from gpugraph.views import Weight

if TYPE_CHECKING:
    from gpugraph.axes import Axis
    from gpugraph.graph import NeuronGraph

# cuGraph copies the columns and sorts them: about 1.5 times their size beside ours, and twice
# that for a graph that is made undirected.
DIRECTED, UNDIRECTED = 2.5, 4.0
# Summing parallel edges sorts them first: the order, and the columns once more.
MERGING_BYTES = 40
NODE_BYTES = 64
MOST_INT32_EDGES = 2**31 - 2
SMALLER = (
    "take a part of the graph (subgraph, between, threshold, strongest), a smaller input_shape, or "
    "a measure that makes no edges (the default engine)."
)


@dataclass(frozen=True)
class DeviceGraph:
    """A graph in cuGraph's form, and the way of its results back to node ids.

    Attributes
    ----------
    graph : NeuronGraph
    library : module
        pylibcugraph.
    xp : module
        cupy.
    given : dict
        ``resource_handle`` and ``graph``, as most of pylibcugraph's functions take them.
    ids : numpy.dtype
        Of vertices: int32, or int64 where edges or paths outnumber it.
    number : numpy.dtype
        Of weights, and so of results.
    """

    graph: NeuronGraph
    library: ModuleType
    xp: ModuleType
    given: dict[str, Any]
    ids: np.dtype
    number: np.dtype

    def by_id(self, vertices: Array, values: Array) -> Array:
        """Return values, which come in any order of the vertices, in the order of node ids."""
        array = self.xp.empty(self.graph.n_nodes, values.dtype)
        array[vertices] = values
        return array

    def node_values(self, vertices: Array, values: Array, name: str) -> NodeValues:
        """Return values of vertices as values of nodes."""
        return NodeValues(self.graph, self.by_id(vertices, values), name)


def device_graph(
    graph: NeuronGraph,
    weight: Weight,
    number: np.dtype,
    what: str,
    *,
    transposed: bool = False,
    undirected: bool = False,
    merge: bool = True,
    wide: bool = False,
    length: Length | None = None,
) -> DeviceGraph:
    """Make all edges on the GPU and build cuGraph's graph of them.

    Node ids are cuGraph's vertices as they stand; nodes without edges are vertices too.

    Parameters
    ----------
    graph : NeuronGraph
    weight : {"magnitude", "positive", "negative", "weight", None}
        View of the weights; None: 1 each.
    number : float32 or float64
        Of the weights.
    what : str
        What is computed, for errors.
    transposed : bool
        Store edges by target, as PageRank, Katz and HITS read them.
    undirected : bool
        Add every edge's opposite.
    merge : bool
        Whether the weights of parallel edges add up in an undirected graph; else one is kept.
    wide : bool
        Take int64 ids where int32 would do: cuGraph counts paths in the type of ids.
    length : {"inverse", "negative_log", "weight"}, optional
        What to make of weights (see `gpugraph.sssp`).

    Raises
    ------
    DeviceError
        If there is no GPU.
    MissingDependencyError
        If pylibcugraph is not installed.
    GraphTooLargeError
        If the graph would not fit in the GPU's memory.
    """
    xp = require_gpu(what, "take a measure that needs none (the default engine, gpugraph.louvain)")
    library = import_library("pylibcugraph", what)
    n_ends = graph.n_edges * (2 if undirected else 1)
    ids = np.dtype(np.int64 if wide or n_ends > MOST_INT32_EDGES else graph.index_dtype)
    is_multigraph = may_have_parallel_edges(graph)
    merge = merge and undirected and is_multigraph
    is_weighted = weight is not None or number != np.float32 or merge
    per_edge = (2 * ids.itemsize + number.itemsize * is_weighted) * (
        UNDIRECTED if undirected else DIRECTED
    ) + MERGING_BYTES * merge
    with translated_errors(graph, what):
        require_device_memory(graph, per_edge, what, xp)
        columns = weighted_columns(graph, weight if is_weighted else None, ids, number, xp)
        if length is not None:
            columns = _with_lengths(columns, length, xp)
        if merge:
            columns = merged(columns, xp)
        handle = library.ResourceHandle()
        properties = library.GraphProperties(
            is_symmetric=undirected, is_multigraph=is_multigraph and not undirected
        )
        # cuGraph reads the columns on a stream of its own, and has its own allocator.
        xp.cuda.get_current_stream().synchronize()
        give_back(xp)
        built = library.SGGraph(
            resource_handle=handle,
            graph_properties=properties,
            src_or_offset_array=columns.src,
            dst_or_index_array=columns.dst,
            weight_array=columns.weight if is_weighted else None,
            store_transposed=transposed,
            renumber=False,
            do_expensive_check=False,
            vertices_array=xp.arange(graph.n_nodes, dtype=ids),
            drop_multi_edges=undirected and is_multigraph and not merge,
            symmetrize=undirected,
        )
        del columns  # it has copied them
        give_back(xp)
    given = {"resource_handle": handle, "graph": built}
    return DeviceGraph(graph, library, xp, given, ids, number)


def import_library(name: str, what: str) -> ModuleType:
    """Return a RAPIDS library.

    Raises
    ------
    MissingDependencyError
        If it is not installed, or does not start; with the command that mends it.
    """
    import importlib

    if "cugraph" in name:
        load_cugraph()
    try:
        return importlib.import_module(name)
    except Exception as error:  # a broken installation may raise anything
        from gpugraph.doctor import install_command

        raise MissingDependencyError(
            f"{what} needs {name}, which does not start ({error}). {install_command()}"
        ) from error


def require_device_memory(
    graph: NeuronGraph, bytes_per_edge: float, what: str, xp: ModuleType
) -> None:
    """Raise GraphTooLargeError, saying how many edges would fit, where all of them do not."""
    n_bytes = int(graph.n_edges * bytes_per_edge) + graph.n_nodes * NODE_BYTES
    budget = free_memory(xp) * SHARE_OF_FREE_MEMORY - graph.n_nodes * NODE_BYTES
    fitting = max(0, int(budget / bytes_per_edge))
    advice = f"About {fitting:,} edges would fit: {SMALLER}"
    require_memory(n_bytes, f"{what} on '{graph.name}' ({graph.n_edges:,} edges)", advice, xp)


@contextmanager
def translated_errors(graph: NeuronGraph, what: str) -> Iterator[None]:
    """Raise what cuGraph and CuPy report of memory and convergence as gpugraph's errors."""
    with gpu_memory_errors(f"{what} on '{graph.name}' ({graph.n_edges:,} edges)", SMALLER):
        try:
            yield
        except RuntimeError as error:
            if "converge" not in str(error):
                raise
            raise ConvergenceError(
                f"{what} did not converge in cuGraph: {error} Choose engine='sweep'."
            ) from error


def weighted_columns(
    graph: NeuronGraph, weight: Weight, ids: np.dtype, number: np.dtype, xp: ModuleType
) -> Edgelist:
    """Make all edges, their weights in a view; None: 1 each."""
    columns = edge_range(graph, 0, graph.n_edges, ids, number, xp)
    apply_view(columns.weight, weight, xp)
    if not np.isfinite(float(columns.weight.sum(dtype=np.float64))):
        raise NonFiniteError(f"Weights of '{graph.name}' hold NaN or infinity.")
    return columns


def edge_range(
    graph: NeuronGraph, start: int, stop: int, ids: np.dtype, number: np.dtype, xp: ModuleType
) -> Edgelist:
    """Make edges ``start:stop`` of all, in the order of `NeuronGraph.edges`."""
    columns = Edgelist(*(xp.empty(stop - start, dtype) for dtype in (ids, ids, number)))
    first = 0  # of the projection
    for projection in graph.projections:
        low, high = max(start, first), min(stop, first + projection.n_edges)
        if low < high:
            part = [column[low - start : high - start] for column in columns]
            edge_maker(projection, ids, xp).make(low - first, high - first, part)
        first += projection.n_edges
    return columns


def apply_view(weights: Array, weight: Weight, xp: ModuleType) -> None:
    """Turn weights into what a view sees, in place: they may fill half the GPU."""
    if weight is None:
        weights.fill(1)
    elif weight == "magnitude":
        xp.abs(weights, out=weights)
    elif weight in ("positive", "negative"):
        if weight == "negative":
            xp.negative(weights, out=weights)
        xp.maximum(weights, 0, out=weights)


def _with_lengths(columns: Edgelist, length: Length, xp: ModuleType) -> Edgelist:
    """Turn weights of at least 0 into lengths; edges that would be endless are none.

    cuGraph goes by steps of the mean length, from the sum: it may be neither infinite nor 0.
    """
    weights = columns.weight
    if length == "negative_log" and len(weights):
        require_at_most_one(float(weights.max()))
    turn_into_lengths(weights, length)
    leads_on = xp.isfinite(weights)
    if not bool(leads_on.all()):
        columns = Edgelist(*(column[leads_on] for column in columns))
    with np.errstate(over="ignore"):
        total = float(columns.weight.sum(dtype=np.float64))
    if total > float(np.finfo(columns.weight.dtype).max):
        raise RangeError(
            f"The sum of all lengths, by whose mean cuGraph goes, is beyond the range of "
            f"{columns.weight.dtype}. Choose length='negative_log', or float64 where it is float32."
        )
    if len(columns.weight) and not bool(columns.weight.any()):
        # A loop shortens no path.
        columns = Edgelist(
            *(
                xp.concatenate([column, xp.full(1, end, column.dtype)])
                for column, end in zip(columns, (0, 0, 1), strict=True)
            )
        )
    return columns


def merged(columns: Edgelist, xp: ModuleType) -> Edgelist:
    """Put parallel edges together, their weights added up; in the order of source and target."""
    if not len(columns.src):
        return columns
    order = xp.lexsort(xp.stack([columns.dst, columns.src]))
    src, dst, weight = (column[order] for column in columns)
    is_first = xp.ones(len(src), bool)
    is_first[1:] = (src[1:] != src[:-1]) | (dst[1:] != dst[:-1])
    group = xp.cumsum(is_first) - 1
    total = xp.bincount(group, weights=weight).astype(weight.dtype)
    return Edgelist(src[is_first], dst[is_first], total)


def may_have_parallel_edges(graph: NeuronGraph) -> bool:
    """Tell, without making edges, whether two may join the same nodes; False is certain."""
    ends = [(p.source.name, p.target.name) for p in graph.projections]
    return len(set(ends)) < len(ends) or any(
        _repeats(p.axes) or any(map(_has_equal_pairs, p.axes)) for p in graph.projections
    )


def _has_equal_pairs(axis: Axis) -> bool:
    """Tell whether two pairs of an axis join the same places."""
    return len(np.unique(axis.src.astype(np.int64) * axis.n_dst + axis.dst)) < len(axis)


def _repeats(axes: tuple[Axis, ...]) -> bool:
    """Tell whether sums over the axes may come out equal, on either side of the edges."""
    for steps in (
        [(a.src_stride, a.n_src) for a in axes if a.n_src > 1],
        [(a.dst_stride, a.n_dst) for a in axes if a.n_dst > 1],
    ):
        reach = 0
        for stride, n in sorted(steps):
            if stride <= reach:
                return True
            reach += stride * (n - 1)
    return False
