"""Values sent along a projection's edges without making them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from gpugraph.arrays import Array, kept, namespace_of
from gpugraph.axes import Axis, Run
from gpugraph.population import Reduce
from gpugraph.products.contraction import Contraction
from gpugraph.views import Weight, factor_shares, gain_view, weight_view

if TYPE_CHECKING:
    from gpugraph.projection import Projection

Send = Callable[[Array, Array], Array]

NEUTRAL: dict[Reduce, float] = {"sum": 0.0, "max": -np.inf, "min": np.inf, "product": 1.0}


JOIN = {
    "sum": lambda xp: xp.add,
    "max": lambda xp: xp.maximum,
    "min": lambda xp: xp.minimum,
    "product": lambda xp: xp.multiply,
}

REDUCTION = {
    "sum": lambda xp: xp.sum,
    "max": lambda xp: xp.max,
    "min": lambda xp: xp.min,
    "product": lambda xp: xp.prod,
}


def join(into: Array, values: Array, reduce: Reduce) -> None:
    """Join values to what an array holds, in place."""
    JOIN[reduce](namespace_of(into))(into, values, out=into)


def apply(projection: Projection, x: Array, weight: Weight, reduce: Reduce, y: Array) -> None:
    """Join a batch of values, sent along the edges, to what y holds; see `Projection.apply`."""
    if projection.is_listed or (reduce != "sum" and not _is_uniform(projection, weight)):
        send_each(projection, x, partial(_weighed, weight=weight), reduce, y)
    elif weight is not None and projection.has_factors:
        _apply_factors(projection, x, weight, y)
    elif weight in ("positive", "negative") and projection.has_negative_gain:
        half = x / 2
        _apply_axes(projection, half, "magnitude", reduce, y)
        _apply_axes(projection, half if weight == "positive" else -half, "weight", reduce, y)
    elif weight != "negative" or projection.kernel is not None:
        _apply_axes(projection, x, weight, reduce, y)


def _apply_factors(projection: Projection, x: Array, weight: Weight, y: Array) -> None:
    """Add values to y where nodes have factors: those of the sources go before the edges."""
    xp = namespace_of(x)
    of_source, of_target = projection.factors(xp)
    for before, view in factor_shares(of_source, weight):
        sent = x if before is None else x * before.astype(x.dtype, copy=False)
        for after, inner in factor_shares(of_target, view):
            if after is None:
                apply(projection.without_factors, sent, inner, "sum", y)
            else:
                arrived = xp.zeros(y.shape, y.dtype)
                apply(projection.without_factors, sent, inner, "sum", arrived)
                y += xp.multiply(arrived, after.astype(y.dtype, copy=False), out=arrived)


def _apply_axes(projection: Projection, x: Array, weight: Weight, reduce: Reduce, y: Array) -> None:
    """`apply` for an outer product: fold the axes without taps, then go through the taps.

    Exact for sums, and for joining values that no weight changes on their way. Each axis is
    one dimension of the three strided views: source, target and kernel.
    """
    xp = namespace_of(x)
    values = projection.source_view(x)
    for i, axis in enumerate(projection.axes):
        if not axis.is_tapped or weight is None:
            values = _fold(values, i + 1, axis, weight, reduce)
    target = projection.target_view(y)
    if projection.kernel is None or weight is None:
        join(target, values, reduce)
        return
    kernel = projection.kernel_view(kept(projection.kernel, xp))
    if projection.pieces is None:
        _add_taps(projection, values, kernel, target, weight)
        return
    for piece in projection.pieces:
        piece.add(values, kernel, target, weight)


def _add_taps(
    projection: Projection, values: Array, kernel: Array, target: Array, weight: Weight
) -> None:
    """One product per combination of window taps, on slices of the views."""
    xp = namespace_of(values)
    one_tap = Contraction(projection.axes, one_tap=True)
    windows = [i for i, a in enumerate(projection.axes) if a.is_tapped and a.kind == "window"]
    whole = slice(None)
    for runs in product(*(projection.axes[i].runs for i in windows)):
        src, dst, tap = ([whole] * len(projection.axes) for _ in range(3))
        for i, run in zip(windows, runs, strict=True):
            src[i], dst[i], tap[i] = run.src, run.dst, slice(run.tap, run.tap + 1)
        part = values[(whole, *src)]
        for i, run in zip(windows, runs, strict=True):
            gain = _run_gain(projection.axes[i], run, weight)
            if gain is not None:
                part = part * along(xp.asarray(gain.astype(part.dtype)), i + 1, part.ndim)
            if _length(run.dst) < part.shape[i + 1]:
                part = part.sum(axis=i + 1, keepdims=True)
        into = target[(whole, *dst)]
        one_tap.add(part, kernel[tuple(tap)], into, weight)


def send_each(projection: Projection, x: Array, send: Send, reduce: Reduce, y: Array) -> None:
    """Join what ``send`` makes of each edge's value and weight to what y holds.

    Parameters
    ----------
    projection : Projection
    x : array of shape ``(batch, source.size)``
    send : callable
        Of values and of weights, which broadcast to them.
    reduce : {"sum", "max", "min", "product"}
    y : array of shape ``(batch, target.size)``
    """
    if projection.is_listed:
        _send_listed(projection, x, send, reduce, y)
    else:
        _send_runs(projection, x, send, reduce, y)


def _weighed(values: Array, weights: Array, weight: Weight) -> Array:
    """Values times the view of the weights."""
    if weight is None:
        return values
    return values * weight_view(weights, weight).astype(values.dtype, copy=False)


def _send_runs(projection: Projection, x: Array, send: Send, reduce: Reduce, y: Array) -> None:
    """`send_each` for an outer product: run by run."""
    xp = namespace_of(x)
    axes, whole = projection.axes, slice(None)
    values = projection.source_view(x)
    target = projection.target_view(y)
    kernel = projection.kernel_view(kept(projection.weights, xp))
    of_source, of_target = projection.factors(xp)
    before = None if of_source is None else projection.source_view(of_source)
    after = None if of_target is None else projection.target_view(of_target)
    stepped = [
        i for i, a in enumerate(axes) if a.kind in ("fan_in", "window") or a.gain is not None
    ]
    for runs in product(*(axes[i].runs for i in stepped)):
        src, dst, tap = ([whole] * len(axes) for _ in range(3))
        for i, run in zip(stepped, runs, strict=True):
            src[i], dst[i] = run.src, run.dst
            tap[i] = slice(run.tap, run.tap + 1) if axes[i].is_tapped else whole
        weights = kernel[tuple(tap)]
        for i, run in zip(stepped, runs, strict=True):
            gain = _run_gain(axes[i], run, "weight")
            if gain is not None:
                weights = weights * along(xp.asarray(gain), i, weights.ndim)
        for factor, at in ((before, src), (after, dst)):
            weights = weights if factor is None else weights * factor[tuple(at)]
        part = send(values[(whole, *src)], weights)
        for i, run in zip(stepped, runs, strict=True):
            if _length(run.dst) < part.shape[i + 1]:
                part = REDUCTION[reduce](xp)(part, axis=i + 1, keepdims=True)
        join(target[(whole, *dst)], part, reduce)


def _send_listed(projection: Projection, x: Array, send: Send, reduce: Reduce, y: Array) -> None:
    """`send_each` for edges picked one by one."""
    xp = namespace_of(x)
    axis = projection.axes[0]
    src, dst = kept(axis.src, xp), kept(axis.dst, xp)
    values = send(x[:, src], projection.listed_weight(xp))
    if xp is np or reduce == "sum":
        for row, value in zip(y, values, strict=True):
            JOIN[reduce](xp).at(row, dst, value)
    else:
        _join_in_pairs(y, dst, values, JOIN[reduce](xp))


def _join_in_pairs(y: Array, at: Array, values: Array, joined: Callable[..., Array]) -> None:
    """Join values to y where several go to one place: two by two, until one is left for each.

    CuPy's ``maximum.at`` and ``minimum.at`` round float64 to float32, and ``multiply.at`` is not
    there.
    """
    xp = namespace_of(y)
    order = xp.argsort(at)
    at, values = at[order], values[:, order]
    turn = xp.arange(len(at)) - xp.searchsorted(at, at)  # among those of the same place
    while turn.any():
        odd, even = xp.flatnonzero(turn % 2 == 1), xp.flatnonzero(turn % 2 == 0)
        values[:, odd - 1] = joined(values[:, odd - 1], values[:, odd])
        at, values, turn = at[even], values[:, even], turn[even] // 2
    y[:, at] = joined(y[:, at], values)


def _is_uniform(projection: Projection, weight: Weight) -> bool:
    """Whether every edge weighs 1 in this view."""
    return weight is None or (
        weight != "negative" and projection.kernel is None and projection.is_unscaled
    )


def _fold(values: Array, dim: int, axis: Axis, weight: Weight, reduce: Reduce) -> Array:
    """Take one dimension from source positions to target positions along an axis without taps."""
    if axis.kind in ("one_to_one", "fan_out") and axis.gain is None:
        return values  # a fan-out's single position broadcasts to all targets
    xp = namespace_of(values)
    if axis.kind == "fan_in" and axis.gain is None:
        return REDUCTION[reduce](xp)(values, axis=dim, keepdims=True)
    shape = list(values.shape)
    shape[dim] = axis.n_dst
    folded = xp.full(shape, NEUTRAL[reduce], values.dtype)
    before = (slice(None),) * dim
    for run in axis.runs:
        part = values[(*before, run.src)]
        gain = _run_gain(axis, run, weight)
        if gain is not None:
            part = part * along(xp.asarray(gain.astype(values.dtype)), dim, values.ndim)
        if _length(run.dst) == 1 and part.shape[dim] > 1:
            part = REDUCTION[reduce](xp)(part, axis=dim, keepdims=True)
        join(folded[(*before, run.dst)], part, reduce)
    return folded


def _run_gain(axis: Axis, run: Run, weight: Weight) -> np.ndarray | None:
    """Gains of one run of an axis."""
    gain = gain_view(axis.by_tap, weight)
    return None if gain is None else gain[run.pairs]


def along(values: Array, dim: int, ndim: int) -> Array:
    """Shape a vector so that it broadcasts along one dimension of ``ndim``."""
    return values.reshape([-1 if i == dim else 1 for i in range(ndim)])


def _length(positions: slice) -> int:
    """Number of positions in a run's slice."""
    stop = -1 if positions.stop is None else positions.stop
    return len(range(positions.start, stop, positions.step or 1))
