"""Calls on tensors whose batch axis is another than the first, or holds positions, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gpugraph.conversion import Conversion, Draft, convert_call
from gpugraph.errors import UnsupportedLayerError
from gpugraph.layers import arithmetic, elementwise, moving
from gpugraph.layers.lookup import is_moving
from gpugraph.layers.steps import step_by_step
from gpugraph.model.layer_call import LayerCall
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


def convert_batched(
    call: LayerCall, sources: Sequence[Tensor], draft: Draft, masks: Mapping[str, Any]
) -> Sequence[Tensor]:
    """Convert a call that knows where samples stand in its tensors (`Batch`).

    Operations that move values may do what they like, and those on single elements stand anywhere.
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
    raise UnsupportedLayerError(
        f"Cannot convert layer '{call.name}' ({call.layer_class}): its batch axis is another "
        "than the first, or holds positions that meet there. Let the layer keep the batch axis "
        "in front, or cut the model before it."
    )


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
    (made,) = call.output_batches
    rank = len(made.shape)
    shapes = [(1,) * (rank - len(batch.shape)) + batch.shape for batch in call.input_batches]
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
