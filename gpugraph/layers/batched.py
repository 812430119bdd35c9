"""Calls on tensors whose batch axis is another than the first, or holds positions, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gpugraph.conversion import Conversion, Draft, convert_call
from gpugraph.errors import UnsupportedLayerError
from gpugraph.layers.lookup import is_moving
from gpugraph.layers.moving import moved
from gpugraph.layers.steps import step_by_step
from gpugraph.model.layer_call import LayerCall
from gpugraph.population import Tensor


def convert_batched(
    call: LayerCall, sources: Sequence[Tensor], draft: Draft, masks: Mapping[str, Any]
) -> Sequence[Tensor]:
    """Convert a call that knows where samples stand in its tensors (`Batch`).

    Operations that move values may do what they like; others treat each position that is folded
    into the batch axis as a sample, so that they are converted for one, and taken to all.

    Raises
    ------
    UnsupportedLayerError
        If it joins samples, or positions in the batch axis with others, or has a mask.
    """
    given, made = call.input_batches, call.output_batches
    tensors = dict(zip(call.inputs, sources, strict=True))
    conversion = Conversion(call, tuple(sources), draft, {}, tensors)
    if made and is_moving(conversion):
        return moved(conversion)
    if not made or masks or len({batch[:2] for batch in (*given, *made)}) > 1 or made[0].axis:
        raise UnsupportedLayerError(
            f"Cannot convert layer '{call.name}' ({call.layer_class}): its batch axis is another "
            "than the first, or holds positions that meet there. Let the layer keep the batch axis "
            "in front, or cut the model before it."
        )
    one = replace(
        call,
        input_shapes=tuple(batch.shape[1:] for batch in given),
        output_shapes=tuple(batch.shape[1:] for batch in made),
        input_batches=(),
        output_batches=(),
    )
    return step_by_step(sources, draft, lambda steps, of_step: convert_call(one, steps, of_step))
