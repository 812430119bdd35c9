"""What a layer's own ``call`` does, as layers and operations: Keras runs it on symbolic tensors."""

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

from gpugraph.errors import said_by_keras
from gpugraph.model.batch_size import batch_axes_of, difference
from gpugraph.model.expansion import is_plain, notes_wrong_shapes
from gpugraph.model.layer_call import N_SAMPLES, Batch
from gpugraph.model.masks import fresh_names
from gpugraph.registry import has_converter, is_of_keras

# Methods of operators, where the right operand is asked next.
OPERATORS = ["__add__", "__sub__", "__mul__", "__matmul__", "__truediv__", "__floordiv__"]
OPERATORS += ["__mod__", "__pow__", "__and__", "__or__", "__xor__"]
OPERATORS += ["__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__"]
# Keras's classes, and the nodes that hang on layers, are one for all threads.
_TRACING = threading.RLock()


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
def traced(
    layer: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    inputs: Sequence[Any],
    batch_axes: Sequence[int],
    n_outputs: int | None = None,
) -> Iterator[tuple[Any, dict[int, int]]]:
    """Run a layer's ``call`` on symbolic tensors, and forget it afterwards.

    Parameters
    ----------
    layer : keras.Layer or keras.Operation
        Left as it is, and so are the layers that it calls.
    args, kwargs
        What its ``call`` is given: among others these tensors.
    inputs : sequence of KerasTensor
        Made by `symbol`, within `fresh_names`.
    batch_axes : sequence of int
        The axis of each in which samples stand.
    n_outputs : int, optional
        How many tensors Keras has noted as its outputs.

    Yields
    ------
    keras.Function
        From the inputs to the outputs, flat. Its nodes hang on the layers until the end.
    dict of int to int
        The axis in which samples stand, by the id of each tensor within.

    Raises
    ------
    NoTraceError
        If ``call`` fails or does what a graph cannot say, in a line.
    """
    with _TRACING:
        try:
            with _unchanged(layer):
                function = _function(layer, args, kwargs, list(inputs), n_outputs)
                axes = _batch_axes(function, layer, (args, kwargs), batch_axes, n_outputs)
            for operation in function.operations:
                _keep_batch_open(operation)
            yield function, axes
        finally:
            _forget(_nodes_behind(inputs))


def _function(
    layer: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    inputs: list[Any],
    n_outputs: int | None,
) -> Any:
    """Return what ``call`` does to the inputs."""
    if getattr(layer, "quantization_mode", None) is not None:
        raise NoTraceError("it is quantised")
    if isinstance(layer, keras.Layer) and not type(layer).__call__.__module__.startswith("keras."):
        raise NoTraceError("its class has a __call__() of its own")
    with _symbolic_calls(), keras.StatelessScope() as scope:
        try:
            outputs = _called(layer, args, kwargs)
        except Exception as error:  # whatever the layer's author lets it raise
            raise NoTraceError(said_by_keras(error)) from error
    if scope.state_mapping:
        raise NoTraceError("it changes variables when it is called")
    given = keras.tree.flatten(outputs)
    tensors = [y for y in given if _is_symbolic(y)]
    if len(tensors) != n_outputs:
        tensors = [_tensor(y, inputs[0]) for y in given]
    if n_outputs not in (None, len(tensors)):
        raise NoTraceError(f"it gives {len(tensors)} tensors instead of {n_outputs}")
    return keras.Function(inputs, tensors)


def _called(layer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
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


def _tensor(output: Any, source: Any) -> Any:
    """Return an output as a symbolic tensor; what depends on no input stays as it is."""
    if _is_symbolic(output):
        return output
    if getattr(output, "shape", None) is None:
        raise NoTraceError(f"among its outputs is {type(output).__name__}, which is no tensor")
    return Constant(keras.ops.convert_to_tensor(output))(source)


def _batch_axes(
    function: Any,
    layer: Any,
    arguments: tuple[Sequence[Any], Mapping[str, Any]],
    batch_axes: Sequence[int],
    n_outputs: int | None,
) -> dict[int, int]:
    """Return in which axis of each tensor samples stand, as tracing several of them shows.

    A call that does not do to several samples, at another time, what it does to one is refused:
    its code may go by the size of the batch (``x / ops.shape(x)[0]``), or draw random numbers.
    """
    with fresh_names():
        twins = {}
        for x, axis in zip(function.inputs, batch_axes, strict=True):
            twins[id(x)] = symbol(Batch.of(x.shape, axis).shape_of(N_SAMPLES), x.dtype)

        def of_samples(value: Any) -> Any:
            """Return the twin of a tensor, and a constant of one sample for each of several."""
            if id(value) not in twins and not isinstance(value, keras.Variable):
                is_one = tuple(getattr(value, "shape", ()))[:1] == (1,)
                return keras.ops.repeat(value, N_SAMPLES, axis=0) if is_one else value
            return twins.get(id(value), value)

        args, kwargs = keras.tree.map_structure(of_samples, arguments)
        try:
            other = _function(layer, args, kwargs, list(twins.values()), n_outputs)
            why = difference(function, other, N_SAMPLES)
            axes = batch_axes_of(function, other, N_SAMPLES)
        except NoTraceError as error:
            raise NoTraceError(f"not for {N_SAMPLES} samples as for one: {error}") from error
        finally:
            _forget(_nodes_behind(list(twins.values())))
    if why is not None:
        raise NoTraceError(why)
    return axes


def _keep_batch_open(operation: Any) -> None:
    """Let ``ops.reshape(x, (ops.shape(x)[0], ...))`` take any number of samples."""
    if type(operation).__name__ == "Reshape" and not isinstance(operation, keras.Layer):
        batch, *shape = operation.output.shape
        if batch == 1 and 0 not in shape:  # of none there may be any number
            operation.newshape = (-1, *shape)


@contextmanager
def _symbolic_calls() -> Iterator[None]:
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
    make, call, add_loss = keras.Variable.__init__, keras.Layer.__call__, keras.Layer.add_loss
    note, tensors = keras.Operation.symbolic_call, type(keras.ops.zeros(()))

    def init(variable: Any, *args: Any, **kwargs: Any) -> None:
        if threading.get_ident() == thread:
            raise NoTraceError("it makes variables; call the model on data once before")
        make(variable, *args, **kwargs)

    def add_no_loss(layer: Any, loss: Any) -> None:
        if threading.get_ident() != thread:
            add_loss(layer, loss)

    def symbolic_call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        symbols = [x for x in keras.tree.flatten((args, kwargs)) if _is_symbolic(x)]
        if not symbols or threading.get_ident() != thread:
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

    def symbolic_operation(operation: Any, *args: Any, **kwargs: Any) -> Any:
        name = type(operation).__name__
        if threading.get_ident() != thread:
            return note(operation, *args, **kwargs)
        if name in ("Cond", "Switch"):
            raise NoTraceError("which function it runs depends on the inputs")
        if name in ("Ndim", "Size"):
            return len(args[0].shape) if name == "Ndim" else prod(args[0].shape)
        if name == "GetItem" and isinstance(args[1], slice):
            args = (args[0], args[1:])
        return note(operation, *args, **kwargs)

    def equal(tensor: Any, other: Any) -> Any:
        return keras.ops.equal(tensor, other) if threading.get_ident() == thread else NotImplemented

    with (
        _patched(keras.Variable, _deferring_operators(keras.Variable) | {"__init__": init}),
        _patched(tensors, _deferring_operators(tensors)),
        # So numpy and jax know that an operand is none of theirs; property() seems not to be there.
        _patched(
            keras.KerasTensor,
            {"__eq__": equal, "__array_ufunc__": None, "__jax_array__": property()},
        ),
        _patched(keras.Operation, {"symbolic_call": symbolic_operation}),
        _patched(keras.Layer, {"__call__": symbolic_call, "add_loss": add_no_loss}),
    ):
        yield


def _noted_call(layer: Any, args: Any, kwargs: Any, symbols: Sequence[Any]) -> Any:
    """Call a layer within another, and note the call as Keras does, to be opened later.

    Unlike Keras, which notes tensors alone, it may give constants and None beside them.
    """
    if not (layer.built or getattr(layer.build, "_is_default", False)):
        raise NoTraceError(f"its layer '{layer.name}' is not built; call the model on data once")
    with fresh_names():
        twins = {id(x): symbol(x.shape, x.dtype) for x in symbols}
        try:
            outputs = _called(
                layer, *keras.tree.map_structure(lambda x: twins.get(id(x), x), (args, kwargs))
            )
        finally:
            _forget(_nodes_behind(list(twins.values())))
    outputs = keras.tree.map_structure(
        lambda y: keras.KerasTensor(y.shape, y.dtype) if _is_symbolic(y) else y, outputs
    )
    if tensors := [y for y in keras.tree.flatten(outputs) if _is_symbolic(y)]:
        Node(layer, args, kwargs, tensors)
    return outputs


def _without_constants(arguments: Any, source: Any) -> Any:
    """Return what one of Keras's layers is called on, with constants, but for masks, as nodes."""
    args, kwargs = arguments

    def tensor(value: Any) -> Any:
        shape = tuple(getattr(value, "shape", ()))
        if not shape or _is_symbolic(value):
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


def _is_symbolic(value: Any) -> bool:
    """Whether a value is a symbolic tensor."""
    return isinstance(value, keras.KerasTensor)


def _deferring_operators(cls: type) -> dict[str, Any]:
    """Return the operators of a class, but for symbolic tensors."""
    return {name: _deferring(getattr(cls, name)) for name in OPERATORS if hasattr(cls, name)}


def _deferring(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return an operator's method that leaves symbolic tensors to their own."""

    def deferring(variable: Any, other: Any) -> Any:
        return NotImplemented if _is_symbolic(other) else method(variable, other)

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


@contextmanager
def _unchanged(layer: Any) -> Iterator[None]:
    """Give a layer, and those that it holds, the attributes back that they have now."""
    layers = layer._flatten_layers() if isinstance(layer, keras.Layer) else [layer]
    # What has no weights may be built on its first call, and stays so.
    saved = [(vars(x), dict(vars(x))) for x in layers if getattr(x, "built", True)]
    try:
        yield
    finally:
        for now, before in saved:
            for name in now.keys() - before.keys():
                del now[name]
            now.update(before)


def _nodes_behind(inputs: Sequence[Any]) -> list[Any]:
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


def _forget(nodes: Sequence[Any]) -> None:
    """Take nodes off the layers and operations that they hang on."""
    for node in nodes:
        node.operation._inbound_nodes.remove(node)
        for operation in {x._keras_history.operation for x in node.arguments.keras_tensors}:
            operation._outbound_nodes[:] = [n for n in operation._outbound_nodes if n is not node]
