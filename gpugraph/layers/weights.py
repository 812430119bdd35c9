"""A layer's weights and activation function as the graph holds them."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.population import LINEAR, Activation

# Activations that Keras offers as layers, by the names of the functions.
LAYER_NAMES = {
    "ReLU": "relu",
    "LeakyReLU": "leaky_relu",
    "PReLU": "prelu",
    "ELU": "elu",
    "Softmax": "softmax",
}


def array(values: Any) -> np.ndarray:
    """Return a Keras variable or tensor as numpy, sharing its memory where the backend lets us."""
    import keras

    tensor = keras.ops.stop_gradient(keras.ops.convert_to_tensor(values))
    try:
        return np.from_dlpack(tensor)
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


def activation(call: Conversion, function: Any = None) -> Activation:
    """Return a layer's activation function (or the one given)."""
    import keras

    function = call.layer.activation if function is None else function
    if function is None or function is keras.activations.linear:
        return LINEAR
    if isinstance(function, keras.Layer):  # Dense(activation=keras.layers.LeakyReLU())
        name = LAYER_NAMES.get(type(function).__name__, function.name)
        return Activation(name, keras_function(function))
    name = getattr(function, "__name__", type(function).__name__)
    return Activation(name, keras_function(function))


def keras_function(function: Any) -> Any:
    """Wrap a Keras function or layer so that it maps numpy to numpy."""
    import keras

    def on_arrays(x: np.ndarray) -> np.ndarray:
        return np.asarray(keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(x))))

    return on_arrays
