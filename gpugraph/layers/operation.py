"""A functional operator as a function of the tensors it is called on."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.errors import RangeError
from gpugraph.model.layer_call import LayerCall, TensorRef, substitute
from gpugraph.population import Tensor


def tensors_of(call: Conversion) -> dict[TensorRef, Tensor]:
    """Return the tensors that an operation is called on, each once."""
    return dict(call.tensors)


def arguments_of(call: Conversion) -> dict[str, Any]:
    """Return an operation's arguments by name; tensors are `TensorRef`."""
    bound = inspect.signature(call.layer.call).bind(*call.call.args, **call.call.kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)


def has_tensor(value: Any) -> bool:
    """Tell whether an argument is, or holds, a tensor of the model."""
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (list, tuple)) and not isinstance(value, TensorRef):
        return any(map(has_tensor, value))
    return isinstance(value, TensorRef)


def check_batch_axis(call: Conversion) -> None:
    """Refuse operands that broadcast so that another axis meets the batch axis.

    Raises
    ------
    UnsupportedLayerError
        If tensors differ in rank, or a constant has an axis along the batch.
    """
    rank = len(call.output_shape)
    shapes = [tensor.shape for tensor in call.sources]
    if any(len(shape) != rank for shape in shapes):
        raise call.unsupported(
            f"its operands differ in rank (tensors {shapes}), so that the batch axis meets another"
        )
    options = [value for value in vars(call.layer).values() if hasattr(value, "shape")]
    for shape in _constant_shapes([*call.call.args, *call.call.kwargs.values(), *options]):
        if shape[: max(len(shape) - rank, 0)] not in ((), (1,)):
            raise call.unsupported(
                "a constant of its own differs from sample to sample of the batch"
            )


def _is_array(value: Any) -> bool:
    """Tell whether an argument is no plain number: a tensor, or an array."""
    return has_tensor(value) or hasattr(value, "shape")


def _constant_shapes(value: Any) -> list[tuple[int, ...]]:
    """Return the shapes of the constants in nested arguments."""
    if isinstance(value, TensorRef):
        return []
    if isinstance(value, (list, tuple)) and any(
        has_tensor(v) or hasattr(v, "shape") for v in value
    ):
        return [shape for part in value for shape in _constant_shapes(part)]
    return [tuple(np.shape(value))]


@dataclass(frozen=True)
class OperationFunction:
    """An operation, its constants in place, as a map from numpy to numpy.

    Attributes
    ----------
    call : LayerCall
    output : int
        Which of its outputs it maps to.
    """

    call: LayerCall
    output: int = 0

    def outputs(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """Return what it gives for these tensors as they are, in the order of `tensors_of`."""
        import keras

        refs = dict.fromkeys(self.call.inputs)
        tensors = dict(zip(refs, map(keras.ops.convert_to_tensor, arrays), strict=True))
        args, kwargs = substitute((self.call.args, dict(self.call.kwargs)), tensors)
        given = keras.tree.flatten(self.call.layer(*args, **kwargs))
        return [np.asarray(keras.ops.convert_to_numpy(y)) for y in given]

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        """Return the output for what nodes hold: whole numbers where Keras has such."""
        dtypes = dict(zip(self.call.inputs, self.call.input_dtypes, strict=True)).values()
        return self.outputs(*map(self._typed, arrays, dtypes))[self.output]

    def _typed(self, values: np.ndarray, dtype: str) -> np.ndarray:
        """Return values in the type that Keras has, if that is of whole numbers.

        Raises
        ------
        RangeError
            If they are no such numbers, or may have been rounded to what nodes can hold.
        """
        if "float" in dtype:
            return values
        with np.errstate(invalid="ignore"):
            whole = values.astype(dtype)
        limit = 2 ** (np.finfo(values.dtype).nmant + 1)
        is_exact = (whole == values) & (np.abs(values) < limit)
        if not is_exact.all():
            raise RangeError(
                f"Layer '{self.call.name}' ({self.call.layer_class}) takes numbers of type "
                f"{dtype}, which nodes hold as {values.dtype}, exactly below {limit}; it is given "
                f"{values[~is_exact][0]:g}. Let the model work with smaller numbers."
            )
        return whole


# In these types sums start over, or are truths, where those of nodes go on.
SHORT = {"bool", "int8", "int16", "uint8", "uint16", "uint32", "uint64"}
LONG = {"int32", "int64"}


def starts_over(call: Conversion) -> bool:
    """Whether an operation gives numbers of a type in which sums are not those of nodes."""
    return not SHORT.isdisjoint(call.call.output_dtypes)


def on_whole_numbers(call: Conversion) -> OperationFunction | None:
    """Return the operation itself where nodes would not add up to its whole numbers.

    A share such as 1 / 3 makes no whole numbers of such, and short types start over.
    """
    given, made = call.call.input_dtypes, call.call.output_dtypes
    if not given or any("float" in dtype for dtype in given) or LONG.issuperset(made):
        return None
    return OperationFunction(call.call)


def title(call: Conversion) -> str:
    """Name an operation with its options and operands: ``power(x, 2)``, ``elu(alpha=0.5)``."""
    words = call.call.layer_class.replace("LU", "lu")  # ReLU is one
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", words).lower()
    operands = [*call.call.args, *call.call.kwargs.values()]
    options = {k: v for k, v in vars(call.layer).items() if k[0] != "_" and k != "name"}
    shown = [f"{key}={_text(value)}" for key, value in options.items() if value is not None]
    if len(operands) > 1:
        shown = [*map(_text, operands), *shown]
    return f"{name}({', '.join(shown)})" if shown else name


def _text(value: Any) -> str:
    """Write an operand or option: tensors as x, arrays as ..., whatever their size."""
    if isinstance(value, TensorRef):
        return "x"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:g}"
    return str(value) if isinstance(value, (bool, str)) or value is None else "..."
