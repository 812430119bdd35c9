"""Keras's masks: which layer makes one, which tensors carry it on, and which layers use it.

A mask says for each input anew which of its time steps are left out, so a layer that uses one has
no fixed edges. Masks travel with tensors, unseen in the model's graph; here their way is followed
as Keras's ``Layer.__call__`` goes it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpugraph.errors import UnsupportedLayerError
from gpugraph.layer_call import LayerCall

# Layers whose output bears a mask though no input does.
MAKERS = ("Embedding", "Masking", "ReversibleEmbedding", "Lambda")
# Layers that look at the masks of their tensors themselves, instead of being given them.
LOOKING = ("Multiply", "Maximum", "Minimum")
# Layers that need a mask for training only.
RESTING = ("BatchNormalization",)


@dataclass(frozen=True, eq=False)
class Mask:
    """The mask that a tensor carries.

    Attributes
    ----------
    maker : str
        Name of the layer call that made it.
    spec : keras.KerasTensor
    """

    maker: str
    spec: Any


def arguments(layer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what each parameter of a layer's ``call`` is given."""
    signature = inspect.signature(layer.call)
    is_open = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    # Keras drops training=... where a layer does not know it.
    known = {k: v for k, v in kwargs.items() if is_open or k in signature.parameters}
    return dict(signature.bind_partial(*args, **known).arguments)


def is_implied(name: str, masks: Mapping[str, Any]) -> bool:
    """Whether an argument of this name is a mask that the arguments it belongs to carry.

    Parameters
    ----------
    name : str
    masks : mapping of str
        What each parameter of the call is given, and the `Mask` of each tensor in there.
    """
    carrying = {parameter for parameter, value in masks.items() if _found(value)}
    return bool(carrying) if name == "mask" else name.removesuffix("_mask") in carrying - {name}


def used_masks(layer: Any, tensors: Mapping[str, Any], masks: Mapping[str, Any]) -> tuple[str, ...]:
    """Return which calls made the masks that a layer uses at inference.

    Parameters
    ----------
    layer : keras.Layer
    tensors, masks : mapping of str
        What each parameter of its call is given, and the `Mask` of each tensor in there.
    """
    accepted = inspect.signature(layer.call).parameters
    given = [name for name, value in tensors.items() if _holds_tensors(value)]
    if type(layer).__name__ in LOOKING:
        read = given
    elif len(given) == 1:
        read = given if "mask" in accepted else []
    else:
        read = [name for name in given if f"{name}_mask" in accepted]
    if not _works_with_masks(layer):
        return ()
    return tuple(dict.fromkeys(m.maker for name in read for m in _found(masks[name])))


def masks_of_outputs(
    layer: Any, name: str, tensors: Mapping[str, Any], masks: Mapping[str, Any], n_outputs: int
) -> list[Mask | None]:
    """Return the mask that each output of a layer's call carries.

    Parameters
    ----------
    layer : keras.Layer
    name : str
        Of the call.
    tensors, masks : mapping of str
        As for `used_masks`.
    n_outputs : int
    """
    import keras

    none: list[Mask | None] = [None] * n_outputs
    cls = type(layer)
    first = next(iter(tensors))
    incoming = _found(masks[first])
    is_maker = cls.__name__ in MAKERS or not cls.__module__.startswith("keras.")
    if not (incoming or is_maker):
        return none
    if cls.__name__ == "ReversibleEmbedding":
        # Marks its output in call(), and switches off what it inherits.
        compute = super(cls, layer).compute_mask if not tensors.get("reverse") else None
    else:
        compute = layer.compute_mask if layer.supports_masking else None
    if compute is None:
        return none
    inputs = keras.tree.map_structure(_unlinked, tensors[first])
    carried = keras.tree.map_structure(_spec, masks[first])
    found = keras.tree.flatten(compute(inputs, carried))
    maker = incoming[0].maker if incoming and cls.__name__ not in MAKERS else name
    made = [None if spec is None else Mask(maker, spec) for spec in found]
    return (made + none)[:n_outputs]


def refuse_masks(call: LayerCall) -> None:
    """Refuse a layer call that uses a mask.

    Raises
    ------
    UnsupportedLayerError
        Naming the layer, and what made the mask.
    """
    where = f"Cannot convert layer '{call.name}' ({call.layer_class})"
    if call.masks:
        makers = " and ".join(f"'{name}'" for name in call.masks)
        raise UnsupportedLayerError(
            f"{where}: it leaves out what the mask of layer {makers} says, which differs from "
            f"input to input. Make {makers} without a mask (mask_zero=False for an Embedding, no "
            f"Masking), or cut the model before '{call.name}'."
        )
    is_keras_layer = type(call.layer).__module__.startswith("keras.src.layers.")
    if is_keras_layer and _works_with_masks(call.layer):
        for name, value in arguments(call.layer, call.args, call.kwargs).items():
            if (name == "mask" or name.endswith("_mask")) and not _is_empty(value):
                raise UnsupportedLayerError(
                    f"{where}: it is called with {name}=..., which decides which of its edges "
                    "there are. Call it without, or cut the model before this layer."
                )


def _works_with_masks(layer: Any) -> bool:
    """Whether a mask changes what a layer that takes one computes at inference."""
    if type(layer).__name__ == "TimeDistributed":
        takes = "mask" in inspect.signature(layer.layer.call).parameters
        return takes and _works_with_masks(layer.layer)
    return type(layer).__name__ not in RESTING


def _holds_tensors(structure: Any) -> bool:
    import keras

    return any(isinstance(x, keras.KerasTensor) for x in keras.tree.flatten(structure))


def _found(structure: Any) -> list[Mask]:
    """Return the masks in nested arguments."""
    import keras

    return [x for x in keras.tree.flatten(structure) if isinstance(x, Mask)]


def _spec(value: Any) -> Any:
    """Return a mask as Keras knows it; None for what has none."""
    return _unlinked(value.spec) if isinstance(value, Mask) else None


def _unlinked(value: Any) -> Any:
    """Return a tensor's twin, on which operations leave no trace in the model's graph."""
    import keras

    is_tensor = isinstance(value, keras.KerasTensor)
    return keras.KerasTensor(value.shape, dtype=value.dtype) if is_tensor else value


def _is_empty(value: Any) -> bool:
    """Whether an argument is None, or made of Nones, or a switch (``use_causal_mask``)."""
    if isinstance(value, (list, tuple)):
        return all(_is_empty(x) for x in value)
    return value is None or isinstance(value, bool)
