"""Convolutions: plain, depthwise and separable, in one to three dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpugraph.axes import Axis, fan_in, fan_out, one_to_one, window
from gpugraph.conversion import Conversion
from gpugraph.layers.layout import Layout, padding_before
from gpugraph.layers.weights import activation, array, bias, kernel
from gpugraph.population import Tensor, strides
from gpugraph.registry import converts


@converts("Conv1D", "Conv2D", "Conv3D")
def conv(call: Conversion) -> Tensor:
    """Each window to each filter (`weight`); padded zeros have no node and no edge."""
    layer, layout = call.layer, Layout.of(call.layer)
    source, weights = call.source, kernel(call)
    target = call.population(
        bias=bias(call, layout.channels_first),
        activation=activation(call),
        channels_first=layout.channels_first,
    )
    rank = layer.rank
    per_group, filters = weights.shape[-2:]
    groups = layer.groups
    channels = layout.channels(source.shape)
    if per_group * groups != channels:
        raise call.misfit(f"{per_group * groups} channels")
    taps = strides(weights.shape)
    src, dst = layout.channel_stride(source.shape), layout.channel_stride(target.shape)
    axes = windows(call, layout, source.shape, target.shape, taps[:rank])
    if groups > 1:
        per_filter = filters // groups
        group = one_to_one(groups)
        axes.append(group.place(src * per_group, dst * per_filter, taps[-1] * per_filter))
    axes.append(fan_in(per_group).place(src=src, tap=taps[-2]))
    axes.append(fan_out(filters // groups).place(dst=dst, tap=taps[-1]))
    call.project(source, target, axes, weights)
    return target


@converts("DepthwiseConv1D", "DepthwiseConv2D")
def depthwise_conv(call: Conversion) -> Tensor:
    """Each window of a channel to that channel's own filters (`weight`)."""
    layout = Layout.of(call.layer)
    target = call.population(
        bias=bias(call, layout.channels_first),
        activation=activation(call),
        channels_first=layout.channels_first,
    )
    _project_depthwise(call, layout, target, kernel(call))
    return target


@converts("SeparableConv1D", "SeparableConv2D")
def separable_conv(call: Conversion) -> Tensor:
    """A depthwise population (``name/depthwise``), then each of its channels to each filter."""
    layout = Layout.of(call.layer)
    depthwise, pointwise = (
        array(getattr(call.layer, f"{k}_kernel")) for k in ("depthwise", "pointwise")
    )
    channels, filters = pointwise.shape[-2:]
    shape = layout.shape(layout.spatial(call.output_shape), channels)
    middle = call.population("depthwise", shape, channels_first=layout.channels_first)
    _project_depthwise(call, layout, middle, depthwise)
    target = call.population(
        bias=bias(call, layout.channels_first),
        activation=activation(call),
        channels_first=layout.channels_first,
        sources=[middle],
    )
    axes = [
        one_to_one(n).place(src, dst)
        for n, src, dst in zip(
            layout.spatial(shape),
            layout.spatial(middle.strides),
            layout.spatial(target.strides),
            strict=True,
        )
    ]
    axes.append(fan_in(channels).place(src=layout.channel_stride(shape), tap=filters))
    axes.append(fan_out(filters).place(dst=layout.channel_stride(target.shape), tap=1))
    call.project(middle, target, axes, pointwise)
    return target


def _project_depthwise(
    call: Conversion, layout: Layout, target: Tensor, weights: np.ndarray
) -> None:
    """Project through a kernel of shape ``(*window, channels, filters per channel)``."""
    source = call.source
    channels, multiplier = weights.shape[-2:]
    if channels != layout.channels(source.shape):
        raise call.misfit(f"{channels} channels")
    taps = strides(weights.shape)
    src, dst = layout.channel_stride(source.shape), layout.channel_stride(target.shape)
    axes = windows(call, layout, source.shape, target.shape, taps[:-2])
    axes.append(one_to_one(channels).place(src, dst * multiplier, taps[-2]))
    axes.append(fan_out(multiplier).place(dst=dst, tap=taps[-1]))
    call.project(source, target, axes, weights)


def windows(
    call: Conversion,
    layout: Layout,
    source_shape: Sequence[int],
    target_shape: Sequence[int],
    taps: Sequence[int],
) -> list[Axis]:
    """One window axis per spatial dimension of a convolution."""
    layer = call.layer
    axes = []
    for n_src, n_dst, size, stride, dilation, src, dst, tap in zip(
        layout.spatial(source_shape),
        layout.spatial(target_shape),
        layer.kernel_size,
        layer.strides,
        layer.dilation_rate,
        layout.spatial(strides(source_shape)),
        layout.spatial(strides(target_shape)),
        taps,
        strict=True,
    ):
        before = padding_before(layer.padding, n_src, n_dst, size, stride, dilation)
        axis = window(n_src, n_dst, size, stride, dilation, before)
        axes.append(axis.place(src, dst, tap))
    return axes
