"""Sums over fan-in by matrix products, without a loop over edges.

The windows of a layer are gathered, some rows at a time, into a matrix of (target position) x
(tap, channel in), which one product with the kernel finishes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Literal

from gpugraph.arrays import Array, blocks, namespace_of
from gpugraph.axes import Axis
from gpugraph.views import BLOCK_WEIGHTS, Weight, weight_view

# Most gathered values at a time: they should stay in the cache.
BLOCK_VALUES = 2**20

Role = Literal["stack", "row", "window", "in", "out"]


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


def add_contraction(
    axes: Sequence[Axis],
    values: Array,
    kernel: Array,
    target: Array,
    weight: Weight,
    *,
    one_tap: bool = False,
) -> None:
    """Add ``sum over windows and fan-in of values * weight`` to the target.

    Parameters
    ----------
    axes : sequence of Axis
        With a fan-in; regular ones, unless ``one_tap``.
    values : array
        The batch, then one dimension per axis: its source positions where the kernel varies
        along it, else its target positions.
    kernel : array
        One dimension per axis, of length 1 where the kernel does not vary.
    target : array
        The batch, then the target positions of every axis; written to.
    weight : {"weight", "magnitude", "positive", "negative"}
    one_tap : bool
        Whether the kernel is cut down to one tap of every window, and the values to the
        positions that it takes to the target's.
    """
    roles = [_role(axis, one_tap) for axis in axes]
    stack, row, window, fan_in, fan_out = (
        [i for i, r in enumerate(roles) if r == role]
        for role in ("stack", "row", "window", "in", "out")
    )
    n_stack, n_rows, n_summed = len(stack), 1 + len(row) + len(window), len(window) + len(fan_in)
    values = _windows(values, [(i + 1, axes[i]) for i in window])
    taps = range(len(axes) + 1, values.ndim)
    lead = [*_after(stack), 0, *_after(sorted([*row, *window]))]
    # Dimensions of length 1 go last, and away: a fan-out has one source, a fan-in one target.
    left = values.transpose(*lead, *taps, *_after(fan_in), *_after(fan_out))
    left = left[(..., *[0] * len(fan_out))]
    into = target.transpose(*lead, *_after(fan_out), *_after(fan_in))[(..., *[0] * len(fan_in))]
    right = kernel.transpose(*stack, *window, *fan_in, *fan_out, *row)[(..., *[0] * len(row))]
    for block in blocks(right.shape, n_stack, n_stack + n_summed, BLOCK_WEIGHTS):
        weights = weight_view(right[block], weight).astype(left.dtype, copy=False)
        part = left[(..., *block[n_stack : n_stack + n_summed])]
        _multiply(part, weights, into, n_stack, n_rows)


def _multiply(left: Array, right: Array, into: Array, n_stack: int, n_rows: int) -> None:
    """Add a product of stacked matrices, whose rows and columns are several dimensions each.

    ``into[stack, rows, columns] += left[stack, rows, inner] @ right[stack, inner, columns]``
    """
    xp = namespace_of(left)
    lead = n_stack + n_rows
    stacked, inner = left.shape[:n_stack], prod(left.shape[lead:])
    columns = into.shape[lead:]
    right = _ready(right.reshape(*stacked, inner, prod(columns)))
    most = BLOCK_VALUES // max(inner, 1)
    for rows in blocks((*stacked, *left.shape[n_stack:lead]), n_stack, lead, most):
        part = left[rows]
        made = xp.matmul(_ready(part.reshape(*stacked, -1, inner)), right)
        into[rows] += made.reshape(*part.shape[:lead], *columns)


def _role(axis: Axis, one_tap: bool) -> Role:
    """Return what an axis is to a product of matrices."""
    if not axis.is_tapped or (one_tap and axis.kind == "window"):
        return "row"
    roles: dict[str, Role] = {"fan_in": "in", "fan_out": "out", "one_to_one": "stack"}
    return roles.get(axis.kind, "window")


def _after(dims: Sequence[int]) -> list[int]:
    """Return where axes stand behind the batch."""
    return [i + 1 for i in dims]


def _windows(values: Array, windows: Sequence[tuple[int, Axis]]) -> Array:
    """See dimensions of source positions as target positions; their taps come at the end."""
    xp = namespace_of(values)
    shape, strides, start = list(values.shape), list(values.strides), [0] * values.ndim
    padding = [(0, 0)] * values.ndim
    for dim, axis in windows:
        assert axis.grid is not None
        reach = axis.grid.positions(axis.n_dst, axis.n_tap)
        low, high = int(reach.min()), int(reach.max())
        padding[dim] = (max(-low, 0), max(high - axis.n_src + 1, 0))
        start[dim] = axis.grid.start + padding[dim][0]
    if any(before or after for before, after in padding):
        values = xp.pad(values, padding)
        strides = list(values.strides)
    for dim, axis in windows:
        assert axis.grid is not None
        shape[dim] = axis.n_dst
        shape.append(axis.n_tap)
        strides.append(strides[dim] * axis.grid.tap_step)
        strides[dim] *= axis.grid.dst_step
    first = values[tuple(slice(at, None) for at in start)]
    return xp.lib.stride_tricks.as_strided(first, shape, strides)


def _ready(matrices: Array) -> Array:
    """Return matrices that BLAS takes as they are; numpy multiplies others in a slow loop."""
    return matrices if matrices.itemsize in matrices.strides[-2:] else matrices.copy()
