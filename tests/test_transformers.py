"""A transformer's encoder and decoder: fidelity, reach, measures and exports."""

from functools import cache

import keras
import networkx as nx
import numpy as np
import pyarrow.parquet as pq
import pytest
from keras import layers

import gpugraph as gg
from tests.jacobian import adjacency
from tests.models import randomise

WORDS, LENGTH, WIDTH = 11, 4, 6


def waves(length, width):
    """Return the sinusoidal position encoding of Vaswani et al. (2017), section 3.5."""
    position, channel = np.ogrid[:length, :width]
    angle = position / 10_000 ** ((channel - channel % 2) / width)
    return np.where(channel % 2, np.cos(angle), np.sin(angle)).astype(np.float32)


def feed_forward(x, name):
    """Return two Dense layers with a residual connection around them, normalised."""
    y = layers.Dense(2 * WIDTH, activation="gelu", name=f"{name}_wide")(x)
    y = layers.Dropout(0.1)(layers.Dense(WIDTH, name=f"{name}_narrow")(y))
    return layers.LayerNormalization(name=f"{name}_norm")(layers.Add(name=f"{name}_add")([x, y]))


@cache
def encoder():
    """Return a classifier: tokens, positions as a constant, self-attention, feed-forward."""
    tokens = keras.Input((LENGTH,), dtype="int32", name="tokens")
    x = layers.Embedding(WORDS, WIDTH, name="words")(tokens) + waves(LENGTH, WIDTH)
    y = layers.MultiHeadAttention(2, 3, dropout=0.1, name="attend")(x, x)
    x = layers.LayerNormalization(name="norm")(layers.Add(name="residual")([x, y]))
    x = feed_forward(x, "feed")
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    outputs = layers.Dense(3, activation="softmax", name="class")(x)
    return randomise(keras.Model(tokens, outputs, name="encoder"))


@cache
def decoder():
    """Return a decoder block: learned positions, causal self-attention, cross-attention."""
    tokens = keras.Input((LENGTH,), dtype="int32", name="tokens")
    positions = keras.Input((LENGTH,), dtype="int32", name="positions")
    memory = keras.Input((LENGTH + 1, 5), name="memory")
    words = layers.Embedding(WORDS, WIDTH, name="words")(tokens)
    x = layers.Add()([words, layers.Embedding(LENGTH, WIDTH, name="places")(positions)])
    own = layers.MultiHeadAttention(2, 3, name="own")(x, x, use_causal_mask=True)
    x = layers.LayerNormalization(name="own_norm")(layers.Add(name="own_add")([x, own]))
    cross = layers.MultiHeadAttention(2, 3, value_dim=2, name="cross")(x, memory)
    x = layers.LayerNormalization(name="cross_norm")(layers.Add(name="cross_add")([x, cross]))
    logits = layers.Dense(WORDS, name="logits")(feed_forward(x, "feed"))
    return randomise(keras.Model([tokens, positions, memory], logits, name="decoder"))


MODELS = {"encoder": encoder, "decoder": decoder}
of_both = pytest.mark.parametrize("name", MODELS)


@cache
def graph_of(name, couplings=False):
    return gg.from_keras(MODELS[name](), couplings=couplings)


def samples(name, n=3):
    """Return tokens, places and memory as the model takes them."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, WORDS, (n, LENGTH))
    places = np.tile(np.arange(LENGTH), (n, 1))
    memory = rng.standard_normal((n, LENGTH + 1, 5)).astype(np.float32)
    return [tokens] if name == "encoder" else [tokens, places, memory]


@of_both
@pytest.mark.parametrize("couplings", [False, True])
def test_the_graph_is_the_model(name, couplings):
    graph = graph_of(name, couplings)
    inputs = samples(name)
    assert graph.verify(inputs).passed
    outputs = MODELS[name]()(inputs if len(inputs) > 1 else inputs[0])
    (out,) = graph.topology.outputs
    found = graph.evaluate(inputs)[graph.tensors[out.label].population.name]
    np.testing.assert_allclose(found, keras.ops.convert_to_numpy(outputs), rtol=1e-4, atol=1e-5)


@of_both
def test_scores_are_shares(name):
    values = graph_of(name).evaluate(samples(name))
    for part in ("attend",) if name == "encoder" else ("own", "cross"):
        np.testing.assert_allclose(values[f"{part}/scores"].sum(-1), 1, rtol=1e-6)
    if name == "decoder":
        above = np.triu_indices(LENGTH, 1)
        assert not values["own/scores"][..., above[0], above[1]].any()


def test_what_a_decoder_has_not_read_yet_does_not_reach_it():
    graph = graph_of("decoder")
    for t in range(LENGTH):
        last = [graph.node_id("logits", (t, w)) for w in range(WORDS)]
        read = graph.ancestors(last).populations
        assert [int(i) for (i,) in zip(*read["tokens"].positions(), strict=True)] == [*range(t + 1)]
        assert read["memory"].size == (LENGTH + 1) * 5


@of_both
def test_readings_agree_with_the_edges(name):
    graph = graph_of(name)
    matrix = adjacency(graph)
    rng = np.random.default_rng(0)
    x = rng.standard_normal(graph.n_nodes)
    operator = graph.as_linear_operator(weight="weight", device="cpu")
    np.testing.assert_allclose(operator @ x, x @ matrix, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(operator.rmatvec(x), matrix @ x, rtol=1e-5, atol=1e-5)
    counts = np.zeros_like(matrix, int)
    for src, dst, _ in graph.edges(device="cpu"):
        np.add.at(counts, (src, dst), 1)
    np.testing.assert_array_equal(graph.in_degree(), counts.sum(0))
    np.testing.assert_array_equal(graph.out_degree(), counts.sum(1))
    np.testing.assert_allclose(graph.in_strength(), matrix.sum(0), rtol=1e-5, atol=1e-5)
    assert graph.n_edges == counts.sum()


@of_both
@pytest.mark.parametrize("couplings", [False, True])
def test_pagerank(name, couplings):
    graph = graph_of(name, couplings)
    ranks = gg.pagerank(graph)
    expected = nx.pagerank(with_magnitudes(graph), tol=1e-12, max_iter=1000)
    np.testing.assert_allclose(ranks, [expected[i] for i in range(graph.n_nodes)], rtol=1e-6)


def with_magnitudes(graph):
    """Return the graph in networkx, the weights of parallel edges summed in magnitude."""
    found = nx.DiGraph()
    found.add_nodes_from(range(graph.n_nodes))
    for src, dst, weight in graph.edge_tuples():
        total = found.get_edge_data(src, dst, {"weight": 0.0})["weight"]
        found.add_edge(src, dst, weight=total + abs(weight))
    return found


@of_both
def test_exports(name, tmp_path):
    graph = graph_of(name)
    graph.write_graphml(tmp_path / "graph.graphml")
    read = nx.read_graphml(tmp_path / "graph.graphml", force_multigraph=True)
    assert (len(read), read.number_of_edges()) == (graph.n_nodes, graph.n_edges)
    graph.write_parquet(tmp_path / "graph")
    assert pq.read_table(tmp_path / "graph" / "edges").num_rows == graph.n_edges
    kinds = set(graph.to_networkx(multigraph=True).edges(data="kind"))
    assert {kind for *_, kind in kinds} >= {"choice", "weight", "dynamic", "copy", "scale"}


@of_both
def test_a_new_set_of_weights(name):
    model = MODELS[name].__wrapped__()
    graph = graph_of(name).with_weights(model)
    assert graph.verify(samples(name)).passed
