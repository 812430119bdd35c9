"""Operators in functional models: ``x + y``, ``x - 1``, ``2 * x``, ``x / 2``, ``-x``."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.layer_call import TensorRef
from gpugraph.layers.merging import merge
from gpugraph.layers.weights import array
from gpugraph.population import Tensor
from gpugraph.registry import converts


@converts("ops.Add", "ops.Subtract", "ops.Multiply", "ops.Maximum", "ops.Minimum")
def arithmetic(call: Conversion) -> Tensor:
    """Every tensor one to one (`copy`); a constant is a weight (`scale`) or a bias."""
    left, right = _operands(call)
    if isinstance(left, TensorRef) and isinstance(right, TensorRef):
        _check_ranks(call)
        return merge(call)
    return _with_constant(call, left, right)


@converts("ops.TrueDivide", "ops.Divide")
def divide(call: Conversion) -> Tensor:
    """One to one, weight 1 / divisor (`scale`); a tensor as divisor is refused."""
    _, divisor = _operands(call)
    if isinstance(divisor, TensorRef):
        raise call.unsupported("division by a tensor is not a weighted sum")
    return _scaled_by(call, 1 / _constant(call, divisor))


@converts("ops.Negative")
def negative(call: Conversion) -> Tensor:
    """One to one, weight -1 (`scale`)."""
    return _scaled_by(call, -1.0)


def _operands(call: Conversion) -> tuple[Any, Any]:
    """Return the two operands; tensors are `TensorRef`."""
    operands = [*call.call.args, *call.call.kwargs.values()]
    if len(operands) != 2:
        raise call.unsupported(f"it has {len(operands)} operands instead of two")
    return operands[0], operands[1]


def _check_ranks(call: Conversion) -> None:
    """Refuse operators on tensors of different ranks, whose batch axes would meet other axes."""
    shapes = call.call.input_shapes
    if len({len(shape) for shape in shapes}) > 1:
        raise call.unsupported(f"its operands' shapes {shapes} differ in rank")


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
    elif name == "Subtract":
        weight, bias = -1.0, value
    else:
        raise call.unsupported("the maximum or minimum with a constant has no weights")
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
    rank = len(call.source.shape)
    if constant.ndim > rank + 1 or (constant.ndim > rank and constant.shape[0] != 1):
        raise call.unsupported("a constant of its own differs from sample to sample of the batch")
    return (constant[0] if constant.ndim > rank else constant).astype(np.float64)
