"""The graph as a sparse matrix."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from gpugraph.arrays import require_memory
from gpugraph.export.files import Progress, new_file, no_progress
from gpugraph.projection import Projection, Weight, weight_view

if TYPE_CHECKING:
    from scipy import sparse

    from gpugraph.graph import NeuronGraph


def to_scipy(graph: NeuronGraph, weight: Weight = "weight") -> sparse.csr_array:
    """Build the adjacency matrix; see `NeuronGraph.to_scipy`."""
    from scipy import sparse

    from gpugraph.graph import SMALLER

    n_edges, n_nodes = graph.n_edges, graph.n_nodes
    positions = np.dtype(np.int32 if max(n_edges, n_nodes) < 2**31 else np.int64)
    bytes_per_edge = positions.itemsize + graph.weight_dtype.itemsize
    # The largest block is there twice while it is put in order.
    what = f"The matrix of '{graph.name}' ({n_edges:,} edges)"
    require_memory(2 * n_edges * bytes_per_edge, what, SMALLER)
    indptr = np.zeros(n_nodes + 1, positions)
    indices = np.empty(n_edges, positions)
    data = np.empty(n_edges, graph.weight_dtype)
    leaving: dict[str, list[Projection]] = {}
    for projection in graph.projections:
        leaving.setdefault(projection.source.name, []).append(projection)
    at = 0
    for population in graph.populations.values():
        block = _block(graph, population.size, leaving.get(population.name, []), weight)
        stop = at + block.nnz
        indices[at:stop], data[at:stop] = block.indices, block.data
        rows = slice(population.offset + 1, population.offset + 1 + population.size)
        indptr[rows] = block.indptr[1:] + at
        at = stop
    matrix = sparse.csr_array((data[:at], indices[:at], indptr), shape=(n_nodes, n_nodes))
    matrix.has_canonical_format = True
    return matrix


def _block(
    graph: NeuronGraph, size: int, projections: list[Projection], weight: Weight
) -> sparse.csr_array:
    """Rows of one population, sorted, parallel edges summed."""
    from scipy import sparse

    n = sum(p.n_edges for p in projections)
    src, dst = (np.empty(n, graph.index_dtype) for _ in range(2))
    values = np.empty(n, graph.weight_dtype)
    at = 0
    for p in projections:
        part = slice(at, at + p.n_edges)
        p.edges(out=(src[part], dst[part], values[part]), dtype=graph.index_dtype)
        src[part] -= p.source.offset
        at += p.n_edges
    values = weight_view(values, weight) if weight is not None else np.ones_like(values)
    return sparse.coo_array((values, (src, dst)), shape=(size, graph.n_nodes)).tocsr()


def write_npz(
    graph: NeuronGraph,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> None:
    """Write the adjacency matrix as scipy's npz; see `NeuronGraph.write_npz`."""
    from scipy import sparse

    with new_file(path, overwrite=overwrite, least_bytes=graph.n_edges) as to:
        matrix = to_scipy(graph)
        with open(to, "wb") as file:
            sparse.save_npz(file, matrix)
        progress(graph.n_edges)
