"""Operations on images: filters, patches put together, colours, likeness, pixels that move."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpugraph.axes import Axis, one_to_one, pairs
from gpugraph.conversion import Conversion
from gpugraph.layers.einsum import project
from gpugraph.layers.functional import as_layer
from gpugraph.layers.layout import Layout, padding_before
from gpugraph.layers.operation import OperationFunction, arguments_of, has_tensor, tensors_of
from gpugraph.layers.probed import probed
from gpugraph.layers.weights import array
from gpugraph.population import Tensor
from gpugraph.registry import converts


@converts("ops.GaussianBlur")
def gaussian_blur(call: Conversion) -> Tensor:
    """As the layer DepthwiseConv2D whose kernel it is (`weight`); beyond the border are zeros."""
    _check_images(call)
    if _has_own_borders():
        return probed(call)[0]
    layout, (rows, columns) = Layout.of(call.layer), map(int, call.layer.kernel_size)
    # Keras is asked what becomes of a single point: the kernel, turned round.
    sizes = (2 * rows - 1, 2 * columns - 1)
    point = np.zeros(sizes, np.float32)
    point[rows - 1, columns - 1] = 1
    blurred = array(call.layer(point.reshape(1, *layout.shape(sizes, 1)))).reshape(sizes)
    y, x = (padding_before("same", n, n, n, 1) for n in (rows, columns))
    kernel = blurred[y : y + rows, x : x + columns][::-1, ::-1, None, None]
    return as_layer(
        call,
        "DepthwiseConv2D",
        {"kernel": np.repeat(kernel, layout.channels(call.source.shape), axis=2)},
        kernel_size=(rows, columns),
        padding="same",
        use_bias=False,
        data_format=call.layer.data_format,
    )


@converts("ops.SobelEdges")
def sobel_edges(call: Conversion) -> Tensor:
    """The pixels around, weighed in either direction (`weight`); TensorFlow's border reflects."""
    if _has_own_borders():
        return probed(call)[0]
    layout, source, target = Layout.of(call.layer), call.source, call.population()
    channel = layout.channel_stride(source.shape)
    sizes, steps = layout.spatial(source.shape), layout.spatial(source.strides)
    for direction in range(2):  # down, and to the right: a difference; across: a smooth sum
        axes = [
            _reflected(n, [-1, 1] if d == direction else [-1, 0, 1]).place(
                step, 2 * step, 3 if d == direction else 1
            )
            for d, (n, step) in enumerate(zip(sizes, steps, strict=True))
        ]
        axes.append(one_to_one(layout.channels(source.shape)).place(channel, 2 * channel))
        axes.append(pairs([0], [direction], [0], 1, 2, 1).place(dst=1))
        call.project(source, target, axes, np.outer([-1, 1], [1, 2, 1]))
    return target


@converts("ops.Fold")
def fold(call: Conversion) -> Tensor:
    """Each value of a patch to its place, weight 1 (`copy`); where patches meet, they add up."""
    source, target, layer = call.source, call.population(), call.layer
    channels, height, width = target.shape
    size, dilation, padding, stride = (
        np.broadcast_to(getattr(layer, name), 2)
        for name in ("kernel_size", "dilation", "padding", "stride")
    )
    patches = ((height, width) + 2 * padding - dilation * (size - 1) - 1) // stride + 1
    n_taps, n_patches = int(size.prod()), int(patches.prod())
    if source.shape != (channels * n_taps, n_patches):
        raise call.misfit(f"{n_patches} patches")
    # The place of every value of a channel's patches, along rows and along columns.
    tap, patch = np.indices((*size, *patches)).reshape(2, 2, -1)
    y, x = patch * stride[:, None] + tap * dilation[:, None] - padding[:, None]
    src = np.flatnonzero((y >= 0) & (y < height) & (x >= 0) & (x < width))
    n_src, n_dst, number = n_taps * n_patches, height * width, tap[0] * size[1] + tap[1]
    axis = pairs(src, (y * width + x)[src], number[src], n_src, n_dst, n_taps)
    axes = [one_to_one(channels).place(n_src, n_dst), axis.place(1, 1)]
    call.project(source, target, axes, kind="copy")
    return target


@converts("ops.RGBToHSV", "ops.HSVToRGB")
def colours(call: Conversion) -> Tensor:
    """Every colour of a pixel to every other of that pixel (`dynamic`)."""
    rank = len(call.source.shape)
    (channel,) = call.dimensions(-3 if Layout.of(call.layer).channels_first else -1, rank)
    target = call.population(dynamics=OperationFunction(call.call))
    into = "abc"[:rank]
    out = into.replace(into[channel], "d")
    project(call, call.source, into, target, out, kind="dynamic")
    return target


@converts("ops.SSIM")
def likeness(call: Conversion) -> Tensor:
    """Every value of both images to what they have in common (`dynamic`)."""
    _check_images(call)
    if len(call.sources) != 2:
        raise call.unsupported("one of its images is a constant")
    images = [*tensors_of(call).values()]
    target = call.population(dynamics=OperationFunction(call.call), sources=images)
    for source in images:
        project(call, source, "abc", target, "", kind="dynamic")
    return target


@converts("ops.AffineTransform", "ops.PerspectiveTransform")
def transform(call: Conversion) -> Tensor:
    """Pixels to those that they are blended into (`weight`), as found by probing Keras."""
    _check_images(call)
    _, *constants = arguments_of(call).values()
    if has_tensor(constants):
        raise call.unsupported("where its pixels go depends on the inputs, and with it the edges")
    if any(np.size(constant) > 8 for constant in constants):  # four points, or as many numbers
        raise call.unsupported("where its pixels go differs from sample to sample of the batch")
    (target,) = probed(call)
    return target


def _has_own_borders() -> bool:
    """Whether Keras's backend filters borders otherwise than TensorFlow, and has to be probed."""
    import keras

    return keras.backend.backend() != "tensorflow"


def _check_images(call: Conversion) -> None:
    """Refuse a single image, whose first dimension would be the batch."""
    if len(call.sources[0].shape) != 3:
        raise call.unsupported("it takes a single image, whose first dimension would be the batch")


def _reflected(n: int, offsets: Sequence[int]) -> Axis:
    """Every position from those around it; beyond the border, from where that is reflected."""
    origin = np.pad(np.arange(n), 1, mode="reflect")
    dst, tap = np.indices((n, len(offsets))).reshape(2, -1)
    return pairs(origin[1 + dst + np.take(offsets, tap)], dst, tap, n, n, len(offsets))
