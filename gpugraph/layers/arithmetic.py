"""Operators in functional models: ``x + y``, ``x - 1``, ``2 * x``, ``x / 2``, ``-x``."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.layers.elementwise import elementwise
from gpugraph.layers.merging import merge
from gpugraph.layers.operation import check_batch_axis, on_whole_numbers, starts_over
from gpugraph.layers.weights import array
from gpugraph.model.layer_call import TensorRef
from gpugraph.population import Tensor
from gpugraph.registry import converts


@converts("ops.Add", "ops.Subtract", "ops.Multiply")
def arithmetic(call: Conversion) -> Tensor:
    """Every tensor one to one (`copy`); a constant is a weight (`scale`) or a bias."""
    left, right = _operands(call)
    if starts_over(call):
        return elementwise(call)
    if isinstance(left, TensorRef) and isinstance(right, TensorRef):
        check_batch_axis(call)
        return merge(call)
    return _with_constant(call, left, right)


@converts("ops.Maximum", "ops.Minimum")
def extreme(call: Conversion) -> Tensor:
    """Every tensor one to one (`copy`), nodes join; with a constant a function on the nodes."""
    if all(isinstance(operand, TensorRef) for operand in _operands(call)):
        check_batch_axis(call)
        return merge(call)
    return elementwise(call)


@converts("ops.TrueDivide", "ops.Divide")
def divide(call: Conversion) -> Tensor:
    """One to one, weight 1 / divisor (`scale`); a tensor as divisor makes `dynamic` edges."""
    _, divisor = _operands(call)
    if isinstance(divisor, TensorRef):
        return elementwise(call)
    with np.errstate(divide="ignore"):  # weights that are not finite are told of as such
        share = 1 / _constant(call, divisor)
    target = call.population(dynamics=on_whole_numbers(call))
    call.project_elementwise(call.source, target, share, kind="scale")
    return target


@converts("ops.Negative")
def negative(call: Conversion) -> Tensor:
    """One to one, weight -1 (`scale`)."""
    if starts_over(call):
        return elementwise(call)
    return _scaled_by(call, -1.0)


@converts("ops.Deg2rad")
def radians(call: Conversion) -> Tensor:
    """One to one, weight pi / 180 (`scale`)."""
    return _scaled_by(call, np.pi / 180)


@converts("ops.Rad2deg")
def degrees(call: Conversion) -> Tensor:
    """One to one, weight 180 / pi (`scale`)."""
    return _scaled_by(call, 180 / np.pi)


def _operands(call: Conversion) -> tuple[Any, Any]:
    """Return the two operands; tensors are `TensorRef`."""
    operands = [*call.call.args, *call.call.kwargs.values()]
    if len(operands) != 2:
        raise call.unsupported(f"it has {len(operands)} operands instead of two")
    return operands[0], operands[1]


def _with_constant(call: Conversion, left: Any, right: Any) -> Tensor:
    """Convert ``tensor op constant`` and ``constant op tensor``."""
    name = call.call.layer_class
    value = _constant(call, right if isinstance(left, TensorRef) else left)
    if name == "Multiply":
        return _scaled_by(call, value)
    if name == "Add":
        weight, bias = None, value
    elif name == "Subtract" and isinstance(left, TensorRef):
        weight, bias = None, -value
    else:
        weight, bias = -1.0, value
    target = call.population(bias=bias)
    kind = "copy" if weight is None else "scale"
    call.project_elementwise(call.source, target, weight, kind)  # type: ignore[arg-type]
    return target


def _scaled_by(call: Conversion, weight: np.ndarray | float) -> Tensor:
    target = call.population()
    call.project_elementwise(call.source, target, weight, kind="scale")
    return target


def _constant(call: Conversion, value: Any) -> np.ndarray:
    """Return a constant operand without its batch axis."""
    constant = np.asarray(value) if np.isscalar(value) else array(value)
    check_batch_axis(call)
    return (constant[0] if constant.ndim > len(call.output_shape) else constant).astype(np.float64)
