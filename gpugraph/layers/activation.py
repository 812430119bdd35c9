"""Activation and the layers that are one activation function each."""

from __future__ import annotations

from gpugraph.conversion import Conversion
from gpugraph.layers.weights import activation, array, layer_activation
from gpugraph.population import LINEAR, Activation, Tensor
from gpugraph.registry import converts


@converts("Activation")
def activation_layer(call: Conversion) -> Tensor:
    """One to one, weight 1 (`copy`), the function on the nodes; "linear" makes no nodes."""
    function = activation(call)
    return call.source if function is LINEAR else _copied(call, function)


@converts("ReLU", "LeakyReLU", "ELU", "Softmax")
def activation_function(call: Conversion) -> Tensor:
    """One to one, weight 1 (`copy`), the function on the nodes."""
    return _copied(call, layer_activation(call.layer))


@converts("PReLU")
def prelu(call: Conversion) -> Tensor:
    """One to one, weight 1 (`copy`), the function on the nodes and its alpha as an attribute."""
    return _copied(call, layer_activation(call.layer), alpha=array(call.layer.alpha))


def _copied(call: Conversion, function: Activation, **attributes: object) -> Tensor:
    """Copy the source into a population with an activation function."""
    target = call.population(activation=function, attributes=attributes)  # type: ignore[arg-type]
    call.project_elementwise(call.source, target)
    return target
