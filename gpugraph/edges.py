"""Edges as columns, chunk by chunk, from whatever makes them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from gpugraph.arrays import Array

if TYPE_CHECKING:
    from gpugraph.projection import Projection


class Maker(Protocol):
    """What makes any range of one projection's edges."""

    projection: Projection

    def make(self, start: int, stop: int, out: Sequence[Array] | None = None) -> Edges:
        """Return edges ``start:stop`` of the projection, in ``out`` (three columns) if given."""

    def parameter(self, start: int, stop: int) -> Array:
        """Flat kernel index of edges ``start:stop`` (int64); -1 where there is no kernel."""

    def tap(self, start: int, stop: int) -> Array:
        """Flat window position of edges ``start:stop`` (int64), C order over the windows."""

    def gain(self, start: int, stop: int) -> Array:
        """Product of the axes' gains of edges ``start:stop``, of the weights' type."""


@dataclass(frozen=True, eq=False)
class Edges:
    """A range of one projection's edges, as columns of equal length.

    Unpacks as ``src, dst, weight``.

    Attributes
    ----------
    src, dst : int32 or int64 arrays of shape ``(n,)``
        Node ids.
    weight : float32 or float64 array of shape ``(n,)``
    start : int
        Number of the first edge within the projection.
    maker : Maker
        What made them.
    """

    src: Array
    dst: Array
    weight: Array
    start: int
    maker: Maker

    def __iter__(self) -> Iterator[Array]:
        return iter((self.src, self.dst, self.weight))

    def __len__(self) -> int:
        return len(self.src)

    @property
    def projection(self) -> Projection:
        """Whose edges these are."""
        return self.maker.projection

    @property
    def kind(self) -> str:
        """Kind of these edges, the same for all."""
        return self.projection.kind

    @property
    def parameter(self) -> Array:
        """Flat index of each edge's weight in its kernel (int64); -1 where there is no kernel."""
        return self.maker.parameter(self.start, self.start + len(self))

    @property
    def tap(self) -> Array:
        """Flat position of each edge in its window (int64); 0 where nothing slides."""
        return self.maker.tap(self.start, self.start + len(self))


class Edgelist(NamedTuple):
    """All edges of a graph as columns of equal length: node ids and weights."""

    src: Array
    dst: Array
    weight: Array


class Buffers:
    """Buffers for chunks of edges, written again once nobody holds the chunk that lay in them.

    Fresh memory costs more than the edges: the system clears every page of it. A chunk that the
    caller keeps keeps its buffers; the next one then gets new ones.

    Parameters
    ----------
    size : int
        Most edges in a chunk.
    dtypes : sequence of numpy.dtype
        Of src, dst and weight.
    xp : module
        numpy or cupy; cupy's own pool hands memory out again.
    """

    def __init__(self, size: int, dtypes: Sequence[np.dtype], xp: ModuleType = np) -> None:
        self._size, self._dtypes, self._xp = size, dtypes, xp
        self._buffers: list[list[Array]] = []

    def take(self, n: int) -> list[Array]:
        """Return three columns of length n that nobody else holds."""
        if self._xp is not np:
            return [self._xp.empty(n, dtype) for dtype in self._dtypes]
        free = [b for b in self._buffers if not _held(b)]
        buffers = free[0] if free else [np.empty(self._size, dtype) for dtype in self._dtypes]
        if not free:
            self._buffers = [*self._buffers[-1:], buffers]  # one with the caller, one in the making
        return [buffer[:n] for buffer in buffers]


def _held(buffers: list[Array]) -> bool:
    """Tell whether anyone but this list holds one of the arrays, or a view of it."""
    # One reference is the list's, one is getrefcount's own argument.
    return any(sys.getrefcount(buffers[i]) > 2 for i in range(len(buffers)))


def edge_maker(projection: Projection, dtype: np.dtype, xp: ModuleType = np) -> Maker:
    """Return what makes a projection's edges: numpy by broadcasting, CuPy by one kernel.

    Parameters
    ----------
    projection : Projection
    dtype : numpy.dtype
        Of the node ids: int32 or int64.
    xp : module
        numpy or cupy; columns are made with it.
    """
    if xp is np:
        from gpugraph.edge_maker import EdgeMaker

        return EdgeMaker(projection, dtype)
    from gpugraph.kernels.edges import EdgeKernel

    return EdgeKernel(projection, dtype)


def chunks(
    ranges: Sequence[tuple[Projection, int, int]],
    chunk_edges: int,
    dtype: np.dtype,
    xp: ModuleType = np,
) -> Iterator[Edges]:
    """Make ranges of projections' edges (first, and one past the last), chunk by chunk.

    Parameters
    ----------
    ranges : sequence of (Projection, int, int)
    chunk_edges : int
        Most edges in a chunk; a chunk holds edges of one range.
    dtype : numpy.dtype
        Of the node ids.
    xp : module
        numpy or cupy.
    """
    largest = max((stop - start for _, start, stop in ranges), default=0)
    buffers: dict[np.dtype, Buffers] = {}
    for projection, first, last in ranges:
        maker, weights = edge_maker(projection, dtype, xp), projection.weight_dtype
        if weights not in buffers:
            buffers[weights] = Buffers(min(chunk_edges, largest), (dtype, dtype, weights), xp)
        for start in range(first, last, chunk_edges):
            stop = min(start + chunk_edges, last)
            yield maker.make(start, stop, buffers[weights].take(stop - start))
