"""Keras's masks, followed through the model: where they go, who uses them, what is refused."""

import keras
import numpy as np
import pytest
from keras import layers

import gpugraph as gg

# Keras says so of every layer that loses a mask.
pytestmark = pytest.mark.filterwarnings("ignore:Layer .* does not support masking")


def text(mask_zero=True, name="words"):
    """Return an input of tokens and what an embedding with a mask makes of it."""
    tokens = keras.Input((4,), dtype="int32", name=f"{name}_in")
    return tokens, layers.Embedding(5, 6, mask_zero=mask_zero, name=name)(tokens)


def image(mask_value=0.0):
    """Return an input and its masked self."""
    inputs = keras.Input((4, 6), name="steps")
    return inputs, layers.Masking(mask_value, name="masking")(inputs)


USERS = {
    "SimpleRNN": lambda x: layers.SimpleRNN(2)(x),
    "LSTM": lambda x: layers.LSTM(2)(x),
    "GRU": lambda x: layers.GRU(2, return_sequences=True)(x),
    "RNN": lambda x: layers.RNN(layers.LSTMCell(2))(x),
    "Bidirectional": lambda x: layers.Bidirectional(layers.GRU(2))(x),
    "TimeDistributed": lambda x: layers.TimeDistributed(layers.Softmax())(x),
    "GlobalAveragePooling1D": lambda x: layers.GlobalAveragePooling1D()(x),
    "MultiHeadAttention": lambda x: layers.MultiHeadAttention(2, 3)(x, x),
    "GroupedQueryAttention": lambda x: layers.GroupQueryAttention(3, 2, 1)(x, x),
    "Attention": lambda x: layers.Attention()([x, x]),
    "AdditiveAttention": lambda x: layers.AdditiveAttention()([x, x]),
    "Multiply": lambda x: layers.Multiply()([x, layers.Dense(6)(x)]),
    "Maximum": lambda x: layers.Maximum()([x, layers.Dense(6)(x)]),
    "Minimum": lambda x: layers.Minimum()([x, layers.Dense(6)(x)]),
}

CARRIERS = {
    "Dense": layers.Dense(6),
    "Dropout": layers.Dropout(0.5),
    "Activation": layers.Activation("relu"),
    "LayerNormalization": layers.LayerNormalization(),
    "BatchNormalization": layers.BatchNormalization(),
    "LeakyReLU": layers.LeakyReLU(),
}

LOSERS = {
    "Conv1D": layers.Conv1D(6, 1),
    "Reshape": layers.Reshape((4, 6)),
    "ZeroPadding1D": layers.ZeroPadding1D(0),
    "EinsumDense": layers.EinsumDense("abc,cd->abd", (None, 6)),
}


@pytest.mark.parametrize("name", USERS)
@pytest.mark.parametrize(("source", "maker"), [(text, "words"), (image, "masking")])
def test_a_layer_that_uses_a_mask_is_refused(source, maker, name):
    inputs, x = source()
    model = keras.Model(inputs, USERS[name](x))
    assert [call.masks for call in gg.topology(model) if call.layer_class == name] == [(maker,)]
    with pytest.raises(
        gg.UnsupportedLayerError, match=f"{name}.* mask of layer '{maker}'.*mask_zero=False"
    ):
        gg.from_keras(model)


@pytest.mark.parametrize("name", CARRIERS)
def test_layers_that_carry_a_mask_on(name):
    inputs, x = text()
    model = keras.Model(inputs, layers.GlobalAveragePooling1D(name="mean")(CARRIERS[name](x)))
    assert gg.topology(model)["mean"].masks == ("words",)


@pytest.mark.parametrize("name", LOSERS)
def test_layers_that_lose_a_mask(name):
    inputs, x = text()
    model = keras.Model(inputs, layers.GlobalAveragePooling1D(name="mean")(LOSERS[name](x)))
    assert gg.topology(model)["mean"].masks == ()
    assert gg.from_keras(model).verify(np.array([[1, 0, 4, 0]])).passed


INDIFFERENT = CARRIERS | {
    "TimeDistributed": layers.TimeDistributed(layers.Dense(6)),
    "TimeDistributed BatchNormalization": layers.TimeDistributed(layers.BatchNormalization()),
}


def assert_converts(model):
    """Convert a model whose masks change nothing, and compare it on tokens that a mask hides."""
    graph = gg.from_keras(model)
    hidden = [np.array([[1, 0, 4, 0], [0, 0, 2, 3]])] * len(graph.topology.inputs)
    assert graph.verify(hidden).passed
    return graph


@pytest.mark.parametrize("name", INDIFFERENT)
def test_a_mask_that_nobody_uses_changes_nothing(name):
    inputs, x = text()
    model = keras.Model(inputs, layers.Flatten()(INDIFFERENT[name](x)))
    graph = assert_converts(model)
    # Keras notes the operation that makes the mask where a layer could take it.
    assert not any(call.layer_class == "NotEqual" for call in graph.topology)


@pytest.mark.parametrize("name", INDIFFERENT)
def test_masks_in_a_model_that_was_saved(tmp_path, name):
    inputs, x = text()
    x = INDIFFERENT[name](x)
    outputs = [layers.Flatten()(x), layers.GlobalAveragePooling1D(name="mean")(x)]
    keras.Model(inputs, outputs).save(tmp_path / "both.keras")
    keras.Model(inputs, outputs[0]).save(tmp_path / "flat.keras")
    assert gg.topology(tmp_path / "both.keras")["mean"].masks == ("words",)
    with pytest.raises(gg.UnsupportedLayerError, match=r"'mean' .* mask of layer 'words'"):
        gg.from_keras(tmp_path / "both.keras")
    graph = assert_converts(keras.saving.load_model(tmp_path / "flat.keras"))
    assert not any(call.layer_class == "NotEqual" for call in graph.topology)


def test_a_mask_goes_through_nested_models():
    features = keras.Input((4, 6))
    inner = keras.Model(features, layers.Dense(6)(features), name="inner")
    inputs, x = text()
    mean = layers.GlobalAveragePooling1D(name="mean")(inner(x))
    model = keras.Model(inputs, mean)
    # As in Keras: hidden steps do not count.
    inner.layers[1].set_weights([np.eye(6), np.zeros(6)])
    tokens = np.array([[1, 0, 4, 0]])
    words = model.get_layer("words").get_weights()[0]
    np.testing.assert_allclose(model(tokens), words[[1, 4]].mean(0)[None], rtol=1e-6)
    assert gg.topology(model)["mean"].masks == ("words",)
    assert_converts(keras.Model(inputs, inner(x)))


def test_a_mask_is_used_inside_a_nested_model():
    features = keras.Input((4, 6))
    inner = keras.Model(features, layers.LSTM(2, name="lstm")(features), name="inner")
    inputs, x = text()
    model = keras.Model(inputs, inner(x))
    with pytest.raises(gg.UnsupportedLayerError, match=r"'inner/lstm' .* mask of layer 'words'"):
        gg.from_keras(model)
    assert gg.topology(inner)["lstm"].masks == ()


def test_a_mask_that_a_nested_model_makes():
    tokens, x = text()
    inner = keras.Model(tokens, x, name="inner")
    inputs = keras.Input((4,), dtype="int32")
    model = keras.Model(inputs, layers.GlobalAveragePooling1D(name="mean")(inner(inputs)))
    assert gg.topology(model)["mean"].masks == ("inner/words",)


def test_operators_lose_masks():
    inputs, x = text()
    assert_converts(keras.Model(inputs, layers.GlobalAveragePooling1D()(x * 2.0)))


def test_merging_needs_every_mask_but_concatenation_any():
    inputs, x = text()
    others, y = text(mask_zero=False, name="others")
    added = layers.GlobalAveragePooling1D(name="added")(layers.Add()([x, y]))
    joined = layers.GlobalAveragePooling1D(name="joined")(layers.Concatenate()([y, x]))
    calls = gg.topology(keras.Model([inputs, others], [added, joined]))
    assert calls["added"].masks == ()
    assert calls["joined"].masks == ("words",)
    both = layers.GlobalAveragePooling1D(name="both")(layers.Add()([x, x]))
    assert gg.topology(keras.Model(inputs, both))["both"].masks == ("words",)


def test_attention_goes_by_its_query():
    inputs, x = text()
    others, y = text(mask_zero=False, name="others")
    mean = layers.GlobalAveragePooling1D(name="mean")
    of_query = mean(layers.MultiHeadAttention(1, 2, name="attention")(x, y))
    assert gg.topology(keras.Model([inputs, others], of_query))["mean"].masks == ("words",)
    of_value = mean(layers.MultiHeadAttention(1, 2, name="attention")(y, x))
    calls = gg.topology(keras.Model([inputs, others], of_value))
    assert calls["attention"].masks == ("words",)
    assert calls["mean"].masks == ()


def test_recurrent_layers_with_an_initial_state_do_not_see_a_mask():
    """Keras hands a mask on only to calls on a single tensor."""
    inputs, x = text()
    state = keras.Input((2,))
    layer = layers.SimpleRNN(2)
    model = keras.Model([inputs, state], layer(x, initial_state=state))
    tokens, zeros = np.array([[1, 0, 4, 0]]), np.zeros((1, 2))
    words = model.get_layer("words").get_weights()[0]
    expected = layer(words[tokens], initial_state=zeros)
    np.testing.assert_allclose(model([tokens, zeros]), expected, rtol=1e-6)
    assert gg.from_keras(model).verify([tokens, zeros]).passed


def test_masking_makes_a_mask_of_its_own():
    inputs, x = text()
    masked = layers.Masking(name="masking")(x)
    model = keras.Model(inputs, layers.GlobalAveragePooling1D(name="mean")(masked))
    assert gg.topology(model)["mean"].masks == ("masking",)


def test_sequence_ends_the_mask():
    inputs, x = text()
    last = layers.LSTM(3, name="last")(x)
    model = keras.Model(inputs, layers.Softmax(name="softmax")(last))
    assert gg.topology(model)["softmax"].masks == ()


def test_a_reversible_embedding_makes_a_mask_forwards_only():
    tokens = keras.Input((4,), dtype="int32")
    layer = layers.ReversibleEmbedding(5, 6, mask_zero=True, name="words")
    x = layer(tokens)
    mean = layers.GlobalAveragePooling1D(name="mean")
    assert gg.topology(keras.Model(tokens, mean(x)))["mean"].masks == ("words",)
    back = mean(layer(layers.Conv1D(6, 1)(x), reverse=True))
    assert gg.topology(keras.Model(tokens, back))["mean"].masks == ()


@pytest.mark.parametrize("mask", [np.array([[True, False, True, True]]), "input"])
def test_a_mask_given_by_hand_is_refused(mask):
    inputs = keras.Input((4, 6))
    given = [inputs]
    if isinstance(mask, str):
        mask = keras.Input((4,), dtype="bool")
        given.append(mask)
    model = keras.Model(given, layers.GlobalAveragePooling1D()(inputs, mask=mask))
    with pytest.raises(gg.UnsupportedLayerError, match=r"is called with mask=.*Call it without"):
        gg.from_keras(model)
