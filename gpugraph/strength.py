"""Degrees and strengths in closed form: no edge is made, no value sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpugraph.apply import along
from gpugraph.arrays import Array
from gpugraph.axes import Axis
from gpugraph.views import Weight, gain_view, weight_view

if TYPE_CHECKING:
    from gpugraph.projection import Projection


def in_degree(projection: Projection) -> np.ndarray:
    """Edges into each target node; int64, shape ``(target.size,)``."""
    counts: Array = np.ones([1] * len(projection.axes), np.int64)
    for i, axis in enumerate(projection.axes):
        count = np.bincount(axis.dst, minlength=axis.n_dst)
        counts = counts * along(count, i, counts.ndim)
    return _spread(projection, counts)


def in_strength(projection: Projection, weight: Weight = "weight") -> np.ndarray:
    """Sum of the weights into each target node; float64, shape ``(target.size,)``.

    In closed form: the kernel is contracted with a table of (target position, tap) per axis.
    """
    if weight is None:
        return in_degree(projection).astype(np.float64)
    if weight in ("positive", "negative") and projection.has_negative_gain:
        signed, magnitude = in_strength(projection, "weight"), in_strength(projection, "magnitude")
        return (magnitude + signed if weight == "positive" else magnitude - signed) / 2
    if projection.is_listed:
        values = weight_view(projection.listed_weight, weight)
        return np.bincount(projection.axes[0].dst, values, minlength=projection.target.size)
    total: Array = projection.kernel_view(weight_view(projection.weights, weight))
    # The dimensions that only sum go first: they make the rest small.
    for i, axis in sorted(enumerate(projection.axes), key=lambda ia: ia[1].kind != "fan_in"):
        total = _sum_into_targets(total, i, axis, weight)
    return _spread(projection, total.astype(np.float64))


def _spread(projection: Projection, values: np.ndarray) -> np.ndarray:
    """Write values given per target position of every axis into one array over the target."""
    y = np.zeros(projection.target.size, values.dtype)
    projection.target_view(y)[...] = values
    return y


def _sum_into_targets(total: Array, dim: int, axis: Axis, weight: Weight) -> Array:
    """Take one dimension of a kernel from taps to targets, adding up each target's taps."""
    if axis.is_tapped and axis.gain is None and axis.kind in ("fan_out", "one_to_one"):
        return total
    if axis.is_tapped and axis.gain is None and axis.kind == "fan_in":
        return total.sum(axis=dim, keepdims=True, dtype=np.float64)
    gain = gain_view(axis, weight)
    if not axis.is_tapped:
        return total * along(np.bincount(axis.dst, gain, axis.n_dst), dim, total.ndim)
    table = np.zeros((axis.n_dst, axis.n_tap))
    np.add.at(table, (axis.dst, axis.tap), 1 if gain is None else gain)
    return np.moveaxis(np.tensordot(table, total, (1, dim)), 0, dim)
