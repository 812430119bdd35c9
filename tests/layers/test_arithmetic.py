import keras
import numpy as np
import pytest
from keras import ops

import gpugraph as gg
from tests.operations import assert_computes

ROWS = {
    "ops.Deg2rad": (ops.deg2rad, (2, 3)),
    "ops.Rad2deg": (ops.rad2deg, (2, 3)),
}

ROW = np.array([1.0, -2.0, 0.5], np.float32)
TABLE = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 4.0]], np.float32)


@pytest.mark.parametrize(
    ("function", "kind", "weights"),
    [
        (lambda x: x + 2, "copy", {1.0}),
        (lambda x: 2 + x, "copy", {1.0}),
        (lambda x: x - 2, "copy", {1.0}),
        (lambda x: 2 - x, "scale", {-1.0}),
        (lambda x: x * 2, "scale", {2.0}),
        (lambda x: 2 * x, "scale", {2.0}),
        (lambda x: x / 4, "scale", {0.25}),
        (lambda x: -x, "scale", {-1.0}),
        (lambda x: ops.divide(x, 4), "scale", {0.25}),
        (lambda x: ops.deg2rad(x), "scale", {np.float32(np.pi / 180)}),
        (lambda x: ops.rad2deg(x), "scale", {np.float32(180 / np.pi)}),
        (lambda x: ops.maximum(x, 0.5), "copy", {1.0}),
        (lambda x: ops.minimum(ROW, x), "copy", {1.0}),
        (lambda x: 2 / x, "copy", {1.0}),
        (lambda x: x / x, "copy", {1.0}),
    ],
)
def test_operators_with_a_number(function, kind, weights):
    graph = assert_computes(function, (2, 3))
    (projection,) = graph.projections
    assert projection.kind == kind
    assert {weight for _, _, weight in graph.edge_tuples()} == weights


@pytest.mark.parametrize(
    "constant", [ROW, TABLE, TABLE[None], TABLE[:, :1], ROW[None], ROW[None, None]]
)
@pytest.mark.parametrize(
    "function",
    [
        lambda x, c: x + c,
        lambda x, c: ops.add(c, x),
        lambda x, c: x - c,
        lambda x, c: ops.subtract(c, x),
        lambda x, c: x * c,
        lambda x, c: ops.multiply(c, x),
        lambda x, c: x / c,
    ],
)
def test_operators_with_an_array(function, constant):
    graph = assert_computes(lambda x: function(x, constant), (2, 3))
    assert graph.n_edges == 6


def test_constants_may_enlarge_the_tensor():
    graph = assert_computes(lambda x: x * TABLE, (2, 1))
    assert graph.n_edges == 6


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: x + y,
        lambda x, y: x - y,
        lambda x, y: x * y,
        ops.maximum,
        ops.minimum,
    ],
)
@pytest.mark.parametrize("shapes", [[(2, 3), (2, 3)], [(2, 3), (1, 3)], [(2, 1), (1, 3)]])
def test_operators_of_two_tensors(function, shapes):
    graph = assert_computes(function, *shapes)
    assert graph.n_edges == 12


@pytest.mark.parametrize("function", [lambda x: x + x, lambda x: x - x, lambda x: x * x])
def test_the_same_tensor_twice(function):
    graph = assert_computes(function, (3,))
    assert graph.n_edges == 6


def test_a_keras_variable_as_constant():
    variable = keras.Variable(ROW)
    graph = assert_computes(lambda x: x * variable.value, (3,))
    assert [weight for _, _, weight in graph.edge_tuples()] == ROW.tolist()


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x: x + np.ones((4, 1, 3), np.float32), "batch"),
        (lambda x: x * np.ones((1, 4, 3), np.float32), "batch"),
        (lambda x: x * np.ones((4, 3), np.float32), "batch"),
    ],
)
def test_operators_without_exact_form_are_refused(function, why):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, function(inputs))
    with pytest.raises(gg.GpugraphError, match=why):
        gg.from_keras(model)


def test_operands_of_different_rank_are_refused():
    x, y = keras.Input((2, 3), batch_size=2), keras.Input((3,), batch_size=2)
    with pytest.raises(gg.UnsupportedLayerError, match="differ in rank"):
        gg.from_keras(keras.Model([x, y], x + y))


def test_division_by_zero_is_refused():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, inputs / np.array([1.0, 0.0, 2.0], np.float32))
    with pytest.raises(gg.NonFiniteError, match="hold NaN or infinity"):
        gg.from_keras(model)
