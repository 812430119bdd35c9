"""Calls on tensors whose batch axis is another than the first, or holds positions, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from gpugraph.conversion import Conversion, Draft, convert_call
from gpugraph.errors import UnsupportedLayerError
from gpugraph.layers import (
    arithmetic,
    elementwise,
    functional,
    moving,
    positions,
    product,
    reduction,
)
from gpugraph.layers.lookup import is_moving
from gpugraph.layers.steps import step_by_step
from gpugraph.model.layer_call import LayerCall, Shape, TensorRef
from gpugraph.population import Tensor
from gpugraph.registry import find_converter

# Converters of operations to which one axis is like another.
BY_ELEMENT = {
    arithmetic.arithmetic,
    arithmetic.degrees,
    arithmetic.divide,
    arithmetic.extreme,
    arithmetic.negative,
    arithmetic.radians,
    elementwise.choose,
    elementwise.function,
    elementwise.function_of_two,
    moving.cast,
    moving.real,
}

# Converters of operations that join values along the axes that they name, and along no other.
BY_AXIS = {
    functional.meeting,
    positions.order,
    positions.position,
    reduction.extreme,
    reduction.mean,
    reduction.running_total,
    reduction.statistic,
    reduction.total,
}
# A label that no equation has.
SAMPLES = "Z"


def convert_batched(
    call: LayerCall, sources: Sequence[Tensor], draft: Draft, masks: Mapping[str, Any]
) -> Sequence[Tensor]:
    """Convert a call that knows where samples stand in its tensors (`Batch`).

    Operations that move values may do what they like, and those on single elements, or along axes
    that they name, stand anywhere.
    Others treat each position that is folded into the batch axis as a sample, so that they are
    converted for one, and taken to all.

    Raises
    ------
    UnsupportedLayerError
        If it joins samples, or positions in the batch axis with others, or has a mask.
    """
    given, made = call.input_batches, call.output_batches
    converter = find_converter(call.layer, call.name, probe=draft.probe, untraced=call.untraced)
    tensors = dict(zip(call.inputs, sources, strict=True))
    conversion = Conversion(call, tuple(sources), draft, {}, tensors)
    if made and is_moving(conversion):
        return moving.moved(conversion)
    if made and not masks:
        batches = (*given, *made)
        if made[0].axis == 0 and len({batch.order for batch in batches}) == 1:
            return _by_row(call, sources, draft)
        places = {(batch.axis - len(batch.shape), *batch.order[1:]) for batch in batches}
        if converter in BY_ELEMENT and len(places) == 1:
            return _by_element(call, sources, draft)
        is_same = len({batch.order[1:] for batch in batches}) == 1 and len(made) == 1
        moved_on = _with_another_axis(call, converter) if is_same else None
        if moved_on is not None:
            return _of_one_sample(moved_on, sources, [batch.shape for batch in given], draft)
    raise UnsupportedLayerError(
        f"Cannot convert layer '{call.name}' ({call.layer_class}): its batch axis is another "
        "than the first, or holds positions that meet there. Let the layer keep the batch axis "
        "in front, or cut the model before it."
    )


def _with_another_axis(call: LayerCall, converter: Any) -> LayerCall | None:
    """Return the call of the operation that leaves another axis, in front, to the samples.

    The axis in which the samples stand is then one like others, along which nothing meets.
    """
    if converter is product.einsum:
        return _einsum_with_another_axis(call)
    if converter not in BY_AXIS or len(call.inputs) != 1:
        return None
    (given,), axis = call.input_batches, call.layer.axis
    rank = len(given.shape)
    axes = [axis] if isinstance(axis, int) else list(axis or range(rank))
    places = {a % rank for a in axes}
    (made,), shape = call.output_batches, given.shape
    joined = [1 if d in places else n for d, n in enumerate(shape)]
    left = [n for d, n in enumerate(shape) if d not in places]
    if given.axis in places or list(made.shape) not in (list(shape), joined, left):
        return None  # samples meet, or there is one result for each of several options
    layer = copy(call.layer)
    from_the_end = tuple(a % rank - rank for a in axes)
    layer.axis = from_the_end[0] if isinstance(axis, int) else from_the_end
    return replace(call, layer=layer)


def _einsum_with_another_axis(call: LayerCall) -> LayerCall | None:
    """Return the call of an equation with one more label, in front, for the samples."""
    into, arrow, out = call.layer.subscripts.replace(" ", "").partition("->")
    if not arrow or "." in into or SAMPLES in into:
        return None
    batches = iter(call.input_batches)
    terms, names = [], set()
    for operand, labels in zip(call.args, into.split(","), strict=True):
        if isinstance(operand, TensorRef):
            names.add(labels[next(batches).axis])
            terms.append(SAMPLES + labels)
        else:
            terms.append(labels)
    name, constants = min(names), {x for term in terms if term[0] != SAMPLES for x in term}
    (made,) = call.output_batches
    stands_alone = all(term.count(name) == 1 for term in terms if term[0] == SAMPLES)
    if len(names) > 1 or name in constants or not stands_alone or out.find(name) != made.axis:
        return None
    equation = f"{','.join(terms)}->{SAMPLES}{out}"
    return replace(call, layer=type(call.layer)(equation))


def _by_row(call: LayerCall, sources: Sequence[Tensor], draft: Draft) -> Sequence[Tensor]:
    """Convert a call for one of the positions in the batch axis, and take that to all of them."""
    one = replace(
        call,
        input_shapes=tuple(batch.shape[1:] for batch in call.input_batches),
        output_shapes=tuple(batch.shape[1:] for batch in call.output_batches),
        input_batches=(),
        output_batches=(),
    )
    return step_by_step(sources, draft, lambda steps, of_step: convert_call(one, steps, of_step))


def _by_element(call: LayerCall, sources: Sequence[Tensor], draft: Draft) -> Sequence[Tensor]:
    """Convert a call to which the batch axis of one sample is an axis like others."""
    rank = len(call.output_batches[0].shape)
    shapes = [(1,) * (rank - len(batch.shape)) + batch.shape for batch in call.input_batches]
    return _of_one_sample(call, sources, shapes, draft)


def _of_one_sample(
    call: LayerCall, sources: Sequence[Tensor], shapes: Sequence[Shape], draft: Draft
) -> Sequence[Tensor]:
    """Convert a call on tensors of these shapes for one sample, its batch axis included."""
    (made,) = call.output_batches
    one = replace(
        call,
        input_shapes=tuple(shapes),
        output_shapes=(made.shape,),
        input_batches=(),
        output_batches=(),
    )
    given = [source.reshape(shape) for source, shape in zip(sources, shapes, strict=True)]
    (output,) = convert_call(one, given, draft)
    return [output.reshape(made.sample_shape)]
