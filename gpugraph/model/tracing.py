"""What a layer's own ``call`` does, as layers and operations: Keras runs it on symbolic tensors."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from gpugraph.errors import said_by_keras
from gpugraph.model.batch_size import batch_axes_of, difference
from gpugraph.model.layer_call import N_SAMPLES, Batch
from gpugraph.model.masks import fresh_names
from gpugraph.model.symbolic_calls import (
    Constant,
    NoTraceError,
    called,
    forget,
    is_symbolic,
    nodes_behind,
    symbol,
    symbolic_calls,
)

# Keras's classes, and the nodes that hang on layers, are one for all threads.
_TRACING = threading.RLock()


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
            forget(nodes_behind(inputs))


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
    with symbolic_calls(), keras.StatelessScope() as scope:
        try:
            outputs = called(layer, args, kwargs)
        except Exception as error:  # whatever the layer's author lets it raise
            raise NoTraceError(said_by_keras(error)) from error
    if scope.state_mapping:
        raise NoTraceError("it changes variables when it is called")
    given = keras.tree.flatten(outputs)
    tensors = [y for y in given if is_symbolic(y)]
    if len(tensors) != n_outputs:
        tensors = [_tensor(y, inputs[0]) for y in given]
    if n_outputs not in (None, len(tensors)):
        raise NoTraceError(f"it gives {len(tensors)} tensors instead of {n_outputs}")
    return keras.Function(inputs, tensors)


def _tensor(output: Any, source: Any) -> Any:
    """Return an output as a symbolic tensor; what depends on no input stays as it is."""
    if is_symbolic(output):
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
            forget(nodes_behind(list(twins.values())))
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
