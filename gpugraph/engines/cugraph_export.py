"""Graphs for others' use of RAPIDS: cuDF frames, a cugraph.Graph, a graph of nx-cugraph's."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugraph.arrays import require_gpu, require_memory
from gpugraph.engines.cugraph_graph import (
    DIRECTED,
    MERGING_BYTES,
    apply_view,
    edge_range,
    import_library,
    may_have_parallel_edges,
    merged,
    require_device_memory,
    translated_errors,
    weighted_columns,
)
from gpugraph.errors import GraphTooLargeError, SelectionError
from gpugraph.views import Weight

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph

# A cuDF column ends at 2**31 - 1 rows; cugraph.Graph stops a little before.
MOST_ROWS = 2**31 - 1
MOST_GRAPH_ROWS = 2_147_483_100
# cugraph.Graph keeps its frame, checks it, and builds: what pylibcugraph takes, and once more.
CHECKED = DIRECTED + 1.5
IN_MEMORY = "take to_networkx() or to_scipy(), which need none"


def to_cudf(graph: NeuronGraph, weight: Weight, rows: int) -> Iterator[Any]:
    """Yield frames; see `NeuronGraph.to_cudf`."""
    if not 1 <= rows <= MOST_ROWS:
        raise SelectionError(
            f"rows must be from 1 to {MOST_ROWS:,}, cuDF's limit for a frame, not {rows:,}."
        )
    xp = require_gpu("to_cudf", "take edges() or to_dask(), which need none")
    cudf = import_library("cudf", "to_cudf")
    return _frames(graph, weight, rows, xp, cudf)


def _frames(
    graph: NeuronGraph, weight: Weight, rows: int, xp: ModuleType, cudf: ModuleType
) -> Iterator[Any]:
    ids, number = graph.index_dtype, graph.weight_dtype
    n_bytes = min(rows, graph.n_edges) * (2 * ids.itemsize + number.itemsize)
    advice = "Give a smaller number of rows per frame."
    with translated_errors(graph, "to_cudf"):
        require_memory(n_bytes, f"A frame of {rows:,} edges", advice, xp)
    for start in range(0, graph.n_edges, rows):
        stop = min(start + rows, graph.n_edges)
        with translated_errors(graph, "to_cudf"):
            columns = edge_range(graph, start, stop, ids, number, xp)
            apply_view(columns.weight, weight, xp)
            yield cudf.DataFrame(columns._asdict(), nan_as_null=False)


def to_cugraph(graph: NeuronGraph, weight: Weight, store_transposed: bool) -> Any:
    """Return a ``cugraph.Graph``; see `NeuronGraph.to_cugraph`."""
    if graph.n_edges > MOST_GRAPH_ROWS:
        raise GraphTooLargeError(
            f"cugraph.Graph takes up to {MOST_GRAPH_ROWS:,} edges; '{graph.name}' has "
            f"{graph.n_edges:,}. Take a part of the graph, or gpugraph's own functions, which "
            "build larger ones (engine='cugraph', gpugraph.louvain ...)."
        )
    xp = require_gpu("to_cugraph", IN_MEMORY)
    cugraph, cudf = (import_library(name, "to_cugraph") for name in ("cugraph", "cudf"))
    ids, number = graph.index_dtype, graph.weight_dtype
    size = 2 * ids.itemsize + number.itemsize
    kind = cugraph.MultiGraph if may_have_parallel_edges(graph) else cugraph.Graph
    built = kind(directed=True)
    with translated_errors(graph, "to_cugraph"):
        require_device_memory(graph, size * CHECKED, "to_cugraph", xp)
        columns = weighted_columns(graph, weight, ids, number, xp)
        vertices = xp.arange(graph.n_nodes, dtype=ids)
        built.from_cudf_edgelist(
            cudf.DataFrame(columns._asdict(), nan_as_null=False),
            source="src",
            destination="dst",
            weight="weight",
            renumber=False,
            store_transposed=store_transposed,
            vertices=cudf.Series(vertices),
        )
    return built


def to_nx_cugraph(graph: NeuronGraph, weight: Weight) -> Any:
    """Return a ``CudaDiGraph``; see `NeuronGraph.to_nx_cugraph`."""
    if max(graph.n_edges, graph.n_nodes) > MOST_ROWS:
        raise GraphTooLargeError(
            f"nx-cugraph numbers nodes and edges in int32: '{graph.name}' has {graph.n_nodes:,} "
            f"nodes and {graph.n_edges:,} edges. Take a part of the graph, or gpugraph's own "
            "measures, which networkx also finds (backend='gpugraph')."
        )
    xp = require_gpu("to_nx_cugraph", IN_MEMORY)
    library = import_library("nx_cugraph", "to_nx_cugraph")
    ids, number = np.dtype(np.int32), graph.weight_dtype
    is_multigraph = may_have_parallel_edges(graph)
    size = 2 * ids.itemsize + number.itemsize
    per_edge = size * DIRECTED + MERGING_BYTES * is_multigraph
    with translated_errors(graph, "to_nx_cugraph"):
        require_device_memory(graph, per_edge, "to_nx_cugraph", xp)
        columns = weighted_columns(graph, weight, ids, number, xp)
        if is_multigraph:
            columns = merged(columns, xp)
        return library.DiGraph.from_coo(
            graph.n_nodes,
            columns.src,
            columns.dst,
            edge_values={"weight": columns.weight},
            use_compat_graph=False,
        )
