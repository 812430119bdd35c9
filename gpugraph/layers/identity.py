"""Layers that pass their input on at inference, or see it in another shape: no nodes."""

from __future__ import annotations

from gpugraph.conversion import Conversion
from gpugraph.model.masks import PASSING
from gpugraph.population import Tensor
from gpugraph.registry import converts


@converts("InputLayer")
def input_layer(call: Conversion) -> Tensor:
    """The nodes that everything starts from; inside a nested model: no nodes."""
    return call.population(channels_first=call.call.name in call.draft.channels_first_inputs)


@converts(*PASSING)
def identity(call: Conversion) -> Tensor:
    """No nodes: passed on unchanged at inference."""
    return call.source


@converts("Reshape")
def reshape(call: Conversion) -> Tensor:
    """No nodes: the same ones in another shape."""
    return call.source.reshape(call.output_shape)
