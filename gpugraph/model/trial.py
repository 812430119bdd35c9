"""Whether a model's layers take shapes for which it was not built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpugraph.errors import ShapeError
from gpugraph.model.expansion import Expansion, has_window
from gpugraph.model.input_shape import shape_of
from gpugraph.model.layer_call import Shape, TensorRef, shapes_text

# What broadcasts would take the smallest of sizes beside any.
JOINING = {"Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Average", "Maximum", "Minimum"}


@dataclass(frozen=True)
class Misfit:
    """The first layer call that does not take the shapes it is given.

    Attributes
    ----------
    name : str
        Of the layer call.
    error : ShapeError
    is_too_small : bool
        Whether it would take none that are smaller either: a window does not fit.
    """

    name: str
    error: ShapeError
    is_too_small: bool


def misfit(function: Any, shapes: Sequence[Shape], *, trace: bool = False) -> Misfit | None:
    """Try input shapes on a model by shape inference alone; None where every layer takes them.

    Parameters
    ----------
    function : keras functional graph
    shapes : sequence of tuple of int
        One per input, without the batch axis.
    trace : bool
        Whether layers without a converter are opened, which may not tell what they give.
    """
    trial = _Trial(trace=trace)
    try:
        trial.expand(function, trial.add_inputs(function, shapes), prefix="")
    except ShapeError as error:
        name, layer = trial.at
        return Misfit(name, error, has_window(layer) and not isinstance(error, _BuiltForError))
    return None


class _BuiltForError(ShapeError):
    """A layer is given what its weights were not made for."""


class _Trial(Expansion):
    """Works out shapes, and holds what each layer was built for against them."""

    at: tuple[str, Any] = ("", None)

    def _output_specs(
        self, node: Any, name: str, args: Any, kwargs: Any, refs: list[TensorRef]
    ) -> list[Any]:
        self.at = name, node.operation
        layer = f"Layer '{name}' ({type(node.operation).__name__})"
        specs = super()._output_specs(node, name, args, kwargs, refs)
        shapes = [shape_of(self._specs[ref]) for ref in refs]
        axes = getattr(getattr(node.operation, "input_spec", None), "axes", None) or {}
        wrong = [a for a, n in axes.items() if n is not None and (None, *shapes[0])[a] != n]
        if wrong:
            raise _BuiltForError(
                f"{layer} was built for {axes[wrong[0]]} inputs, but its input has shape "
                f"{shapes[0]}. Choose an input_shape for which the model was built."
            )
        if not _meet(node, shapes):
            raise ShapeError(
                f"{layer} is given {shapes_text(shapes)}, which do not meet as they did where the "
                "model was built. Choose another input_shape."
            )
        return specs


def _meet(node: Any, shapes: Sequence[Shape]) -> bool:
    """Whether tensors that had the same sizes where they are joined still have."""
    kind = type(node.operation).__name__
    if kind in JOINING:
        built = {shape_of(t) for t in node.arguments.keras_tensors}
        return len(built) > 1 or len(set(shapes)) == 1
    if kind == "Concatenate" and len({len(shape) for shape in shapes}) == 1:
        axis = node.operation.axis % (len(shapes[0]) + 1) - 1
        return len({shape[:axis] + shape[axis + 1 :] for shape in shapes}) == 1
    return True
