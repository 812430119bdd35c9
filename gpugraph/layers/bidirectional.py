"""Bidirectional: two recurrent layers, one of them backwards in time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpugraph.axes import Axis, one_to_one, pairs
from gpugraph.conversion import Conversion
from gpugraph.layers.recurrent import arguments
from gpugraph.population import Tensor
from gpugraph.registry import converts


@converts("Bidirectional", masks=True)
def bidirectional(call: Conversion) -> tuple[Tensor, ...]:
    """Both layers (``name/forward``, ``name/backward``), joined one to one (`copy`, `mean`)."""
    layer = call.layer
    sequence, states = arguments(call)
    n_outputs = 2 if layer.merge_mode is None else 1
    output, state_shapes = call.call.output_shapes[0], call.call.output_shapes[n_outputs:]
    if layer.merge_mode == "concat":
        output = (*output[:-1], output[-1] // 2)
    (forward, *forward_states), (backward, *backward_states) = (
        call.convert(
            getattr(layer, f"{direction}_layer"),
            direction,
            [sequence, *_half(states, i)],
            [output, *_half(state_shapes, i)],
            call.masks,
        )
        for i, direction in enumerate(("forward", "backward"))
    )
    outputs = (
        (forward, _turned(call, backward))
        if layer.merge_mode is None
        else (_merged(call, forward, backward),)
    )
    return (*outputs, *forward_states, *backward_states)


def _half(items: Sequence, which: int) -> Sequence:
    """Return the first or the second half."""
    middle = len(items) // 2
    return items[middle:] if which else items[:middle]


def _turned(call: Conversion, backward: Tensor) -> Tensor:
    """Return the backward layer's outputs in the order of the inputs' time steps."""
    if not call.layer.return_sequences:
        return backward
    target = call.population("reversed", backward.shape, channels_first=False, sources=[backward])
    call.project(backward, target, _elements(call, backward, target, True), kind="copy")
    return target


def _merged(call: Conversion, forward: Tensor, backward: Tensor) -> Tensor:
    """Add the population in which the outputs of both directions meet."""
    mode = call.layer.merge_mode
    target = call.population(
        shape=call.call.output_shapes[0],
        reduce="product" if mode == "mul" else "sum",
        sources=[forward, backward],
    )
    start = 0
    for source in (forward, backward):
        axes = _elements(call, source, target, source is backward, start)
        if mode == "ave":
            call.project(source, target, axes, 0.5, "mean")
        else:
            call.project(source, target, axes, kind="copy")
        start += source.shape[-1] if mode == "concat" else 0
    return target


def _elements(
    call: Conversion, source: Tensor, target: Tensor, is_backward: bool, start: int = 0
) -> list[Axis]:
    """Every element to the one at its place, in the last dimension ``start`` further on."""
    *leading, n = source.shape
    axes = [one_to_one(length) for length in leading]
    if is_backward and call.layer.return_sequences:
        t = np.arange(leading[0])
        axes[0] = pairs(t, t[::-1], 0 * t, leading[0], leading[0], 1)
    i = np.arange(n)
    axes.append(pairs(i, i + start, 0 * i, n, target.shape[-1], 1) if start else one_to_one(n))
    return [
        axis.place(src, dst)
        for axis, src, dst in zip(axes, source.strides, target.strides, strict=True)
    ]
