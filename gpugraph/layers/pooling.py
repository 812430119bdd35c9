"""Pooling, local and global, in one to three dimensions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from gpugraph.axes import Axis, fan_in, fan_out, one_to_one, window
from gpugraph.conversion import Conversion
from gpugraph.layers.layout import Layout, padding_before
from gpugraph.layers.resampling import resampled
from gpugraph.population import Tensor
from gpugraph.registry import converts


@converts("MaxPooling1D", "MaxPooling2D", "MaxPooling3D")
def max_pooling(call: Conversion) -> Tensor:
    """Every choice the window could make, weight 1 (`choice`); nodes take the maximum."""
    layout = Layout.of(call.layer)
    target = call.population(reduce="max", channels_first=layout.channels_first)
    axes = _windows(call, layout, target)
    call.project(call.source, target, [*axes, _channels(call, layout, target)], kind="choice")
    return target


@converts("AveragePooling1D", "AveragePooling2D", "AveragePooling3D")
def average_pooling(call: Conversion) -> Tensor:
    """Every input of the window, weight 1 / number of inputs in reach (`mean`)."""
    layout = Layout.of(call.layer)
    target = call.population(channels_first=layout.channels_first)
    windows = _windows(call, layout, target)
    _refuse_replicated_borders(call, windows)
    axes = [_averaging(axis) for axis in windows]
    call.project(call.source, target, [*axes, _channels(call, layout, target)], kind="mean")
    return target


def _refuse_replicated_borders(call: Conversion, windows: list[Axis]) -> None:
    """Refuse padded averages on torch, where Keras repeats the border instead of leaving it out."""
    import keras

    sizes = zip(windows, call.layer.pool_size, strict=True)
    padded = any(len(axis) < axis.n_dst * size for axis, size in sizes)
    if padded and keras.config.backend() == "torch":
        raise call.unsupported(
            'with the torch backend, padding="same" averages repeated border values; with '
            "KERAS_BACKEND=tensorflow or jax it averages what is inside"
        )


@converts("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D")
def global_max_pooling(call: Conversion) -> Tensor:
    """Every position of a channel, weight 1 (`choice`); nodes take the maximum."""
    layout = Layout.of(call.layer)
    target = call.population(reduce="max", channels_first=layout.channels_first)
    call.project(call.source, target, _whole_channels(call, layout), kind="choice")
    return target


@converts("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D", masks=True)
def global_average_pooling(call: Conversion) -> Tensor:
    """Every position of a channel, weight 1 / number of positions (`mean`)."""
    layout = Layout.of(call.layer)
    if call.masks:
        return _masked_average(call, layout)
    target = call.population(channels_first=layout.channels_first)
    share = 1 / max(prod(layout.spatial(call.source.shape)), 1)
    call.project(call.source, target, _whole_channels(call, layout), share, kind="mean")
    return target


def _masked_average(call: Conversion, layout: Layout) -> Tensor:
    """Add the means over the steps that a mask has: steps and mask take part (`dynamic`)."""
    source, mask = call.source, call.mask
    (n_steps,) = layout.spatial(source.shape)
    if mask.shape != (n_steps,):
        raise call.unsupported(f"its mask of shape {mask.shape} is not one per time step")
    target = call.population(
        channels_first=layout.channels_first,
        dynamics=MaskedAverage(layout.channels_first, call.output_shape),
        sources=[source, mask],
    )
    call.project(source, target, _whole_channels(call, layout), kind="dynamic")
    channels = fan_out(layout.channels(source.shape)).place(dst=1)
    call.project(mask, target, [fan_in(n_steps).place(src=1), channels], kind="dynamic")
    return target


@dataclass(frozen=True)
class MaskedAverage:
    """The mean of the time steps that a mask has; as in Keras NaN where it has none.

    Attributes
    ----------
    channels_first : bool
    shape : tuple of int
        Of the means, without the batch axis.
    """

    channels_first: bool
    shape: tuple[int, ...]

    def __call__(self, steps: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return the means."""
        there = np.expand_dims(mask != 0, 1 if self.channels_first else 2)
        axis = 2 if self.channels_first else 1
        with np.errstate(invalid="ignore"):
            means = np.where(there, steps, 0).sum(axis=axis) / there.sum(axis=axis)
        return means.reshape(-1, *self.shape)


@converts("AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D")
def adaptive_max_pooling(call: Conversion) -> Tensor:
    """Every choice of the part that an output stands for, weight 1 (`choice`); the maximum."""
    layout = Layout.of(call.layer)
    target = call.population(reduce="max", channels_first=layout.channels_first)
    axes = _adaptive(call, layout, target)
    call.project(call.source, target, [*axes, _channels(call, layout, target)], kind="choice")
    return target


@converts("AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D")
def adaptive_average_pooling(call: Conversion) -> Tensor:
    """Every input of the part that an output stands for, weight 1 / their number (`mean`)."""
    layout = Layout.of(call.layer)
    target = call.population(channels_first=layout.channels_first)
    axes = [_averaging(axis) for axis in _adaptive(call, layout, target)]
    call.project(call.source, target, [*axes, _channels(call, layout, target)], kind="mean")
    return target


def _averaging(axis: Axis) -> Axis:
    """Return an axis on which every target takes the mean of its sources."""
    return replace(axis, gain=1 / np.bincount(axis.dst, minlength=axis.n_dst)[axis.dst])


def _adaptive(call: Conversion, layout: Layout, target: Tensor) -> list[Axis]:
    """One axis per spatial dimension: output i of m takes inputs floor(i n/m) ... ceil((i+1) n/m).

    As torch defines it; what lies on the border of two parts counts in both.
    """
    axes = []
    for n_src, n_dst, src, dst in zip(
        layout.spatial(call.source.shape),
        layout.spatial(target.shape),
        layout.spatial(call.source.strides),
        layout.spatial(target.strides),
        strict=True,
    ):
        i, j = np.indices((n_dst, n_src))
        to, position = np.nonzero((j >= i * n_src // n_dst) & (j < -(-(i + 1) * n_src // n_dst)))
        axes.append(resampled(position, to, n_src, n_dst, n_src).place(src, dst))
    return axes


def _windows(call: Conversion, layout: Layout, target: Tensor) -> list[Axis]:
    """One window axis per spatial dimension."""
    layer, source = call.layer, call.source
    axes = []
    for n_src, n_dst, size, stride, src, dst in zip(
        layout.spatial(source.shape),
        layout.spatial(target.shape),
        layer.pool_size,
        layer.strides,
        layout.spatial(source.strides),
        layout.spatial(target.strides),
        strict=True,
    ):
        before = padding_before(layer.padding, n_src, n_dst, size, stride)
        axes.append(window(n_src, n_dst, size, stride, before=before).place(src, dst))
    return axes


def _channels(call: Conversion, layout: Layout, target: Tensor) -> Axis:
    """Channels, one to one."""
    source = call.source
    channels = one_to_one(layout.channels(source.shape))
    return channels.place(layout.channel_stride(source.shape), layout.channel_stride(target.shape))


def _whole_channels(call: Conversion, layout: Layout) -> list[Axis]:
    """All positions into one, channels one to one."""
    source = call.source
    positions = zip(layout.spatial(source.shape), layout.spatial(source.strides), strict=True)
    axes = [fan_in(n).place(src) for n, src in positions]
    channels = one_to_one(layout.channels(source.shape))
    # The output holds one element per channel, whether or not it keeps its dimensions.
    return [*axes, channels.place(layout.channel_stride(source.shape), 1)]
