"""What a layer does to every unit vector: as Keras computes it, and as the graph's edges say."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
from numpy.testing import assert_allclose

import gpugraph as gg

Function = Callable[[np.ndarray], np.ndarray]


def randomise(layer: keras.Layer, seed: int = 0) -> None:
    """Give every weight a random value; variances and scales of them stay positive."""
    rng = np.random.default_rng(seed)
    for variable in layer.weights:
        values = rng.uniform(-1, 1, variable.shape)
        if "variance" in variable.name:
            values = np.abs(values) + 0.5
        variable.assign(values)


def single(layer: keras.Layer, *shapes: Sequence[int]) -> keras.Model:
    """Return a model of one layer with random weights, called on inputs of these shapes."""
    inputs = [keras.Input(tuple(shape)) for shape in shapes]
    model = keras.Model(inputs, layer(inputs[0] if len(inputs) == 1 else inputs))
    randomise(model)
    return model


def function_of(layer: keras.Layer, shape: Sequence[int]) -> Function:
    """Return a built layer as a function of numpy arrays.

    TensorFlow has no channels_first windows on a CPU; there the same layer in channels_last, with
    the same weights, computes the same on transposed arrays.
    """
    slides = any(part in type(layer).__name__ for part in ("Conv", "Pooling", "STFT"))
    if not slides or layer.data_format == "channels_last":
        return lambda x: keras.ops.convert_to_numpy(layer(x))
    config = layer.get_config() | {"data_format": "channels_last"}
    twin = type(layer).from_config(config)
    twin.build((None, *shape[1:], shape[0]))
    twin.set_weights(layer.get_weights())

    def transposed(x: np.ndarray) -> np.ndarray:
        y = keras.ops.convert_to_numpy(twin(np.moveaxis(x, 1, -1)))
        return y if y.ndim == 2 else np.moveaxis(y, -1, 1)

    return transposed


def keras_map(function: Function, shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return a linear function as (matrix, offset): ``y = x @ matrix + offset``.

    One batch holds the zero input and every unit vector.
    """
    n = int(np.prod(shape))
    batch = np.concatenate([np.zeros((1, n)), np.eye(n)]).astype(np.float32)
    outputs = function(batch.reshape(-1, *shape)).reshape(n + 1, -1)
    return outputs[1:] - outputs[0], outputs[0]


def adjacency(graph: gg.NeuronGraph) -> np.ndarray:
    """Return the dense matrix ``A[src, dst]`` of the graph's edges; parallel edges add up."""
    matrix = np.zeros((graph.n_nodes, graph.n_nodes))
    for src, dst, weight in graph.edges(device="cpu"):
        np.add.at(matrix, (src, dst), weight)
    return matrix


def output_of(graph: gg.NeuronGraph) -> gg.Population:
    """Return the population of the model's only output."""
    (output,) = graph.topology.outputs
    return graph.tensors[output.label].population


def graph_map(graph: gg.NeuronGraph) -> tuple[np.ndarray, np.ndarray]:
    """Return what the edges and biases make of the only input, as (matrix, offset).

    Goes through the populations in order, so that those inside a layer compose.
    """
    edges = adjacency(graph)
    first, *others = graph.populations.values()
    matrix = np.zeros((first.size, graph.n_nodes))
    matrix[:, first.slice] = np.eye(first.size)
    offset = np.zeros(graph.n_nodes)
    for population in others:
        into = edges[:, population.slice]
        matrix[:, population.slice] = matrix @ into
        offset[population.slice] = offset @ into
        if population.bias is not None:
            offset[population.slice] += population.values(population.bias)
    here = output_of(graph).slice
    return matrix[:, here], offset[here]


def assert_linear(layer: keras.Layer, shape: Sequence[int]) -> gg.NeuronGraph:
    """Compare a linear layer's Jacobian and bias with its graph's; return the graph."""
    graph = gg.from_keras(single(layer, shape))
    function = function_of(layer, shape)
    expected_matrix, expected_offset = keras_map(function, shape)
    matrix, offset = graph_map(graph)
    assert matrix.shape == expected_matrix.shape
    assert_allclose(matrix, expected_matrix, rtol=1e-4, atol=1e-5)
    assert_allclose(offset, expected_offset, rtol=1e-4, atol=1e-5)
    assert_evaluates(graph, function, shape)
    return graph


def assert_forward(layer: keras.Layer, shape: Sequence[int]) -> gg.NeuronGraph:
    """Compare `NeuronGraph.evaluate` with the layer on random inputs; return the graph."""
    graph = gg.from_keras(single(layer, shape))
    assert_evaluates(graph, function_of(layer, shape), shape)
    return graph


def assert_evaluates(graph: gg.NeuronGraph, function: Function, *shapes: Sequence[int]) -> None:
    """Compare the graph's output with a function's on random inputs of these shapes."""
    rng = np.random.default_rng(1)
    inputs = [rng.uniform(-2, 2, (3, *shape)).astype(np.float32) for shape in shapes]
    got = graph.evaluate(inputs)[output_of(graph).name]
    expected = keras.ops.convert_to_numpy(function(inputs[0] if len(inputs) == 1 else inputs))
    assert got.size == expected.size
    assert_allclose(got.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)
