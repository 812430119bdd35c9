import keras
import numpy as np
import pytest
from keras import layers

import gpugraph as gg
from tests.jacobian import assert_linear, randomise, single
from tests.layers.test_recurrent import reached

ROWS = {"Bidirectional": (layers.Bidirectional(layers.LSTM(3)), (4, 2))}

WRAPPED = [layers.SimpleRNN, layers.LSTM, layers.GRU]


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "ave", "mul", None])
@pytest.mark.parametrize("return_state", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("cls", WRAPPED)
def test_options(cls, return_sequences, return_state, merge_mode):
    wrapped = cls(3, return_sequences=return_sequences, return_state=return_state)
    layer = layers.Bidirectional(wrapped, merge_mode=merge_mode, name="both")
    graph = gg.from_keras(single(layer, (4, 2)))
    assert graph.verify().passed
    name = "both/forward" if merge_mode is None else "both"
    assert graph.tensors["both"].population.name == name
    assert len([label for label in graph.tensors if label.startswith("both")]) == (
        len(layer.compute_output_shape((None, 4, 2))) if return_state or merge_mode is None else 1
    )


@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "ave"])
def test_linear_layers_have_the_jacobian_of_keras(merge_mode, return_sequences):
    wrapped = layers.SimpleRNN(3, activation=None, return_sequences=return_sequences)
    graph = assert_linear(layers.Bidirectional(wrapped, merge_mode=merge_mode), (4, 2))
    n_weights = sum(p.n_edges for p in graph.projections if p.kind == "weight")
    assert n_weights == 2 * (4 * 2 * 3 + 3 * 3 * 3)


def test_one_direction_reaches_what_follows_and_the_other_what_precedes():
    layer = layers.Bidirectional(layers.LSTM(3, return_sequences=True))
    model = single(layer, (4, 2))
    expected = np.zeros((4, 2, 4, 6), bool)
    for t in range(4):
        for position in range(4):
            expected[t, :, position, :3] = t <= position
            expected[t, :, position, 3:] = t >= position
    np.testing.assert_array_equal(reached(gg.from_keras(model)), expected)


def test_another_layer_backwards():
    layer = layers.Bidirectional(
        layers.LSTM(3, return_sequences=True),
        backward_layer=layers.GRU(3, return_sequences=True, go_backwards=True),
    )
    assert gg.from_keras(single(layer, (4, 2))).verify().passed


def test_a_forward_layer_that_goes_backwards():
    layer = layers.Bidirectional(
        layers.GRU(3, return_sequences=True, go_backwards=True),
        backward_layer=layers.GRU(3, return_sequences=True),
    )
    assert gg.from_keras(single(layer, (4, 2))).verify().passed


@pytest.mark.parametrize(
    ("wrapped", "shape"),
    [
        (layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True), (4, 2)),
        (layers.ConvLSTM1D(3, 2, return_sequences=True), (4, 5, 2)),
        (layers.ConvLSTM2D(3, 2), (4, 3, 4, 2)),
    ],
)
def test_other_recurrent_layers(wrapped, shape):
    assert gg.from_keras(single(layers.Bidirectional(wrapped), shape)).verify().passed


@pytest.mark.parametrize(("cls", "n_states"), [(layers.LSTM, 4), (layers.GRU, 2)])
def test_initial_states(cls, n_states):
    sequence, *states = keras.Input((4, 2)), *(keras.Input((3,)) for _ in range(n_states))
    layer = layers.Bidirectional(cls(3, return_sequences=True))
    model = keras.Model([sequence, *states], layer(sequence, initial_state=states))
    randomise(model)
    assert gg.from_keras(model).verify().passed


def test_stateful_layers_are_refused():
    inputs = keras.Input((4, 2), batch_size=3)
    layer = layers.Bidirectional(layers.LSTM(3, stateful=True), name="both")
    with pytest.raises(gg.UnsupportedLayerError, match=r"'both/forward' \(LSTM\): it is stateful"):
        gg.from_keras(keras.Model(inputs, layer(inputs)))


@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "ave", "mul", None])
def test_masks(merge_mode, return_sequences):
    sequence, mask = keras.Input((4, 2)), keras.Input((4,), dtype="bool")
    lstm = layers.LSTM(3, return_sequences=return_sequences, return_state=True)
    layer = layers.Bidirectional(lstm, merge_mode=merge_mode)
    model = keras.Model([sequence, mask], layer(sequence, mask=mask))
    randomise(model)
    x = np.random.default_rng(0).standard_normal((3, 4, 2))
    hidden = np.array([[1, 1, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]])
    assert gg.from_keras(model).verify([x, hidden]).passed
