from itertools import permutations

import keras
import pytest
from keras import layers

import gpugraph as gg
from tests.jacobian import adjacency, assert_linear


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 2, 3, 2)])
def test_flatten_of_channels_first_reorders(shape):
    graph = assert_linear(layers.Flatten(data_format="channels_first"), shape)
    assert graph.n_edges == graph.n_nodes // 2


def test_flatten_of_channels_first_vectors_makes_no_nodes():
    graph = assert_linear(layers.Flatten(data_format="channels_first"), (3,))
    assert (graph.n_nodes, graph.n_edges) == (3, 0)


def test_dense_reads_what_flatten_reordered():
    inputs = keras.Input((2, 3, 4))
    flat = layers.Flatten(data_format="channels_first")(inputs)
    model = keras.Model(inputs, layers.Dense(3)(flat))
    assert gg.from_keras(model).verify().passed


@pytest.mark.parametrize("dims", [*permutations((1, 2, 3)), (3, 1, 4, 2), (1,)])
def test_permute(dims):
    graph = assert_linear(layers.Permute(dims), (2, 3, 4, 2)[: len(dims)])
    assert set(adjacency(graph).ravel()) == {0.0, 1.0}


@pytest.mark.parametrize("n", [1, 3])
def test_repeat_vector(n):
    graph = assert_linear(layers.RepeatVector(n), (4,))
    assert graph.n_edges == 4 * n
