"""A model at another input size than its own, and the smallest size there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from gpugraph.errors import ShapeError, UnsupportedLayerError
from gpugraph.model.expansion import functional
from gpugraph.model.input_shape import MINIMAL, InputShape, check_shape, input_shapes, shape_of
from gpugraph.model.layer_call import Shape, shapes_text
from gpugraph.model.trial import Misfit, misfit
from gpugraph.transform.fully_convolutional import (
    GROWTH,
    calls_as_built,
    is_tied_by_flatten,
    to_fully_convolutional,
)

# Where a model's own size is open, these are tried until one works.
SIZES = (*(2**i for i in range(13)), *range(1, 513))


def fitted(
    model: Any, input_shape: InputShape | str | None, *, trace: bool = False
) -> tuple[Any, list[Shape]]:
    """Return the model that takes an input shape, and one full shape per input.

    That is the model itself, or its fully convolutional form where a Dense layer behind Flatten
    stands in the way.

    Parameters
    ----------
    model : keras.Model
    input_shape, trace : optional
        As for `gpugraph.from_keras`.

    Raises
    ------
    ShapeError
        If no form of the model takes the shape: it says which layer does not, and what would be
        the smallest shape, if the one given is too small.
    """
    function = functional(model, "the model")
    own = [shape_of(t) for t in function.inputs]
    if isinstance(input_shape, str) and input_shape == MINIMAL:
        resizable = _resizable(model)
        shapes = minimal_shapes(resizable, own)
        return (model if shapes == own else resizable), shapes
    shapes = input_shapes(function, input_shape)
    if shapes == own:
        return model, shapes
    found = misfit(function, shapes)
    if found is None or (trace and misfit(function, shapes, trace=True) is None):
        return model, shapes
    resizable = _resizable(model)
    if resizable is not model:
        found = misfit(functional(resizable, "the model"), shapes)
    if found is not None and found.is_too_small:
        smallest = shapes_text(minimal_shapes(resizable, own))
        raise ShapeError(f"{found.error} The smallest that works is {smallest}.")
    return resizable, shapes


def _resizable(model: Any) -> Any:
    """Return the model, or its fully convolutional form if it is bound to its size by Flatten."""
    try:
        return to_fully_convolutional(model) if is_tied_by_flatten(model) else model
    except UnsupportedLayerError as error:
        raise ShapeError(
            f"'{model.name}' takes inputs of its own size alone, because Dense layers stand behind "
            f"Flatten: {error} Or leave input_shape out."
        ) from error


def minimal_shapes(model: Any, own: Sequence[tuple[int | None, ...]]) -> list[Shape]:
    """Find the smallest input shapes at which every layer still gives something.

    Shapes alone are computed, no tensor. None of the sizes can be lowered alone, nor together
    with those along the same axis of other inputs, nor all of them to one common size.

    Parameters
    ----------
    model : keras.Model
        Which takes inputs of any size.
    own : sequence of shapes
        Shapes that work, one per input and without the batch axis; None for what is open.

    Raises
    ------
    ShapeError
        If a layer fixes the size, or none works.
    """
    function = functional(model, "the model")
    search = _Search(function, own, calls_as_built(model).positions)
    if not search.places:
        return input_shapes(function, None)
    search.refuse_fixed_size()
    everywhere = search.places
    along_axes = [
        [place for place in everywhere if place[1] == axis]
        for axis in sorted({axis for _, axis in everywhere})
    ]
    search.lower(everywhere, SIZES)
    for places in along_axes:
        search.lower(places)
    if any(len(places) > 1 for places in along_axes):
        for place in everywhere:
            search.lower([place])
    return search.shapes


class _Search:
    """Sizes that work, lowered step by step.

    Parameters
    ----------
    function : keras functional graph
    own : sequence of shapes
    positions : mapping of input name to axes
        Those whose size may change.

    Attributes
    ----------
    shapes : list of shapes
        The smallest found so far.
    places : list of (input, axis)
        The sizes that may change.
    """

    def __init__(self, function: Any, own: Sequence[tuple[int | None, ...]], positions: Any):
        self.function = function
        names = [t._keras_history.operation.name for t in function.inputs]
        self.places = [(i, axis) for i, name in enumerate(names) for axis in positions[name]]
        self.shapes: list[Any] = [tuple(shape) for shape in own]
        self.is_known = not any(None in shape for shape in own)
        for i, (name, shape) in enumerate(zip(names, own, strict=True)):
            fixed = (n for axis, n in enumerate(shape) if (i, axis) not in self.places)
            check_shape(tuple(fixed), f"Input '{name}' has")

    def refuse_fixed_size(self) -> None:
        """Raise ShapeError where the model takes no size but its own."""
        if not self.is_known:
            return
        larger = [
            tuple(n + GROWTH * ((i, axis) in self.places) for axis, n in enumerate(shape))
            for i, shape in enumerate(self.shapes)
        ]
        found = misfit(self.function, larger)
        if found is not None:
            raise ShapeError(
                f"Layer '{found.name}' fixes the size of the model's inputs: at another, "
                f"{found.error} Or leave input_shape out."
            )

    def lower(self, places: Sequence[tuple[int, int]], sizes: Sequence[int] = ()) -> None:
        """Set some sizes to the smallest common one that works; leave them where none does.

        Parameters
        ----------
        places : sequence of (input, axis)
        sizes : sequence of int
            What to try beside the largest of the sizes so far.
        """

        def at(size: int) -> Misfit | None:
            return misfit(self.function, self._with(places, size))

        now = [n for i, axis in places if (n := self.shapes[i][axis]) is not None]
        limit = next((n for n in chain([max(now)] if now else [], sizes) if not at(n)), None)
        if limit is not None:
            self.shapes = self._with(places, _least(at, limit))
        elif not self.is_known:
            at_last = at(sizes[-1])
            raise ShapeError(
                f"No input size up to {max(sizes)} works in all dimensions: "
                f"{at_last.error if at_last else ''} Give a full input_shape."
            )

    def _with(self, places: Sequence[tuple[int, int]], size: int) -> list[Any]:
        return [
            tuple(size if (i, axis) in places else n for axis, n in enumerate(shape))
            for i, shape in enumerate(self.shapes)
        ]


def _least(at: Callable[[int], Misfit | None], limit: int) -> int:
    """Return the smallest size that works, given one that does.

    Whatever is too small for a window stays so for less, so that halving finds the border;
    where tensors of different sizes meet, sizes that work come and go, and are tried in turn.
    """
    too_small, works = 0, limit
    middle = limit - 1  # often nothing smaller works
    while works - too_small > 1:
        found = at(middle)
        if found is None:
            works = middle
        elif found.is_too_small:
            too_small = middle
        else:
            return next(n for n in range(too_small + 1, works + 1) if not at(n))
        middle = (too_small + works) // 2
    return works
