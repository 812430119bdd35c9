import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

import gpugraph as gg
from tests.jacobian import assert_evaluates, single

MERGES = [
    layers.Add,
    layers.Subtract,
    layers.Multiply,
    layers.Average,
    layers.Maximum,
    layers.Minimum,
]
OF_ANY_NUMBER = [merge for merge in MERGES if merge is not layers.Subtract]
ROWS = {"CustomScaleLayer": (CustomScaleLayer(0.5), (2, 3), (2, 3))}


def assert_merges(layer, *shapes):
    model = single(layer, *shapes)
    graph = gg.from_keras(model)
    assert_evaluates(graph, model, *shapes)
    return graph


@pytest.mark.parametrize("merge", MERGES)
def test_two_inputs(merge):
    graph = assert_merges(merge(), (2, 3), (2, 3))
    assert graph.n_edges == 12


@pytest.mark.parametrize("merge", OF_ANY_NUMBER)
def test_three_inputs(merge):
    graph = assert_merges(merge(), (2, 3), (2, 3), (2, 3))
    assert graph.n_edges == 18


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize(
    "shapes",
    [
        [(2, 3), (1, 3)],
        [(2, 1), (2, 3)],
        [(1, 3), (2, 1)],  # both
        [(4, 2, 3), (3,)],  # different ranks
        [(2,), (4, 3, 2)],
        [(1,), (4, 3, 2)],
    ],
)
def test_broadcasting(merge, shapes):
    graph = assert_merges(merge(), *shapes)
    *_, target = graph.populations.values()
    assert graph.n_edges == 2 * target.size


@given(
    shape=st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple),
    data=st.data(),
)
def test_random_broadcasting(shape, data):
    kept = data.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
    start = data.draw(st.integers(0, len(shape) - 1))
    other = tuple(n if keep else 1 for n, keep in zip(shape, kept, strict=True))[start:]
    graph = assert_merges(layers.Multiply(), shape, other)
    assert graph.n_edges == 2 * np.prod(shape)


@pytest.mark.parametrize("merge", MERGES)
def test_the_same_tensor_twice_gives_parallel_edges(merge):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, merge()([inputs, inputs]))
    graph = gg.from_keras(model)
    assert_evaluates(graph, model, (3,))
    pairs = [(src, dst) for src, dst, _ in graph.edge_tuples()]
    assert pairs == [(0, 3), (1, 4), (2, 5)] * 2


@pytest.mark.parametrize(
    ("axis", "shapes"),
    [
        (-1, [(2, 3), (2, 1), (2, 4)]),
        (1, [(2, 3), (5, 3)]),
        (2, [(2, 3), (2, 2)]),
        (2, [(2, 3, 2), (2, 1, 2)]),
        (-3, [(2, 3, 2), (1, 3, 2)]),
        (1, [(4,), (1,)]),
    ],
)
def test_concatenate(axis, shapes):
    graph = assert_merges(layers.Concatenate(axis=axis), *shapes)
    assert graph.n_edges == sum(np.prod(shape) for shape in shapes)
    assert set(graph.in_degree()[-graph.n_edges :]) == {1}


def test_concatenate_the_same_tensor_twice():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layers.Concatenate()([inputs, inputs]))
    pairs = [(src, dst) for src, dst, _ in gg.from_keras(model).edge_tuples()]
    assert pairs == [(0, 3), (1, 4), (2, 5), (0, 6), (1, 7), (2, 8)]


def test_concatenation_along_the_batch_is_refused():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layers.Concatenate(axis=0)([inputs, inputs]))
    with pytest.raises(gg.UnsupportedLayerError, match="it concatenates along the batch"):
        gg.from_keras(model)


def test_fused_maximum_of_passed_on_tensors():
    inputs = keras.Input((2, 3))
    flat = layers.Flatten()(inputs)
    model = keras.Model(inputs, layers.Maximum()([flat, layers.Dense(6)(flat)]))
    graph = gg.from_keras(model)
    assert_evaluates(graph, model, (2, 3))
    assert graph.n_edges == 36 + 12


def test_scaled_residual():
    graph = assert_merges(CustomScaleLayer(0.25), (2, 3), (2, 3))
    assert [p.kind for p in graph.projections] == ["copy", "scale"]
    assert sorted(weight for _, _, weight in graph.edge_tuples()) == [0.25] * 6 + [1] * 6
