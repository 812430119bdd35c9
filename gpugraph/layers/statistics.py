"""Layers that normalise each sample by its own statistics: every neuron by those of its group.

The edge from a neuron to its own output weighs gamma. With couplings, edges of kind ``dynamic``
lead from every neuron of a group to every output of the group, its own among them, since all of
them make the statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.layers.weights import array
from gpugraph.population import Tensor
from gpugraph.registry import converts

# Takes values, and the axes along which a group extends, to the normalised values.
Normalise = Callable[[np.ndarray, tuple[int, ...]], np.ndarray]


@converts("LayerNormalization")
def layer_normalization(call: Conversion) -> Tensor:
    """One to one, weight gamma (`scale`); nodes are normalised over the axes, then add beta."""
    layer, shape = call.layer, call.source.shape
    dimensions = call.dimensions(layer.axis, len(shape))
    # Keras reshapes gamma and beta to these, in whatever order it was given the axes.
    along = [n if i in dimensions else 1 for i, n in enumerate(shape)]

    def normalise(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        centred = x - _mean(x, axes)
        deviation = np.sqrt(_mean(centred**2, axes) + layer.epsilon)
        return (x if layer.rms_scaling else centred) / deviation

    gamma, beta = (_shaped(call, v, along) for v in (layer.gamma, layer.beta))
    return _normalised(call, normalise, dimensions, gamma, beta)


@converts("GroupNormalization")
def group_normalization(call: Conversion) -> Tensor:
    """One to one, weight gamma (`scale`); nodes are normalised within each group of channels."""
    layer, shape = call.layer, call.source.shape
    (channel,) = call.dimensions(layer.axis, len(shape))
    grouped = [layer.groups, shape[channel] // layer.groups]
    along = [n if i == channel else 1 for i, n in enumerate(shape)]

    def normalise(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        centred = x - _mean(x, axes)
        return centred / np.sqrt(_mean(centred**2, axes) + layer.epsilon)

    gamma, beta = (_shaped(call, v, along) for v in (layer.gamma, layer.beta))
    return _normalised(
        call,
        normalise,
        [i for i in range(len(shape) + 1) if i != channel],
        gamma,
        beta,
        seen=(*shape[:channel], *grouped, *shape[channel + 1 :]),
    )


@converts("RMSNormalization")
def rms_normalization(call: Conversion) -> Tensor:
    """One to one, weight scale (`scale`); nodes are divided by the root mean square."""
    layer = call.layer

    def normalise(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        return x / np.sqrt(_mean(x**2, axes) + layer.epsilon)

    dimensions = call.dimensions(layer.axis, len(call.source.shape))
    # Keras multiplies by the scale as it is: along the last dimensions, whatever the axes.
    return _normalised(call, normalise, dimensions, array(layer.scale))


@converts("UnitNormalization")
def unit_normalization(call: Conversion) -> Tensor:
    """One to one, weight 1 (`scale`); nodes are divided by the length of their group's vector."""

    def normalise(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        length = np.sqrt(np.sum(x**2, axes, np.float64, keepdims=True))
        return x / np.maximum(length, 1e-12).astype(x.dtype)

    dimensions = call.dimensions(call.layer.axis, len(call.source.shape))
    return _normalised(call, normalise, dimensions)


def _mean(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Mean over a group, as accurate over images as over vectors."""
    return np.mean(x, axes, np.float64, keepdims=True).astype(x.dtype)


def _shaped(call: Conversion, values: Any, shape: Sequence[int]) -> np.ndarray | None:
    """Return a layer's gamma or beta, if it has one, so that it broadcasts."""
    if values is None:
        return None
    if prod(values.shape) != prod(shape):
        raise call.misfit(f"{prod(values.shape)} features along axis {call.layer.axis}")
    return array(values).reshape(shape)


def _normalised(
    call: Conversion,
    normalise: Normalise,
    dimensions: Sequence[int],
    gamma: np.ndarray | None = None,
    beta: np.ndarray | None = None,
    *,
    seen: tuple[int, ...] | None = None,
) -> Tensor:
    """Add nodes that hold ``gamma * normalise(source) + beta``.

    Parameters
    ----------
    call : Conversion
    normalise : callable
    dimensions : sequence of int
        Along which a group extends.
    gamma, beta : array broadcastable to the source's shape, optional
    seen : tuple of int, optional
        The shape in which groups are dimensions; by default the source's.
    """
    source = call.source
    groups = source.reshape(source.shape if seen is None else seen)
    axes = tuple(i + 1 for i in dimensions)  # behind the batch

    def dynamics(x: np.ndarray) -> np.ndarray:
        y = normalise(x.reshape(len(x), *groups.shape), axes).reshape(x.shape)
        return y if gamma is None else y * gamma

    target = call.population(bias=beta, dynamics=dynamics)
    call.project_elementwise(source, target, gamma, kind="scale")
    call.couple(groups, target.reshape(groups.shape), dimensions)
    return target
