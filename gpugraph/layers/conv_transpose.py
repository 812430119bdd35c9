"""Transposed convolutions, in one to three dimensions."""

from __future__ import annotations

from gpugraph.axes import fan_in, fan_out, window
from gpugraph.conversion import Conversion
from gpugraph.layers.layout import Layout, padding_before
from gpugraph.layers.weights import activation, bias, kernel
from gpugraph.population import Tensor, strides
from gpugraph.registry import converts


@converts("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
def conv_transpose(call: Conversion) -> Tensor:
    """Each input to every output whose window, seen backwards, reaches it (`weight`)."""
    layer, layout = call.layer, Layout.of(call.layer)
    source, weights = call.source, kernel(call)
    target = call.population(
        bias=bias(call, layout.channels_first),
        activation=activation(call),
        channels_first=layout.channels_first,
    )
    filters, channels = weights.shape[-2:]
    if channels != layout.channels(source.shape):
        raise call.misfit(f"{channels} channels")
    taps = strides(weights.shape)
    axes = []
    for n_src, n_dst, size, stride, dilation, src, dst, tap in zip(
        layout.spatial(source.shape),
        layout.spatial(target.shape),
        layer.kernel_size,
        layer.strides,
        layer.dilation_rate,
        layout.spatial(source.strides),
        layout.spatial(target.strides),
        taps[: layer.rank],
        strict=True,
    ):
        # The window of the convolution that goes from the output back to the input.
        before = padding_before(layer.padding, n_dst, n_src, size, stride, dilation)
        axis = window(n_dst, n_src, size, stride, dilation, before).transposed
        axes.append(axis.place(src, dst, tap))
    axes.append(fan_in(channels).place(src=layout.channel_stride(source.shape), tap=taps[-1]))
    axes.append(fan_out(filters).place(dst=layout.channel_stride(target.shape), tap=taps[-2]))
    call.project(source, target, axes, weights)
    return target
