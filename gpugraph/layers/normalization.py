"""Layers that scale and shift: BatchNormalization, Normalization, Rescaling."""

from __future__ import annotations

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.layers.weights import array
from gpugraph.population import Tensor
from gpugraph.registry import converts


@converts("BatchNormalization")
def batch_normalization(call: Conversion) -> Tensor:
    """One to one, weight gamma / sqrt(variance + epsilon), as at inference (`scale`)."""
    layer, shape = call.layer, call.source.shape
    mean, variance = (
        array(v).astype(np.float64) for v in (layer.moving_mean, layer.moving_variance)
    )
    scale = 1 / np.sqrt(variance + layer.epsilon)
    if layer.scale:
        scale = scale * array(layer.gamma)
    shift = -mean * scale
    if layer.center:
        shift = shift + array(layer.beta)
    axis = layer.axis % (len(shape) + 1) - 1
    if axis < 0 or shape[axis] != scale.size:
        raise call.misfit(f"{scale.size} features along axis {layer.axis}")
    along = [-1 if i == axis else 1 for i in range(len(shape))]
    return _scaled(call, scale.reshape(along), shift.reshape(along))


@converts("Normalization")
def normalization(call: Conversion) -> Tensor:
    """One to one, weight 1 / standard deviation (`scale`)."""
    layer = call.layer
    if layer.mean is None:
        raise call.unsupported("it has no mean and variance yet (adapt it, or pass them)")
    import keras

    mean, variance = (array(v).astype(np.float64) for v in (layer.mean, layer.variance))
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    if layer.invert:
        return _scaled(call, _without_batch(deviation), _without_batch(mean))
    return _scaled(call, _without_batch(1 / deviation), _without_batch(-mean / deviation))


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
    return _scaled(call, scale, offset)


def _without_batch(values: np.ndarray) -> np.ndarray:
    """Drop the leading dimension of one that stands for the batch."""
    return values[0] if values.ndim and values.shape[0] == 1 else values


def _scaled(call: Conversion, scale: np.ndarray, shift: np.ndarray) -> Tensor:
    """Project one to one with a weight and a bias that broadcast over the shape."""
    target = call.population(bias=shift)
    call.project_elementwise(call.source, target, scale, kind="scale")
    return target
