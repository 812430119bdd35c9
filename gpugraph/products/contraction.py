"""Sums over fan-in by matrix products, without a loop over edges.

The windows of a layer are gathered, some rows at a time, into a matrix of (target position) x
(tap, channel in), which one product with the kernel finishes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import prod
from threading import Lock
from types import ModuleType
from typing import Literal, NamedTuple

import numpy as np

from gpugraph.arrays import Array, blocks, cached_block, namespace_of
from gpugraph.axes import Axis, Part
from gpugraph.parallel import for_each, n_cores
from gpugraph.views import BLOCK_WEIGHTS, Weight, view_as

# A kernel up to this size may be copied for a view of it, or in another precision.
LARGE_KERNEL = 2**23
# Most bytes to gather for a product, and values to add terms to, at a time: they should stay in
# the cache. Measured.
GATHERED_BYTES = 2**22
SUMMED_VALUES = 2**17
# Most sums that each core keeps for itself while it goes through a large kernel.
OWN_SUMS = 2**18
# Per stacked matrix (a group, a channel): up to here adding terms is faster than a product.
FEW_WEIGHTS = 4

Role = Literal["stack", "row", "window", "in", "out"]


class Window(NamedTuple):
    """How one dimension of source positions is seen as target positions and taps."""

    dim: int
    n_dst: int
    n_tap: int
    dst_step: int
    tap_step: int
    start: int
    before: int
    after: int


class Piece(NamedTuple):
    """A product that covers a part of the targets and taps of a projection's axes."""

    contraction: Contraction
    target: tuple[slice, ...]
    kernel: tuple[slice, ...]

    def add(self, values: Array, kernel: Array, target: Array, weight: Weight) -> None:
        """Add this part of the sums to the target; see `Contraction.add`."""
        part = target[(slice(None), *self.target)]
        self.contraction.add(values, kernel[self.kernel], part, weight)


def pieces(axes: Sequence[Axis]) -> list[Piece] | None:
    """Plan the products that axes amount to: one, or one per phase of strides seen backwards.

    None where some window is no sliding one, or an axis that the kernel varies along has gains.
    """
    parts = [axis.parts if _slides(axis) else [Part(ALL, ALL, axis)] for axis in axes]
    if any(axis.is_tapped and axis.gain is not None for axis in axes) or None in parts:
        return None
    return [
        Piece(
            Contraction([part.axis for part in chosen]),
            tuple(part.dst for part in chosen),
            tuple(part.tap for part in chosen),
        )
        for chosen in product(*(part for part in parts if part is not None))
    ]


ALL = slice(None)


def _slides(axis: Axis) -> bool:
    return axis.is_tapped and axis.kind == "window"


class Contraction:
    """The matrix product that a layer's axes amount to; planned once, applied often.

    Parameters
    ----------
    axes : sequence of Axis
        Their windows lie on grids, unless ``one_tap``.
    one_tap : bool
        Whether the kernel will be cut down to one tap of every window, and the values to the
        positions that it takes to the target's.
    """

    def __init__(self, axes: Sequence[Axis], *, one_tap: bool = False) -> None:
        roles = [_role(axis, one_tap) for axis in axes]
        stack, row, window, fan_in, fan_out = (
            [i for i, r in enumerate(roles) if r == role]
            for role in ("stack", "row", "window", "in", "out")
        )
        self._windows = [_window(i + 1, axes[i]) for i in window]
        self._n_stack, self._n_lead = len(stack), len(stack) + 1 + len(row) + len(window)
        self._n_summed = len(window) + len(fan_in)
        # The batch is dimension 0 of values and targets, axis i is dimension i + 1; taps follow.
        taps = [len(axes) + 1 + i for i in range(len(window))]
        lead = [*_after(stack), 0, *_after(sorted([*row, *window]))]
        # Dimensions of length 1 go last, and away: a fan-out has one source, a fan-in one target.
        self._left = [*lead, *taps, *_after(fan_in), *_after(fan_out)]
        self._into = [*lead, *_after(fan_out), *_after(fan_in)]
        self._right = [*stack, *window, *fan_in, *fan_out, *row]
        self._one_source = (..., *[0] * len(fan_out))
        self._one_target = (..., *[0] * len(fan_in))
        self._one_weight = (..., *[0] * len(row))
        weights = prod(axes[i].n_tap for i in (*fan_in, *fan_out))
        self._add = self._add_matrices if weights > FEW_WEIGHTS else self._add_terms

    def add(self, values: Array, kernel: Array, target: Array, weight: Weight) -> None:
        """Add ``sum over windows and fan-in of values * weight`` to the target.

        Parameters
        ----------
        values : array
            The batch, then one dimension per axis: its source positions where the kernel varies
            along it, else its target positions.
        kernel : array
            One dimension per axis, of length 1 where the kernel does not vary.
        target : array
            The batch, then the target positions of every axis; written to.
        weight : {"weight", "magnitude", "positive", "negative"}
        """
        left = _gathered(values, self._windows).transpose(self._left)[self._one_source]
        right = kernel.transpose(self._right)[self._one_weight]
        into = target.transpose(self._into)[self._one_target]
        if right.size > cached_block(namespace_of(right), LARGE_KERNEL):
            self._add_by_block(left, right, into, weight)
            return
        self._add(left, view_as(right, weight, left.dtype), into)

    def _add_by_block(self, left: Array, right: Array, into: Array, weight: Weight) -> None:
        """Add the product with a kernel of which no second one may stand beside it.

        Each core looks at some weights at a time, in the order in which they lie in memory.
        """
        first, last = self._n_stack, self._n_stack + self._n_summed
        xp = namespace_of(left)
        most = cached_block(xp, BLOCK_WEIGHTS)

        def add(block: tuple[slice, ...], total: Array) -> None:
            weights = view_as(right[block], weight, left.dtype)
            self._add(left[(..., *block[first:last])], weights, total)

        outermost = max(range(right.ndim), key=lambda i: right.strides[i], default=last)
        if outermost >= last:
            columns = list(blocks(right.shape, last, right.ndim, most))
            for_each(lambda block: add(block, into[(..., *block[last:])]), columns, xp)
            return
        lock = Lock()

        def add_rows(rows: Sequence[tuple[slice, ...]]) -> None:
            total = into if len(shares) == 1 else xp.zeros_like(into)
            for block in rows:
                add(block, total)
            if total is not into:
                with lock:
                    into[...] += total

        # Sums of their own for each core, unless there are too many of them: then each product is
        # large enough to be shared among the cores itself.
        cores = n_cores() if xp is np and into.size <= OWN_SUMS else 1
        rows = list(blocks(right.shape, first, last, most))
        share = -(-len(rows) // cores)
        shares = [rows[at : at + share] for at in range(0, len(rows), share)]
        for_each(add_rows, shares, xp)

    def _add_matrices(self, left: Array, right: Array, into: Array) -> None:
        """Add a product of stacked matrices, whose rows and columns are several dimensions each.

        ``into[stack, rows, columns] += left[stack, rows, inner] @ right[stack, inner, columns]``
        """
        xp = namespace_of(left)
        lead, stacked = self._n_lead, left.shape[: self._n_stack]
        inner, columns = prod(left.shape[lead:]), into.shape[lead:]
        right = _ready(right.reshape(*stacked, inner, prod(columns)))

        def add(rows: tuple[slice, ...]) -> None:
            part = left[rows]
            made = xp.matmul(_ready(part.reshape(*stacked, -1, inner)), right)
            into[rows] += made.reshape(*part.shape[:lead], *columns)

        most = cached_block(xp, GATHERED_BYTES // left.itemsize) // max(inner, 1)
        self._for_each(add, left.shape[:lead], most, xp)

    def _add_terms(self, left: Array, right: Array, into: Array) -> None:
        """Add the same product term by term: where a matrix would hold next to nothing."""
        lead, stacked = self._n_lead, right.shape[: self._n_stack]
        columns = into.shape[lead:]
        # One source for all targets of a fan-out without weights of its own.
        xp = namespace_of(left)
        left = xp.broadcast_to(left, (*into.shape[:lead], *left.shape[lead:]))
        alone = (1,) * (lead - self._n_stack)

        def add(rows: tuple[slice, ...]) -> None:
            part, total = left[rows], into[rows]
            for at in np.ndindex(*left.shape[lead:]):
                weights = right[(*(ALL,) * self._n_stack, *at)]
                values = part[(..., *at)].reshape(*part.shape[:lead], *(1,) * len(columns))
                total += values * weights.reshape(*stacked, *alone, *columns)

        most = cached_block(xp, SUMMED_VALUES) // max(prod(columns), 1)
        self._for_each(add, into.shape[:lead], most, xp)

    def _for_each(
        self,
        add: Callable[[tuple[slice, ...]], None],
        lead: Sequence[int],
        most: int,
        xp: ModuleType,
    ) -> None:
        """Call a function with blocks of rows."""
        parts = list(blocks(lead, self._n_stack, self._n_lead, most))
        if xp is np and len(parts) < n_cores():
            parts = [(ALL,) * len(lead)]  # all cores share one product
        for_each(add, parts, xp)


def _role(axis: Axis, one_tap: bool) -> Role:
    """Return what an axis is to a product of matrices."""
    if not axis.is_tapped:
        return "row"
    if axis.kind == "window":
        grid = axis.grid
        stays = grid is not None and axis.n_tap == 1 and grid.dst_step == 1 and not grid.start
        return "row" if one_tap or (stays and axis.n_src == axis.n_dst) else "window"
    roles: dict[str, Role] = {"fan_in": "in", "fan_out": "out"}
    return roles.get(axis.kind, "stack")


def _after(dims: Sequence[int]) -> list[int]:
    """Return where axes stand behind the batch."""
    return [i + 1 for i in dims]


def _window(dim: int, axis: Axis) -> Window:
    """Plan how the source positions of a regular window are padded and seen."""
    grid = axis.grid
    assert grid is not None
    reach = grid.positions(axis.n_dst, axis.n_tap)
    before, after = max(-int(reach.min()), 0), max(int(reach.max()) - axis.n_src + 1, 0)
    start = grid.start + before
    return Window(dim, axis.n_dst, axis.n_tap, grid.dst_step, grid.tap_step, start, before, after)


def _gathered(values: Array, windows: Sequence[Window]) -> Array:
    """See dimensions of source positions as target positions; their taps come at the end."""
    if not windows:
        return values
    xp = namespace_of(values)
    if any(w.before or w.after for w in windows):
        shape = list(values.shape)
        inside = [slice(None)] * values.ndim
        for w in windows:
            inside[w.dim] = slice(w.before, w.before + shape[w.dim])
            shape[w.dim] += w.before + w.after
        padded = xp.zeros(shape, values.dtype)
        padded[tuple(inside)] = values
        values = padded
    shape, strides, start = list(values.shape), list(values.strides), [slice(None)] * values.ndim
    for w in windows:
        start[w.dim] = slice(w.start, None)
        shape[w.dim] = w.n_dst
        shape.append(w.n_tap)
        strides.append(strides[w.dim] * w.tap_step)
        strides[w.dim] *= w.dst_step
    return xp.lib.stride_tricks.as_strided(values[tuple(start)], shape, strides)


def _ready(matrices: Array) -> Array:
    """Return matrices that BLAS takes as they are; numpy multiplies others in a slow loop."""
    return matrices if matrices.itemsize in matrices.strides[-2:] else matrices.copy()
