"""A Keras model as an ordered list of layer calls.

Nested models are opened, shared layers appear once per call, and shapes are worked out anew for
the input shape at hand, so that no tensor is computed and no weight copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from gpugraph.errors import SelectionError
from gpugraph.expansion import Expansion, functional
from gpugraph.input_shape import InputShape, shape_of
from gpugraph.layer_call import LayerCall, TensorRef, shapes_text, substitute

if TYPE_CHECKING:
    import networkx as nx
    import numpy as np


@dataclass(frozen=True, eq=False)
class Topology:
    """Layer calls in topological order. Iterates and indexes as a sequence of them.

    Attributes
    ----------
    name : str
        The model's name.
    calls : tuple of LayerCall
        The inputs first, then in the order in which Keras runs them.
    inputs : tuple of str
        Names of the input layers, in the model's order.
    outputs : tuple of TensorRef
        The model's outputs, in the model's order.
    n_parameters : int
        Of the model; shared layers count once.
    model : keras.Model
        Whose topology this is: the one given, or its fully convolutional form at another size.
    """

    name: str
    calls: tuple[LayerCall, ...]
    inputs: tuple[str, ...]
    outputs: tuple[TensorRef, ...]
    n_parameters: int
    model: Any

    def __iter__(self) -> Iterator[LayerCall]:
        return iter(self.calls)

    def __len__(self) -> int:
        return len(self.calls)

    def __getitem__(self, key: int | str) -> LayerCall:
        if isinstance(key, str):
            if key not in self._by_name:
                raise SelectionError(
                    f"Model '{self.name}' has no layer call '{key}'. It has: "
                    f"{', '.join(self._by_name)}."
                )
            return self._by_name[key]
        return self.calls[key]

    @cached_property
    def _by_name(self) -> dict[str, LayerCall]:
        return {call.name: call for call in self.calls}

    @cached_property
    def readers(self) -> dict[str, tuple[str, ...]]:
        """Names of the calls that read each call's tensors."""
        readers: dict[str, list[str]] = {call.name: [] for call in self.calls}
        for call in self.calls:
            for name in dict.fromkeys(ref.call for ref in call.inputs):
                readers[name].append(call.name)
        return {name: tuple(names) for name, names in readers.items()}

    def to_networkx(self) -> nx.DiGraph:
        """Return the layer-level graph: a node per call, an edge per pair that shares tensors.

        Nodes carry ``layer``, ``inputs`` and ``outputs`` (names), ``input_shapes`` and
        ``output_shapes``, all as text, which every format of networkx can hold, and
        ``n_parameters``. Edges carry ``tensors``, how often one call reads the other
        (``Add()([x, x])`` reads twice), and ``size``, the elements of one such tensor.
        """
        import networkx as nx

        graph = nx.DiGraph(name=self.name)
        for call in self.calls:
            graph.add_node(
                call.name,
                layer=call.layer_class,
                inputs=", ".join(ref.call for ref in call.inputs),
                outputs=", ".join(self.readers[call.name]),
                input_shapes=shapes_text(call.input_shapes),
                output_shapes=shapes_text(call.output_shapes),
                n_parameters=call.n_parameters,
            )
            for ref, shape in zip(call.inputs, call.input_shapes, strict=True):
                times = graph.get_edge_data(ref.call, call.name, {"tensors": 0})["tensors"]
                graph.add_edge(ref.call, call.name, tensors=times + 1, size=prod(shape))
        return graph

    def run(self, inputs: Sequence[np.ndarray]) -> dict[str, list[np.ndarray]]:
        """Call every layer on real arrays and return each call's outputs.

        Parameters
        ----------
        inputs : sequence of arrays of shape ``(batch, *input shape)``
            One per input layer, in the model's order.
        """
        import keras

        tensors = {
            TensorRef(name, 0): keras.ops.convert_to_tensor(x, dtype=self[name].layer.dtype)
            for name, x in zip(self.inputs, inputs, strict=True)
        }
        for call in self.calls:
            if call.name not in self.inputs:
                args, kwargs = substitute((call.args, dict(call.kwargs)), tensors)
                if getattr(call.layer, "_call_has_training_arg", False):
                    kwargs.setdefault("training", False)  # as in model.predict
                outputs = keras.tree.flatten(call.layer(*args, **kwargs))
                tensors |= {TensorRef(call.name, i): t for i, t in enumerate(outputs)}
        return {
            call.name: [
                keras.ops.convert_to_numpy(tensors[TensorRef(call.name, i)])
                for i in range(len(call.output_shapes))
            ]
            for call in self.calls
        }

    def predict(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray] | None:
        """Call the model itself and return its outputs; None at a size that it does not accept.

        Parameters
        ----------
        inputs : sequence of arrays
            As for `run`.
        """
        import keras

        function = functional(self.model, "the model")
        for tensor, x in zip(function.inputs, inputs, strict=True):
            if any(n not in (None, m) for n, m in zip(shape_of(tensor), x.shape[1:], strict=True)):
                return None
        tensors = [keras.ops.convert_to_tensor(x) for x in inputs]
        outputs = function(keras.tree.pack_sequence_as(function.input, tensors), training=False)
        return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(outputs)]


def topology(model: Any, input_shape: InputShape | None = None) -> Topology:
    """List a model's layer calls in a topological, deterministic order.

    Parameters
    ----------
    model : keras.Model or str or path
        A built Sequential or functional model, a ``.keras`` or ``.h5`` file, or
        ``keras.applications:NAME``.
    input_shape : tuple of int, list or mapping of input name to tuples, or "minimal", optional
        As for `gpugraph.from_keras`.

    Raises
    ------
    ModelError
        If the model is not built, or is a subclass whose call Keras cannot describe.
    ShapeError
        If a shape stays unknown, becomes empty, or a layer does not accept it.
    """
    from gpugraph.models import load_model
    from gpugraph.resize import fitted

    model, shapes = fitted(load_model(model, input_shape), input_shape)
    function = functional(model, "the model")
    expansion = Expansion()
    inputs = expansion.add_inputs(function, shapes)
    outputs = expansion.expand(function, inputs, prefix="")
    return Topology(
        name=model.name,
        calls=tuple(expansion.without_mask_calls(outputs)),
        inputs=tuple(ref.call for ref in inputs),
        outputs=tuple(outputs),
        n_parameters=model.count_params(),
        model=model,
    )
