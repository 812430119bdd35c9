"""Layers that reorder or repeat: Flatten, Permute, RepeatVector."""

from __future__ import annotations

from collections.abc import Sequence

from gpugraph.axes import fan_out, one_to_one
from gpugraph.conversion import Conversion
from gpugraph.population import Tensor, strides
from gpugraph.registry import converts


@converts("Flatten")
def flatten(call: Conversion) -> Tensor:
    """No nodes; with channels_first a reordering to channels_last, one to one (`copy`)."""
    rank = len(call.source.shape)
    if call.layer.data_format == "channels_first" and rank > 1:
        return _permuted(call, [*range(1, rank), 0])
    return call.source.reshape(call.output_shape)


@converts("Permute")
def permute(call: Conversion) -> Tensor:
    """One to one, weight 1, in the new order (`copy`)."""
    return _permuted(call, [d - 1 for d in call.layer.dims])


@converts("RepeatVector")
def repeat_vector(call: Conversion) -> Tensor:
    """Each feature to its n copies, weight 1 (`copy`)."""
    source, target = call.source, call.population()
    n, features = target.shape
    axes = [fan_out(n).place(dst=features), one_to_one(features).place(1, 1)]
    call.project(source, target, axes, kind="copy")
    return target


def _permuted(call: Conversion, order: Sequence[int]) -> Tensor:
    """Copy dimension ``order[i]`` of the source to dimension i of the target."""
    source, target = call.source, call.population(channels_first=False)
    shape = [source.shape[d] for d in order]
    axes = [
        one_to_one(n).place(source.strides[d], dst)
        for d, n, dst in zip(order, shape, strides(shape), strict=True)
    ]
    # Numbered in the order of the source, as every other layer's edges are.
    axes = [axes[order.index(d)] for d in range(len(order))]
    call.project(source, target, axes, kind="copy")
    return target
