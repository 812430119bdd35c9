import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers, ops

import gpugraph as gg
from tests.jacobian import adjacency, keras_map, randomise, single
from tests.reach import assert_reaches

ROWS = {
    "Embedding": (layers.Embedding(4, 3), (5,)),
    "Masking": (layers.Masking(), (4, 3)),
    "ReversibleEmbedding": (layers.ReversibleEmbedding(4, 3), (5,)),
}


def embedded(layer, shape, dtype="int32"):
    """Return a model of an embedding and its graph."""
    tokens = keras.Input(shape, dtype=dtype, name="text")
    model = keras.Model(tokens, layer(tokens))
    return model, gg.from_keras(model)


@given(
    shape=st.lists(st.integers(1, 3), max_size=3).map(tuple),
    vocabulary=st.integers(1, 6),
    features=st.integers(1, 4),
    data=st.data(),
)
def test_embedding(shape, vocabulary, features, data):
    layer = layers.Embedding(vocabulary, features, name="words")
    model, graph = embedded(layer, shape)
    token = st.integers(-vocabulary, vocabulary - 1)
    n = int(np.prod(shape))
    drawn = data.draw(st.lists(token, min_size=2 * n, max_size=2 * n))
    tokens = np.reshape(drawn, (2, *shape))
    values = graph.evaluate(tokens)
    np.testing.assert_array_equal(values["words"], ops.convert_to_numpy(model(tokens)))
    expected = np.eye(vocabulary)[tokens]  # negative ones count from the end
    np.testing.assert_array_equal(values["words/tokens"], expected)
    assert graph.n_edges == n * vocabulary * (1 + features)
    assert graph.verify(tokens).passed


def test_edges_of_an_embedding():
    layer = layers.Embedding(3, 2, name="words")
    _, graph = embedded(layer, (2,))
    table = ops.convert_to_numpy(layer.embeddings)
    text, tokens, words = graph.populations.values()
    expected = set()
    for t in range(2):
        for v in range(3):
            expected.add((text.node_id(t), tokens.node_id((t, v)), 1.0))
            for f in range(2):
                edge = (tokens.node_id((t, v)), words.node_id((t, f)), float(table[v, f]))
                expected.add(edge)
    assert set(graph.edge_tuples()) == expected
    assert [p.kind for p in graph.projections] == ["choice", "weight"]


def test_tokens_are_cut_to_whole_numbers():
    model, graph = embedded(layers.Embedding(4, 3), (3,), "float32")
    tokens = np.array([[0.9, 2.0, 3.7], [-3.9, -0.2, 0]])
    assert graph.verify(tokens).passed
    *_, values = graph.evaluate(tokens).values()
    np.testing.assert_array_equal(values, ops.convert_to_numpy(model(tokens.astype(int))))


@pytest.mark.parametrize("dtype", ["uint8", "int64"])
def test_tokens_of_any_type(dtype):
    _, graph = embedded(layers.Embedding(4, 3), (3,), dtype)
    assert graph.verify(np.array([[3, 1, 0]])).passed


@pytest.mark.parametrize("token", [4, -5, np.nan])
def test_tokens_beyond_the_vocabulary_are_refused(token):
    _, graph = embedded(layers.Embedding(4, 3, name="words"), (2,))
    with pytest.raises(gg.ShapeError, match=rf"'words' knows 4 tokens, 0 to 3; .* holds {token}"):
        graph.evaluate(np.array([[0, token]]))


def test_embedding_of_what_layers_compute():
    inputs = keras.Input((3,))
    rounded = layers.Rescaling(2.0)(inputs)
    model = keras.Model(inputs, layers.Embedding(9, 2)(rounded))
    assert gg.from_keras(model).verify(np.array([[0.2, 1.6, 3.9]])).passed


def test_low_rank_adaptation_is_part_of_the_table():
    layer = layers.Embedding(4, 3)
    tokens = keras.Input((2,), dtype="int32")
    model = keras.Model(tokens, layer(tokens))
    layer.enable_lora(2)
    layer.lora_embeddings_b.assign(np.ones((2, 3)))
    graph = gg.from_keras(model)
    table = ops.convert_to_numpy(ops.stop_gradient(layer.embeddings))
    np.testing.assert_allclose(graph.projections[-1].kernel, table.ravel(), rtol=1e-6)
    assert graph.verify(np.array([[3, 1]])).passed


def test_a_quantised_table_is_refused():
    layer = layers.Embedding(4, 3)
    tokens = keras.Input((2,), dtype="int32")
    model = keras.Model(tokens, layer(tokens))
    layer.quantize("int8")
    with pytest.raises(gg.UnsupportedLayerError, match=r"is quantised \(int8\)"):
        gg.from_keras(model)


def test_no_list_of_edges_is_made():
    """A vocabulary and a text of a large language model's size, but for the table's width."""
    _, graph = embedded(layers.Embedding(50_000, 2), (1000,))
    assert graph.n_edges == 1000 * 50_000 * 3
    assert max(len(axis) for p in graph.projections for axis in p.axes) == 50_000


def test_masking_by_zero_makes_no_nodes():
    model = single(layers.Masking(), (3, 2))
    graph = gg.from_keras(model)
    assert len(graph.populations) == 1
    x = np.array([[[0, 0], [1, 0], [0, 2]]], np.float32)
    assert graph.verify(x).passed


@pytest.mark.parametrize("value", [1.0, -3])
def test_masking_by_another_value(value):
    model = single(layers.Masking(value), (3, 2))
    graph = gg.from_keras(model)
    x = np.array([[[value, value], [1, value], [0, 2]], [[5, 4], [value, value], [value, 1]]])
    assert graph.verify(x).passed
    assert graph.n_edges == 3 * 2 * 2
    assert_reaches(graph, x, value - x)


@pytest.mark.parametrize("tie_weights", [True, False])
@pytest.mark.parametrize("cap", [None, 0.5])
def test_a_table_read_backwards(tie_weights, cap):
    layer = layers.ReversibleEmbedding(
        7, 3, tie_weights=tie_weights, logit_soft_cap=cap, name="words"
    )
    tokens = keras.Input((4,), dtype="int32")
    model = keras.Model(tokens, layer(layers.Dense(3)(layer(tokens)), reverse=True))
    randomise(model)
    graph = gg.from_keras(model)
    assert graph.verify(np.array([[6, 0, 3, 3]])).passed
    _, forwards, _, backwards = graph.projections
    assert (backwards.kernel is forwards.kernel) == tie_weights
    source, target = backwards.source, backwards.target
    matrix, _ = keras_map(lambda x: ops.convert_to_numpy(layer(x, reverse=True)), source.shape)
    if cap is None:
        edges = adjacency(graph)[source.slice, target.slice]
        np.testing.assert_allclose(edges, matrix, atol=1e-6)


def test_features_that_do_not_fit_the_table_are_refused():
    features = keras.Input((2, 4))
    model = keras.Model(features, layers.ReversibleEmbedding(7, 3)(features, reverse=True))
    with pytest.raises(gg.ShapeError, match="was built for 3 features"):
        gg.from_keras(model)
