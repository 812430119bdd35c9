"""Keras's masks: which layer makes one, which tensors carry it on, and which layers use it.

A mask says for each input anew which of its time steps are left out. Masks travel with tensors,
unseen in the model's graph; here their way is followed as Keras's ``Layer.__call__`` goes it. What
makes a mask becomes operations of the graph (``words/mask/not_equal``) where a layer uses it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from gpugraph.errors import UnsupportedLayerError
from gpugraph.model.layer_call import LayerCall, TensorRef, refs_in, substitute
from gpugraph.registry import is_of_keras

# Layers whose output bears a mask though no input does.
MAKERS = ("Embedding", "Masking", "ReversibleEmbedding", "Lambda")
# Layers that look at the masks of their tensors themselves, instead of being given them.
LOOKING = ("Multiply", "Maximum", "Minimum")
# Layers that take the masks off the tensors that they are called on.
TAKING = ("MultiHeadAttention",)
# Layers that need a mask for training only.
RESTING = ("BatchNormalization",)
# Layers that give, at inference, the very tensor that they are called on, and so its mask.
PASSING = (
    "Identity",
    "ActivityRegularization",
    "Dropout",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "StochasticDepth",
)

# By tensor, the tensor that says which places of it there are.
Masks = Mapping[TensorRef, TensorRef | None]


@dataclass(frozen=True, eq=False)
class MadeMasks:
    """The masks that a call's outputs carry.

    Attributes
    ----------
    inputs : mapping of TensorRef to keras.KerasTensor
        Twins of the tensors and masks from which they are made, on which operations leave no
        trace in the model's graph.
    masks : list of keras.KerasTensor or None
        One per output: one of the twins, or what operations make of them.
    """

    inputs: Mapping[TensorRef, Any]
    masks: list[Any]


def arguments(layer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what each parameter of a layer's ``call`` is given."""
    signature = _signature(layer)
    is_open = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    # Keras drops training=... where a layer does not know it.
    known = {k: v for k, v in kwargs.items() if is_open or k in signature.parameters}
    return dict(signature.bind_partial(*args, **known).arguments)


def carriers(layer: Any, given: Mapping[str, Any]) -> dict[str, str]:
    """Return which parameters of a layer take masks that tensors carry, and whose tensors.

    Parameters
    ----------
    layer : keras.Layer
    given : mapping of str
        What each parameter of its call is given.
    """
    accepted = _signature(layer).parameters
    names = [name for name, value in given.items() if _holds_tensors(value)]
    if type(layer).__name__ in LOOKING or (len(names) == 1 and "mask" in accepted):
        found = dict.fromkeys(["mask"], names[0])
    elif len(names) > 1:
        found = {f"{name}_mask": name for name in names if f"{name}_mask" in accepted}
    else:
        found = {}
    return {to: name for to, name in found.items() if given.get(to) is None}


def used_masks(call: LayerCall, masks: Masks) -> dict[str, Any]:
    """Return the masks that a layer uses at inference, by the parameter that takes them.

    Parameters
    ----------
    call : LayerCall
    masks : mapping of TensorRef to TensorRef or None
        What the tensors carry.
    """
    layer = call.layer
    if not _works_with_masks(layer):
        return {}
    given = arguments(layer, call.args, call.kwargs)
    carried = {to: carried_masks(given[name], masks) for to, name in carriers(layer, given).items()}
    given_ones = given_masks(call)
    if type(layer).__name__ in TAKING:
        # It looks for the mask of its first tensor there alone.
        given_ones.pop("query_mask", None)
    return {to: found for to, found in carried.items() if refs_in(found)} | given_ones


def carried_masks(structure: Any, masks: Masks) -> Any:
    """Return the masks that nested tensors carry; None for whatever has none."""
    if isinstance(structure, TensorRef):
        return masks[structure]
    if isinstance(structure, Mapping):
        return {key: carried_masks(value, masks) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return type(structure)([carried_masks(value, masks) for value in structure])
    return None


def given_masks(call: LayerCall) -> dict[str, Any]:
    """Return the masks among the arguments of a call of one of Keras's layers, by parameter."""
    import keras

    if not isinstance(call.layer, keras.Layer) or not is_of_keras(type(call.layer)):
        return {}
    return {
        name: value
        for name, value in arguments(call.layer, call.args, call.kwargs).items()
        if (name == "mask" or name.endswith("_mask")) and not is_empty(value)
    }


def made_masks(
    layer: Any,
    given: Mapping[str, Any],
    own: Any,
    specs: Mapping[TensorRef, Any],
    masks: Masks,
) -> MadeMasks | None:
    """Return the masks that the outputs of a layer's call carry, if there are any.

    Parameters
    ----------
    layer : keras.Layer
    given : mapping of str
        What each parameter of its call is given; tensors are `TensorRef`.
    own
        Its keyword ``mask``, which takes the place of the masks that its first tensors carry.
    specs, masks : mapping of TensorRef
        The `keras.KerasTensor` of each tensor, and what it carries.
    """
    import keras

    inputs = next(iter(given.values()))
    incoming = carried_masks(inputs, masks) if own is None else own
    if is_empty(incoming) and not makes_masks(layer):
        return None
    cls = type(layer)
    if cls.__name__ == "ReversibleEmbedding":
        # Marks its output in call(), and switches off what it inherits.
        compute = super(cls, layer).compute_mask if not given.get("reverse") else None
    else:
        compute = layer.compute_mask if layer.supports_masking else None
    if compute is None:
        return None
    with fresh_names():
        twins = {ref: _twin(specs[ref]) for ref in refs_in([inputs, incoming])}
        found = compute(substitute(inputs, twins), substitute(incoming, twins))
    return MadeMasks(twins, keras.tree.flatten(found))


def makes_masks(layer: Any) -> bool:
    """Whether the outputs of a layer may carry a mask though no input does."""
    is_maker = type(layer).__name__ in MAKERS or not is_of_keras(type(layer))
    return is_maker and bool(layer.supports_masking)


def refuse_masks(call: LayerCall) -> None:
    """Refuse a layer call that uses a mask.

    Raises
    ------
    UnsupportedLayerError
        Naming the layer and the mask.
    """
    names = " and ".join(f"'{ref.label}'" for ref in dict.fromkeys(refs_in(call.masks)))
    raise UnsupportedLayerError(
        f"Cannot convert layer '{call.name}' ({call.layer_class}): it leaves out what the mask "
        f"{names} says, and its converter knows no masks. Make it without a mask (mask_zero=False "
        f"for an Embedding, no Masking), or cut the model before '{call.name}'."
    )


@contextmanager
def fresh_names() -> Iterator[None]:
    """Let Keras name operations as in a new session, and go on afterwards as before."""
    from keras.src.backend.common import global_state

    before = global_state.get_global_attribute("object_name_uids")
    global_state.set_global_attribute("object_name_uids", None)
    try:
        yield
    finally:
        global_state.set_global_attribute("object_name_uids", before)


def _signature(layer: Any) -> inspect.Signature:
    """Return the signature of a layer's ``call``, without the layer itself."""
    function = getattr(layer.call, "__func__", None)
    return inspect.signature(layer.call) if function is None else _of_method(function)


@cache  # to inspect takes its time, and models have many layers of one class
def _of_method(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a method, without its first parameter."""
    signature = inspect.signature(function)
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def _works_with_masks(layer: Any) -> bool:
    """Whether a mask changes what a layer that takes one computes at inference."""
    if type(layer).__name__ == "TimeDistributed":
        takes = "mask" in _signature(layer.layer).parameters
        return takes and _works_with_masks(layer.layer)
    return type(layer).__name__ not in RESTING


def _holds_tensors(structure: Any) -> bool:
    """Whether there are tensors, of the model or constants, in an argument."""
    import keras

    return bool(refs_in(structure)) or any(
        hasattr(x, "shape") for x in keras.tree.flatten(structure)
    )


def _twin(spec: Any) -> Any:
    """Return an input of a model of its own that is like a tensor."""
    import keras

    return keras.Input(batch_shape=spec.shape, dtype=spec.dtype)


def is_empty(value: Any) -> bool:
    """Whether an argument is None, or made of Nones, or a switch (``use_causal_mask``)."""
    if isinstance(value, Mapping):
        return all(map(is_empty, value.values()))
    if isinstance(value, (list, tuple)) and not isinstance(value, TensorRef):
        return all(map(is_empty, value))
    return value is None or isinstance(value, bool)
