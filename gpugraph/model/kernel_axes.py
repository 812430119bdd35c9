"""What the axes of a layer's arrays mean, by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Names = tuple[str, ...]

SPACE = {1: ("width",), 2: ("height", "width"), 3: ("depth", "height", "width")}
GATES = "gate*unit"


def axis_names(layer: Any, role: str, rank: int) -> Names:
    """Return a name per axis of one of a layer's arrays.

    Parameters
    ----------
    layer : keras.Layer
        Whose array it is. A subclass of one of Keras's layers is taken for that one.
    role : str
        Keras's name of the array, such as "kernel".
    rank : int

    Returns
    -------
    tuple of str
        Of length ``rank``; ``axis0`` ... where nothing is known.
    """
    for cls in type(layer).__mro__:
        named = _NAMES.get(cls.__name__) if cls.__module__.startswith("keras.") else None
        names = named(layer, role, rank) if named else None
        if names is not None and len(names) == rank:
            return names
    if rank == 1 and role in ("bias", "scale"):
        return ("out",)
    if rank == 1 and role in ("gamma", "beta", "moving_mean", "moving_variance"):
        return ("channel",)
    return tuple(f"axis{i}" for i in range(rank))


def _space(rank: int, one: str = "time") -> Names:
    """Name the axes that a window slides along."""
    return (one,) if rank == 1 else SPACE.get(rank, ())


def _dense(layer: Any, role: str, rank: int) -> Names | None:
    return {"kernel": ("in", "out")}.get(role)


def _einsum_dense(layer: Any, role: str, rank: int) -> Names | None:
    _, kernel, out = re.split(",|->", layer.equation.replace(" ", ""))
    if role == "kernel":
        return tuple(kernel)
    return tuple(x for x in out if x in (layer.bias_axes or "")) if role == "bias" else None


def _conv(layer: Any, role: str, rank: int) -> Names | None:
    channels = "in" if getattr(layer, "groups", 1) == 1 else "in/groups"
    return (*_space(rank - 2), channels, "out") if role == "kernel" else None


def _conv_transpose(layer: Any, role: str, rank: int) -> Names | None:
    return (*_space(rank - 2), "out", "in") if role == "kernel" else None


def _depthwise_conv(layer: Any, role: str, rank: int) -> Names | None:
    names = {"kernel": (*_space(rank - 2), "in", "multiplier"), "bias": ("in*multiplier",)}
    return names.get(role)


def _separable_conv(layer: Any, role: str, rank: int) -> Names | None:
    names = {
        "depthwise_kernel": (*_space(rank - 2), "in", "multiplier"),
        "pointwise_kernel": (*_space(rank - 2), "in*multiplier", "out"),
    }
    return names.get(role)


def _embedding(layer: Any, role: str, rank: int) -> Names | None:
    return {"embeddings": ("token", "feature")}.get(role)


def _cell(unit: str) -> Callable[[Any, str, int], Names | None]:
    """Name the axes of a recurrent cell's arrays by what a step makes of its inputs."""

    def names(layer: Any, role: str, rank: int) -> Names | None:
        known = {
            "kernel": ("in", unit),
            "recurrent_kernel": ("unit", unit),
            "bias": (unit,) if rank == 1 else ("input/recurrent", unit),
        }
        return known.get(role)

    return names


def _conv_cell(layer: Any, role: str, rank: int) -> Names | None:
    space, gates = _space(rank - 2, one="width"), "gate*out"
    known = {
        "kernel": (*space, "in", gates),
        "recurrent_kernel": (*space, "out", gates),
        "bias": (gates,),
    }
    return known.get(role)


_NAMES: dict[str, Callable[[Any, str, int], Names | None]] = {
    "Dense": _dense,
    "EinsumDense": _einsum_dense,
    "BaseConv": _conv,
    "BaseConvTranspose": _conv_transpose,
    "BaseDepthwiseConv": _depthwise_conv,
    "BaseSeparableConv": _separable_conv,
    "Embedding": _embedding,
    "SimpleRNNCell": _cell("unit"),
    "LSTMCell": _cell(GATES),
    "GRUCell": _cell(GATES),
    "ConvLSTMCell": _conv_cell,
}
