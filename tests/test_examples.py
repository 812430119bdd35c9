"""Whole models of the kinds that users bring, from the model to ranks and a file."""

import keras
import networkx as nx
import numpy as np
import pytest
from keras import layers, ops

import gpugraph as gg
from tests.models import auxiliary, randomise, siamese, u_net

WORDS, LENGTH = 12, 6


def transformer_encoder():
    """Return a text classifier of one encoder block, with positions learned."""
    tokens = keras.Input((LENGTH,), dtype="int32", name="tokens")
    positions = layers.Embedding(LENGTH, 8, name="positions")(ops.arange(LENGTH))
    x = layers.Embedding(WORDS, 8, name="words")(tokens) + positions
    attended = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = layers.LayerNormalization(name="norm1")(x + attended)
    hidden = layers.Dense(16, activation="gelu", name="hidden")(x)
    x = layers.LayerNormalization(name="norm2")(x + layers.Dense(8, name="back")(hidden))
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return keras.Model(tokens, layers.Dense(2, activation="softmax", name="label")(x), name="text")


def lstm_text():
    """Return a text classifier of two recurrent layers, the first in both directions."""
    tokens = keras.Input((LENGTH,), dtype="int32", name="tokens")
    x = layers.Embedding(WORDS, 5, name="words")(tokens)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="both")(x)
    x = layers.GRU(3, name="gru")(x)
    return keras.Model(tokens, layers.Dense(1, activation="sigmoid", name="label")(x), name="lstm")


def masked_text():
    """Return a text classifier that leaves out the places without a word."""
    tokens = keras.Input((LENGTH,), dtype="int32", name="tokens")
    x = layers.Embedding(WORDS, 5, mask_zero=True, name="words")(tokens)
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True), name="both")(x)
    x = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return keras.Model(
        tokens, layers.Dense(2, activation="softmax", name="label")(x), name="masked"
    )


def autoencoder():
    """Return a convolutional autoencoder whose first kernel is 3 x 3 x 1 x 32."""
    return keras.Sequential(
        [
            keras.Input((12, 12, 1), name="image"),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu", name="down1"),
            layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="down2"),
            layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu", name="up1"),
            layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation="relu", name="up2"),
            layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="out"),
        ],
        name="autoencoder",
    )


@pytest.fixture(
    params=[transformer_encoder, lstm_text, masked_text, u_net, siamese, auxiliary, autoencoder],
    ids=lambda build: build.__name__,
)
def model(request):
    keras.utils.set_random_seed(0)
    return randomise(request.param())


@pytest.mark.parametrize("couplings", [False, True])
def test_the_graph_computes_what_the_model_computes(model, couplings):
    graph = gg.from_keras(model, couplings=couplings)
    rng = np.random.default_rng(1)
    inputs = [
        rng.integers(0, WORDS, (3, *t.shape[1:]))
        if "int" in t.dtype
        else rng.standard_normal((3, *t.shape[1:])).astype(np.float32)
        for t in model.inputs
    ]
    assert graph.verify(inputs).passed


def test_ranks_are_those_of_networkx(model):
    graph = gg.from_keras(model)
    built = graph.to_networkx()
    assert nx.is_directed_acyclic_graph(built)
    ranks = np.asarray(gg.pagerank(graph))
    expected = np.asarray(gg.pagerank(graph, engine="networkx"))
    np.testing.assert_allclose(ranks, expected, rtol=1e-6, atol=1e-12)


def test_the_file_holds_every_edge(model, tmp_path):
    graph = gg.from_keras(model)
    graph.write_graphml(tmp_path / "graph.graphml")
    read = nx.read_graphml(tmp_path / "graph.graphml", force_multigraph=True)
    assert (read.number_of_nodes(), read.number_of_edges()) == (graph.n_nodes, graph.n_edges)


def test_every_input_reaches_every_output_through_the_edges(model):
    """An input that changes an output leads there."""
    graph = gg.from_keras(model, couplings=True)
    outputs = {graph.tensors[ref.label].population.name for ref in graph.topology.outputs}
    for name in graph.topology.inputs:
        reached = set(graph.descendants(name).populations)
        assert outputs <= reached
