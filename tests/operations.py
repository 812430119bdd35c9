"""Models of `keras.ops` calls, held against Keras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

import gpugraph as gg
from tests.jacobian import Function, assert_evaluates, graph_map, keras_map

Build = Callable[..., Any]


def operation_model(
    function: Build, *shapes: Sequence[int], batch_size: int | None = None
) -> keras.Model:
    """Return the model that a function of symbolic tensors builds."""
    inputs = [keras.Input(tuple(shape), batch_size=batch_size) for shape in shapes]
    return keras.Model(inputs[0] if len(inputs) == 1 else inputs, function(*inputs))


def assert_computes(function: Build, *shapes: Sequence[int], **options: Any) -> gg.NeuronGraph:
    """Compare the graph's output with the model's on random inputs; return the graph."""
    model = operation_model(function, *shapes)
    graph = gg.from_keras(model, **options)
    assert_evaluates(graph, model, *shapes)
    assert graph.verify().passed
    return graph


def assert_affine(function: Build, shape: Sequence[int]) -> gg.NeuronGraph:
    """Compare the model's Jacobian and offset with the graph's; return the graph."""
    model = operation_model(function, shape)
    graph = gg.from_keras(model)
    keras_function = function_of(model)
    expected, offset = keras_map(keras_function, shape)
    matrix, shift = graph_map(graph)
    assert_allclose(matrix, expected, rtol=1e-4, atol=1e-5)
    assert_allclose(shift, offset, rtol=1e-4, atol=1e-5)
    assert_evaluates(graph, keras_function, shape)
    return graph


def function_of(model: keras.Model) -> Function:
    """Return a model of one input and output as a function of numpy arrays."""

    def function(x: np.ndarray) -> np.ndarray:
        # Where the batch size is named to be 1, samples go one by one.
        batches = np.split(x, len(x)) if model.outputs[0].shape[0] == 1 else [x]
        return np.concatenate([keras.ops.convert_to_numpy(model(batch)) for batch in batches])

    return function


def assert_refused(function: Build, *shapes: Sequence[int], why: str, **options: Any) -> None:
    """Hold that converting the model is refused, for the reason given."""
    model = operation_model(function, *shapes, **options)
    with pytest.raises(gg.GpugraphError, match=why):
        gg.from_keras(model)


def kinds(graph: gg.NeuronGraph) -> set[str]:
    """Return the kinds of the graph's projections."""
    return {projection.kind for projection in graph.projections}


def reached(graph: gg.NeuronGraph) -> np.ndarray:
    """Return who reaches whom: a bool matrix over the nodes."""
    matrix = np.zeros((graph.n_nodes, graph.n_nodes), bool)
    for src, dst, _ in graph.edge_tuples():
        matrix[src, dst] = True
    return matrix
