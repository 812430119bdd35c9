"""Shapes without the batch axis: read from Keras, given by the user, and checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from numbers import Integral
from typing import Any

from gpugraph.errors import ShapeError
from gpugraph.model.layer_call import Shape

InputShape = Sequence[Any] | Mapping[str, Sequence[int]]  # or MINIMAL, a str
MINIMAL = "minimal"


def input_shapes(function: Any, input_shape: InputShape | None) -> list[Shape]:
    """Return one full shape per input, from the model and the user's input_shape."""
    names = [t._keras_history.operation.name for t in function.inputs]
    return full_shapes(names, [shape_of(t) for t in function.inputs], input_shape)


def full_shapes(
    names: Sequence[str],
    declared: Sequence[tuple[Any, ...]] | None,
    input_shape: InputShape | None,
) -> list[Shape]:
    """Return one full shape per input name, from the user's input_shape and what is declared."""
    given = _given_shapes(names, declared or [()] * len(names), input_shape)
    shapes = []
    for name, shape, fixed in zip(names, given, declared or given, strict=True):
        if len(shape) != len(fixed):
            raise ShapeError(
                f"Input '{name}' has {len(fixed)} dimensions without the batch axis {fixed}; "
                f"input_shape={shape} has {len(shape)}."
            )
        check_shape(shape, f"Input '{name}' has", fixed if declared else ())
        shapes.append(tuple(map(int, shape)))
    return shapes


def _given_shapes(
    names: Sequence[str], declared: Sequence[tuple[Any, ...]], input_shape: Any
) -> Sequence[tuple[Any, ...]]:
    """Return one shape per input, maybe with open dimensions, from any form of input_shape."""
    if input_shape is None:
        return declared
    if isinstance(input_shape, Mapping):
        unknown = set(input_shape) - set(names)
        if unknown:
            raise ShapeError(
                f"input_shape names {', '.join(sorted(map(repr, unknown)))}, but the model's "
                f"inputs are {', '.join(map(repr, names))}."
            )
        given = [input_shape.get(n, d) for n, d in zip(names, declared, strict=True)]
    elif len(names) == 1 and _is_shape(input_shape):
        given = [input_shape]
    else:
        given = list(input_shape) if isinstance(input_shape, Collection) else []
    if len(given) != len(names) or not all(map(_is_shape, given)):
        raise ShapeError(
            f"input_shape={input_shape!r} does not fit the model's inputs ({', '.join(names)}). "
            "Give a tuple of whole numbers; for several inputs a list of tuples, or a mapping of "
            f"names to tuples; or '{MINIMAL}'."
        )
    return [tuple(shape) for shape in given]


def _is_shape(value: Any) -> bool:
    """Whether a value is a sequence of sizes, known or open."""
    return isinstance(value, Collection) and all(
        n is None or isinstance(n, Integral) for n in value
    )


def shape_of(tensor: Any) -> Shape:
    """Return the shape of a Keras tensor without its batch axis."""
    return tuple(tensor.shape[1:])


def check_shape(shape: tuple[int | None, ...], what: str, own: Sequence[int | None] = ()) -> None:
    """Raise ShapeError for open or empty dimensions; ``what`` starts the message.

    What is empty in the model as it was built, too (``own``), is not for want of a larger input.
    """
    if None in shape:
        raise ShapeError(
            f"{what} shape {shape}, which leaves a dimension open. Give a full shape without the "
            "batch axis: input_shape=(height, width, channels), or --input-shape on the command."
        )
    least = 0 if 0 in own else 1
    if any(n is not None and n < least for n in shape):
        raise ShapeError(f"{what} the empty shape {shape}. Choose a larger input_shape.")
