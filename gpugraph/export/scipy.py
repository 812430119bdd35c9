"""The graph as a sparse matrix."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import pairwise, product
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gpugraph.arrays import require_memory
from gpugraph.axes import Axis
from gpugraph.edge_maker import EdgeMaker, outer_sum
from gpugraph.export.files import Progress, new_file, no_progress
from gpugraph.projection import Projection
from gpugraph.views import Weight, weight_view

if TYPE_CHECKING:
    from scipy import sparse

    from gpugraph.graph import NeuronGraph

CHUNK_EDGES = 2**18
# Blocks of fewer edges cost more in Python than scipy takes to sort them.
SMALLEST_BLOCK = 2**9


def to_scipy(graph: NeuronGraph, weight: Weight = "weight") -> sparse.csr_array:
    """Build the adjacency matrix; see `NeuronGraph.to_scipy`.

    The rows of one population after another. Where a population has one projection out of it
    whose axes are in the order of the ids, rows are written as they will stand; others are made
    as triples, and scipy puts those in order.
    """
    from scipy import sparse

    from gpugraph.graph import SMALLER

    n_edges, n_nodes = graph.n_edges, graph.n_nodes
    positions = np.dtype(np.int32 if max(n_edges, n_nodes) < 2**31 else np.int64)
    leaving: dict[str, list[Projection]] = {}
    for projection in graph.projections:
        leaving.setdefault(projection.source.name, []).append(projection)
    # Triples and what scipy makes of them stand beside the matrix, one population at a time.
    beside = max(
        (sum(p.n_edges for p in ps) for ps in leaving.values() if not _has_ordered_rows(ps)),
        default=0,
    )
    bytes_per_edge = positions.itemsize + graph.weight_dtype.itemsize
    what = f"The matrix of '{graph.name}' ({n_edges:,} edges)"
    require_memory((n_edges + 4 * beside) * bytes_per_edge, what, SMALLER)
    indptr = np.zeros(n_nodes + 1, positions)
    indices = np.empty(n_edges, positions)
    data = np.empty(n_edges, graph.weight_dtype)
    at = 0
    for population in graph.populations.values():
        projections = leaving.get(population.name, [])
        stop = at + sum(p.n_edges for p in projections)
        if _has_ordered_rows(projections):
            _write_rows(projections[0], indices[at:stop], data[at:stop])
            if weight != "weight":
                data[at:stop] = _viewed(data[at:stop], weight)
            ends = np.cumsum(projections[0].out_degree())
        else:
            block = _sorted_by_scipy(graph, population.size, projections, weight)
            stop = at + block.nnz  # parallel edges are one entry
            indices[at:stop], data[at:stop] = block.indices, block.data
            ends = block.indptr[1:]
        indptr[population.offset + 1 : population.offset + 1 + population.size] = ends + at
        at = stop
    matrix = sparse.csr_array((data[:at], indices[:at], indptr), shape=(n_nodes, n_nodes))
    matrix.has_canonical_format = True
    return matrix


def _sorted_by_scipy(
    graph: NeuronGraph, size: int, projections: list[Projection], weight: Weight
) -> sparse.csr_array:
    """Rows of one population from triples, sorted, parallel edges summed."""
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
    triples = (_viewed(values, weight), (src, dst))
    return sparse.coo_array(triples, shape=(size, graph.n_nodes)).tocsr()


def _viewed(values: np.ndarray, weight: Weight) -> np.ndarray:
    """Return weights as the view sees them."""
    return np.ones_like(values) if weight is None else weight_view(values, weight)


def _has_ordered_rows(projections: list[Projection]) -> bool:
    """Tell whether a population's rows can be written as they will stand."""
    return len(projections) == 1 and _is_ordered(projections[0])


def _is_ordered(projection: Projection) -> bool:
    """Tell whether windows, sources and targets nest in this order, in blocks worth the trouble."""
    axes = projection.axes
    windows = [a for a in axes if a.kind == "window"]
    n_rows = prod(a.n_src for a in windows)
    order = ("window", "one_to_one", "fan_in", "fan_out")
    kinds = [order.index(a.kind) if a.kind in order else -1 for a in axes]
    nested = all(
        strides == sorted(strides, reverse=True)
        for strides in (
            [a.src_stride for a in axes if a.n_src > 1],
            [a.dst_stride for a in axes if a.n_dst > 1],
        )
    )
    return (
        nested
        and kinds == sorted(kinds)
        and -1 not in kinds
        and projection.is_unscaled
        and projection.n_edges >= SMALLEST_BLOCK * n_rows
    )


def _write_rows(projection: Projection, indices: np.ndarray, data: np.ndarray) -> None:
    """Write column numbers and weights in the order of rows, then columns.

    All sources at one place of the windows make a block. Blocks whose windows hold the same taps
    have the same weights, and column numbers that differ by a shift.
    """
    windows = [a for a in projection.axes if a.kind == "window"]
    if not windows:
        _write_in_order(projection, indices, data)
        return
    sources = [a for a in projection.axes if a.kind in ("one_to_one", "fan_in")]
    targets = [a for a in projection.axes if a.kind == "fan_out"]
    blocks: dict[tuple[bytes, ...], tuple[np.ndarray, np.ndarray]] = {}
    at = 0
    for reach in product(*(_reach(axis) for axis in windows)):
        key = tuple(r.pattern for r in reach)
        if key not in blocks:
            axes = [*sources, *(r.axis() for r in reach), *targets]
            blocks[key] = _block(projection, axes, indices.dtype)
        columns, weights = blocks[key]
        stop = at + len(columns)
        np.add(columns, indices.dtype.type(sum(r.shift for r in reach)), out=indices[at:stop])
        data[at:stop] = weights
        at = stop


class _Reach(NamedTuple):
    """The pairs of a window axis at one source position."""

    pattern: bytes  # their taps, and targets relative to the first
    shift: int  # the first target, in elements
    whole: Axis
    pairs: slice

    def axis(self) -> Axis:
        """Return the axis of these pairs, moved to target 0."""
        dst = self.whole.dst[self.pairs]
        part = self.whole.take(np.arange(self.pairs.start, self.pairs.stop))
        return replace(part, dst=dst - dst[0])


def _reach(axis: Axis) -> list[_Reach]:
    """Return the pairs of each source position that has any; an axis is sorted by source."""
    bounds = np.searchsorted(axis.src, np.arange(axis.n_src + 1)).tolist()
    reach = []
    for start, stop in pairwise(bounds):
        if stop > start:
            dst, tap = axis.dst[start:stop], axis.tap[start:stop]
            pattern = np.concatenate([tap, dst - dst[0]]).tobytes()
            reach.append(_Reach(pattern, int(dst[0]) * axis.dst_stride, axis, slice(start, stop)))
    return reach


def _block(
    projection: Projection, axes: list[Axis], dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray]:
    """Column numbers and weights of an outer product of axes, in their order."""
    columns = outer_sum([a.dst * a.dst_stride for a in axes], dtype) + projection.target.offset
    if projection.kernel is None:
        return columns, np.ones(len(columns), np.float32)
    taps = outer_sum([a.tap * a.tap_stride for a in axes], np.dtype(np.int64))
    return columns, projection.kernel[taps]


def _write_in_order(projection: Projection, indices: np.ndarray, data: np.ndarray) -> None:
    """Write a projection whose edges are numbered by row and column already."""
    maker = EdgeMaker(projection, indices.dtype)
    sources = np.empty(CHUNK_EDGES, indices.dtype)  # rows tell the sources: not kept
    for start in range(0, projection.n_edges, CHUNK_EDGES):
        stop = min(start + CHUNK_EDGES, projection.n_edges)
        part = slice(start, stop)
        maker.make(start, stop, (sources[: stop - start], indices[part], data[part]))


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
