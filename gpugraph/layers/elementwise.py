"""Operations that compute each element of their output from one element of each operand."""

from __future__ import annotations

from gpugraph.conversion import Conversion
from gpugraph.layers.moving import move
from gpugraph.layers.operation import (
    OperationFunction,
    arguments_of,
    check_batch_axis,
    has_tensor,
    tensors_of,
    title,
)
from gpugraph.population import Activation, Tensor
from gpugraph.registry import converts

# fmt: off
UNARY = [
    "Abs", "Absolute", "Angle", "Arccos", "Arccosh", "Arcsin", "Arcsinh", "Arctan", "Arctanh",
    "Cbrt", "Ceil", "Celu", "Clip", "Cos", "Cosh", "Elu", "Erf", "Erfc", "Erfinv", "Exp", "Exp2",
    "Expm1", "Fabs", "Floor", "Gelu", "HardShrink", "HardSigmoid", "HardSilu", "HardTanh", "I0",
    "Isfinite", "Isinf", "Isnan", "Isneginf", "Isposinf", "LeakyRelu", "Log", "Log10", "Log1p",
    "Log2", "LogSigmoid", "LogicalNot", "Mish", "NanToNum", "ReLU", "Reciprocal", "Relu",
    "Relu6", "Round", "Rsqrt", "Selu", "Sigmoid", "Sign", "Signbit", "Silu", "Sin", "Sinc",
    "Sinh", "SoftShrink", "Softplus", "Softsign", "SparsePlus", "SparseSigmoid", "Sqrt",
    "Square", "Squareplus", "Tan", "Tanh", "TanhShrink", "Threshold", "Trunc",
]
BINARY = [
    "Arctan2", "DivideNoNan", "Equal", "FloorDivide", "Fmax", "Fmin", "Fmod", "Greater",
    "GreaterEqual", "Heaviside", "Hypot", "Isclose", "Less", "LessEqual", "Logaddexp",
    "Logaddexp2", "LogicalAnd", "LogicalOr", "LogicalXor", "Mod", "Nextafter", "NotEqual", "Power",
]
# Of whole numbers, the second one of Ldexp.
UNARY_OF_WHOLE = ["BitwiseInvert", "BitwiseNot"]
BINARY_OF_WHOLE = [
    "BitwiseAnd", "BitwiseLeftShift", "BitwiseOr", "BitwiseRightShift", "BitwiseXor", "Gcd", "Lcm",
    "Ldexp", "LeftShift", "RightShift",
]
# fmt: on


@converts(*(f"ops.{name}" for name in UNARY + UNARY_OF_WHOLE))
def function(call: Conversion) -> Tensor:
    """One to one, weight 1 (`copy`), the function on the nodes."""
    return elementwise(call)


@converts(*(f"ops.{name}" for name in BINARY + BINARY_OF_WHOLE))
def function_of_two(call: Conversion) -> Tensor:
    """One to one: with a constant as a function (`copy`), of two tensors `dynamic` edges."""
    return elementwise(call)


@converts("ops.FakeQuantWithMinMaxVars")
def quantize(call: Conversion) -> Tensor:
    """One to one, weight 1 (`copy`), the steps on the nodes; a tensor as range is refused."""
    if len(call.sources) > 1:
        raise call.unsupported("its range depends on the inputs")
    axis = call.layer.axis
    call.dimensions(() if axis is None else axis, len(call.source.shape))
    return elementwise(call)


@converts("ops.Where", "ops.Select")
def choose(call: Conversion) -> Tensor:
    """Each value chosen (`copy`), others as bias; where the inputs choose, `dynamic` edges."""
    arguments = arguments_of(call)
    if has_tensor(arguments.get("condition")) or has_tensor(arguments.get("condlist")):
        return elementwise(call)
    (target,) = move(call)
    return target


def elementwise(call: Conversion) -> Tensor:
    """Add nodes that compute a function of one element of each tensor.

    Of a single tensor it is the nodes' activation; of several, what the edges (`dynamic`) bring
    meets in it.
    """
    tensors = tensors_of(call)
    check_batch_axis(call)
    if len(tensors) > 1:
        target = call.population(
            dynamics=OperationFunction(call.call), sources=tuple(tensors.values())
        )
        for tensor in tensors.values():
            call.project_elementwise(tensor, target, kind="dynamic")
        return target
    (source,) = tensors.values()
    target = call.population(
        activation=Activation(title(call), OperationFunction(call.call)), sources=[source]
    )
    call.project_elementwise(source, target)
    return target
