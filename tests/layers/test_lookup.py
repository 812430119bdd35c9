import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers, ops

import gpugraph as gg
from tests.jacobian import adjacency
from tests.operations import assert_computes, kinds, operation_model, reached

TABLE = np.arange(12, dtype=np.float32).reshape(4, 3) - 5

ROWS = {
    "ops.Take": (lambda x: ops.take(x, [2, 0, 2], axis=2), (2, 3)),
    "ops.TakeAlongAxis": (
        lambda x: ops.take_along_axis(x, np.array([[[2], [0]]]), axis=2),
        (2, 3),
    ),
}


def tokens_model(function, shape, dtype="int32"):
    tokens = keras.Input(shape, dtype=dtype, name="tokens")
    return keras.Model(tokens, function(tokens))


def test_a_table_is_an_embedding():
    model = tokens_model(lambda x: ops.take(TABLE, x, axis=0), (5,))
    layer = layers.Embedding(4, 3, weights=[TABLE])
    graph, twin = (gg.from_keras(m) for m in (model, tokens_model(layer, (5,))))
    np.testing.assert_array_equal(adjacency(graph), adjacency(twin))
    assert [p.kind for p in graph.projections] == ["choice", "weight"]
    _, tokens, target = graph.populations.values()
    assert tokens.name == f"{target.name}/tokens"


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize(
    ("table", "axis"),
    [
        (TABLE, 0),
        (TABLE, -2),
        (TABLE, None),
        (TABLE[:, 0], 0),
        (TABLE.reshape(4, 1, 3), 0),
        (TABLE.astype(np.int32), 0),
        (keras.Variable(TABLE), 0),
    ],
)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_tables_of_any_shape(table, axis, shape, dtype):
    graph = gg.from_keras(tokens_model(lambda x: ops.take(table, x, axis=axis), shape, dtype))
    tokens = np.random.default_rng(0).integers(0, 4, (6, *shape))
    assert graph.verify(tokens).passed
    assert graph.verify(tokens - 4).passed  # from the end


@pytest.mark.parametrize("token", [4, -5])
def test_positions_beyond_the_table_are_refused(token):
    graph = gg.from_keras(tokens_model(lambda x: ops.take(TABLE, x, axis=0), (2,)))
    with pytest.raises(gg.ShapeError, match=f"knows 4 tokens, 0 to 3; its input holds {token}"):
        graph.evaluate(np.array([[0, token]]))


def test_the_row_of_the_nearest():
    def function(x):
        return ops.take(TABLE, ops.argmin(ops.abs(x), axis=-1), axis=0)

    graph = assert_computes(function, (5, 4))
    assert kinds(graph) == {"copy", "dynamic", "choice", "weight"}


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x, at: ops.take(x, at, axis=1), "what the indices of all samples say"),
        (lambda x, at: ops.take(TABLE, at, axis=1), "its batch axis is another"),
        (lambda x, at: ops.take_along_axis(x, at, axis=0), "the batch's"),
        (lambda x, at: ops.take_along_axis(TABLE, at, axis=1), "from sample to sample"),
    ],
)
def test_what_joins_samples_is_refused(function, why):
    x, at = keras.Input((3,), batch_size=4), keras.Input((3,), batch_size=4, dtype="int32")
    with pytest.raises(gg.UnsupportedLayerError, match=why):
        gg.from_keras(keras.Model([x, at], function(x, at)))


def test_values_along_an_axis_and_the_positions_take_part():
    x, at = keras.Input((3, 2)), keras.Input((4, 2), dtype="int32")
    graph = gg.from_keras(keras.Model([x, at], ops.take_along_axis(x, at, axis=1)))
    rng = np.random.default_rng(0)
    x, at = rng.standard_normal((5, 3, 2)), rng.integers(-3, 3, (5, 4, 2))
    assert graph.verify([x, at]).passed
    assert kinds(graph) == {"dynamic"}
    matrix = reached(graph)[:14, 14:].reshape(14, 4, 2)
    for i in range(4):
        for j in range(2):
            sources = {2 * k + j for k in range(3)} | {6 + 2 * i + j}
            assert set(np.flatnonzero(matrix[:, i, j])) == sources


@given(data=st.data())
def test_random_positions_along_an_axis(data):
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple))
    axis = data.draw(st.integers(1, len(shape)))
    wide = data.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
    other = [m if is_wide else 1 for m, is_wide in zip(shape, wide, strict=True)]
    other[axis - 1] = data.draw(st.integers(1, 4))
    x, at = keras.Input(shape), keras.Input(other, dtype="int32")
    graph = gg.from_keras(keras.Model([x, at], ops.take_along_axis(x, at, axis=axis)))
    rng = np.random.default_rng(0)
    length = shape[axis - 1]
    positions = rng.integers(-length, length, (3, *other))
    assert graph.verify([rng.standard_normal((3, *shape)), positions]).passed


def test_positions_in_a_constant():
    def function(x):
        return ops.take_along_axis(TABLE[None], ops.argsort(x, axis=1), axis=1)

    graph = assert_computes(function, (4, 3))
    assert graph.n_edges == 4 * 4 * 3 + 12


def test_sorting_by_positions():
    model = operation_model(
        lambda x: ops.take_along_axis(x, ops.argsort(x, axis=1), axis=1) - ops.sort(x, axis=1) / 2,
        (5, 2),
    )
    assert gg.from_keras(model).verify().passed
