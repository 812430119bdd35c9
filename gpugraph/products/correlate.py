"""Sums over the edges of each weight: what a product is to values, this is to parameters."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from gpugraph.products.apply import along
from gpugraph.views import Weight, gain_view

if TYPE_CHECKING:
    from gpugraph.projection import Projection


def correlate(projection: Projection, x: np.ndarray, y: np.ndarray, weight: Weight) -> np.ndarray:
    """Return, per parameter, the sum over its edges of ``x[src] * gain * y[dst]``.

    Parameters
    ----------
    projection : Projection
        With a kernel.
    x : array of shape ``(rows, source.size)``
    y : array of shape ``(rows, target.size)``
        Products are added up over the rows too.
    weight : {"weight", "magnitude", "positive", "negative", None}
        View of the gains; where some are negative, they have no one sign alone.

    Returns
    -------
    float64 array of shape ``(n_parameters,)``

    Notes
    -----
    One contraction per combination of window taps, on slices of the views of x and y.
    """
    axes = projection.axes
    total = np.zeros(projection.weights.size)
    if projection.is_listed:
        (axis,) = axes
        gain = gain_view(axis, weight)
        for ours, theirs in zip(x, y, strict=True):
            values = ours[axis.src].astype(np.float64) * theirs[axis.dst]
            values = values if gain is None else values * gain
            total += np.bincount(axis.tap, values, minlength=len(total))
        return total
    sources = projection.source_view(np.ascontiguousarray(x, np.float64))
    targets = projection.target_view(np.ascontiguousarray(y, np.float64))
    kernel = projection.kernel_view(total)
    stepped = [i for i, a in enumerate(axes) if a.kind == "window" or a.gain is not None]
    whole = slice(None)
    for runs in product(*(axes[i].runs for i in stepped)):
        src, dst, tap = ([whole] * len(axes) for _ in range(3))
        part_gain = 1.0
        for i, run in zip(stepped, runs, strict=True):
            src[i], dst[i] = run.src, run.dst
            tap[i] = slice(run.tap, run.tap + 1) if axes[i].is_tapped else whole
            gain = gain_view(axes[i].by_tap, weight)
            if gain is not None:
                part_gain = part_gain * along(gain[run.pairs], i + 1, len(axes) + 1)
        left, right = sources[(whole, *src)] * part_gain, targets[(whole, *dst)]
        kept = [a.is_tapped and i not in stepped for i, a in enumerate(axes)]
        kernel[tuple(tap)] += _contract(left, right, kept)
    return total


def _contract(left: np.ndarray, right: np.ndarray, kept: list[bool]) -> np.ndarray:
    """Sum a product over the batch and every axis that is not kept.

    A dimension of length 1 on one side only is summed, or kept, on the other.
    """
    ours = [i for i, n in enumerate(left.shape) if n > 1]
    theirs = [i for i, n in enumerate(right.shape) if n > 1]
    made = [i + 1 for i, keep in enumerate(kept) if keep and i + 1 in {*ours, *theirs}]
    summed = np.einsum(
        left.reshape([left.shape[i] for i in ours]),
        ours,
        right.reshape([right.shape[i] for i in theirs]),
        theirs,
        made,
        optimize=True,
    )
    return summed.reshape(
        [max(left.shape[i + 1], right.shape[i + 1]) if k else 1 for i, k in enumerate(kept)]
    )
