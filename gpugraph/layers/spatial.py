"""Zero padding, cropping and up-sampling, in one to three dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gpugraph.axes import Axis, one_to_one, pairs, window
from gpugraph.conversion import Conversion
from gpugraph.layers.layout import Layout
from gpugraph.population import Tensor
from gpugraph.registry import converts


@converts("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def zero_padding(call: Conversion) -> Tensor:
    """Each input to its place, weight 1 (`copy`); the padding's nodes have no edges."""
    befores = [before for before, _ in _per_dimension(call.layer.padding)]
    return _moved(call, lambda i, n_src, n_dst: window(n_src, n_dst, before=befores[i]))


@converts("Cropping1D", "Cropping2D", "Cropping3D")
def cropping(call: Conversion) -> Tensor:
    """Each input that stays to its place, weight 1 (`copy`)."""
    befores = [before for before, _ in _per_dimension(call.layer.cropping)]
    return _moved(call, lambda i, n_src, n_dst: window(n_src, n_dst, before=-befores[i]))


@converts("UpSampling1D", "UpSampling2D", "UpSampling3D")
def up_sampling(call: Conversion) -> Tensor:
    """Each input to its copies (`copy`), or with the weights of the interpolation (`mean`)."""
    if getattr(call.layer, "interpolation", "nearest") == "nearest":
        return _moved(call, lambda _, n_src, n_dst: _repeated(n_src, n_dst // n_src))
    return _moved(call, lambda _, n_src, n_dst: _interpolated(call, n_src, n_dst // n_src), "mean")


def _per_dimension(amounts: Any) -> Sequence[tuple[int, int]]:
    """Return (before, after) per dimension; the 1D layers give a bare pair."""
    return [tuple(amounts)] if isinstance(amounts[0], int) else amounts


def _moved(call: Conversion, axis: Callable[[int, int, int], Axis], kind: Any = "copy") -> Tensor:
    """Project every spatial dimension along its own axis, channels one to one."""
    layer = call.layer
    # The 1D layers know no data format: (steps, channels).
    layout = Layout.of(layer) if hasattr(layer, "data_format") else Layout(False)
    source = call.source
    target = call.population(
        channels_first=layout.channels_first if hasattr(layer, "data_format") else None
    )
    axes = []
    for i, (n_src, n_dst, src, dst) in enumerate(
        zip(
            layout.spatial(source.shape),
            layout.spatial(target.shape),
            layout.spatial(source.strides),
            layout.spatial(target.strides),
            strict=True,
        )
    ):
        axes.append(axis(i, n_src, n_dst).place(src, dst))
    channels = one_to_one(layout.channels(source.shape))
    src, dst = layout.channel_stride(source.shape), layout.channel_stride(target.shape)
    call.project(source, target, [*axes, channels.place(src, dst)], kind=kind)
    return target


def _repeated(n: int, times: int) -> Axis:
    """Position i to positions ``i * times ... i * times + times - 1``."""
    dst = np.arange(n * times)
    return pairs(dst // times, dst, dst % times, n, n * times, times)


def _interpolated(call: Conversion, n: int, times: int) -> Axis:
    """Position i to every position that it has a share in.

    The interpolations are linear and separable, so resizing unit vectors shows the shares that
    the backend itself uses.
    """
    import keras

    interpolation = call.layer.interpolation
    unit_vectors = np.eye(n, dtype=np.float32)[None, :, None, :]
    try:
        resized = keras.ops.image.resize(
            unit_vectors, (n * times, 1), interpolation=interpolation, data_format="channels_last"
        )
    except ValueError as error:
        raise call.unsupported(f"this backend has no '{interpolation}' interpolation") from error
    shares = np.asarray(keras.ops.convert_to_numpy(resized))[0, :, 0, :]
    dst, src = np.nonzero(shares)
    # The tap tells the phase and the distance, so that equal taps step evenly.
    distance = src - dst // times
    distance -= distance.min()
    tap = (dst % times) * (int(distance.max()) + 1) + distance
    return pairs(src, dst, tap, n, n * times, int(tap.max()) + 1, shares[dst, src])
