"""Zero padding, cropping, up-sampling and resizing, in one to three dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gpugraph.axes import Axis, one_to_one, pairs, window
from gpugraph.conversion import Conversion
from gpugraph.layers.layout import Layout
from gpugraph.layers.resampling import shared, shares
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
    interpolation = getattr(call.layer, "interpolation", "nearest")
    if interpolation == "nearest":
        return _moved(call, lambda _, n_src, n_dst: _repeated(n_src, n_dst // n_src))
    return _moved(
        call,
        lambda _, n_src, n_dst: shared(shares(call, n_src, n_dst, interpolation), n_src),
        "mean",
    )


@converts("Resizing")
def resizing(call: Conversion) -> Tensor:
    """Each input to its copies (`copy`), or with the weights of the interpolation (`mean`)."""
    layer = call.layer
    sizes = _image_size(call)
    if layer.interpolation != "nearest" and takes_integers(layer):
        raise call.unsupported("it takes whole numbers, and rounds what it interpolates")
    targets = (layer.height, layer.width)
    frames = [range(n) for n in sizes]
    if layer.crop_to_aspect_ratio:
        frames = _cropped(sizes, targets)
    elif layer.pad_to_aspect_ratio:
        frames = _padded(sizes, targets)
    return _framed(call, frames, layer.interpolation, layer.antialias, layer.fill_value)


@converts("CenterCrop")
def center_crop(call: Conversion) -> Tensor:
    """The inputs in the middle, weight 1 (`copy`); smaller images are resized (`mean`)."""
    sizes, targets = _image_size(call), (call.layer.height, call.layer.width)
    befores = [(n - target) // 2 for n, target in zip(sizes, targets, strict=True)]
    if min(befores) >= 0:
        return _moved(call, lambda i, n_src, n_dst: window(n_src, n_dst, before=-befores[i]))
    return _framed(call, _cropped(sizes, targets), "bilinear")


def takes_integers(layer: Any) -> bool:
    """Whether a layer is called on whole numbers anywhere."""
    return any(
        "float" not in str(tensor.dtype)
        for node in layer._inbound_nodes
        for tensor in node.arguments.keras_tensors
    )


def _image_size(call: Conversion) -> tuple[int, ...]:
    """Height and width of the images that a layer takes."""
    if len(call.source.shape) != 3:
        raise call.unsupported(f"its input of shape {call.source.shape} is not a batch of images")
    return Layout.of(call.layer).spatial(call.source.shape)


def _in_ratio(sizes: Sequence[int], targets: Sequence[int]) -> tuple[int, int]:
    """Return the height that has the target's ratio at this width, and the width at this height.

    Keras divides in floating point; below 2^24 pixels that comes to the same.
    """
    (height, width), (rows, columns) = sizes, targets
    return width * rows // columns, height * columns // rows


def _cropped(sizes: Sequence[int], targets: Sequence[int]) -> list[range]:
    """Positions of the largest window in the middle that has the target's ratio."""
    frames = []
    for n, wanted in zip(sizes, _in_ratio(sizes, targets), strict=True):
        length = max(min(n, wanted), 1)
        frames.append(range((n - length) // 2, (n - length) // 2 + length))
    return frames


def _padded(sizes: Sequence[int], targets: Sequence[int]) -> list[range]:
    """Positions of the smallest window around the image that has the target's ratio."""
    befores = [
        (max(n, wanted) - n) // 2
        for n, wanted in zip(sizes, _in_ratio(sizes, targets), strict=True)
    ]
    return [range(-before, n + before) for n, before in zip(sizes, befores, strict=True)]


def _framed(
    call: Conversion,
    frames: Sequence[range],
    interpolation: str,
    antialias: bool = False,
    fill: float = 0.0,
) -> Tensor:
    """Resize what frames hold of an image; beyond it they hold a value, which is a bias."""
    layout = Layout.of(call.layer)
    sizes, targets = layout.spatial(call.source.shape), layout.spatial(call.output_shape)
    found = [
        shares(call, len(frame), n, interpolation, antialias)
        for frame, n in zip(frames, targets, strict=True)
    ]
    inside = [f[:, max(-r.start, 0) :][:, :n] for f, r, n in zip(found, frames, sizes, strict=True)]
    bias = None
    if fill and any(frame.start < 0 for frame in frames):
        whole, kept = (np.outer(y.sum(1), x.sum(1)) for y, x in (found, inside))
        bias = (fill * (whole - kept)).reshape(layout.shape(targets, 1))
    kind = "copy" if interpolation == "nearest" else "mean"
    return _moved(call, lambda i, n_src, _: shared(found[i], n_src, frames[i]), kind, bias)


def _per_dimension(amounts: Any) -> Sequence[tuple[int, int]]:
    """Return (before, after) per dimension; the 1D layers give a bare pair."""
    return [tuple(amounts)] if isinstance(amounts[0], int) else amounts


def _moved(
    call: Conversion,
    axis: Callable[[int, int, int], Axis],
    kind: Any = "copy",
    bias: np.ndarray | None = None,
) -> Tensor:
    """Project every spatial dimension along its own axis, channels one to one."""
    layer = call.layer
    # The 1D layers know no data format: (steps, channels).
    layout = Layout.of(layer) if hasattr(layer, "data_format") else Layout(False)
    source = call.source
    target = call.population(
        bias=bias, channels_first=layout.channels_first if hasattr(layer, "data_format") else None
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
