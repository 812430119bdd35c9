"""Activation and the layers that are one activation function each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.layers.scores import Softmax, drop
from gpugraph.layers.weights import activation, array, layer_activation
from gpugraph.population import LINEAR, Tensor
from gpugraph.registry import converts


@converts("Activation")
def activation_layer(call: Conversion) -> Tensor:
    """One to one, weight 1 (`copy`), the function on the nodes; "linear" makes no nodes."""
    function = activation(call)
    return call.source if function is LINEAR else call.activated(call.source, function)


@converts("ReLU", "LeakyReLU", "ELU")
def activation_function(call: Conversion) -> Tensor:
    """One to one, weight 1 (`copy`), the function on the nodes."""
    return call.activated(call.source, layer_activation(call.layer))


@converts("Softmax", masks=True)
def softmax(call: Conversion) -> Tensor:
    """One to one, weight 1 (`copy`), the function on the nodes; couplings along its axes."""
    function = layer_activation(call.layer)
    if not call.masks:
        return call.activated(call.source, function)
    source, mask = call.source, call.mask
    if len(mask.shape) != len(source.shape):
        raise call.unsupported(
            f"its mask of shape {mask.shape} joins the samples of its input of shape {source.shape}"
        )
    target = call.population(
        activation=replace(function, function=Softmax(function.axes)),
        dynamics=_left,
        sources=[source, mask],
    )
    call.project_elementwise(source, target)
    call.project_elementwise(mask, target, kind="dynamic")
    return target


def _left(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the values that a mask has, and -inf in place of others."""
    return drop(values, mask > 0.5)


@converts("PReLU")
def prelu(call: Conversion) -> Tensor:
    """One to one, weight 1 (`copy`), the function on the nodes and its alpha as an attribute."""
    alpha = {"alpha": array(call.layer.alpha)}
    return call.activated(call.source, layer_activation(call.layer), attributes=alpha)
