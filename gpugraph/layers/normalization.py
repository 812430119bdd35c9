"""Layers that scale and shift by numbers of their own, and SpectralNormalization."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.layers.weights import array
from gpugraph.population import Tensor
from gpugraph.registry import converts


@converts("BatchNormalization")
def batch_normalization(call: Conversion) -> Tensor:
    """One to one, weight gamma / sqrt(variance + epsilon), as at inference (`scale`)."""
    layer, source = call.layer, call.sources[0]  # a mask only matters in training
    mean, variance = (
        array(v).astype(np.float64) for v in (layer.moving_mean, layer.moving_variance)
    )
    scale = 1 / np.sqrt(variance + layer.epsilon)
    if layer.scale:
        scale = scale * array(layer.gamma)
    shift = -mean * scale
    if layer.center:
        shift = shift + array(layer.beta)
    (channel,) = call.dimensions(layer.axis, len(source.shape))
    if source.shape[channel] != scale.size:
        raise call.misfit(f"{scale.size} features along axis {layer.axis}")
    along = [-1 if i == channel else 1 for i in range(len(source.shape))]
    return _scaled(call, source, scale.reshape(along), shift.reshape(along))


@converts("Normalization")
def normalization(call: Conversion) -> Tensor:
    """One to one, weight 1 / standard deviation (`scale`)."""
    layer = call.layer
    if layer.mean is None:
        raise call.unsupported("it has no mean and variance yet (adapt it, or pass them)")
    import keras

    mean, variance = (array(v).astype(np.float64) for v in (layer.mean, layer.variance))
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    scale, shift = (deviation, mean) if layer.invert else (1 / deviation, -mean / deviation)
    return _scaled(call, call.source, _without_batch(scale), _without_batch(shift))


@converts("Rescaling")
def rescaling(call: Conversion) -> Tensor:
    """One to one, weight ``scale`` (`scale`), bias ``offset``."""
    import keras

    # Through a tensor, as in the layer: Keras reads plain numbers as float32, whatever follows.
    scale, offset = (
        array(keras.ops.cast(value, call.dtype.name))
        for value in (call.layer.scale, call.layer.offset)
    )
    if scale.ndim and keras.config.image_data_format() == "channels_first":
        scale = scale.reshape(scale.shape + (1,) * (3 - scale.ndim))
    return _scaled(call, call.source, scale, offset)


@converts("LayerScale")
def layer_scale(call: Conversion) -> Tensor:
    """One to one, weight gamma of the channel (`scale`)."""
    return _scaled(call, call.source, array(call.layer.gamma))


@converts("SpectralNormalization")
def spectral_normalization(call: Conversion) -> Sequence[Tensor]:
    """What the layer inside becomes, with its kernel as training left it."""
    if not hasattr(call.layer.layer, "kernel"):
        raise call.unsupported("embeddings in it are cut off to whole numbers, like their tokens")
    return call.convert(call.layer.layer, None, call.sources, call.call.output_shapes)


def _without_batch(values: np.ndarray) -> np.ndarray:
    """Drop the leading dimension of one that stands for the batch."""
    return values[0] if values.ndim and values.shape[0] == 1 else values


def _scaled(
    call: Conversion, source: Tensor, scale: np.ndarray, shift: np.ndarray | None = None
) -> Tensor:
    """Project one to one with a weight and a bias that broadcast over the shape."""
    target = call.population(bias=shift, sources=[source])
    call.project_elementwise(source, target, scale, kind="scale")
    return target
