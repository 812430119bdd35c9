import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

import gpugraph as gg
from tests.jacobian import assert_linear, output_of, single
from tests.models import randomise

ROWS = {"TimeDistributed": (layers.TimeDistributed(layers.Dense(3)), (4, 2))}


@pytest.mark.parametrize(
    ("wrapped", "shape"),
    [
        (layers.Dense(3, activation="softmax"), (2,)),
        (layers.Dense(3, activation="relu"), (5, 2)),
        (layers.Conv2D(3, 2, padding="same", strides=2), (5, 4, 2)),
        (layers.SeparableConv1D(3, 2), (5, 2)),
        (layers.Conv2DTranspose(3, 2, strides=2), (3, 2, 2)),
        (layers.DepthwiseConv1D(2), (5, 2)),
        (layers.MaxPooling2D(), (5, 4, 2)),
        (layers.AveragePooling1D(2, padding="same"), (5, 2)),
        (layers.GlobalMaxPooling2D(), (5, 4, 2)),
        (layers.BatchNormalization(axis=1), (5, 2)),
        (layers.PReLU(), (5, 2)),
        (layers.Activation("softmax"), (5, 2)),
        (layers.Softmax(axis=1), (5, 2)),
        (layers.ReLU(max_value=1.0), (2,)),
        (layers.Permute((2, 1)), (5, 2)),
        (layers.Reshape((2, 5)), (5, 2)),
        (layers.Flatten(), (5, 2)),
        (layers.Dropout(0.5), (5, 2)),
        (layers.LSTM(3), (4, 2)),
        (layers.GRU(3, return_sequences=True), (4, 2)),
        (layers.Bidirectional(layers.LSTM(3)), (4, 2)),
        (layers.ConvLSTM1D(3, 2), (3, 5, 2)),
        (layers.TimeDistributed(layers.Dense(3)), (4, 2)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_layers(wrapped, shape):
    layer = layers.TimeDistributed(wrapped, name="steps")
    graph = gg.from_keras(single(layer, (3, *shape)))
    assert graph.verify(np.random.default_rng(0).standard_normal((2, 3, *shape))).passed
    one = gg.from_keras(keras.Sequential([keras.Input(shape), wrapped]))
    assert graph.n_nodes == 3 * one.n_nodes
    assert graph.n_edges == 3 * one.n_edges
    assert [p.depth for p in graph.populations.values()] == [
        p.depth for p in one.populations.values()
    ]


@given(
    n_steps=st.integers(1, 4),
    shape=st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple),
    units=st.integers(1, 4),
)
def test_dense(n_steps, shape, units):
    graph = assert_linear(layers.TimeDistributed(layers.Dense(units)), (n_steps, *shape))
    assert graph.n_edges == n_steps * np.prod(shape) * units


@pytest.mark.parametrize(
    ("wrapped", "shape"),
    [
        (layers.Conv1D(3, 2, padding="same"), (5, 2)),
        (layers.SeparableConv2D(3, 2), (3, 4, 2)),
        (layers.SimpleRNN(3, activation=None, return_sequences=True), (4, 2)),
    ],
)
def test_linear_layers_have_the_jacobian_of_keras(wrapped, shape):
    assert_linear(layers.TimeDistributed(wrapped), (3, *shape))


@pytest.mark.parametrize("wrapped", [layers.Flatten(), layers.Dropout(0.5), layers.Reshape((10,))])
def test_what_passes_on_one_step_passes_on_all(wrapped):
    graph = gg.from_keras(single(layers.TimeDistributed(wrapped), (3, 5, 2)))
    assert len(graph.populations) == 1


def frame_encoder():
    """Return a model of one frame."""
    return keras.Sequential(
        [
            keras.Input((5, 4, 2)),
            layers.Conv2D(3, 2, activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(),
            layers.Dense(2, activation="softmax", name="dense"),
        ],
        name="encoder",
    )


def test_models():
    inputs = keras.Input((3, 5, 4, 2))
    steps = layers.TimeDistributed(frame_encoder(), name="steps")(inputs)
    model = keras.Model(inputs, layers.LSTM(3)(steps))
    randomise(model)
    graph = gg.from_keras(model)
    assert graph.verify().passed
    assert list(graph.populations)[1:5] == [f"steps/{x}" for x in ("conv", "norm", "pool", "dense")]
    assert graph.populations["steps/pool"].shape == (3, 2, 1, 3)
    assert graph.node_id("steps", (2, 1)) == graph.node_id("steps/dense", (2, 1))


def test_models_that_branch():
    x = keras.Input((4, 2), name="x")
    once = layers.Dense(2, activation="tanh", name="dense")
    left = once(x)
    inner = keras.Model(x, layers.Concatenate(name="both")([once(left), 2.0 * left]), name="inner")
    graph = gg.from_keras(single(layers.TimeDistributed(inner, name="steps"), (3, 4, 2)))
    assert graph.verify().passed
    assert {"steps/dense", "steps/dense#1", "steps/both"} <= set(graph.populations)


def test_models_that_pass_on():
    inner = keras.Sequential([keras.Input((4, 2)), layers.Flatten()])
    graph = gg.from_keras(single(layers.TimeDistributed(inner), (3, 4, 2)))
    assert graph.verify().passed
    assert len(graph.populations) == 1


def test_the_kernel_is_the_wrapped_layers():
    dense = layers.Dense(3, name="dense")
    inputs = keras.Input((4, 2))
    model = keras.Model(inputs, [layers.TimeDistributed(dense)(inputs), dense(inputs)])
    randomise(model)
    graph = gg.from_keras(model)
    assert graph.verify().passed
    first, second = graph.projections
    assert first.kernel is second.kernel


def test_steps_do_not_meet():
    graph = gg.from_keras(single(layers.TimeDistributed(layers.GRU(3)), (3, 4, 2)))
    for projection in graph.projections:
        for src, dst, _ in zip(*projection.edges(), strict=True):
            assert projection.source.index(src)[0] == projection.target.index(dst)[0]


def test_a_reshaped_source():
    inputs = keras.Input((24,))
    x = layers.Reshape((3, 4, 2))(inputs)
    model = keras.Model(inputs, layers.TimeDistributed(layers.LSTM(3))(x))
    randomise(model)
    assert gg.from_keras(model).verify().passed


def test_another_number_of_steps():
    model = single(layers.TimeDistributed(layers.Dense(3), name="steps"), (None, 2))
    graph = gg.from_keras(model, input_shape=(6, 2))
    assert graph.verify().passed
    assert graph.populations["steps"].shape == (6, 3)


@keras.saving.register_keras_serializable("tests")
class Squared(layers.Layer):
    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, inputs):
        return inputs**2


def test_unknown_layers_are_refused_by_name():
    model = single(layers.TimeDistributed(Squared(), name="steps"), (3, 2))
    with pytest.raises(gg.UnsupportedLayerError, match=r"'steps' \(Squared\): no converter"):
        gg.from_keras(model)


def masked(wrapped, *shape):
    """Return a model of a wrapped layer that is called with a mask."""
    sequence, mask = keras.Input(shape), keras.Input(shape[:1], dtype="bool")
    layer = layers.TimeDistributed(wrapped, name="steps")
    return randomise(keras.Model([sequence, mask], layer(sequence, mask=mask)))


def test_masks_are_refused():
    with pytest.raises(gg.UnsupportedLayerError, match=r"'steps' .*its converter knows no masks"):
        gg.from_keras(masked(layers.LSTM(3), 4, 5, 2))


def test_masks_inside_the_wrapped_model():
    """A text of sentences: words that are not there, sentence by sentence."""
    sentence = keras.Input((5,), dtype="int32")
    words = layers.Embedding(4, 3, mask_zero=True)(sentence)
    reader = keras.Model(sentence, layers.LSTM(2)(words), name="reader")
    text = keras.Input((3, 5), dtype="int32")
    steps = layers.TimeDistributed(reader, name="steps")(text)
    model = keras.Model(text, layers.GRU(2)(steps))
    randomise(model)
    tokens = np.random.default_rng(0).integers(0, 4, (4, 3, 5))
    assert gg.from_keras(model).verify(tokens).passed


def test_masks_that_the_wrapped_layer_does_not_take_change_nothing():
    assert gg.from_keras(masked(layers.Dense(3), 4, 2)).verify().passed


@pytest.mark.parametrize(
    "wrapped",
    [
        layers.Dense(4, activation="softmax"),
        layers.Softmax(axis=1),
        layers.Softmax(axis=(1, 2)),
        layers.LayerNormalization(),
    ],
    ids=lambda layer: layer.name,
)
def test_neurons_meet_within_their_step(wrapped):
    model = single(layers.TimeDistributed(wrapped), (3, 2, 4))
    graph = gg.from_keras(model, couplings=True)
    assert graph.verify().passed
    one = gg.from_keras(keras.Sequential([keras.Input((2, 4)), wrapped]), couplings=True)
    assert graph.n_edges == 3 * one.n_edges
    assert any(p.kind == "dynamic" for p in graph.projections)
    for projection in graph.projections:
        for src, dst, _ in zip(*projection.edges(), strict=True):
            assert projection.source.index(src)[0] == projection.target.index(dst)[0]


def test_the_axes_along_which_neurons_meet_move_with_their_dimensions():
    axes = {}
    for axis in (1, -2):
        model = single(layers.TimeDistributed(layers.Softmax(axis=axis)), (3, 2, 4))
        axes[axis] = output_of(gg.from_keras(model)).activation.axes
    assert axes == {1: (2,), -2: (-2,)}
