"""Layers without a converter that another layer holds, opened by tracing their call."""

from __future__ import annotations

from typing import Any

from gpugraph.conversion import Conversion, check_outputs, convert_calls
from gpugraph.model.expansion import Expansion
from gpugraph.model.layer_call import TensorRef
from gpugraph.population import Tensor


def is_opened(call: Conversion, layer: Any) -> bool:
    """Whether a layer within another is to be traced."""
    if not call.draft.trace:
        return False

    from gpugraph.model.symbolic_calls import is_traceable

    return is_traceable(layer)


def opened(call: Conversion, layer: Any, part: str | None, *args: Any) -> list[Tensor]:
    """Convert what the ``call`` of a layer within another does, and return what it gives.

    Parameters
    ----------
    call : Conversion
        Of the other layer.
    layer : keras.Layer
    part : str or None
        Its populations are named ``name/part/...``; None: ``name/...``.
    *args
        What it is called on: tensors, arrays of one sample, lists of them.
    """
    import keras

    from gpugraph.model.symbolic_calls import NoTraceError

    expansion = Expansion(trace=True)
    tensors: dict[TensorRef, Tensor] = {}

    def ref(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [ref(x) for x in value]
        if not isinstance(value, Tensor):
            return value
        name = f"input{len(tensors)}"
        found = expansion.add_input(keras.layers.InputLayer(value.shape, name=name), value.shape)
        tensors[found] = value
        return found

    name = call.call.name if part is None else f"{call.call.name}/{part}"
    try:
        outputs = expansion.open(layer, [ref(x) for x in args], {}, f"{name}/")
    except NoTraceError as error:
        raise call.unsupported(
            f"the call() of its {type(layer).__name__} cannot be traced: {error}"
        ) from error
    calls = expansion.calls[len(tensors) :]
    convert_calls(calls, tensors, call.draft)
    check_outputs(calls, outputs)
    return [tensors[output] for output in outputs]
