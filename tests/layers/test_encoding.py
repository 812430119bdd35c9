import keras
import numpy as np
import pytest
from keras import layers, ops

import gpugraph as gg

ROWS = {
    "CategoryEncoding": (
        layers.CategoryEncoding(3, output_mode="count"),
        keras.Input((4,), dtype="int32"),
    ),
    "Discretization": (layers.Discretization([-0.5, 0.2, 0.7], output_mode="count"), (4,)),
    "ops.MultiHot": (lambda x: ops.multi_hot(x, 3), keras.Input((4,), dtype="int32")),
    "ops.OneHot": (lambda x: ops.one_hot(x, 3), keras.Input((4,), dtype="int32")),
}
TOKENS = np.array([[0, 3, 3, 1], [2, 2, 2, 2], [4, 0, 1, 3]])


def model_of(shape, **options):
    tokens = keras.Input(shape, dtype="int32", name="tokens")
    layer = layers.CategoryEncoding(5, name="places", **options)
    return keras.Model(tokens, layer(tokens))


@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
@pytest.mark.parametrize("length", [1, 4])
def test_encoding(length, mode):
    model = model_of((length,), output_mode=mode)
    graph = gg.from_keras(model)
    tokens = TOKENS[:, :length]
    np.testing.assert_array_equal(
        graph.evaluate(tokens)["places"], model.predict(tokens, verbose=0)
    )


def test_every_token_may_stand_for_every_place():
    graph = gg.from_keras(model_of((2, 2), output_mode="one_hot"))
    assert {(src, dst) for src, dst, _ in graph.edge_tuples()} == {
        (token, 4 + 5 * token + place) for token in range(4) for place in range(5)
    }
    assert [p.kind for p in graph.projections] == ["choice"]


def test_counts_add_up_the_places_of_all_tokens():
    graph = gg.from_keras(model_of((3,), output_mode="count"))
    assert [*graph.populations] == ["tokens", "places/tokens", "places"]
    choice, copy = graph.projections
    src, dst, _ = copy.edges()
    assert set(zip(src, dst, strict=True)) == {
        (3 + 5 * token + place, 18 + place) for token in range(3) for place in range(5)
    }
    assert (choice.n_edges, copy.n_edges) == (15, 15)


def test_an_encoding_of_several_dimensions_at_once_is_refused():
    with pytest.raises(gg.UnsupportedLayerError, match=r"wrong dimension of an input \(2, 3\)"):
        gg.from_keras(model_of((2, 3), output_mode="count"))


def test_weighted_counts_are_refused():
    tokens, weights = keras.Input((3,), dtype="int32"), keras.Input((3,))
    counts = layers.CategoryEncoding(5, output_mode="count")(tokens, count_weights=weights)
    with pytest.raises(gg.UnsupportedLayerError, match="called on 2 tensors instead of one"):
        gg.from_keras(keras.Model([tokens, weights], counts))


NUMBERS = np.array([[-3, -0.5, 0.19, 0.2], [0.7, 1, 0.5, np.nan], [0, 0, 0, 0]], np.float32)


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count"])
@pytest.mark.parametrize("length", [1, 3])
def test_bins_of_numbers(length, mode):
    inputs = keras.Input((length,), name="numbers")
    layer = layers.Discretization([-0.5, 0.2, 0.7], output_mode=mode, name="places")
    model = keras.Model(inputs, layer(inputs))
    graph = gg.from_keras(model)
    numbers = NUMBERS[:, :length]
    np.testing.assert_array_equal(
        graph.evaluate(numbers)["places"], model.predict(numbers, verbose=0)
    )
    assert graph.verify().passed
    kinds = {"int": ["copy"], "one_hot": ["choice"]}.get(mode, ["choice", "copy"])
    assert [p.kind for p in graph.projections] == kinds
    assert graph.projections[0].n_edges == length * (1 if mode == "int" else 4)


def test_bins_of_several_dimensions():
    inputs = keras.Input((2, 3, 1))
    for mode, shape in (("int", (2, 3, 1)), ("one_hot", (2, 3, 4))):
        layer = layers.Discretization([-0.5, 0.2, 0.7], output_mode=mode)
        graph = gg.from_keras(keras.Model(inputs, layer(inputs)))
        assert [*graph.populations.values()][-1].shape == shape
        assert graph.verify().passed


def test_boundaries_that_were_adapted():
    layer = layers.Discretization(num_bins=4)
    layer.adapt(np.linspace(-2, 2, 101))
    inputs = keras.Input((5,))
    assert gg.from_keras(keras.Model(inputs, layer(inputs))).verify().passed


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"num_bins": 4}, "adapt it first"),
        ({"bin_boundaries": [0.0], "output_mode": "count"}, "wrong dimension of an input"),
        ({"bin_boundaries": [0.0], "output_mode": "one_hot", "sparse": True}, "sparse tensors"),
    ],
)
def test_bins_that_are_refused(options, why):
    inputs = keras.Input((2, 3))
    model = keras.Model(inputs, layers.Discretization(**options)(inputs))
    with pytest.raises(gg.UnsupportedLayerError, match=why):
        gg.from_keras(model)


def test_tokens_are_cut_to_whole_numbers():
    tokens = keras.Input((4,))
    layer = layers.CategoryEncoding(5, output_mode="count")
    graph = gg.from_keras(keras.Model(tokens, [layer(tokens), ops.one_hot(tokens, 5)]))
    assert graph.verify(np.array([[0.0, 1.7, -0.5, 3.2]])).passed


def operation_graph(function, shape):
    tokens = keras.Input(shape, dtype="int32", name="tokens")
    return gg.from_keras(keras.Model(tokens, function(tokens)))


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool", "uint8", None])
@pytest.mark.parametrize(
    ("shape", "axis"), [((), -1), ((3,), -1), ((3,), 1), ((3, 2), -1), ((3, 2), 1), ((3, 2), 2)]
)
def test_one_hot_along_any_axis(shape, axis, dtype):
    graph = operation_graph(lambda x: ops.one_hot(x, 5, axis=axis, dtype=dtype), shape)
    assert graph.verify(np.random.default_rng(0).integers(-2, 7, (9, *shape))).passed
    target = graph.projections[0].target
    places = np.arange(target.size).reshape(target.shape)
    rows = np.moveaxis(places, len(shape) if axis == -1 else axis - 1, -1).reshape(-1, 5)
    n = len(rows)
    assert {(src, dst) for src, dst, _ in graph.edge_tuples()} == {
        (token, n + place) for token, row in enumerate(rows) for place in row
    }
    assert [p.kind for p in graph.projections] == ["choice"]


@pytest.mark.parametrize("shape", [(4,), (4, 2)])
def test_multi_hot_joins_tokens(shape):
    graph = operation_graph(lambda x: ops.multi_hot(x, 5), shape)
    assert graph.verify(np.random.default_rng(0).integers(-2, 7, (9, *shape))).passed
    assert [p.kind for p in graph.projections] == ["choice", "copy"]
    assert graph.n_edges == 2 * 5 * np.prod(shape)


@pytest.mark.parametrize(
    ("function", "shape", "why"),
    [
        (lambda x: ops.one_hot(x, 3, axis=0), (2,), "its batch axis is another"),
        (lambda x: ops.one_hot(x, 3, sparse=True), (2,), "sparse tensors"),
        (lambda x: ops.multi_hot(x, 3), (), "does not join the tokens of a sample"),
        (lambda x: ops.multi_hot(x, 3, axis=1), (2,), "does not join the tokens of a sample"),
    ],
)
def test_what_is_no_encoding_of_a_sample_is_refused(function, shape, why):
    with pytest.raises(gg.GpugraphError, match=why):
        operation_graph(function, shape)
