"""A projection: all edges from one population to another, and its readings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from math import prod
from types import ModuleType
from typing import Literal

import numpy as np

from gpugraph.arrays import Array, index_dtype, namespace_of, strided
from gpugraph.axes import Axis, Run
from gpugraph.edges import EdgeMaker, Edges, chunks
from gpugraph.population import Population, Reduce

Kind = Literal["weight", "scale", "choice", "mean", "copy", "dynamic"]
Weight = Literal["weight", "magnitude", "positive", "negative"] | None


@dataclass(frozen=True, eq=False)
class Projection:
    """All edges from one population to another, as an outer product of axes.

    Edge ``e`` of the projection takes one pair of each axis, the last axis fastest::

        src    = source.offset + sum(axis.src * axis.src_stride)
        dst    = target.offset + sum(axis.dst * axis.dst_stride)
        weight = kernel[sum(axis.tap * axis.tap_stride)] * product(axis.gain)

    Attributes
    ----------
    source, target : Population
    axes : tuple of Axis
    kernel : float array of shape ``(n_parameters,)``, optional
        The layer's weights, flat, in Keras's order. None: every weight is 1.
    kind : {"weight", "scale", "choice", "mean", "copy", "dynamic"}
    window_tap : int array of shape ``(n_edges,)``, optional
        Window position of each edge, where edges were picked one by one.
    """

    source: Population
    target: Population
    axes: tuple[Axis, ...]
    kernel: np.ndarray | None
    kind: Kind
    window_tap: np.ndarray | None = None

    @property
    def n_edges(self) -> int:
        """Number of edges."""
        return prod(len(axis) for axis in self.axes)

    @property
    def weight_dtype(self) -> np.dtype:
        """float64 where the kernel is, else float32."""
        is_double = self.kernel is not None and self.kernel.dtype == np.float64
        return np.dtype(np.float64 if is_double else np.float32)

    @property
    def is_listed(self) -> bool:
        """Whether the edges were picked one by one instead of following from the layer."""
        return len(self.axes) == 1 and self.axes[0].kind == "listed"

    @cached_property
    def transposed(self) -> Projection:
        """The projection with every edge turned round."""
        axes = tuple(axis.transposed for axis in self.axes)
        return replace(self, source=self.target, target=self.source, axes=axes, window_tap=None)

    def edges(
        self,
        start: int = 0,
        stop: int | None = None,
        *,
        xp: ModuleType = np,
        dtype: np.dtype | None = None,
        out: Sequence[Array] | None = None,
    ) -> Edges:
        """Make edges ``start:stop``, in the order that the class describes.

        Any range can be made on its own; ranges put together are the whole.

        Parameters
        ----------
        start, stop : int
            Edge numbers within the projection; by default all.
        xp : module
            numpy or cupy.
        dtype : numpy.dtype, optional
            Of the node ids; by default the smallest that holds this projection's.
        out : three arrays of shape ``(stop - start,)``, optional
            Columns to write to.
        """
        stop = self.n_edges if stop is None else min(stop, self.n_edges)
        return self._maker(xp, dtype).make(min(start, stop), stop, out)

    def chunks(self, chunk_edges: int, dtype: np.dtype) -> Iterator[Edges]:
        """Make all edges with numpy, chunk by chunk, with node ids of this type."""
        return chunks([(self, 0, self.n_edges)], chunk_edges, dtype)

    def parameter(self, start: int, stop: int) -> np.ndarray:
        """Flat kernel index of edges ``start:stop`` (int64); -1 where there is no kernel."""
        return self._maker().parameter(start, stop)

    def tap(self, start: int, stop: int) -> np.ndarray:
        """Flat window position of edges ``start:stop`` (int64), C order over the windows."""
        return self._maker().tap(start, stop)

    def _maker(self, xp: ModuleType = np, dtype: np.dtype | None = None) -> EdgeMaker:
        largest = max(self.source.ids.stop, self.target.ids.stop)
        return EdgeMaker(self, index_dtype(largest) if dtype is None else dtype, xp)

    def apply(self, x: Array, weight: Weight = "weight", reduce: Reduce = "sum") -> Array:
        """Send values along the edges without making them: ``y[dst] += weight * x[src]``.

        Parameters
        ----------
        x : array of shape ``(..., source.size)``
            numpy or cupy; leading dimensions are a batch.
        weight : {"weight", "magnitude", "positive", "negative", None}
            Which view of the weights; None counts every edge as 1.
        reduce : {"sum", "max", "min", "product"}
            How the values that meet in one target are joined.

        Returns
        -------
        array of shape ``(..., target.size)``, of x's dtype
            Targets without an edge hold the reduction's neutral element (0, -inf, inf or 1).
        """
        batch = x.reshape(-1, self.source.size)
        if self.is_listed:
            y = self._apply_listed(batch, weight, reduce)
        elif reduce != "sum" and not self._is_uniform(weight):
            y = self._apply_runs(batch, weight, reduce)
        elif weight in ("positive", "negative") and self._has_negative_gain:
            signed, magnitude = self.apply(x, "weight"), self.apply(x, "magnitude")
            y = (magnitude + signed if weight == "positive" else magnitude - signed) / 2
        elif weight == "negative" and self.kernel is None:
            y = namespace_of(x).zeros((len(batch), self.target.size), x.dtype)
        else:
            y = self._apply_axes(batch, weight, reduce)
        return y.reshape(*x.shape[:-1], self.target.size)

    def apply_transposed(self, y: Array, weight: Weight = "weight") -> Array:
        """Send values against the edges: ``x[src] += weight * y[dst]``.

        Shapes and views as in `apply`, with source and target exchanged.
        """
        return self.transposed.apply(y, weight)

    def _apply_axes(self, x: Array, weight: Weight, reduce: Reduce) -> Array:
        """`apply` for an outer product: fold the axes without taps, then go through the taps.

        Exact for sums, and for joining values that no weight changes on their way. Each axis is
        one dimension of the three strided views: source, target and kernel.
        """
        xp = namespace_of(x)
        values = strided(x, [a.n_src for a in self.axes], [a.src_stride for a in self.axes])
        for i, axis in enumerate(self.axes):
            if not axis.is_tapped or self.kernel is None or weight is None:
                values = _fold(values, i + 1, axis, weight, reduce)
        y = xp.full((len(x), self.target.size), NEUTRAL[reduce], x.dtype)
        target = strided(y, [a.n_dst for a in self.axes], [a.dst_stride for a in self.axes])
        if self.kernel is None or weight is None:
            JOIN[reduce](xp, target, values)
            return y
        kernel = strided(
            xp.asarray(weight_view(self.kernel, weight)),
            [a.n_tap if a.is_tapped else 1 for a in self.axes],
            [a.tap_stride for a in self.axes],
        )
        self._add_taps(values, kernel, target, weight)
        return y

    def _add_taps(self, values: Array, kernel: Array, target: Array, weight: Weight) -> None:
        """One product per combination of window taps, on slices of the views."""
        xp = namespace_of(values)
        windows = [i for i, a in enumerate(self.axes) if a.is_tapped and a.kind == "window"]
        whole = slice(None)
        for runs in product(*(self.axes[i].runs for i in windows)):
            src, dst, tap = ([whole] * len(self.axes) for _ in range(3))
            for i, run in zip(windows, runs, strict=True):
                src[i], dst[i], tap[i] = run.src, run.dst, slice(run.tap, run.tap + 1)
            part = values[(whole, *src)]
            for i, run in zip(windows, runs, strict=True):
                gain = _run_gain(self.axes[i], run, weight)
                if gain is not None:
                    part = part * _along(xp.asarray(gain.astype(part.dtype)), i + 1, part.ndim)
                if _length(run.dst) < part.shape[i + 1]:
                    part = part.sum(axis=i + 1, keepdims=True)
            into, taps = target[(whole, *dst)], kernel[tuple(tap)]
            if any(a.is_tapped and a.kind == "fan_in" for a in self.axes):
                _add_contraction(self.axes, part, taps, into)
            else:
                into += part * taps.astype(part.dtype, copy=False)

    def _apply_runs(self, x: Array, weight: Weight, reduce: Reduce) -> Array:
        """`apply` where every edge must be weighed before values are joined: run by run."""
        xp = namespace_of(x)
        axes, whole = self.axes, slice(None)
        tapped = [a.is_tapped and self.kernel is not None for a in axes]
        values = strided(x, [a.n_src for a in axes], [a.src_stride for a in axes])
        y = xp.full((len(x), self.target.size), NEUTRAL[reduce], x.dtype)
        target = strided(y, [a.n_dst for a in axes], [a.dst_stride for a in axes])
        kernel = strided(
            xp.asarray(np.ones(1) if self.kernel is None else self.kernel),
            [a.n_tap if t else 1 for a, t in zip(axes, tapped, strict=True)],
            [a.tap_stride for a in axes],
        )
        stepped = [
            i for i, a in enumerate(axes) if a.kind in ("fan_in", "window") or a.gain is not None
        ]
        for runs in product(*(axes[i].runs for i in stepped)):
            src, dst, tap = ([whole] * len(axes) for _ in range(3))
            for i, run in zip(stepped, runs, strict=True):
                src[i], dst[i] = run.src, run.dst
                tap[i] = slice(run.tap, run.tap + 1) if tapped[i] else whole
            weights = kernel[tuple(tap)]
            for i, run in zip(stepped, runs, strict=True):
                gain = _run_gain(axes[i], run, "weight")
                if gain is not None:
                    weights = weights * _along(xp.asarray(gain), i, weights.ndim)
            part = values[(whole, *src)] * weight_view(weights, weight).astype(x.dtype, copy=False)
            for i, run in zip(stepped, runs, strict=True):
                if _length(run.dst) < part.shape[i + 1]:
                    part = REDUCTION[reduce](xp)(part, axis=i + 1, keepdims=True)
            JOIN[reduce](xp, target[(whole, *dst)], part)
        return y

    def _apply_listed(self, x: Array, weight: Weight, reduce: Reduce) -> Array:
        """`apply` for edges picked one by one."""
        xp = namespace_of(x)
        axis = self.axes[0]
        src, dst = xp.asarray(axis.src), xp.asarray(axis.dst)
        values = x[:, src]
        if weight is not None:
            values = values * xp.asarray(weight_view(self._listed_weight, weight).astype(x.dtype))
        y = xp.full((len(x), self.target.size), NEUTRAL[reduce], x.dtype)
        scatter = {"sum": xp.add, "max": xp.maximum, "min": xp.minimum, "product": xp.multiply}
        for row, value in zip(y, values, strict=True):
            scatter[reduce].at(row, dst, value)
        return y

    @property
    def _listed_weight(self) -> np.ndarray:
        """Weight of each listed edge."""
        (axis,) = self.axes
        weight = np.ones(len(axis), np.float32) if self.kernel is None else self.kernel[axis.tap]
        return weight if axis.gain is None else weight * axis.gain

    def _is_uniform(self, weight: Weight) -> bool:
        """Whether every edge weighs 1 in this view."""
        has_gain = any(axis.gain is not None for axis in self.axes)
        return weight is None or (weight != "negative" and self.kernel is None and not has_gain)

    @property
    def _has_negative_gain(self) -> bool:
        return any(axis.gain is not None and bool((axis.gain < 0).any()) for axis in self.axes)

    def in_degree(self) -> np.ndarray:
        """Edges into each target node; int64, shape ``(target.size,)``."""
        counts: Array = np.ones([1] * len(self.axes), np.int64)
        for i, axis in enumerate(self.axes):
            count = np.bincount(axis.dst, minlength=axis.n_dst)
            counts = counts * _along(count, i, counts.ndim)
        return self._spread(counts)

    def out_degree(self) -> np.ndarray:
        """Edges out of each source node; int64, shape ``(source.size,)``."""
        return self.transposed.in_degree()

    def in_strength(self, weight: Weight = "weight") -> np.ndarray:
        """Sum of the weights into each target node; float64, shape ``(target.size,)``.

        In closed form: the kernel is contracted with a table of (target position, tap) per axis.
        """
        if weight is None:
            return self.in_degree().astype(np.float64)
        if weight in ("positive", "negative") and self._has_negative_gain:
            signed, magnitude = self.in_strength("weight"), self.in_strength("magnitude")
            return (magnitude + signed if weight == "positive" else magnitude - signed) / 2
        if self.is_listed:
            values = weight_view(self._listed_weight, weight)
            return np.bincount(self.axes[0].dst, values, minlength=self.target.size)
        kernel = weight_view(np.ones(1) if self.kernel is None else self.kernel, weight)
        taps = [a.n_tap if a.is_tapped and self.kernel is not None else 1 for a in self.axes]
        total: Array = strided(kernel, taps, [a.tap_stride for a in self.axes])
        # The dimensions that only sum go first: they make the rest small.
        for i, axis in sorted(enumerate(self.axes), key=lambda ia: ia[1].kind != "fan_in"):
            total = _sum_into_targets(total, i, axis, taps[i] > 1, weight)
        return self._spread(total.astype(np.float64))

    def out_strength(self, weight: Weight = "weight") -> np.ndarray:
        """Sum of the weights out of each source node; float64, shape ``(source.size,)``."""
        return self.transposed.in_strength(weight)

    def _spread(self, values: np.ndarray) -> np.ndarray:
        """Write values given per target position of every axis into one array over the target."""
        y = np.zeros(self.target.size, values.dtype)
        strided(y, [a.n_dst for a in self.axes], [a.dst_stride for a in self.axes])[...] = values
        return y


NEUTRAL: dict[Reduce, float] = {"sum": 0.0, "max": -np.inf, "min": np.inf, "product": 1.0}


def _add(xp: ModuleType, into: Array, values: Array) -> None:
    into += values


def _maximum(xp: ModuleType, into: Array, values: Array) -> None:
    into[...] = xp.maximum(into, values)


def _minimum(xp: ModuleType, into: Array, values: Array) -> None:
    into[...] = xp.minimum(into, values)


def _multiply(xp: ModuleType, into: Array, values: Array) -> None:
    into *= values


JOIN = {"sum": _add, "max": _maximum, "min": _minimum, "product": _multiply}


def weight_view(kernel: np.ndarray, weight: Weight) -> np.ndarray:
    """Return the kernel as the weight view sees it."""
    if weight == "magnitude":
        return np.abs(kernel)
    if weight == "positive":
        return np.maximum(kernel, 0)
    if weight == "negative":
        return np.maximum(-kernel, 0)
    return kernel


def _along(values: Array, dim: int, ndim: int) -> Array:
    """Shape a vector so that it broadcasts along one dimension of ``ndim``."""
    return values.reshape([-1 if i == dim else 1 for i in range(ndim)])


def _gain(axis: Axis, weight: Weight) -> np.ndarray | None:
    """Gains of an axis as the weight view sees them."""
    if axis.gain is None or weight is None:
        return None
    return axis.gain if weight == "weight" else np.abs(axis.gain)


def _run_gain(axis: Axis, run: Run, weight: Weight) -> np.ndarray | None:
    """Gains of one run of an axis."""
    gain = _gain(axis.by_tap, weight)
    return None if gain is None else gain[run.pairs]


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
            part = part * _along(xp.asarray(gain.astype(values.dtype)), dim, values.ndim)
        if _length(run.dst) == 1 and part.shape[dim] > 1:
            part = REDUCTION[reduce](xp)(part, axis=dim, keepdims=True)
        JOIN[reduce](xp, folded[(*before, run.dst)], part)
    return folded


def _length(positions: slice) -> int:
    """Number of positions in a run's slice."""
    stop = -1 if positions.stop is None else positions.stop
    return len(range(positions.start, stop, positions.step or 1))


REDUCTION = {
    "sum": lambda xp: xp.sum,
    "max": lambda xp: xp.max,
    "min": lambda xp: xp.min,
    "product": lambda xp: xp.prod,
}


def _add_contraction(axes: tuple[Axis, ...], x: Array, kernel: Array, y: Array) -> None:
    """Add ``sum over fan-in of x * kernel`` to ``y`` by matrix products.

    Dimension 0 of x and y is the batch, dimension ``i + 1`` is axis i; the kernel has no batch.
    """
    xp = namespace_of(x)
    roles: dict[str, list[int]] = {"stack": [], "row": [], "in": [], "out": []}
    for i, axis in enumerate(axes):
        role = {"fan_in": "in", "fan_out": "out", "one_to_one": "stack"}.get(axis.kind, "row")
        roles[role if axis.is_tapped else "row"].append(i)
    stack, row, fan_in, fan_out = roles["stack"], roles["row"], roles["in"], roles["out"]
    rows = [0, *(i + 1 for i in row)]
    stacks = [i + 1 for i in stack]
    ins, outs = [i + 1 for i in fan_in], [i + 1 for i in fan_out]

    left = x.transpose(*stacks, *rows, *ins, *outs)
    right = kernel.transpose(*stack, *row, *fan_in, *fan_out)
    lead, made = left.shape[: len(stacks) + len(rows)], right.shape[len(axes) - len(outs) :]
    n_in = prod(right.shape[len(stack) + len(row) :][: len(ins)])
    left = left.reshape(*lead, n_in)
    right = right.reshape(*right.shape[: len(stack)], *[1] * (len(rows) - 1), n_in, prod(made))
    out = xp.matmul(_ready(left), _ready(right.astype(left.dtype, copy=False)))
    into = y.transpose(*stacks, *rows, *outs, *ins)
    into += out.reshape(*lead, *made, *[1] * len(ins))


def _ready(matrices: Array) -> Array:
    """Return matrices that BLAS takes as they are; numpy multiplies others in a slow loop."""
    return matrices if matrices.itemsize in matrices.strides[-2:] else matrices.copy()


def _sum_into_targets(total: Array, dim: int, axis: Axis, tapped: bool, weight: Weight) -> Array:
    """Take one dimension of a kernel from taps to targets, adding up each target's taps."""
    if tapped and axis.gain is None and axis.kind in ("fan_out", "one_to_one"):
        return total
    if tapped and axis.gain is None and axis.kind == "fan_in":
        return total.sum(axis=dim, keepdims=True, dtype=np.float64)
    gain = _gain(axis, weight)
    if not tapped:
        return total * _along(np.bincount(axis.dst, gain, axis.n_dst), dim, total.ndim)
    table = np.zeros((axis.n_dst, axis.n_tap))
    np.add.at(table, (axis.dst, axis.tap), 1 if gain is None else gain)
    return np.moveaxis(np.tensordot(table, total, (1, dim)), 0, dim)
