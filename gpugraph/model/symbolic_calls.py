"""Calls on symbolic tensors: what Keras, made for real ones, has to be told while it makes them."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import keras
from keras.src.backend import AutocastScope, set_keras_mask
from keras.src.ops.node import Node

from gpugraph.model.expansion import is_plain, notes_wrong_shapes
from gpugraph.model.masks import fresh_names
from gpugraph.registry import has_converter, is_of_keras

# Methods of operators, where the right operand is asked next.
OPERATORS = ["__add__", "__sub__", "__mul__", "__matmul__", "__truediv__", "__floordiv__"]
OPERATORS += ["__mod__", "__pow__", "__and__", "__or__", "__xor__"]
OPERATORS += ["__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__"]

IsHere = Callable[[], bool]


class NoTraceError(Exception):
    """A ``call`` that symbolic tensors cannot go through."""


class Constant(keras.Operation):  # type: ignore[misc]
    """Values of a layer's own.

    Where the first axis is the batch's, they are given for every sample of what it is called on.
    """

    def __init__(self, values: Any) -> None:
        super().__init__()
        self.values = values

    @property
    def is_of_samples(self) -> bool:
        """Whether these are the values of a sample, which nodes may hold."""
        shape = tuple(self.values.shape)
        return shape[:1] == (1,) and 0 not in shape

    def compute_output_spec(self, x: Any) -> Any:
        """Return the shape: one sample's, for a batch as large as that of x."""
        shape = tuple(self.values.shape)
        if shape[:1] == (1,):
            shape = (x.shape[0], *shape[1:])
        return keras.KerasTensor(shape, dtype=self.values.dtype)

    def call(self, x: Any) -> Any:
        """Return the values as often as there are samples."""
        return keras.ops.broadcast_to(self.values, (len(x), *self.values.shape[1:]))


def is_traceable(operation: Any) -> bool:
    """Whether what an operation computes can be told by its ``call`` alone.

    It has no converter, is no model of layers, and none of Keras's layers but for Lambda.
    """
    cls = type(operation)
    is_foreign = not is_of_keras(cls) or cls.__name__ == "Lambda"
    return is_foreign and not has_converter(operation) and not is_plain(operation)


def symbol(shape: Sequence[int], dtype: str) -> Any:
    """Return the tensor of an input layer; its shape has the batch axis.

    Calls are traced for one sample, and again for several. So, unlike with an open number of them,
    they can ask for the size of the batch and make tensors of it: ``ops.zeros((ops.shape(x)[0],
    4))``.
    """
    return keras.Input(batch_shape=shape, dtype=dtype)


@contextmanager
def symbolic_calls() -> Iterator[None]:
    """Let Keras work with symbolic tensors where, by itself, it needs real ones.

    Variables and arrays are multiplied by them, and compared: ``self.gamma * x``. Python asks the
    left operand first, and Keras's variables, numpy, jax and tensorflow fail at turning the right
    one into an array, where they could leave it to that one, as they do in ``x * self.gamma``.

    Layers within the layer are called as it is, instead of being asked for their output's shape.

    ``x == y`` compares values, as real tensors do; symbolic ones only are the same or not.

    ``ops.ndim(x)`` and ``ops.size(x)`` are numbers, and a slice alone (``x[1:]``) is a key.

    Functions that the inputs choose are refused: Keras takes the first of them.

    Losses that a layer adds are left out, and no variable can be made: a layer would keep it.
    """
    thread = threading.get_ident()

    def is_here() -> bool:
        """Whether the thread that traces is the one that asks: Keras's classes are for all."""
        return threading.get_ident() == thread

    tensors = type(keras.ops.zeros(()))
    with (
        _patched(keras.Variable, _of_variables(is_here)),
        _patched(tensors, _deferring_operators(tensors)),
        _patched(keras.KerasTensor, _of_symbols(is_here)),
        _patched(keras.Operation, _of_operations(is_here)),
        _patched(keras.Layer, _of_layers(is_here)),
    ):
        yield


def _of_variables(is_here: IsHere) -> dict[str, Any]:
    """Return methods by which none are made, and symbolic operands are left to their own."""
    make = keras.Variable.__init__

    def init(variable: Any, *args: Any, **kwargs: Any) -> None:
        if is_here():
            raise NoTraceError("it makes variables; call the model on data once before")
        make(variable, *args, **kwargs)

    return _deferring_operators(keras.Variable) | {"__init__": init}


def _of_symbols(is_here: IsHere) -> dict[str, Any]:
    """Return methods by which values are compared, and that numpy and jax take for no array's."""

    def equal(tensor: Any, other: Any) -> Any:
        return keras.ops.equal(tensor, other) if is_here() else NotImplemented

    # property() seems not to be there.
    return {"__eq__": equal, "__array_ufunc__": None, "__jax_array__": property()}


def _of_operations(is_here: IsHere) -> dict[str, Any]:
    """Return the method by which an operation is noted, or told at once."""
    note = keras.Operation.symbolic_call

    def symbolic_call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        name = type(operation).__name__
        if not is_here():
            return note(operation, *args, **kwargs)
        if name in ("Cond", "Switch"):
            raise NoTraceError("which function it runs depends on the inputs")
        if name in ("Ndim", "Size"):
            return len(args[0].shape) if name == "Ndim" else prod(args[0].shape)
        if name == "GetItem" and isinstance(args[1], slice):
            args = (args[0], args[1:])
        return note(operation, *args, **kwargs)

    return {"symbolic_call": symbolic_call}


def _of_layers(is_here: IsHere) -> dict[str, Any]:
    """Return the methods by which layers are called as they are, and add no losses."""
    call, add_loss = keras.Layer.__call__, keras.Layer.add_loss

    def symbolic_call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        symbols = [x for x in keras.tree.flatten((args, kwargs)) if is_symbolic(x)]
        if not symbols or not is_here():
            return call(layer, *args, **kwargs)
        if is_traceable(layer):
            return _noted_call(layer, args, kwargs, symbols)
        args, kwargs = _without_constants((args, kwargs), symbols[0])
        if notes_wrong_shapes(layer, kwargs):
            outputs = keras.Operation.compute_output_spec(layer, *args, **kwargs)
            Node(layer, args, kwargs, outputs)
            return outputs
        outputs = call(layer, *args, **kwargs)
        for y in keras.tree.flatten(outputs):
            # Masks are followed later; here Keras would note them as if the calls were given them.
            set_keras_mask(y, None)
        return outputs

    def add_no_loss(layer: Any, loss: Any) -> None:
        if not is_here():
            add_loss(layer, loss)

    return {"__call__": symbolic_call, "add_loss": add_no_loss}


def called(layer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Return what ``call`` gives, with what Keras does around it in a call at inference."""
    options = {key: value for key, value in kwargs.items() if key != "training"}
    if "training" in inspect.signature(layer.call).parameters:
        options["training"] = False
    if not isinstance(layer, keras.Layer):
        return layer.call(*args, **options)
    if layer._convert_input_args:
        args, options = keras.tree.map_structure(
            lambda x: layer.dtype_policy.convert_input(x, layer.autocast, layer.input_dtype),
            (tuple(args), options),
        )
    is_cast = layer.autocast and "float" in layer.compute_dtype
    with AutocastScope(layer.compute_dtype if is_cast else None):
        return layer.call(*args, **options)


def _noted_call(layer: Any, args: Any, kwargs: Any, symbols: Sequence[Any]) -> Any:
    """Call a layer within another, and note the call as Keras does, to be opened later.

    Unlike Keras, which notes tensors alone, it may give constants and None beside them.
    """
    if not (layer.built or getattr(layer.build, "_is_default", False)):
        raise NoTraceError(f"its layer '{layer.name}' is not built; call the model on data once")
    with fresh_names():
        twins = {id(x): symbol(x.shape, x.dtype) for x in symbols}
        try:
            outputs = called(
                layer, *keras.tree.map_structure(lambda x: twins.get(id(x), x), (args, kwargs))
            )
        finally:
            forget(nodes_behind(list(twins.values())))
    outputs = keras.tree.map_structure(
        lambda y: keras.KerasTensor(y.shape, y.dtype) if is_symbolic(y) else y, outputs
    )
    if tensors := [y for y in keras.tree.flatten(outputs) if is_symbolic(y)]:
        Node(layer, args, kwargs, tensors)
    return outputs


def _without_constants(arguments: Any, source: Any) -> Any:
    """Return what one of Keras's layers is called on, with constants, but for masks, as nodes."""
    args, kwargs = arguments

    def tensor(value: Any) -> Any:
        shape = tuple(getattr(value, "shape", ()))
        if not shape or is_symbolic(value):
            return value
        if shape[0] not in (1, source.shape[0]):
            raise NoTraceError(
                f"it calls a layer on a constant of shape {shape}, which has no axis for the batch"
            )
        return Constant(keras.ops.convert_to_tensor(value))(source)

    return keras.tree.map_structure(tensor, args), {
        key: value if "mask" in key else keras.tree.map_structure(tensor, value)
        for key, value in kwargs.items()
    }


def is_symbolic(value: Any) -> bool:
    """Whether a value is a symbolic tensor."""
    return isinstance(value, keras.KerasTensor)


def _deferring_operators(cls: type) -> dict[str, Any]:
    """Return the operators of a class, but for symbolic tensors."""
    return {name: _deferring(getattr(cls, name)) for name in OPERATORS if hasattr(cls, name)}


def _deferring(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return an operator's method that leaves symbolic tensors to their own."""

    def deferring(variable: Any, other: Any) -> Any:
        return NotImplemented if is_symbolic(other) else method(variable, other)

    return deferring


@contextmanager
def _patched(cls: type, attributes: Mapping[str, Any]) -> Iterator[None]:
    """Give a class other attributes for a while."""
    own = {name: value for name, value in vars(cls).items() if name in attributes}
    for name, value in attributes.items():
        setattr(cls, name, value)
    try:
        yield
    finally:
        for name in attributes:
            delattr(cls, name)
        for name, value in own.items():
            setattr(cls, name, value)


def nodes_behind(inputs: Sequence[Any]) -> list[Any]:
    """Return the nodes of all calls that read these tensors, or what came of them."""
    found: dict[int, Any] = {}
    waiting = list(inputs)
    while waiting:
        tensor = waiting.pop()
        for node in tensor._keras_history.operation._outbound_nodes:
            reads = any(x is tensor for x in node.arguments.keras_tensors)
            if reads and id(node) not in found:
                found[id(node)] = node
                waiting += node.outputs
    return list(found.values())


def forget(nodes: Sequence[Any]) -> None:
    """Take nodes off the layers and operations that they hang on."""
    for node in nodes:
        node.operation._inbound_nodes.remove(node)
        for operation in {x._keras_history.operation for x in node.arguments.keras_tensors}:
            operation._outbound_nodes[:] = [n for n in operation._outbound_nodes if n is not node]
