"""From a Keras model to its neuron graph: the whole flow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpugraph.conversion import Conversion, Draft
from gpugraph.errors import ShapeError, UnsupportedLayerError
from gpugraph.graph import NeuronGraph
from gpugraph.input_shape import InputShape
from gpugraph.layer_call import LayerCall, TensorRef
from gpugraph.models import load_model
from gpugraph.population import Tensor
from gpugraph.registry import find_converter
from gpugraph.topology import topology


def from_keras(
    model: Any, input_shape: InputShape | None = None, *, allow_nonfinite: bool = False
) -> NeuronGraph:
    """Convert a Keras model to its neuron graph.

    No edge is made and no weight copied: the graph holds each layer's edges as an outer product
    of short axes, beside the model's own weights.

    Parameters
    ----------
    model : keras.Model, str or path
        A built Sequential or functional model, a ``.keras`` or ``.h5`` file (loaded with Keras's
        safe mode on), or ``keras.applications:NAME`` (built with random weights).
    input_shape : tuple of int, list of tuples or mapping of input name to tuple, optional
        Without the batch axis. Needed where the model leaves dimensions open; otherwise another
        size at which the same weights are used.
    allow_nonfinite : bool
        Whether to convert weights that hold NaN or infinity.

    Raises
    ------
    ModelError
        If the model cannot be read, is not built, or defines its own ``call``.
    ShapeError
        If a shape stays open, becomes empty, or does not fit the weights.
    UnsupportedLayerError
        If a layer has no converter, or uses an option that has no exact form.
    NonFiniteError
        If weights hold NaN or infinity.

    Examples
    --------
    >>> import keras, gpugraph as gg
    >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3)])
    >>> graph = gg.from_keras(model)
    >>> graph.n_nodes, graph.n_edges
    (208, 1296)
    """
    model = load_model(model, input_shape)
    calls = topology(model, input_shape)
    draft = Draft(allow_nonfinite=allow_nonfinite)
    tensors: dict[TensorRef, Tensor] = {}
    for call in calls:
        sources = tuple(tensors[ref] for ref in call.inputs)
        outputs = _convert(call, sources, draft)
        tensors |= {TensorRef(call.name, i): tensor for i, tensor in enumerate(outputs)}
    return NeuronGraph(
        name=calls.name,
        populations=draft.populations,
        projections=draft.projections,
        tensors={call.name: tensors[TensorRef(call.name, 0)] for call in calls},
        topology=calls,
    )


def _convert(call: LayerCall, sources: Sequence[Tensor], draft: Draft) -> Sequence[Tensor]:
    """Run a call's converter and hold what it gives against the shapes that Keras computed."""
    if call.kwargs.get("training"):
        raise UnsupportedLayerError(
            f"Layer '{call.name}' ({call.layer_class}) is called with training=True, so it does "
            "not compute at inference what the graph would say. Call it without."
        )
    converter = find_converter(call.layer, call.name)
    outputs = converter(Conversion(call, tuple(sources), draft))
    outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
    if not isinstance(outputs, (tuple, list)) or not all(isinstance(t, Tensor) for t in outputs):
        raise UnsupportedLayerError(
            f"The converter of layer '{call.name}' ({call.layer_class}) gives "
            f"{type(outputs).__name__}; let it return the Tensor (or Tensors) that the layer gives."
        )
    given = tuple(tensor.shape for tensor in outputs)
    if given != call.output_shapes:
        raise ShapeError(
            f"The converter of layer '{call.name}' ({call.layer_class}) gives shapes {given}; "
            f"Keras gives {call.output_shapes}."
        )
    return outputs
