"""Activation and the layers that are one activation function each."""

from __future__ import annotations

from gpugraph.conversion import Conversion
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


@converts("Softmax")
def softmax(call: Conversion) -> Tensor:
    """One to one, weight 1 (`copy`), the function on the nodes; couplings along its axes."""
    return call.activated(call.source, layer_activation(call.layer))


@converts("PReLU")
def prelu(call: Conversion) -> Tensor:
    """One to one, weight 1 (`copy`), the function on the nodes and its alpha as an attribute."""
    alpha = {"alpha": array(call.layer.alpha)}
    return call.activated(call.source, layer_activation(call.layer), attributes=alpha)
