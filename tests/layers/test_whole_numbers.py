"""Operations on what Keras holds as whole numbers or truths: the graph's numbers are the same."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import gpugraph as gg
from tests.operations import kinds

SHAPE = (4, 3)


def graph_of(function, dtype="int32", shape=SHAPE):
    inputs = keras.Input(shape, dtype=dtype)
    return gg.from_keras(keras.Model(inputs, function(inputs)))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x / 3,
        lambda x: x // 2,
        lambda x: x % 3,
        lambda x: x * 0.1 + 2,
        lambda x: 5 - x,
        lambda x: -x,
        lambda x: x * x + x - 3 * x,
        lambda x: x**2,
        lambda x: ops.exp(x / 10),
        lambda x: ops.equal(x, 1),
        lambda x: ops.where(ops.equal(x, 2), x, 0.5),
        lambda x: ops.cast(x, "float32") / 3,
        lambda x: ops.cast(x, "bool"),
        lambda x: ops.sum(x > 2, axis=1),
        lambda x: ops.sum(ops.one_hot(x, 9, dtype="int32"), axis=1),
        lambda x: ops.sum(ops.one_hot(x, 9, dtype="bool"), axis=1),
        lambda x: ops.mean(x, axis=1),
        lambda x: ops.mean(x > 2, axis=1),
        lambda x: ops.average(x, axis=2, weights=np.array([1.0, 2.0, 3.0], np.float32)),
        lambda x: ops.var(x, axis=1),
        lambda x: ops.max(x, axis=1) + ops.min(x, axis=1),
        lambda x: ops.prod(x, axis=2),
        lambda x: ops.cumsum(x, axis=1),
        lambda x: ops.diff(x, axis=1),
        lambda x: ops.matmul(x, np.arange(6, dtype=np.int32).reshape(3, 2)),
        lambda x: ops.matmul(x, np.ones((3, 2), np.float32)),
        lambda x: ops.matmul(x, ops.transpose(x, (0, 2, 1))),
        lambda x: ops.full_like(x, 2.5) + x,
        lambda x: ops.pad(x, ((0, 0), (1, 0), (0, 0)), constant_values=7),
        lambda x: ops.concatenate([x, ops.cast(x, "float32") / 2], axis=1),
        lambda x: layers.Add()([x, x]),
        lambda x: layers.Dense(2)(x),
    ],
)
def test_what_is_made_of_whole_numbers(function):
    graph = graph_of(function)
    rng = np.random.default_rng(0)
    assert graph.verify(rng.integers(0, 8, (5, *SHAPE))).passed


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "uint32"])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + x,
        lambda x: x + 100,
        lambda x: 3 - x,
        lambda x: x - x[:, ::-1],
        lambda x: x * 3,
        lambda x: -x,
        lambda x: ops.maximum(x, x[:, ::-1]),
        lambda x: ops.sum(x, axis=1),
        lambda x: ops.max(x, axis=1),
        lambda x: ops.cumsum(x, axis=1),
        lambda x: ops.diff(x, axis=1),
        lambda x: x / 255,
    ],
)
def test_types_in_which_sums_start_over(function, dtype):
    inputs = keras.Input(SHAPE, dtype=dtype)
    model = keras.Model(inputs, function(inputs))
    x = np.random.default_rng(0).integers(0, 127, (5, *SHAPE)).astype(dtype)
    try:
        model(x)
    except Exception:
        pytest.skip("Keras itself has no such operation for this type")
    assert gg.from_keras(model).verify(x).passed


@pytest.mark.parametrize(
    "function",
    [
        lambda x: layers.Add()([x, x]),
        lambda x: layers.Average()([x, x]),
        lambda x: ops.matmul(x, np.ones((3, 2), np.uint8)),
        lambda x: (
            ops.trace(ops.matmul(x, np.ones((3, 4), np.int32)), axis1=1, axis2=2)
            + ops.sum(ops.einsum("bij->bj", x), axis=1)
        ),
    ],
)
def test_weighted_sums_that_start_over_are_refused(function):
    with pytest.raises(gg.UnsupportedLayerError, match="a type in which sums start over"):
        graph_of(function, "uint8")


@pytest.mark.parametrize(
    ("function", "kind"),
    [(lambda x: ops.floor(x / 41), "scale"), (lambda x: ops.floor(ops.mean(x, axis=1)), "mean")],
)
def test_shares_of_whole_numbers_are_exact(function, kind):
    # 41 * float32(1 / 41) is less than 1.
    graph = graph_of(function, shape=(41,))
    assert graph.verify(np.full((2, 41), 41)).passed
    assert kind in kinds(graph)


def test_numbers_that_nodes_cannot_hold_are_refused():
    graph = graph_of(lambda x: x * 100_003 % 1000)
    assert graph.verify(np.full((2, *SHAPE), 100)).passed
    with pytest.raises(
        gg.RangeError, match=r"\(Mod\) takes numbers of type int32.* below 16777216; it is given 2"
    ):
        graph.evaluate(np.full((2, *SHAPE), 200))


def test_whole_inputs_are_cut_as_keras_does():
    inputs = keras.Input(SHAPE, dtype="int32")
    model = keras.Model(inputs, inputs + 1)
    graph = gg.from_keras(model)
    x = np.random.default_rng(0).uniform(-3, 3, (2, *SHAPE))
    *_, values = graph.evaluate(x).values()
    np.testing.assert_array_equal(values, model.predict(x, verbose=0))
