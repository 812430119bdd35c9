"""Sums over fan-in by matrix products, without a loop over edges.

The windows of a layer are gathered, some rows at a time, into a matrix of (target position) x
(tap, channel in), which one product with the kernel finishes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Literal, NamedTuple

from gpugraph.arrays import Array, blocks, namespace_of
from gpugraph.axes import Axis
from gpugraph.views import BLOCK_WEIGHTS, Weight, weight_view

# Most gathered values at a time: they should stay in the cache.
BLOCK_VALUES = 2**20

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


def has_fan_in(axes: Sequence[Axis]) -> bool:
    """Whether each target sums over a fan-in with its own weights."""
    return any(axis.is_tapped and axis.kind == "fan_in" for axis in axes)


def is_regular(axes: Sequence[Axis]) -> bool:
    """Whether there is a fan-in, no gain, and every window lies on a regular grid."""
    return has_fan_in(axes) and all(
        axis.gain is None and (axis.kind != "window" or axis.grid is not None)
        for axis in axes
        if axis.is_tapped
    )


class Contraction:
    """The matrix product that a layer's axes amount to; planned once, applied often.

    Parameters
    ----------
    axes : sequence of Axis
        With a fan-in; regular ones, unless ``one_tap``.
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
        first, last = self._n_stack, self._n_stack + self._n_summed
        for block in blocks(right.shape, first, last, BLOCK_WEIGHTS):
            weights = weight_view(right[block], weight).astype(left.dtype, copy=False)
            self._multiply(left[(..., *block[first:last])], weights, into)

    def _multiply(self, left: Array, right: Array, into: Array) -> None:
        """Add a product of stacked matrices, whose rows and columns are several dimensions each.

        ``into[stack, rows, columns] += left[stack, rows, inner] @ right[stack, inner, columns]``
        """
        xp = namespace_of(left)
        lead, stacked = self._n_lead, left.shape[: self._n_stack]
        inner, columns = prod(left.shape[lead:]), into.shape[lead:]
        right = _ready(right.reshape(*stacked, inner, prod(columns)))
        most = BLOCK_VALUES // max(inner, 1)
        for rows in blocks(left.shape[:lead], self._n_stack, lead, most):
            part = left[rows]
            made = xp.matmul(_ready(part.reshape(*stacked, -1, inner)), right)
            into[rows] += made.reshape(*part.shape[:lead], *columns)


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
