"""Operations that join the values along axes: sums, extremes, statistics, running sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb, prod

import numpy as np

from gpugraph.axes import Axis, fan_in, one_to_one, window
from gpugraph.conversion import Conversion
from gpugraph.layers.operation import (
    OperationFunction,
    arguments_of,
    has_tensor,
    on_whole_numbers,
)
from gpugraph.layers.weights import array
from gpugraph.population import Reduce, Tensor
from gpugraph.projection import Kind
from gpugraph.registry import converts


@converts("ops.Sum", "ops.Prod")
def total(call: Conversion) -> Tensor:
    """Every value along the axes, weight 1 (`copy`); nodes sum or multiply."""
    return _reduced(call, "product" if call.call.layer_class == "Prod" else "sum")


@converts("ops.Max", "ops.Min", "ops.Amax", "ops.Amin")
def extreme(call: Conversion) -> Tensor:
    """Every value along the axes, weight 1 (`choice`); nodes take the maximum or minimum."""
    if getattr(call.layer, "initial", None) is not None:
        raise call.unsupported("its `initial` takes part in the extreme without being a node")
    name = call.call.layer_class.lower()
    return _reduced(call, "max" if name.endswith("max") else "min", kind="choice")


@converts("ops.Mean")
def mean(call: Conversion) -> Tensor:
    """Every value along the axes, weight 1 / number of values (`mean`)."""
    return _mean(call, dimensions_of(call, call.layer.axis))


@converts("ops.Average")
def average(call: Conversion) -> Tensor:
    """Every value along the axis, with its share of the weights (`mean`)."""
    weights = arguments_of(call)["weights"]
    if has_tensor(weights) or (weights is not None and len(weights.shape) != 1):
        raise call.unsupported("its weights are no constants along the axis")
    dimensions = dimensions_of(call, call.layer.axis)
    if weights is None:
        return _mean(call, dimensions)
    shares = array(weights).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = shares / shares.sum()
    return _weighted(call, dimensions, shares, "mean")


@converts("ops.Trapezoid")
def trapezoid(call: Conversion) -> Tensor:
    """Every value along the axis, weight half the distance of its neighbours (`scale`)."""
    layer = call.layer
    dimensions = dimensions_of(call, layer.axis)
    n = call.source.shape[dimensions[0]]
    steps = np.diff(array(layer.x)) if layer.x is not None else np.asarray(layer.dx)
    if steps.ndim > 1:
        raise call.unsupported("its sample points differ along other axes too")
    steps = np.broadcast_to(steps.astype(np.float64), n - 1)
    weights = (np.append(steps, 0) + np.append(0, steps)) / 2
    return _weighted(call, dimensions, weights, "scale")


@converts(
    "ops.All",
    "ops.Any",
    "ops.CountNonzero",
    "ops.Logsumexp",
    "ops.Median",
    "ops.Nanmax",
    "ops.Nanmean",
    "ops.Nanmedian",
    "ops.Nanmin",
    "ops.Nanpercentile",
    "ops.Nanprod",
    "ops.Nanquantile",
    "ops.Nanstd",
    "ops.Nansum",
    "ops.Nanvar",
    "ops.Norm",
    "ops.Percentile",
    "ops.Ptp",
    "ops.Quantile",
    "ops.Std",
    "ops.Var",
)
def statistic(call: Conversion) -> Tensor:
    """Every value along the axes takes part in what they amount to (`dynamic`)."""
    dimensions = dimensions_of(call, call.layer.axis)
    return statistic_of(call, None, dimensions, OperationFunction(call.call))


@converts("ops.Moments")
def moments(call: Conversion) -> list[Tensor]:
    """Mean as ops.Mean; ``name/1``, the variance, of every value along the axes (`dynamic`)."""
    dimensions = dimensions_of(call, call.layer.axes)
    variance = OperationFunction(call.call, output=1)
    return [_mean(call, dimensions), statistic_of(call, "1", dimensions, variance)]


@converts("ops.Cumsum", "ops.Cumprod")
def running_total(call: Conversion) -> Tensor:
    """Every value up to a position, weight 1 (`copy`); nodes sum or multiply."""
    reduce: Reduce = "product" if call.call.layer_class == "Cumprod" else "sum"
    target = call.population(reduce=reduce, dynamics=on_whole_numbers(call))
    _project_back(call, target, "copy")
    return target


@converts("ops.Nancumsum", "ops.Nancumprod")
def running_total_of_numbers(call: Conversion) -> Tensor:
    """Every value up to a position takes part in the total (`dynamic`)."""
    target = call.population(dynamics=OperationFunction(call.call))
    _project_back(call, target, "dynamic")
    return target


@converts("ops.Diff")
def difference(call: Conversion) -> Tensor:
    """The values whose n-th difference it is, with their binomial weights (`scale`)."""
    n = call.layer.n
    (dimension,) = dimensions_of(call, call.layer.axis)
    target = call.population(dynamics=on_whole_numbers(call))
    weights = np.array([(-1) ** (n - i) * comb(n, i) for i in range(n + 1)], np.float64)
    axis = window(call.source.shape[dimension], target.shape[dimension], size=n + 1)
    _project_along(call, target, dimension, axis, weights, "scale")
    return target


def dimensions_of(call: Conversion, axes: int | Sequence[int] | None) -> tuple[int, ...]:
    """Return the dimensions that Keras's axes are; refuse the batch's."""
    dtype = getattr(call.layer, "dtype", None)
    if dtype is not None and "float" not in str(dtype):
        raise call.unsupported(f"it cuts values to {dtype}, which nodes do not hold")
    if axes is None:
        raise call.unsupported("without an axis it joins the samples of the batch")
    return call.dimensions(axes, len(call.source.shape))


def _reduced(call: Conversion, reduce: Reduce, kind: Kind = "copy") -> Tensor:
    """Add nodes that join what lies along the axes."""
    target = call.population(reduce=reduce, dynamics=on_whole_numbers(call))
    _project_reduced(call, target, dimensions_of(call, call.layer.axis), None, kind)
    return target


def _mean(call: Conversion, dimensions: Sequence[int]) -> Tensor:
    """Add nodes that hold the mean along dimensions."""
    share = 1 / max(prod(call.source.shape[d] for d in dimensions), 1)
    return _weighted(call, dimensions, np.asarray(share), "mean")


def _weighted(
    call: Conversion, dimensions: Sequence[int], weights: np.ndarray, kind: Kind
) -> Tensor:
    """Add nodes that hold a weighted sum along dimensions."""
    target = call.population(shape=call.call.output_shapes[0], dynamics=on_whole_numbers(call))
    _project_reduced(call, target, dimensions, weights, kind)
    return target


def statistic_of(
    call: Conversion,
    part: str | None,
    dimensions: Sequence[int],
    function: Callable[[np.ndarray], np.ndarray],
) -> Tensor:
    """Add nodes that hold what a function makes of all that lies along dimensions."""
    target = call.population(part, call.call.output_shapes[-1], dynamics=function)
    _project_reduced(call, target, dimensions, None, "dynamic")
    return target


def _project_reduced(
    call: Conversion,
    target: Tensor,
    dimensions: Sequence[int],
    weights: np.ndarray | None,
    kind: Kind,
) -> None:
    """Project all that lies along dimensions, with one weight or one for each position."""
    source = call.source
    kept = target.reshape([1 if d in dimensions else n for d, n in enumerate(source.shape)])
    tap = 0 if weights is None or weights.ndim == 0 else 1
    axes = [
        fan_in(n).place(src=src, tap=tap) if d in dimensions else one_to_one(n).place(src, dst)
        for d, (n, src, dst) in enumerate(
            zip(source.shape, source.strides, kept.strides, strict=True)
        )
    ]
    call.project(source, target, axes, weights, kind)


def _project_back(call: Conversion, target: Tensor, kind: Kind) -> None:
    """Project every value to its own position along the axis and to all behind it."""
    (dimension,) = dimensions_of(call, call.layer.axis)
    n = call.source.shape[dimension]
    _project_along(call, target, dimension, window(n, n, size=n, before=n - 1), None, kind)


def _project_along(
    call: Conversion,
    target: Tensor,
    dimension: int,
    axis: Axis,
    weights: np.ndarray | None,
    kind: Kind,
) -> None:
    """Project along an axis laid along one dimension, one to one along the others."""
    source = call.source
    axes = [
        axis.place(src, dst, tap=1) if d == dimension else one_to_one(n).place(src, dst)
        for d, (n, src, dst) in enumerate(
            zip(source.shape, source.strides, target.strides, strict=True)
        )
    ]
    call.project(source, target, axes, weights, kind)
