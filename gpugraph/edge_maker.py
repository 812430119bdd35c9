"""Edges made by numpy: any range of a projection, by broadcasting its axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from gpugraph.arrays import Array
from gpugraph.edges import Edges

if TYPE_CHECKING:
    from gpugraph.axes import Axis
    from gpugraph.projection import Projection

# Edges that share one row of outer positions: enough to hide Python's cost per row, few enough
# that their columns stay in the cache.
ROW_EDGES = 2**18
# Shorter rows than this cost more than the memory of longer ones, up to some length.
SHORT_ROW = 2**9
LONGEST_ROW = 2**20
CACHED_WEIGHTS = 2**23


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
    """

    def __init__(self, projection: Projection, dtype: np.dtype) -> None:
        self.projection, self.dtype = projection, dtype
        axes = projection.axes
        self._split = _split(axes)
        self.row = prod(len(axis) for axis in axes[self._split :])
        source, target = projection.source.offset, projection.target.offset
        self._src = self._sum([a.src * a.src_stride for a in axes], dtype, source)
        self._dst = self._sum([a.dst * a.dst_stride for a in axes], dtype, target)
        self._parameter = self._sum([a.tap * a.tap_stride for a in axes])
        self._kernel: Array = projection.kernel
        self._in_order = bool((self._parameter.inner == np.arange(self.row)).all())
        gain = _product_of_gains(axes[self._split :])
        self._gain = None if gain is None else gain.astype(projection.weight_dtype)
        self._source_factor, self._target_factor = (
            None if factor is None else factor.astype(projection.weight_dtype, copy=False)
            for factor in (projection.source_factor, projection.target_factor)
        )
        self._rows: dict[int, np.ndarray] = {}

    def _sum(
        self, offsets: Sequence[np.ndarray], dtype: np.dtype | None = None, base: int = 0
    ) -> _Sum:
        """Prepare the sum of one offset per axis, plus a base."""
        dtype = np.dtype(np.int64) if dtype is None else dtype
        return _Sum(offsets, self._split, dtype, base)

    def make(self, start: int, stop: int, out: Sequence[np.ndarray] | None = None) -> Edges:
        """Return edges ``start:stop`` of the projection, in ``out`` (three columns) if given."""
        if out is None:
            dtypes = (self.dtype, self.dtype, self.projection.weight_dtype)
            out = [np.empty(stop - start, dtype) for dtype in dtypes]
        src, dst, weight = out
        for rows, columns, part in self._pieces(start, stop):
            digits = self._digits(rows)
            self._src.write(digits, columns, src[part])
            self._dst.write(digits, columns, dst[part])
            self._write_weights(digits, columns, weight[part])
            self._multiply_factors(src[part], dst[part], weight[part])
        return Edges(src, dst, weight, start, self)

    def parameter(self, start: int, stop: int) -> np.ndarray:
        """Flat kernel index of edges ``start:stop`` (int64); -1 where there is no kernel."""
        if self._kernel is None:
            return np.full(stop - start, -1, np.int64)
        return self._column(self._parameter, start, stop)

    def tap(self, start: int, stop: int) -> np.ndarray:
        """Flat window position of edges ``start:stop`` (int64), C order over the windows."""
        listed = self.projection.window_tap
        if listed is not None:
            return listed[start:stop].astype(np.int64)
        return self._column(self._tap, start, stop)

    def gain(self, start: int, stop: int) -> np.ndarray:
        """Product of the axes' gains of edges ``start:stop``, of the weights' type."""
        out = np.ones(stop - start, self.projection.weight_dtype)
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

    def _column(self, total: _Sum, start: int, stop: int) -> np.ndarray:
        out = np.empty(stop - start, np.int64)
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

    def _write_weights(
        self, digits: tuple[np.ndarray, ...], columns: slice, out: np.ndarray
    ) -> None:
        first = self._parameter.rows(digits)
        rows = out.reshape(len(first), -1)
        if self._kernel is None:
            rows[...] = 1
        elif self._in_order and len(first) > 1 and not (first % self.row).any():
            # Every row is a row of the kernel as it lies in memory.
            kernel = self._kernel[: len(self._kernel) // self.row * self.row].reshape(-1, self.row)
            at = first // self.row
            if rows.dtype == kernel.dtype:
                # numpy writes through a buffer unless told that no index is out of range.
                np.take(kernel, at, axis=0, out=rows, mode="clip")
            else:
                rows[...] = np.take(kernel, at, axis=0)
        elif self.row < SHORT_ROW:
            rows[...] = self._kernel[first[:, None] + self._parameter.inner[columns]]
        else:
            for i, parameter in enumerate(first.tolist()):
                rows[i] = self._weights(parameter)[columns]
        self._multiply_gains(digits, columns, out)

    def _multiply_gains(
        self, digits: tuple[np.ndarray, ...], columns: slice, out: np.ndarray
    ) -> None:
        rows = out.reshape(len(digits[0]), -1)
        if self._gain is not None:
            rows *= self._gain[columns]
        for axis, i in zip(self.projection.axes[: self._split], digits, strict=False):
            if axis.gain is not None:
                rows *= axis.gain[i].astype(out.dtype)[:, None]

    def _multiply_factors(self, src: np.ndarray, dst: np.ndarray, out: np.ndarray) -> None:
        projection = self.projection
        if self._source_factor is not None:
            out *= self._source_factor[src - projection.source.offset]
        if self._target_factor is not None:
            out *= self._target_factor[dst - projection.target.offset]

    def _weights(self, first: int) -> np.ndarray:
        """Kernel entries of the row whose first offset is this."""
        if self._in_order:
            return self._kernel[first : first + self.row]
        if first not in self._rows:
            if (len(self._rows) + 1) * self.row > CACHED_WEIGHTS:
                self._rows.clear()
            self._rows[first] = np.take(self._kernel, self._parameter.inner + first)
        return self._rows[first]


class _Sum:
    """Sums of one offset per axis: the inner axes multiplied out, the outer ones on demand."""

    def __init__(
        self, offsets: Sequence[np.ndarray], split: int, dtype: np.dtype, base: int
    ) -> None:
        self._outer, self._base, self._dtype = offsets[:split], base, dtype
        self.inner = outer_sum(offsets[split:], dtype)

    def rows(self, digits: tuple[np.ndarray, ...]) -> np.ndarray:
        """What the outer axes add to each row; int64."""
        total = np.full(len(digits[0]), self._base, np.int64)
        for offset, i in zip(self._outer, digits, strict=False):
            total += offset[i]
        return total

    def write(self, digits: tuple[np.ndarray, ...], columns: slice, out: np.ndarray) -> None:
        """Write the given columns of the rows at these digits."""
        shift = self.rows(digits).astype(self._dtype)
        rows = out.reshape(len(shift), -1)
        np.add(shift[:, None], self.inner[None, columns], out=rows)


def _split(axes: tuple[Axis, ...]) -> int:
    """Return how many leading axes are outer: the rest makes rows of about `ROW_EDGES`."""
    split, row = len(axes), 1
    while split:
        longer = row * len(axes[split - 1])
        if longer > (LONGEST_ROW if row < SHORT_ROW else ROW_EDGES):
            break
        split, row = split - 1, longer
    return split


def outer_sum(offsets: Sequence[np.ndarray], dtype: np.dtype) -> np.ndarray:
    """Return every sum of one element of each array, flat, the last one's fastest."""
    total = np.zeros(1, dtype)
    for offset in offsets:
        total = np.add.outer(total, offset.astype(dtype)).reshape(-1)
    return total


def outer_product(factors: Sequence[np.ndarray]) -> np.ndarray:
    """Return every product of one element of each array, flat, the last one's fastest."""
    total = np.ones(1)
    for factor in factors:
        total = np.multiply.outer(total, factor).reshape(-1)
    return total


def _product_of_gains(axes: tuple[Axis, ...]) -> np.ndarray | None:
    """Multiply out the gains of the axes; None where there are none."""
    if all(axis.gain is None for axis in axes):
        return None
    return outer_product([np.ones(len(a)) if a.gain is None else a.gain for a in axes])
