"""Edges as columns: any range of any projection, made by broadcasting its axes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from gpugraph.arrays import Array

if TYPE_CHECKING:
    from gpugraph.axes import Axis
    from gpugraph.projection import Projection

# Edges that share one row of outer positions: enough to hide Python's cost per row, few enough
# that their columns stay in the cache (on a GPU: enough to fill it).
ROW_EDGES_CPU = 2**16
ROW_EDGES_GPU = 2**22
# Shorter rows than this cost more than the memory of longer ones.
SHORT_ROW = 2**9
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
    projection : Projection
        Whose edges these are; it knows their kind.
    start : int
        Number of the first edge within the projection.
    """

    src: Array
    dst: Array
    weight: Array
    projection: Projection
    start: int

    def __iter__(self) -> Iterator[Array]:
        return iter((self.src, self.dst, self.weight))

    def __len__(self) -> int:
        return len(self.src)

    @property
    def kind(self) -> str:
        """Kind of these edges, the same for all."""
        return self.projection.kind

    @property
    def parameter(self) -> np.ndarray:
        """Flat index of each edge's weight in its kernel (int64); -1 where there is no kernel."""
        return self.projection.parameter(self.start, self.start + len(self))

    @property
    def tap(self) -> np.ndarray:
        """Flat position of each edge in its window (int64); 0 where nothing slides."""
        return self.projection.tap(self.start, self.start + len(self))


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
        split = _split(projection.axes, ROW_EDGES_CPU if xp is np else ROW_EDGES_GPU)
        self._outer, inner = projection.axes[:split], projection.axes[split:]
        self.row = prod(len(axis) for axis in inner)
        self._src = xp.asarray(_outer_sum(inner, "src", dtype))
        self._dst = xp.asarray(_outer_sum(inner, "dst", dtype))
        self._kernel: Array = None if projection.kernel is None else xp.asarray(projection.kernel)
        self._tap = _outer_sum(inner, "tap", np.dtype(np.int64))
        self._in_order = bool((self._tap == np.arange(self.row)).all())
        gain = _outer_gain(inner)
        self._gain = None if gain is None else xp.asarray(gain.astype(projection.weight_dtype))
        self._rows: dict[int, Array] = {}

    def make(self, start: int, stop: int, out: tuple[Array, Array, Array] | None = None) -> Edges:
        """Return edges ``start:stop`` of the projection, in ``out`` (three columns) if given."""
        xp, n = self.xp, stop - start
        if out is None:
            ids = (xp.empty(n, self.dtype), xp.empty(n, self.dtype))
            out = (*ids, xp.empty(n, self.projection.weight_dtype))
        at = 0
        for first, last, left, right in _pieces(start, stop, self.row):
            shape = (last - first, right - left)
            size = prod(shape)
            piece = [column[at : at + size].reshape(shape) for column in out]
            self._write(first, last, slice(left, right), piece)
            at += size
        return Edges(*out, self.projection, start)

    def _write(self, first: int, last: int, columns: slice, out: list[Array]) -> None:
        """Write the given columns of rows ``first:last``."""
        xp, projection = self.xp, self.projection
        at = np.unravel_index(np.arange(first, last), [len(a) for a in self._outer] or [1])
        src = np.full(last - first, projection.source.offset, np.int64)
        dst = np.full(last - first, projection.target.offset, np.int64)
        tap = np.zeros(last - first, np.int64)
        gain = None
        for axis, i in zip(self._outer, at, strict=False):
            src += axis.src[i] * axis.src_stride
            dst += axis.dst[i] * axis.dst_stride
            tap += axis.tap[i] * axis.tap_stride
            if axis.gain is not None:
                gain = axis.gain[i] if gain is None else gain * axis.gain[i]
        for offsets, inner, column in ((src, self._src, out[0]), (dst, self._dst, out[1])):
            shift = xp.asarray(offsets.astype(self.dtype))
            xp.add(shift[:, None], inner[None, columns], out=column)
        self._write_weights(tap, gain, columns, out[2])

    def _write_weights(
        self, tap: np.ndarray, gain: np.ndarray | None, columns: slice, out: Array
    ) -> None:
        xp = self.xp
        if self._kernel is None:
            out[...] = 1
        elif self._in_order and len(tap) > 1 and not (tap % self.row).any():
            # Every row is a row of the kernel as it lies in memory.
            rows = self._kernel[: len(self._kernel) // self.row * self.row].reshape(-1, self.row)
            # numpy writes to `out` through a buffer unless told that no index is out of range.
            unchecked = {"mode": "clip"} if xp is np else {}
            xp.take(rows, xp.asarray(tap // self.row), axis=0, out=out, **unchecked)
        else:
            for i, t in enumerate(tap.tolist()):
                out[i] = self._weights(t)[columns]
        if self._gain is not None:
            out *= self._gain[columns]
        if gain is not None:
            out *= xp.asarray(gain.astype(out.dtype))[:, None]

    def _weights(self, tap: int) -> Array:
        """Kernel entries of the row that starts at this tap."""
        if self._in_order:
            return self._kernel[tap : tap + self.row]
        if tap not in self._rows:
            if (len(self._rows) + 1) * self.row > CACHED_WEIGHTS:
                self._rows.clear()
            self._rows[tap] = self.xp.take(self._kernel, self.xp.asarray(self._tap + tap))
        return self._rows[tap]


def _split(axes: tuple[Axis, ...], row_edges: int) -> int:
    """Return how many leading axes are outer: the rest makes rows of about ``row_edges``."""
    split, row = len(axes), 1
    while split and (
        split == len(axes) or row < SHORT_ROW or row * len(axes[split - 1]) <= row_edges
    ):
        split -= 1
        row *= len(axes[split])
    return split


def _pieces(start: int, stop: int, row: int) -> Iterator[tuple[int, int, int, int]]:
    """Cut edges ``start:stop`` into blocks (first row, last row, first column, last column)."""
    while start < stop:
        first, left = divmod(start, row)
        if left or stop - start < row:
            right = min(row, left + stop - start)
            yield first, first + 1, left, right
            start += right - left
        else:
            last = stop // row
            yield first, last, 0, row
            start = last * row


def _outer_sum(axes: tuple[Axis, ...], column: str, dtype: np.dtype) -> np.ndarray:
    """Multiply out one column of the axes: every sum of one position of each, C order."""
    total = np.zeros(1, dtype)
    for axis in axes:
        offsets = getattr(axis, column) * getattr(axis, f"{column}_stride")
        total = np.add.outer(total, offsets.astype(dtype)).reshape(-1)
    return total


def _outer_gain(axes: tuple[Axis, ...]) -> np.ndarray | None:
    """Multiply out the gains of the axes; None where there are none."""
    if all(axis.gain is None for axis in axes):
        return None
    total = np.ones(1)
    for axis in axes:
        gain = np.ones(len(axis)) if axis.gain is None else axis.gain
        total = np.multiply.outer(total, gain).reshape(-1)
    return total
