"""From a Keras model to its neuron graph: the whole flow."""

from __future__ import annotations

from typing import Any

from gpugraph.conversion import Draft, check_outputs, convert_calls
from gpugraph.graph import NeuronGraph
from gpugraph.model.input_shape import InputShape
from gpugraph.model.layer_call import TensorRef
from gpugraph.model.load import load_model
from gpugraph.model.topology import Topology, topology
from gpugraph.population import Tensor


def from_keras(
    model: Any,
    input_shape: InputShape | None = None,
    *,
    couplings: bool = False,
    probe: bool = False,
    trace: bool = False,
    allow_nonfinite: bool = False,
) -> NeuronGraph:
    """Convert a Keras model to its neuron graph.

    No edge is made and no weight copied: the graph holds each layer's edges as an outer product
    of short axes, beside the model's own weights.

    Parameters
    ----------
    model : keras.Model, str or path
        A built Sequential or functional model, a ``.keras`` or ``.h5`` file (loaded with Keras's
        safe mode on), or ``keras.applications:NAME`` (built with random weights).
    input_shape : tuple of int, list or mapping of input name to tuples, or "minimal", optional
        Without the batch axis. Needed where the model leaves dimensions open; otherwise another
        size at which the same weights are used: where Dense layers stand behind Flatten, as
        convolutions (`gpugraph.to_fully_convolutional`), so that outputs become maps. "minimal":
        the smallest size at which every layer still gives something, along each axis of
        each input.
    couplings : bool
        Whether to add the edges by which every neuron of a group takes part in the others'
        normalisation or softmax (kind ``dynamic``, weight 1).
    probe : bool
        Whether to find the edges of layers that have no converter (custom layers, Lambda, other
        operators) from what they make of unit vectors; see `gpugraph.probe`. Those that are not
        affine are refused.
    trace : bool
        Whether to open layers that have no converter, and models that define their own ``call``:
        Keras runs it on symbolic tensors, and what it does becomes part of the graph as a nested
        model does. With ``probe``, what cannot be traced is probed.
    allow_nonfinite : bool
        Whether to convert weights that hold NaN or infinity.

    Raises
    ------
    ModelError
        If the model cannot be read, is not built, or defines its own ``call`` and is not traced.
    ShapeError
        If a shape stays open, becomes empty for want of a larger input (the smallest at which it
        would not is told), or does not fit the weights. What is empty in the model as it is, has
        no nodes.
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
    calls = topology(model, input_shape, trace=trace)
    draft = Draft(
        allow_nonfinite=allow_nonfinite,
        couplings=couplings,
        probe=probe,
        trace=trace,
        channels_first_inputs=_channels_first_inputs(calls),
    )
    tensors: dict[TensorRef, Tensor] = {}
    convert_calls(calls, tensors, draft)
    check_outputs(calls, calls.outputs)
    return NeuronGraph(
        name=calls.name,
        populations=draft.populations,
        projections=sorted(draft.projections, key=lambda p: p.target.offset),
        tensors={ref.label: tensor for ref, tensor in tensors.items()},
        couplings=couplings,
        topology=calls,
    )


def _channels_first_inputs(calls: Topology) -> frozenset[str]:
    """Return the inputs whose channels come first, as the layers behind them have it."""
    from gpugraph.model.positions import layouts

    found = layouts(calls.calls)  # of tensors that have positions
    first = {ref.call for ref, layout in found.items() if layout.channels_first}
    return frozenset(first.intersection(calls.inputs))
