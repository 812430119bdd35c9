"""Edges as columns: any range of any projection, made by broadcasting its axes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gpugraph.arrays import Array

if TYPE_CHECKING:
    from gpugraph.axes import Axis
    from gpugraph.projection import Projection

# Edges that share one row of outer positions: enough to hide Python's cost per row, few enough
# that their columns stay in the cache (on a GPU: enough to fill it).
ROW_EDGES_CPU = 2**18
ROW_EDGES_GPU = 2**22
# Shorter rows than this cost more than the memory of longer ones, up to some length.
SHORT_ROW = 2**9
LONGEST_ROW = 2**20
CACHED_WEIGHTS = 2**23


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
    maker : EdgeMaker
        What made them.
    """

    src: Array
    dst: Array
    weight: Array
    start: int
    maker: EdgeMaker

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


class EdgeMaker:
    """Makes any range of one projection's edges.

    The axes are split in two. The inner ones are multiplied out once, into a row of source,
    target and tap offsets; each step of the outer ones shifts that row. Edge ``e`` stands in row
    ``e // row`` at column ``e % row``.

    Parameters
    ----------
    projection : Projection
    dtype : numpy.dtype
        Of the node ids: int32 or int64.
    xp : module
        numpy or cupy; columns are made with it.
    """

    def __init__(self, projection: Projection, dtype: np.dtype, xp: ModuleType = np) -> None:
        self.projection, self.dtype, self.xp = projection, dtype, xp
        axes = projection.axes
        self._split = _split(axes, ROW_EDGES_CPU if xp is np else ROW_EDGES_GPU)
        self.row = prod(len(axis) for axis in axes[self._split :])
        source, target = projection.source.offset, projection.target.offset
        self._src = self._sum([a.src * a.src_stride for a in axes], dtype, source)
        self._dst = self._sum([a.dst * a.dst_stride for a in axes], dtype, target)
        self._parameter = self._sum([a.tap * a.tap_stride for a in axes])
        self._kernel: Array = None if projection.kernel is None else xp.asarray(projection.kernel)
        self._in_order = bool((self._parameter.inner == xp.arange(self.row)).all())
        gain = _product_of_gains(axes[self._split :])
        self._gain = None if gain is None else xp.asarray(gain.astype(projection.weight_dtype))
        self._source_factor, self._target_factor = (
            None if factor is None else xp.asarray(factor.astype(projection.weight_dtype))
            for factor in (projection.source_factor, projection.target_factor)
        )
        self._rows: dict[int, Array] = {}

    def _sum(
        self, offsets: Sequence[np.ndarray], dtype: np.dtype | None = None, base: int = 0
    ) -> _Sum:
        """Prepare the sum of one offset per axis, plus a base."""
        dtype = np.dtype(np.int64) if dtype is None else dtype
        return _Sum(offsets, self._split, dtype, base, self.xp)

    def make(self, start: int, stop: int, out: Sequence[Array] | None = None) -> Edges:
        """Return edges ``start:stop`` of the projection, in ``out`` (three columns) if given."""
        if out is None:
            dtypes = (self.dtype, self.dtype, self.projection.weight_dtype)
            out = [self.xp.empty(stop - start, dtype) for dtype in dtypes]
        src, dst, weight = out
        for rows, columns, part in self._pieces(start, stop):
            digits = self._digits(rows)
            self._src.write(digits, columns, src[part])
            self._dst.write(digits, columns, dst[part])
            self._write_weights(digits, columns, weight[part])
            self._multiply_factors(src[part], dst[part], weight[part])
        return Edges(src, dst, weight, start, self)

    def parameter(self, start: int, stop: int) -> Array:
        """Flat kernel index of edges ``start:stop`` (int64); -1 where there is no kernel."""
        if self._kernel is None:
            return self.xp.full(stop - start, -1, np.int64)
        return self._column(self._parameter, start, stop)

    def tap(self, start: int, stop: int) -> Array:
        """Flat window position of edges ``start:stop`` (int64), C order over the windows."""
        listed = self.projection.window_tap
        if listed is not None:
            return self.xp.asarray(listed[start:stop].astype(np.int64))
        return self._column(self._tap, start, stop)

    def gain(self, start: int, stop: int) -> Array:
        """Product of the axes' gains of edges ``start:stop``, of the weights' type."""
        out = self.xp.ones(stop - start, self.projection.weight_dtype)
        for rows, columns, part in self._pieces(start, stop):
            self._multiply_gains(self._digits(rows), columns, out[part])
        return out

    @cached_property
    def _tap(self) -> _Sum:
        step, offsets = 1, []
        for axis in reversed(self.projection.axes):
            is_window = axis.kind == "window"
            offsets.append(axis.tap * (step if is_window else 0))
            step *= axis.n_tap if is_window else 1
        return self._sum(offsets[::-1])

    def _column(self, total: _Sum, start: int, stop: int) -> Array:
        out = self.xp.empty(stop - start, np.int64)
        for rows, columns, part in self._pieces(start, stop):
            total.write(self._digits(rows), columns, out[part])
        return out

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[slice, slice, slice]]:
        """Cut edges ``start:stop`` into blocks: their rows, columns, and place in the output."""
        at = start
        while at < stop:
            first, left = divmod(at, self.row)
            if left or stop - at < self.row:
                rows = slice(first, first + 1)
                columns = slice(left, min(self.row, left + stop - at))
                end = at + columns.stop - left
            else:
                rows, columns = slice(first, stop // self.row), slice(0, self.row)
                end = rows.stop * self.row
            yield rows, columns, slice(at - start, end - start)
            at = end

    def _digits(self, rows: slice) -> tuple[np.ndarray, ...]:
        """Pair number of every outer axis in these rows."""
        sizes = [len(axis) for axis in self.projection.axes[: self._split]]
        return np.unravel_index(np.arange(rows.start, rows.stop), sizes or [1])

    def _write_weights(self, digits: tuple[np.ndarray, ...], columns: slice, out: Array) -> None:
        xp = self.xp
        first = self._parameter.rows(digits)
        rows = out.reshape(len(first), -1)
        if self._kernel is None:
            rows[...] = 1
        elif self._in_order and len(first) > 1 and not (first % self.row).any():
            # Every row is a row of the kernel as it lies in memory.
            kernel = self._kernel[: len(self._kernel) // self.row * self.row].reshape(-1, self.row)
            at = xp.asarray(first // self.row)
            # numpy writes to `out` through a buffer unless told that no index is out of range,
            # and to no other type.
            unchecked = {"mode": "clip"} if xp is np else {}
            if rows.dtype == kernel.dtype:
                xp.take(kernel, at, axis=0, out=rows, **unchecked)
            else:
                rows[...] = xp.take(kernel, at, axis=0)
        elif self.row < SHORT_ROW:
            rows[...] = self._kernel[xp.asarray(first)[:, None] + self._parameter.inner[columns]]
        else:
            for i, parameter in enumerate(first.tolist()):
                rows[i] = self._weights(parameter)[columns]
        self._multiply_gains(digits, columns, out)

    def _multiply_gains(self, digits: tuple[np.ndarray, ...], columns: slice, out: Array) -> None:
        xp, rows = self.xp, out.reshape(len(digits[0]), -1)
        if self._gain is not None:
            rows *= self._gain[columns]
        for axis, i in zip(self.projection.axes[: self._split], digits, strict=False):
            if axis.gain is not None:
                rows *= xp.asarray(axis.gain[i].astype(out.dtype))[:, None]

    def _multiply_factors(self, src: Array, dst: Array, out: Array) -> None:
        projection = self.projection
        if self._source_factor is not None:
            out *= self._source_factor[src - projection.source.offset]
        if self._target_factor is not None:
            out *= self._target_factor[dst - projection.target.offset]

    def _weights(self, first: int) -> Array:
        """Kernel entries of the row whose first offset is this."""
        if self._in_order:
            return self._kernel[first : first + self.row]
        if first not in self._rows:
            if (len(self._rows) + 1) * self.row > CACHED_WEIGHTS:
                self._rows.clear()
            self._rows[first] = self.xp.take(self._kernel, self._parameter.inner + first)
        return self._rows[first]


class _Sum:
    """Sums of one offset per axis: the inner axes multiplied out, the outer ones on demand."""

    def __init__(
        self, offsets: Sequence[np.ndarray], split: int, dtype: np.dtype, base: int, xp: ModuleType
    ) -> None:
        self._outer, self._base, self._dtype, self._xp = offsets[:split], base, dtype, xp
        self.inner = xp.asarray(outer_sum(offsets[split:], dtype))

    def rows(self, digits: tuple[np.ndarray, ...]) -> np.ndarray:
        """What the outer axes add to each row; int64."""
        total = np.full(len(digits[0]), self._base, np.int64)
        for offset, i in zip(self._outer, digits, strict=False):
            total += offset[i]
        return total

    def write(self, digits: tuple[np.ndarray, ...], columns: slice, out: Array) -> None:
        """Write the given columns of the rows at these digits."""
        shift = self._xp.asarray(self.rows(digits).astype(self._dtype))
        rows = out.reshape(len(shift), -1)
        self._xp.add(shift[:, None], self.inner[None, columns], out=rows)


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
        maker, weights = EdgeMaker(projection, dtype, xp), projection.weight_dtype
        if weights not in buffers:
            buffers[weights] = Buffers(min(chunk_edges, largest), (dtype, dtype, weights), xp)
        for start in range(first, last, chunk_edges):
            stop = min(start + chunk_edges, last)
            yield maker.make(start, stop, buffers[weights].take(stop - start))


def _split(axes: tuple[Axis, ...], row_edges: int) -> int:
    """Return how many leading axes are outer: the rest makes rows of about ``row_edges``."""
    split, row = len(axes), 1
    while split:
        longer = row * len(axes[split - 1])
        if longer > (LONGEST_ROW if row < SHORT_ROW else row_edges):
            break
        split, row = split - 1, longer
    return split


def outer_sum(offsets: Sequence[np.ndarray], dtype: np.dtype) -> np.ndarray:
    """Return every sum of one element of each array, flat, the last one's fastest."""
    total = np.zeros(1, dtype)
    for offset in offsets:
        total = np.add.outer(total, offset.astype(dtype)).reshape(-1)
    return total


def _product_of_gains(axes: tuple[Axis, ...]) -> np.ndarray | None:
    """Multiply out the gains of the axes; None where there are none."""
    if all(axis.gain is None for axis in axes):
        return None
    total = np.ones(1)
    for axis in axes:
        gain = np.ones(len(axis)) if axis.gain is None else axis.gain
        total = np.multiply.outer(total, gain).reshape(-1)
    return total
