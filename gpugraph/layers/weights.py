"""A layer's weights and activation function as the graph holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.population import LINEAR, Activation


def array(values: Any) -> np.ndarray:
    """Return what a Keras variable or tensor holds now, as numpy.

    TensorFlow and jax never write to a tensor again, so its memory is shared; torch trains in
    place, so there it is copied.
    """
    import keras

    tensor = keras.ops.stop_gradient(keras.ops.convert_to_tensor(values))
    try:
        shared = np.from_dlpack(tensor)
        return shared.copy() if shared.flags.writeable else shared
    except (TypeError, BufferError, RuntimeError, AttributeError, ValueError):
        # bfloat16, or memory that numpy cannot reach
        return np.asarray(keras.ops.convert_to_numpy(tensor))


def kernel(call: Conversion, name: str = "kernel") -> np.ndarray:
    """Return a layer's kernel; refuse quantised ones."""
    mode = getattr(call.layer, "quantization_mode", None)
    if mode is not None:
        raise call.unsupported(
            f"it is quantised ({mode}), and its kernel is not what it multiplies by"
        )
    return array(getattr(call.layer, name))


def bias(call: Conversion, channels_first: bool = False) -> np.ndarray | None:
    """Return a layer's bias per channel, shaped to broadcast over its output."""
    values = getattr(call.layer, "bias", None)
    if values is None:
        return None
    rank = len(call.output_shape)
    return array(values).reshape((-1, *[1] * (rank - 1)) if channels_first else -1)


def activation(call: Conversion, name: str = "activation") -> Activation:
    """Return a layer's activation function, or the one that it holds by another name."""
    import keras

    function = getattr(call.layer, name)
    while isinstance(function, keras.layers.Activation):
        function = function.activation
    if function is None or function is keras.activations.linear:
        return LINEAR
    if is_activation_layer(function):  # Dense(activation=keras.layers.LeakyReLU())
        return layer_activation(function)
    name = getattr(function, "__name__", type(function).__name__)
    if name == "glu":
        raise call.unsupported("its activation 'glu' halves the number of channels")
    if isinstance(function, keras.Layer):
        raise call.unsupported(
            f"its activation is a layer, {name}, whose edges would not show; call it by itself"
        )
    if is_keras_activation(name, function):
        return Activation(name, KerasFunction(function), (-1,) if name in MEETING else ())
    if call.draft.couplings:
        raise call.unsupported(
            f"whether neurons meet in its activation '{name}', as they do in softmax, cannot be "
            "told, and couplings are asked for"
        )
    return Activation(name, KerasFunction(function))


# Activations in which the neurons along the last axis meet.
MEETING = {"softmax", "log_softmax", "sparsemax"}


def is_keras_activation(name: str, function: Any) -> bool:
    """Whether a function is one of ``keras.activations``, by that name or as an operation."""
    import keras

    return hasattr(keras.activations, name) and function in (
        getattr(keras.activations, name),
        getattr(keras.ops, name, None),
    )


def is_activation_layer(function: Any) -> bool:
    """Whether something is one of Keras's layers that are an activation."""
    cls = type(function)
    return cls.__name__ in ACTIVATION_LAYERS and cls.__module__.startswith("keras.")


# Activations that Keras offers as layers: the function's name, and the options that change it
# with their usual values.
ACTIVATION_LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ReLU": ("relu", {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}),
    "LeakyReLU": ("leaky_relu", {"negative_slope": 0.3}),
    "PReLU": ("prelu", {}),
    "ELU": ("elu", {"alpha": 1.0}),
    "Softmax": ("softmax", {"axis": -1}),
}


def layer_activation(layer: Any) -> Activation:
    """Return a layer that is an activation, named with unusual options: ``relu(max_value=6)``."""
    name, usual = ACTIVATION_LAYERS[type(layer).__name__]
    options = {key: getattr(layer, key) for key in usual}
    unusual = [
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in options.items()
        if value != usual[key]
    ]
    axes = options.get("axis", ())
    return Activation(
        f"{name}({', '.join(unusual)})" if unusual else name,
        KerasFunction(layer),
        (axes,) if isinstance(axes, int) else tuple(axes),
    )


@dataclass(frozen=True)
class KerasFunction:
    """A Keras function or layer as a map from numpy to numpy."""

    function: Any

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the function of an array."""
        import keras

        y = self.function(keras.ops.convert_to_tensor(x))
        return np.asarray(keras.ops.convert_to_numpy(y))
