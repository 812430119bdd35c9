"""Keras's masks, followed through the model: where they go, who uses them, and how."""

import keras
import numpy as np
import pytest
from keras import layers

import gpugraph as gg
from gpugraph import registry
from gpugraph.model.layer_call import refs_in
from tests.jacobian import randomise
from tests.reach import assert_reaches

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


WORDS = {"words/mask/not_equal"}
TOKENS = np.array([[1, 0, 4, 0], [0, 0, 2, 3], [3, 1, 1, 2], [0, 4, 0, 0]])


def random_model(inputs, outputs, seed=0):
    """Return a model with random weights."""
    model = keras.Model(inputs, outputs)
    randomise(model, seed)
    return model


def steps(value=0.0):
    """Return sequences of which some steps hold that value alone."""
    x = np.random.default_rng(0).standard_normal((4, 4, 6))
    x[TOKENS == 0] = value
    x[0, 0, :3] = value
    return x


def uses(call):
    """Return the names of the tensors that a call takes for masks."""
    return {ref.label for ref in refs_in(call.masks)}


@pytest.mark.parametrize("name", USERS)
@pytest.mark.parametrize(
    ("source", "mask", "data"),
    [(text, "words/mask/not_equal", TOKENS), (image, "masking/mask/any", steps())],
)
def test_layers_that_use_a_mask(source, mask, data, name):
    inputs, x = source()
    model = random_model(inputs, USERS[name](x))
    graph = gg.from_keras(model)
    assert [uses(c) for c in graph.topology if c.layer_class == name] == [{mask}]
    assert graph.verify(data).passed
    assert mask in graph.populations


@pytest.mark.parametrize("couplings", [False, True])
@pytest.mark.parametrize("name", USERS)
def test_whatever_changes_an_output_leads_to_it(name, couplings):
    inputs, x = image()
    graph = gg.from_keras(random_model(inputs, USERS[name](x)), couplings=couplings)
    assert graph.verify(steps()).passed
    assert_reaches(graph, steps(), np.where(steps() == 0, 1, 0))


def test_a_layer_whose_converter_knows_no_masks():
    inputs, x = text()
    model = keras.Model(inputs, layers.TimeDistributed(layers.Softmax(), name="steps")(x))
    with pytest.raises(
        gg.UnsupportedLayerError, match=r"'steps' .*mask 'words/mask/not_equal' .*mask_zero=False"
    ):
        gg.from_keras(model)


@pytest.mark.parametrize("name", CARRIERS)
def test_layers_that_carry_a_mask_on(name):
    inputs, x = text()
    model = keras.Model(inputs, layers.GlobalAveragePooling1D(name="mean")(CARRIERS[name](x)))
    assert uses(gg.topology(model)["mean"]) == WORDS


@pytest.mark.parametrize("name", LOSERS)
def test_layers_that_lose_a_mask(name):
    inputs, x = text()
    model = keras.Model(inputs, layers.GlobalAveragePooling1D(name="mean")(LOSERS[name](x)))
    assert not gg.topology(model)["mean"].masks
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
    assert uses(gg.topology(tmp_path / "both.keras")["mean"]) == WORDS
    assert gg.from_keras(tmp_path / "both.keras").verify(TOKENS).passed
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
    assert uses(gg.topology(model)["mean"]) == WORDS
    assert_converts(keras.Model(inputs, inner(x)))


def test_a_mask_is_used_inside_a_nested_model():
    features = keras.Input((4, 6))
    inner = keras.Model(features, layers.LSTM(2, name="lstm")(features), name="inner")
    inputs, x = text()
    model = keras.Model(inputs, inner(x))
    assert uses(gg.topology(model)["inner/lstm"]) == WORDS
    assert gg.from_keras(model).verify(TOKENS).passed
    assert not gg.topology(inner)["lstm"].masks


def test_a_mask_that_a_nested_model_makes():
    tokens, x = text()
    inner = keras.Model(tokens, x, name="inner")
    inputs = keras.Input((4,), dtype="int32")
    model = keras.Model(inputs, layers.GlobalAveragePooling1D(name="mean")(inner(inputs)))
    assert uses(gg.topology(model)["mean"]) == {"inner/words/mask/not_equal"}


def test_operators_lose_masks():
    inputs, x = text()
    assert_converts(keras.Model(inputs, layers.GlobalAveragePooling1D()(x * 2.0)))


def test_merging_needs_every_mask_but_concatenation_any():
    inputs, x = text()
    others, y = text(mask_zero=False, name="others")
    added = layers.GlobalAveragePooling1D(name="added")(layers.Add()([x, y]))
    joined = layers.GlobalAveragePooling1D(name="joined")(layers.Concatenate(name="all")([y, x]))
    calls = gg.topology(keras.Model([inputs, others], [added, joined]))
    assert not calls["added"].masks
    assert uses(calls["joined"]) == {"all/mask/any"}
    both = layers.GlobalAveragePooling1D(name="both")(layers.Add(name="sum")([x, x]))
    assert uses(gg.topology(keras.Model(inputs, both))["both"]) == {"sum/mask/logical_or"}


def test_attention_goes_by_its_query():
    inputs, x = text()
    others, y = text(mask_zero=False, name="others")
    mean = layers.GlobalAveragePooling1D(name="mean")
    of_query = mean(layers.MultiHeadAttention(1, 2, name="attention")(x, y))
    assert uses(gg.topology(keras.Model([inputs, others], of_query))["mean"]) == WORDS
    of_value = mean(layers.MultiHeadAttention(1, 2, name="attention")(y, x))
    calls = gg.topology(keras.Model([inputs, others], of_value))
    assert uses(calls["attention"]) == WORDS
    assert not calls["mean"].masks


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
    assert uses(gg.topology(model)["mean"]) == {"masking/mask/any"}


def test_sequence_ends_the_mask():
    inputs, x = text()
    last = layers.LSTM(3, name="last")(x)
    model = keras.Model(inputs, layers.Softmax(name="softmax")(last))
    assert not gg.topology(model)["softmax"].masks


def test_a_reversible_embedding_makes_a_mask_forwards_only():
    tokens = keras.Input((4,), dtype="int32")
    layer = layers.ReversibleEmbedding(5, 6, mask_zero=True, name="words")
    x = layer(tokens)
    mean = layers.GlobalAveragePooling1D(name="mean")
    assert uses(gg.topology(keras.Model(tokens, mean(x)))["mean"]) == WORDS
    back = mean(layer(layers.Conv1D(6, 1)(x), reverse=True))
    assert not gg.topology(keras.Model(tokens, back))["mean"].masks


def test_a_mask_that_attention_takes_off():
    """MultiHeadAttention leaves the tensors that it is called on without their masks."""
    inputs, x = text()
    before = layers.GlobalAveragePooling1D(name="before")(x)
    attended = layers.MultiHeadAttention(1, 2, name="attention")(x, x)
    after = layers.Multiply(name="after")([x, attended])
    own = layers.LSTM(2, name="own")(attended)
    added = layers.GRU(2, name="added")(layers.Add()([x, attended]))
    graph = gg.from_keras(random_model(inputs, [before, after, own, added]))
    assert uses(graph.topology["own"]) == uses(graph.topology["after"]) == WORDS
    first, second = graph.topology["after"].masks["mask"]
    assert first is None
    assert second is not None
    # Keras runs it after the attention, but notes the mask that it had when it was called.
    assert graph.topology["before"].masks
    assert graph.topology["added"].masks
    assert graph.verify(TOKENS).passed


def strip(x):
    """Return what Keras takes the mask of x off for."""
    return layers.MultiHeadAttention(1, 2)(x, x)


def cast_copy(x):
    """Return what takes the mask off a copy of x alone: Keras casts x for it."""
    return layers.Dense(6)(layers.MultiHeadAttention(1, 2, dtype="float16")(x, x))


def nested(given, join):
    """Return what a model of two named inputs, the second first, makes of what it is given."""
    a, b = keras.Input((4, 6), name="a"), keras.Input((4, 6), name="b")
    return keras.Model([b, a], join([a, b]))(given)


def last_steps(inputs):
    """Return the last state of a recurrent layer of each input."""
    return layers.Concatenate()([layers.LSTM(2)(x) for x in inputs])


def steps_of(x):
    """Return a model that goes by the mask of an input like x."""
    inputs = keras.Input(x.shape[1:])
    return keras.Model(inputs, layers.LSTM(2)(layers.Dense(6)(inputs)))


# Of tensors x and y, which carry masks, and the mask of y.
WHICH_MASK = {
    "given for another": lambda x, y, m: layers.LSTM(2)(x, mask=m),
    "given to an average": lambda x, y, m: layers.GlobalAveragePooling1D()(x, mask=m),
    "given, and carried on": lambda x, y, m: layers.GRU(2)(
        sequences=layers.LSTM(3, return_sequences=True)(x, mask=m)
    ),
    "given for training, and carried on": lambda x, y, m: layers.GRU(2)(
        sequences=layers.BatchNormalization()(x, mask=m)
    ),
    "given to attention, and carried on": lambda x, y, m: layers.Multiply()(
        [layers.Attention()([x, y], mask=[m, None]), x]
    ),
    "given beside states": lambda x, y, m: layers.LSTM(3)(
        y, initial_state=layers.LSTM(3, return_state=True)(x)[1:], mask=m
    ),
    "noted before it was taken": lambda x, y, m: layers.LSTM(2)(
        layers.Concatenate()([x, strip(x)])
    ),
    "taken": lambda x, y, m: layers.LSTM(2)(sequences=layers.Concatenate()([x, strip(x)])),
    "taken off by another name": lambda x, y, m: layers.Multiply()(
        [x, strip(layers.Dropout(0.5)(layers.Identity()(x)))]
    ),
    "taken off, which others share": lambda x, y, m: layers.Multiply()(
        [layers.Dropout(0.5)(x), strip(x)]
    ),
    "taken off a copy": lambda x, y, m: layers.Multiply()([x, cast_copy(x)]),
    "by name": lambda x, y, m: nested({"a": x, "b": y}, layers.Multiply()),
    "in Keras's order": lambda x, y, m: nested({"b": x, "a": layers.Conv1D(6, 1)(y)}, last_steps),
    "given to a nested model": lambda x, y, m: steps_of(x)(x, mask=m),
    "noted for a nested model before it was taken": lambda x, y, m: steps_of(x)(
        layers.Add()([x, strip(x)])
    ),
    "none, as noted at a list": lambda x, y, m: nested([x, y], layers.Attention()),
    "none of a nested model": lambda x, y, m: layers.Multiply()(
        [x, layers.Attention()([y, nested([x, x], layers.Add())])]
    ),
}


@pytest.mark.parametrize("name", WHICH_MASK)
def test_which_mask_a_layer_goes_by(name):
    tokens, x = text()
    others, y = text(name="others")
    output = WHICH_MASK[name](x, y, keras.ops.not_equal(others, 0))
    model = random_model([tokens, others], [output, layers.Flatten()(y)])
    assert gg.from_keras(model).verify([TOKENS, TOKENS[::-1]]).passed


def test_a_constant_mask_of_a_nested_model_is_refused():
    inputs = keras.Input((4, 6))
    mask = np.array([[True, False, True, True]])
    model = keras.Model(inputs, steps_of(inputs)(inputs, mask=mask))
    with pytest.raises(gg.UnsupportedLayerError, match="is called with mask besides its inputs"):
        gg.from_keras(model)


def test_a_mask_that_a_pipeline_makes_is_refused():
    inputs = keras.Input((4, 6))
    pipeline = layers.Pipeline([layers.Masking(name="hole"), layers.Rescaling(2.0)], name="steps")
    model = keras.Model(inputs, layers.LSTM(2)(pipeline(inputs)))
    with pytest.raises(
        gg.UnsupportedLayerError, match=r"'steps' .*'hole' \(Masking\) makes a mask"
    ):
        gg.from_keras(model)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_masking_of_an_array_goes_by_its_type(dtype):
    """What is float32 is not the nearest float64."""
    value = (np.arange(6) / 10).astype(dtype)
    inputs, x = image(value)
    data = steps().astype("float32")
    data[0, 2] = value
    graph = gg.from_keras(random_model(inputs, layers.LSTM(2)(x)))
    differs = keras.ops.convert_to_numpy(keras.ops.not_equal(data[0, 2], value)).any()
    assert graph.evaluate(data)["masking/mask/any"][0, 2] == differs
    assert graph.verify(data).passed


def test_a_residual_path_as_deep_as_one_likes():
    """What Keras notes and what is carried are held against each other in linear time."""
    inputs, x = text()
    for _ in range(40):
        x = layers.Add()([x, layers.Dense(6)(x)])
    graph = gg.from_keras(random_model(inputs, layers.GlobalAveragePooling1D(name="mean")(x)))
    assert graph.verify(TOKENS).passed
    assert not any(name.startswith("logical_or") for name in graph.populations)


def test_a_constant_that_a_layer_gives_as_a_mask_is_refused():
    inputs = keras.Input((4, 6))
    mask = np.array([[True, False, True, True]])
    normalised = layers.BatchNormalization(name="normalised")(inputs, mask=mask)
    model = keras.Model(inputs, layers.LSTM(2)(normalised))
    with pytest.raises(gg.UnsupportedLayerError, match=r"'normalised' .*mask .* is a constant"):
        gg.from_keras(model)


def test_masks_that_are_joined():
    inputs, x = text()
    others, y = text(name="others")
    joined = layers.Concatenate(name="joined")([x, y])
    model = keras.Model([inputs, others], layers.LSTM(2, name="lstm")(joined))
    graph = gg.from_keras(model)
    assert uses(graph.topology["lstm"]) == {"joined/mask/any"}
    assert graph.verify([TOKENS, TOKENS[::-1]]).passed
    added = random_model(
        [inputs, others], layers.GRU(2, name="gru")(layers.Add(name="sum")([x, y]))
    )
    graph = gg.from_keras(added)
    assert uses(graph.topology["gru"]) == {"sum/mask/logical_or"}
    assert graph.verify([TOKENS, TOKENS[::-1]]).passed


def test_names_do_not_depend_on_what_was_built_before():
    first = list(gg.from_keras(keras.Model(*joined_masks())).populations)
    assert list(gg.from_keras(keras.Model(*joined_masks())).populations) == first
    assert layers.Dense(1).name == f"dense_{int(layers.Dense(1).name.split('_')[1]) - 1}"


def joined_masks():
    """Return inputs and output of a model whose mask takes several operations."""
    inputs, x = text()
    others, y = text(name="others")
    return [inputs, others], layers.LSTM(2, name="lstm")(layers.Add(name="sum")([x, y]))


def test_an_operation_that_a_user_made_reads_as_a_mask():
    inputs = keras.Input((4, 6))
    mask = keras.ops.not_equal(inputs[:, :, 0], 0.0)
    output = layers.GlobalAveragePooling1D(name="mean")(inputs, mask=mask)
    graph = gg.from_keras(keras.Model(inputs, output))
    assert uses(graph.topology["mean"]) == {mask._keras_history.operation.name}
    assert graph.verify(steps()).passed


def test_a_constant_mask_is_refused():
    inputs = keras.Input((4, 6))
    mask = np.array([[True, False, True, True]])
    model = keras.Model(inputs, layers.GlobalAveragePooling1D(name="mean")(inputs, mask=mask))
    with pytest.raises(gg.UnsupportedLayerError, match=r"'mean' .*its mask is a constant"):
        gg.from_keras(model)


def test_a_mean_of_nothing_is_undefined():
    inputs, x = text()
    graph = gg.from_keras(keras.Model(inputs, layers.GlobalAveragePooling1D(name="mean")(x)))
    tokens = np.array([[0, 0, 0, 0], [1, 0, 0, 0]])
    assert np.isnan(graph.evaluate(tokens)["mean"][0]).all()
    assert graph.verify(tokens).passed


def test_with_weights_of_a_model_with_masks():
    graph = gg.from_keras(random_model(*joined_masks()))
    other = random_model(*joined_masks(), seed=1)
    assert graph.with_weights(other).verify([TOKENS, TOKENS[::-1]]).passed


class Reader(keras.Model):
    """A model with a call() of its own, in which attention takes the mask off."""

    def __init__(self):
        super().__init__()
        self.words = layers.Embedding(5, 6, mask_zero=True)
        self.attention, self.join = layers.MultiHeadAttention(1, 2), layers.Add()
        self.last = layers.LSTM(2, name="last")

    def call(self, tokens):
        x = self.words(tokens)
        return self.last(self.join([x, self.attention(x, x)]))


def test_a_traced_call_goes_by_the_masks_that_there_are():
    """Unlike a functional model, Keras has noted none of them."""
    model = Reader()
    model(TOKENS)
    randomise(model)
    graph = gg.from_keras(model, trace=True)
    assert not graph.topology["last"].masks
    assert graph.verify(TOKENS).passed


class Halved(layers.Layer):
    """A layer of a user's that halves the steps that its mask hides."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, x, mask=None):
        return x if mask is None else keras.ops.where(mask[..., None], x, x / 2)


def test_a_converter_of_ones_own_that_knows_masks(monkeypatch):
    monkeypatch.setattr(registry, "_CONVERTERS", dict(registry._CONVERTERS))
    monkeypatch.setattr(registry, "_KNOWING_MASKS", set(registry._KNOWING_MASKS))
    inputs, x = text()
    model = keras.Model(inputs, Halved(name="halved")(x))

    def halved(call):
        mask = call.masks["mask"]
        target = call.population(
            dynamics=lambda x, m: np.where(m[..., None] != 0, x, x / 2), sources=[call.source, mask]
        )
        call.project_elementwise(call.source, target, kind="dynamic")
        call.project_elementwise(mask.reshape((*mask.shape, 1)), target, kind="dynamic")
        return target

    gg.converts("Halved")(halved)
    with pytest.raises(gg.UnsupportedLayerError, match=r"'halved' .*its converter knows no masks"):
        gg.from_keras(model)
    monkeypatch.delitem(registry._CONVERTERS, "Halved")
    gg.converts("Halved", masks=True)(halved)
    assert gg.from_keras(model).verify(TOKENS).passed
