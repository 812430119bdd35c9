"""A Keras model as an ordered list of layer calls.

Nested models are opened, shared layers appear once per call, and shapes are worked out anew for
the input shape at hand, so that no tensor is computed and no weight copied.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple

from gpugraph.errors import ModelError, SelectionError, ShapeError, UnsupportedLayerError

if TYPE_CHECKING:
    import networkx as nx
    import numpy as np

Shape = tuple[int, ...]
InputShape = Sequence[Any] | Mapping[str, Sequence[int]]


class TensorRef(NamedTuple):
    """One output of one layer call."""

    call: str
    output: int


@dataclass(frozen=True, eq=False)
class LayerCall:
    """One use of a Keras layer or functional operator.

    Attributes
    ----------
    name : str
        The layer's name; ``name#1`` for a second call, ``outer/inner`` in a nested model.
    layer_class : str
        Class name, such as "Conv2D".
    layer : keras.Layer or keras.Operation
    args, kwargs
        What it was called with; tensors are `TensorRef`.
    inputs : tuple of TensorRef
        The tensors among them, in order.
    input_shapes, output_shapes : tuple of tuple of int
        Without the batch axis.
    n_parameters : int
        Of the layer; a shared layer's count again at each call.
    """

    name: str
    layer_class: str
    layer: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    inputs: tuple[TensorRef, ...]
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]
    n_parameters: int


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
        Whose topology this is.
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
                input_shapes=_text(call.input_shapes),
                output_shapes=_text(call.output_shapes),
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
                args, kwargs = _substitute((call.args, dict(call.kwargs)), tensors)
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

        function = _functional(self.model, "the model")
        for tensor, x in zip(function.inputs, inputs, strict=True):
            if any(n not in (None, m) for n, m in zip(_shape(tensor), x.shape[1:], strict=True)):
                return None
        tensors = [keras.ops.convert_to_tensor(x) for x in inputs]
        outputs = function(keras.tree.pack_sequence_as(function.input, tensors), training=False)
        return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(outputs)]


def _text(shapes: Sequence[Shape]) -> str:
    return "; ".join("x".join(map(str, shape)) for shape in shapes)


def topology(model: Any, input_shape: InputShape | None = None) -> Topology:
    """List a model's layer calls in a topological, deterministic order.

    Parameters
    ----------
    model : keras.Model or str or path
        A built Sequential or functional model, a ``.keras`` or ``.h5`` file, or
        ``keras.applications:NAME``.
    input_shape : tuple of int, list of tuples or mapping of input name to tuple, optional
        Without the batch axis. Needed where the model leaves dimensions open; otherwise a
        different size at which the same weights are used.

    Raises
    ------
    ModelError
        If the model is not built, or is a subclass whose call Keras cannot describe.
    ShapeError
        If a shape stays unknown, becomes empty, or a layer does not accept it.
    """
    from gpugraph.models import load_model

    model = load_model(model, input_shape)
    function = _functional(model, "the model")
    shapes = _input_shapes(function, input_shape)
    expansion = _Expansion()
    inputs = expansion.add_inputs(function, shapes)
    outputs = expansion.expand(function, inputs, prefix="")
    return Topology(
        name=model.name,
        calls=tuple(expansion.calls),
        inputs=tuple(ref.call for ref in inputs),
        outputs=tuple(outputs),
        n_parameters=model.count_params(),
        model=model,
    )


class _Expansion:
    """Collects layer calls while opening nested models."""

    def __init__(self) -> None:
        self.calls: list[LayerCall] = []
        self._specs: dict[TensorRef, Any] = {}
        self._given: dict[str, int] = {}

    def add_inputs(self, function: Any, shapes: Sequence[Shape]) -> list[TensorRef]:
        import keras

        refs = []
        for tensor, shape in zip(function.inputs, shapes, strict=True):
            layer = tensor._keras_history.operation
            name = self._unique(layer.name)
            call = LayerCall(name, type(layer).__name__, layer, (), {}, (), (), (shape,), 0)
            self._add(call, [keras.KerasTensor((None, *shape), dtype=tensor.dtype)])
            refs.append(TensorRef(name, 0))
        return refs

    def expand(self, function: Any, inputs: Sequence[TensorRef], prefix: str) -> list[TensorRef]:
        """Add the calls of a function fed by these tensors; return where its outputs are."""
        import keras

        known = {id(t): ref for t, ref in zip(function.inputs, inputs, strict=True)}
        uses = _uses(function)
        for depth in sorted(function._nodes_by_depth, reverse=True):
            for node in function._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                arguments = (node.arguments.args, node.arguments.kwargs)
                args, kwargs = keras.tree.map_structure(lambda x: known.get(id(x), x), arguments)
                refs = [known[id(t)] for t in node.arguments.keras_tensors]
                use = f"#{uses[id(node)]}" if uses[id(node)] else ""
                name = self._unique(prefix + node.operation.name + use)
                if isinstance(node.operation, keras.Model) and _is_plain(node.operation):
                    inner = _functional(node.operation, f"nested model '{name}'")
                    outputs = self.expand(
                        inner, self._nested_inputs(inner, node, known, name), prefix=f"{name}/"
                    )
                else:
                    outputs = self._call(node, name, args, kwargs, refs)
                known.update((id(t), ref) for t, ref in zip(node.outputs, outputs, strict=True))
        return [known[id(t)] for t in function.outputs]

    def _nested_inputs(
        self, inner: Any, node: Any, known: Mapping[int, TensorRef], name: str
    ) -> list[TensorRef]:
        """Return what a nested model is called on, in the order of its own inputs."""
        import keras

        args, kwargs = list(node.arguments.args), dict(node.arguments.kwargs)
        given = args.pop(0) if args else kwargs.pop("inputs")
        extra = [
            key
            for key, value in kwargs.items()
            if any(x is not None and x is not False for x in keras.tree.flatten(value))
        ]
        if args or extra:
            raise UnsupportedLayerError(
                f"Nested model '{name}' is called with {', '.join(extra) or 'more'} besides its "
                "inputs, which changes what its layers compute. Call it on its inputs alone."
            )
        names = [t.name for t in inner.inputs]
        if isinstance(given, dict) and not isinstance(inner.input, dict):
            given = [given[n] for n in names]  # Keras hands them on by name
        refs = [known.get(id(t)) for t in keras.tree.flatten(given)]
        for n, ref, tensor in zip(names, refs, inner.inputs, strict=True):
            if ref is None or len(self._specs[ref].shape) != len(tensor.shape):
                raise UnsupportedLayerError(
                    f"Nested model '{name}' is called on "
                    f"{'a constant' if ref is None else _text([_shape(self._specs[ref])])} for its "
                    f"input '{n}' of shape {_text([_shape(tensor)])}. Call it on a tensor of as "
                    "many dimensions."
                )
        return [ref for ref in refs if ref is not None]

    def _call(
        self, node: Any, name: str, args: Any, kwargs: Any, refs: list[TensorRef]
    ) -> list[TensorRef]:
        layer = node.operation
        specs = self._output_specs(node, name, args, kwargs, refs)
        call = LayerCall(
            name=name,
            layer_class=type(layer).__name__,
            layer=layer,
            args=args,
            kwargs=kwargs,
            inputs=tuple(refs),
            input_shapes=tuple(_shape(self._specs[ref]) for ref in refs),
            output_shapes=tuple(_shape(spec) for spec in specs),
            n_parameters=layer.count_params() if hasattr(layer, "count_params") else 0,
        )
        return self._add(call, specs)

    def _output_specs(
        self, node: Any, name: str, args: Any, kwargs: Any, refs: list[TensorRef]
    ) -> list[Any]:
        """Return the shapes that a call gives: those Keras noted, where its inputs are as noted."""
        import keras

        noted = [_shape(t) for t in node.arguments.keras_tensors]
        # EinsumDense notes None where its output_shape says so, and what an ellipsis stands for
        # in reverse; what its call gives is right.
        is_traced = (
            isinstance(node.operation, keras.layers.EinsumDense)
            and node.operation.quantization_mode is None
        )
        if noted == [_shape(self._specs[ref]) for ref in refs] and not is_traced:
            specs = node.outputs
        else:
            args, kwargs = _substitute((args, kwargs), self._specs)
            operation = keras.Operation if is_traced else type(node.operation)
            try:
                specs = operation.compute_output_spec(node.operation, *args, **kwargs)
            except Exception as error:
                shapes = _text([_shape(self._specs[ref]) for ref in refs])
                raise ShapeError(
                    f"Layer '{name}' ({type(node.operation).__name__}) does not accept its input "
                    f"of shape {shapes}: {_first_line(error)}. Choose another input_shape."
                ) from error
            specs = keras.tree.flatten(specs)
        for spec in specs:
            _check_shape(_shape(spec), f"Layer '{name}' ({type(node.operation).__name__}) gives")
        return list(specs)

    def _add(self, call: LayerCall, specs: Sequence[Any]) -> list[TensorRef]:
        self.calls.append(call)
        refs = [TensorRef(call.name, i) for i in range(len(specs))]
        self._specs |= dict(zip(refs, specs, strict=True))
        return refs

    def _unique(self, name: str) -> str:
        """Return the name, with #1, #2 ... where another layer's second call has it already."""
        use = self._given.get(name, 0)
        self._given[name] = use + 1
        return self._unique(f"{name}#{use}") if use else name


def _uses(function: Any) -> dict[int, int]:
    """Number the calls of each layer within a function, as the model's author made them."""
    nodes = {id(node): node for nodes in function._nodes_by_depth.values() for node in nodes}
    operations = {id(node.operation): node.operation for node in nodes.values()}
    return {
        id(node): use
        for operation in operations.values()
        for use, node in enumerate(n for n in operation._inbound_nodes if id(n) in nodes)
    }


def _substitute(structure: Any, tensors: Mapping[TensorRef, Any]) -> Any:
    """Replace every TensorRef in nested arguments."""
    if isinstance(structure, TensorRef):
        return tensors[structure]
    if isinstance(structure, dict):
        return {key: _substitute(value, tensors) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return type(structure)([_substitute(value, tensors) for value in structure])
    return structure


def _is_plain(model: Any) -> bool:
    """Whether calling the model runs its layers and nothing else."""
    import keras
    from keras.src.models.functional import Functional

    return isinstance(model, (Functional, keras.Sequential)) and type(model).call in (
        Functional.call,
        keras.Sequential.call,
    )


def _functional(model: Any, where: str) -> Any:
    """Return the functional graph of a model, or say why it has none."""
    import keras

    if not _is_plain(model):
        raise ModelError(
            f"{where.capitalize()} ('{model.name}', class {type(model).__name__}) defines its own "
            "call(), which Keras cannot describe as a graph of layers. Write it as a functional "
            "model: keras.Model(inputs, outputs)."
        )
    function = model._functional if isinstance(model, keras.Sequential) else model
    if function is None:
        raise ModelError(
            f"{where.capitalize()} ('{model.name}') is not built, so it has no shapes and no "
            "weights. Start it with keras.Input(...), or call model.build((None, ...)) first."
        )
    return function


def _input_shapes(function: Any, input_shape: InputShape | None) -> list[Shape]:
    """Return one full shape per input, from the model and the user's input_shape."""
    names = [t._keras_history.operation.name for t in function.inputs]
    declared = [_shape(t) for t in function.inputs]
    given = _given_shapes(names, declared, input_shape)
    shapes = []
    for name, shape, fixed in zip(names, given, declared, strict=True):
        if len(shape) != len(fixed):
            raise ShapeError(
                f"Input '{name}' has {len(fixed)} dimensions without the batch axis {fixed}; "
                f"input_shape={shape} has {len(shape)}."
            )
        _check_shape(shape, f"Input '{name}' has")
        shapes.append(tuple(map(int, shape)))
    return shapes


def _given_shapes(
    names: Sequence[str], declared: Sequence[tuple[Any, ...]], input_shape: Any
) -> Sequence[tuple[Any, ...]]:
    """Return one shape per input, maybe with open dimensions, from any form of input_shape."""
    if input_shape is None:
        return declared
    if isinstance(input_shape, Mapping):
        unknown = set(input_shape) - set(names)
        if unknown:
            raise ShapeError(
                f"input_shape names {', '.join(sorted(map(repr, unknown)))}, but the model's "
                f"inputs are {', '.join(map(repr, names))}."
            )
        given = [input_shape.get(n, d) for n, d in zip(names, declared, strict=True)]
    elif len(names) == 1 and _is_shape(input_shape):
        given = [input_shape]
    else:
        given = list(input_shape) if isinstance(input_shape, Collection) else []
    if len(given) != len(names) or not all(map(_is_shape, given)):
        raise ShapeError(
            f"input_shape={input_shape!r} does not fit the model's inputs ({', '.join(names)}). "
            "Give a tuple of whole numbers; for several inputs a list of tuples, or a mapping of "
            "names to tuples."
        )
    return [tuple(shape) for shape in given]


def _is_shape(value: Any) -> bool:
    """Whether a value is a sequence of sizes, known or open."""
    return isinstance(value, Collection) and all(
        n is None or isinstance(n, Integral) for n in value
    )


def _shape(tensor: Any) -> Shape:
    """Return the shape of a Keras tensor without its batch axis."""
    return tuple(tensor.shape[1:])


def _check_shape(shape: tuple[int | None, ...], what: str) -> None:
    if None in shape:
        raise ShapeError(
            f"{what} shape {shape}, which leaves a dimension open. Give a full shape without the "
            "batch axis: input_shape=(height, width, channels), or --input-shape on the command."
        )
    if any(n is not None and n < 1 for n in shape):
        raise ShapeError(f"{what} the empty shape {shape}. Choose a larger input_shape.")


def _first_line(error: BaseException) -> str:
    """First line of an error's message, without what Keras wraps around it."""
    lines = str(error).rpartition("Error encountered:")[2].strip().splitlines()
    return (lines or [type(error).__name__])[0].rstrip(". ")
