"""Degrees and strengths in closed form: no edge is made, no value sent."""

from __future__ import annotations

from math import prod
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from gpugraph.arrays import Array, blocks, cached_block, kept, namespace_of
from gpugraph.axes import Axis
from gpugraph.parallel import for_each, n_cores
from gpugraph.products.apply import along
from gpugraph.views import BLOCK_WEIGHTS, Weight, factor_shares, gain_view, view_as, weight_view

if TYPE_CHECKING:
    from gpugraph.projection import Projection

ALL = slice(None)
# Up to so many a sum takes less time than to set up a product. Measured.
FEW_WEIGHTS = 2**12


def in_degree(projection: Projection) -> np.ndarray:
    """Edges into each target node; int64, shape ``(target.size,)``."""
    y = np.zeros(projection.target.size, np.int64)
    projection.target_view(y)[...] = _counts(projection)
    return y


def _counts(projection: Projection) -> np.ndarray:
    """Edges into each target position of every axis; of length 1 where all have one."""
    counts: Array = np.ones([1] * len(projection.axes), np.int64)
    for i, axis in enumerate(projection.axes):
        if (axis.counts != 1).any():
            counts = counts * along(axis.counts, i, counts.ndim)
    return counts


def add_in_strength(projection: Projection, weight: Weight, total: Array) -> None:
    """Add the weights into each target node to what total holds; see `Projection.in_strength`.

    In closed form: the kernel is contracted with a table of (target position, tap) per axis.
    """
    xp = namespace_of(total)
    if projection.is_listed and weight is not None:
        values = weight_view(projection.listed_weight(xp), weight)
        total += xp.bincount(kept(projection.axes[0].dst, xp), values, projection.target.size)
    elif projection.has_factors and weight is not None:
        _add_factors(projection, weight, total)
    elif weight in ("positive", "negative") and projection.has_negative_gain:
        sign = 1 if weight == "positive" else -1
        shares: list[tuple[Weight, float]] = [("magnitude", 0.5), ("weight", 0.5 * sign)]
        for view, share in shares:
            projection.target_view(total)[...] += share * _per_target(projection, view, total)
    else:
        projection.target_view(total)[...] += _per_target(projection, weight, total)


def _add_factors(projection: Projection, weight: Weight, total: Array) -> None:
    """Add strengths where nodes have factors: those of the sources are sent along the edges."""
    xp, plain = namespace_of(total), projection.without_factors
    of_source, of_target = projection.factors(xp)
    for before, view in factor_shares(of_source, weight):
        for after, inner in factor_shares(of_target, view):
            part = xp.zeros(total.shape, total.dtype)
            if before is None:
                add_in_strength(plain, inner, part)
            else:
                plain.apply(before.astype(total.dtype, copy=False), inner, out=part)
            total += part if after is None else part * after.astype(total.dtype, copy=False)


def _per_target(projection: Projection, weight: Weight, like: Array) -> Array:
    """Sum of the weights into each target position of every axis, of the type of an array."""
    xp = namespace_of(like)
    is_one = projection.kernel is None and projection.is_unscaled and weight != "negative"
    if weight is None or is_one:
        return xp.asarray(_counts(projection).astype(like.dtype))
    total = _sum_fan_in(projection, weight, xp, like.dtype)
    for i, axis in enumerate(projection.axes):
        if not axis.is_plain:
            total = _sum_into_targets(total, i, axis, weight, xp)
    return total


def _sum_fan_in(projection: Projection, weight: Weight, xp: ModuleType, dtype: np.dtype) -> Array:
    """Add up the kernel over its fan-in: what is left is small."""
    kernel = projection.kernel_view(kept(projection.weights, xp))
    fan_in = tuple(i for i, a in enumerate(projection.axes) if a.is_plain and a.kind == "fan_in")
    shape = [1 if i in fan_in else n for i, n in enumerate(kernel.shape)]
    total = xp.zeros(shape, dtype)

    def add(part: tuple[slice, ...]) -> None:
        into, weights = total[part], kernel[part]
        for block in blocks(weights.shape, 0, weights.ndim, cached_block(xp, BLOCK_WEIGHTS)):
            at = tuple(ALL if i in fan_in else kept for i, kept in enumerate(block))
            into[at] += _add_up(view_as(weights[block], weight, total.dtype), fan_in)

    cores = n_cores() if xp is np and kernel.size > BLOCK_WEIGHTS else 1
    for_each(add, list(blocks(shape, 0, len(shape), -(-prod(shape) // cores))))
    return total


def _add_up(weights: Array, dims: tuple[int, ...]) -> Array:
    """Sum over some dimensions, which stay with length 1.

    As products with ones, where there are many: several times as fast as numpy's sums.
    """
    if weights.size < FEW_WEIGHTS:
        return weights.sum(axis=dims, keepdims=True)
    for dim in dims:
        ones = namespace_of(weights).ones((weights.shape[dim], 1), weights.dtype)
        weights = (weights.swapaxes(dim, -1) @ ones).swapaxes(dim, -1)
    return weights


def _sum_into_targets(total: Array, dim: int, axis: Axis, weight: Weight, xp: ModuleType) -> Array:
    """Take one dimension of a kernel from taps to targets, adding up each target's taps."""
    gain = gain_view(axis, weight)
    if not axis.is_tapped:
        counts = np.bincount(axis.dst, gain, axis.n_dst).astype(total.dtype)
        return total * along(xp.asarray(counts), dim, total.ndim)
    table = kept(axis.tap_counts, xp) if gain is None else xp.asarray(axis.sum_taps(gain))
    before, after = total.shape[:dim], total.shape[dim + 1 :]
    matrices = total.reshape(*before, axis.n_tap, prod(after))
    summed = xp.matmul(table.astype(total.dtype), matrices)
    return summed.reshape(*before, axis.n_dst, *after)
