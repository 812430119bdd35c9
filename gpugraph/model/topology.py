"""A Keras model as an ordered list of layer calls.

Nested models are opened, shared layers appear once per call, and shapes are worked out anew for
the input shape at hand, so that no tensor is computed and no weight copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from gpugraph.errors import ModelError, SelectionError
from gpugraph.model.expansion import Expansion, functional, is_plain
from gpugraph.model.input_shape import InputShape, shape_of
from gpugraph.model.layer_call import LayerCall, TensorRef, shapes_text, substitute
from gpugraph.model.masks import arguments, carriers, fresh_names

if TYPE_CHECKING:
    import networkx as nx
    import numpy as np

# Layers that read tokens, which are whole numbers.
TOKEN_READERS = ("Embedding", "ReversibleEmbedding")


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
    arguments : dict, optional
        What a model that defines its own ``call`` is called on: tensors by parameter, as
        `TensorRef`. None for other models.
    traced : bool
        Whether layers without a converter were to be opened by tracing their ``call``.
    """

    name: str
    calls: tuple[LayerCall, ...]
    inputs: tuple[str, ...]
    outputs: tuple[TensorRef, ...]
    n_parameters: int
    model: Any
    arguments: dict[str, Any] | None = None
    traced: bool = False

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
        names_batch = self[self.inputs[0]].layer.batch_shape[0] is not None
        if names_batch or not self.traced:
            return self._run(inputs)
        import numpy as np

        # A call is traced for one sample: operations on constants of one may not take several.
        with suppress(Exception):  # whatever the backend raises
            outputs = self._run(inputs)
            if all(_is_batch(call, outputs[call.name], len(inputs[0])) for call in self.calls):
                return outputs
        samples = [self._run(x) for x in zip(*map(_samples, inputs), strict=True)]
        return {
            call.name: [
                np.concatenate([outputs[call.name][i] for outputs in samples])
                for i in range(len(call.output_shapes))
            ]
            for call in self.calls
        }

    def _run(self, inputs: Sequence[np.ndarray]) -> dict[str, list[np.ndarray]]:
        """Call every layer on one batch."""
        import keras

        tensors = self._input_tensors(inputs)
        for call in self.calls:
            if call.name not in self.inputs:
                args, kwargs = substitute((call.args, dict(call.kwargs)), tensors)
                if getattr(call.layer, "_call_has_training_arg", False):
                    kwargs.setdefault("training", False)  # as in model.predict
                _carry_masks(call, args, kwargs, tensors)
                outputs = keras.tree.flatten(call.layer(*args, **kwargs))
                tensors |= {TensorRef(call.name, i): t for i, t in enumerate(outputs)}
        n = len(inputs[0])
        return {
            call.name: [
                _by_sample(keras.ops.convert_to_numpy(tensors[TensorRef(call.name, i)]), call, i, n)
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

        if self.arguments is not None:
            return self._called(inputs)
        function = functional(self.model, "the model")
        for tensor, x in zip(function.inputs, inputs, strict=True):
            if any(n not in (None, m) for n, m in zip(shape_of(tensor), x.shape[1:], strict=True)):
                return None
        tensors = [keras.ops.convert_to_tensor(x) for x in inputs]
        outputs = function(keras.tree.pack_sequence_as(function.input, tensors), training=False)
        return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(outputs)]

    def _called(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Call a model that defines its own ``call``."""
        import keras

        arguments = substitute(self.arguments, self._input_tensors(inputs))
        if self.model._call_has_training_arg:
            arguments["training"] = False
        outputs = self.model(**arguments)
        return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(outputs)]

    def _input_tensors(self, inputs: Sequence[np.ndarray]) -> dict[TensorRef, Any]:
        """Return arrays as Keras's tensors, as the input layers would."""
        import keras

        return {
            TensorRef(name, 0): keras.ops.convert_to_tensor(x, dtype=self[name].layer.dtype)
            for name, x in zip(self.inputs, inputs, strict=True)
        }


def topology(model: Any, input_shape: InputShape | None = None, *, trace: bool = False) -> Topology:
    """List a model's layer calls in a topological, deterministic order.

    Parameters
    ----------
    model : keras.Model or str or path
        A built Sequential or functional model, a ``.keras`` or ``.h5`` file, or
        ``keras.applications:NAME``.
    input_shape : tuple of int, list or mapping of input name to tuples, or "minimal", optional
        As for `gpugraph.from_keras`.
    trace : bool
        Whether to open layers without a converter, and models that define their own ``call``, as
        for `gpugraph.from_keras`.

    Raises
    ------
    ModelError
        If the model is not built, or is a subclass whose call Keras cannot describe.
    ShapeError
        If a shape stays unknown, becomes empty for want of a larger input, or a layer does not
        accept it.
    """
    from gpugraph.model.load import load_model
    from gpugraph.transform.resize import fitted

    model = load_model(model, input_shape)
    if trace and not is_plain(model):
        return _of_own_call(model, input_shape)
    model, shapes = fitted(model, input_shape, trace=trace)
    function = functional(model, "the model")
    expansion = Expansion(trace=trace)
    inputs = expansion.add_inputs(function, shapes)
    outputs = expansion.expand(function, inputs, prefix="")
    return Topology(
        name=model.name,
        calls=tuple(expansion.calls_read(outputs)),
        inputs=tuple(ref.call for ref in inputs),
        outputs=tuple(outputs),
        n_parameters=model.count_params(),
        model=model,
        traced=trace,
    )


def _of_own_call(
    model: Any, input_shape: InputShape | None, dtypes: dict[str, str] | None = None
) -> Topology:
    """List the layer calls of a model that defines its own ``call``."""
    import keras

    from gpugraph.model.inputs import model_inputs
    from gpugraph.model.symbolic_calls import NoTraceError

    expansion = Expansion(trace=True)
    with fresh_names():
        tensors = model_inputs(model, input_shape, dtypes)
    inputs: list[TensorRef] = []

    def add(tensor: Any) -> TensorRef:
        ref = expansion.add_input(tensor._keras_history.operation, shape_of(tensor))
        inputs.append(ref)
        return ref

    arguments = keras.tree.map_structure(add, tensors)
    try:
        outputs = expansion.open(model, (), arguments, prefix="")
    except NoTraceError as error:
        raise ModelError(
            f"The call() of model '{model.name}' (class {type(model).__name__}) cannot be traced: "
            f"{error}. Write it with layers and keras.ops alone, or as a functional model: "
            "keras.Model(inputs, outputs)."
        ) from error
    calls = expansion.calls_read(outputs)
    found = Topology(
        name=model.name,
        calls=tuple(calls),
        inputs=tuple(ref.call for ref in inputs),
        outputs=tuple(outputs),
        n_parameters=model.count_params(),
        model=model,
        arguments=arguments,
        traced=True,
    )
    tokens = {
        ref.call for call in calls if call.layer_class in TOKEN_READERS for ref in call.inputs
    }
    if dtypes is None and tokens & set(found.inputs):
        return _of_own_call(model, input_shape, dict.fromkeys(tokens & set(found.inputs), "int32"))
    return found


def _carry_masks(call: LayerCall, args: Any, kwargs: Any, tensors: dict[TensorRef, Any]) -> None:
    """Put masks on the tensors that a layer is called on, where layers around it did that."""
    import keras
    from keras.src.backend import set_keras_mask

    if call.masks:
        given = arguments(call.layer, args, kwargs)
        for parameter, name in carriers(call.layer, given).items():
            masks = substitute(call.masks.get(parameter), tensors)
            if masks is not None:
                keras.tree.map_structure(set_keras_mask, given[name], masks)


def _is_batch(call: LayerCall, outputs: Sequence[np.ndarray], n: int) -> bool:
    """Whether what a call gives are so many samples."""
    return [y.shape for y in outputs] == [(n, *shape) for shape in call.output_shapes]


def _by_sample(values: np.ndarray, call: LayerCall, output: int, n: int) -> np.ndarray:
    """Return what a call gives, samples in front, wherever they stand in a traced call's output."""
    return call.output_batches[output].apart(values, n) if call.output_batches else values


def _samples(x: np.ndarray) -> list[np.ndarray]:
    """Split a batch into batches of one sample."""
    return [x[i : i + 1] for i in range(len(x))]
