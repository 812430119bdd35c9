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
    if function is None or function is keras.activations.linear:
        return LINEAR
    if isinstance(function, keras.Layer):  # Dense(activation=keras.layers.LeakyReLU())
        return layer_activation(function)
    name = getattr(function, "__name__", type(function).__name__)
    if name == "glu":
        raise call.unsupported("its activation 'glu' halves the number of channels")
    return Activation(name, KerasFunction(function))


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
    name, usual = ACTIVATION_LAYERS.get(type(layer).__name__, (layer.name, {}))
    options = {key: getattr(layer, key) for key in usual}
    unusual = [
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in options.items()
        if value != usual[key]
    ]
    return Activation(f"{name}({', '.join(unusual)})" if unusual else name, KerasFunction(layer))


@dataclass(frozen=True)
class KerasFunction:
    """A Keras function or layer as a map from numpy to numpy."""

    function: Any

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the function of an array."""
        import keras

        y = self.function(keras.ops.convert_to_tensor(x))
        return np.asarray(keras.ops.convert_to_numpy(y))
