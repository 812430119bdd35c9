from itertools import product

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

import gpugraph as gg
from tests.jacobian import assert_evaluates, single

ROWS = {"Dot": (layers.Dot(1), (2, 3), (2, 4))}


def assert_multiplies(layer, *shapes):
    """Compare the layer, the edges' ends and kinds; return the graph."""
    model = single(layer, *shapes)
    graph = gg.from_keras(model)
    assert_evaluates(graph, model, *shapes)
    assert graph.verify().passed
    edges = {(src, dst) for src, dst, weight in graph.edge_tuples() if weight == 1}
    assert edges == set(meeting(graph, layer.axes, shapes))
    assert graph.n_edges == len(edges)
    assert {p.kind for p in graph.projections} == {"dynamic"}
    return graph


def meeting(graph, axes, shapes):
    """Yield (source id, target id) of every element that a sum of products reads."""
    left, right, target = graph.populations.values()
    i, j = (axes, axes) if isinstance(axes, int) else axes
    i, j = i % (len(shapes[0]) + 1) - 1, j % (len(shapes[1]) + 1) - 1
    for at in product(*map(range, shapes[0])):
        for other in product(*map(range, shapes[1])):
            if at[i] == other[j]:
                kept = at[:i] + at[i + 1 :] + other[:j] + other[j + 1 :]
                to = target.node_id(kept or (0,))
                yield left.node_id(at), to
                yield right.node_id(other), to


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(
    ("axes", "left", "right"),
    [
        (1, (4,), (4,)),  # two vectors: one number
        (-1, (4,), (3, 4)),
        ((1, 2), (4,), (3, 4)),
        ((2, 1), (3, 4), (4,)),
        (1, (4, 2), (4, 3)),
        (2, (2, 4), (3, 4)),
        ((1, 2), (4, 2), (3, 4)),
        ((2, 1), (3, 4), (4, 2)),
        ((-1, -2), (3, 4), (4, 2)),
        ((2, 1), (2, 4, 3), (4, 2)),
        ((1, 3), (2, 4, 3), (3, 1, 2)),
        ((3, 2), (2, 3, 2), (3, 2, 2)),
    ],
)
def test_dot(axes, left, right, normalize):
    assert_multiplies(layers.Dot(axes, normalize=normalize), left, right)


@given(
    left=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    right=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    data=st.data(),
)
def test_dot_of_any_shapes(left, right, data):
    axes = [data.draw(st.integers(1, len(shape))) for shape in (left, right)]
    right[axes[1] - 1] = left[axes[0] - 1]
    assert_multiplies(layers.Dot(tuple(axes)), left, right)


def test_dot_of_a_tensor_with_itself():
    inputs = keras.Input((2, 3))
    graph = gg.from_keras(keras.Model(inputs, layers.Dot(2)([inputs, inputs])))
    assert graph.n_edges == 2 * 2 * 2 * 3
    assert graph.verify().passed


def test_unit_vectors_of_zeros_are_zero():
    model = single(layers.Dot(1, normalize=True), (3,), (3,))
    graph = gg.from_keras(model)
    *_, cosine = graph.evaluate([np.zeros((1, 3)), np.ones((1, 3))]).values()
    assert cosine == 0


def test_dot_of_the_batch_is_refused():
    inputs = keras.Input(batch_shape=(2, 3))
    model = keras.Model(inputs, layers.Dot(0)([inputs, inputs]))
    with pytest.raises(gg.UnsupportedLayerError, match="joins samples of the batch"):
        gg.from_keras(model)
