import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

import gpugraph as gg
from tests.jacobian import assert_evaluates, randomise, single
from tests.reference import window_pairs

ROWS = {
    "ConvLSTM1D": (layers.ConvLSTM1D(3, 2), (3, 5, 2)),
    "ConvLSTM2D": (layers.ConvLSTM2D(2, 2), (3, 4, 3, 2)),
    "ConvLSTM3D": (layers.ConvLSTM3D(2, 2), (2, 3, 2, 3, 1)),
}


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_state", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("rank", [1, 2])
def test_what_is_returned(rank, return_sequences, return_state, go_backwards):
    layer = getattr(layers, f"ConvLSTM{rank}D")(
        3,
        2,
        return_sequences=return_sequences,
        return_state=return_state,
        go_backwards=go_backwards,
    )
    assert gg.from_keras(single(layer, (3, *(4, 5)[:rank], 2))).verify().passed


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(
    "options",
    [
        {"padding": "same"},
        {"strides": 2},
        {"strides": 2, "padding": "same"},
        {"dilation_rate": 2},
        {"dilation_rate": 2, "padding": "same"},
        {"use_bias": False},
        {"activation": "relu", "recurrent_activation": "hard_sigmoid"},
        {"dropout": 0.5, "recurrent_dropout": 0.5},
    ],
)
def test_options(rank, options):
    layer = getattr(layers, f"ConvLSTM{rank}D")(2, 2, return_sequences=True, **options)
    assert gg.from_keras(single(layer, (3, *(5, 4, 3)[:rank], 2))).verify().passed


@given(
    n=st.integers(1, 6),
    size=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.sampled_from(["same", "valid"]),
)
def test_windows_of_any_size(n, size, stride, padding):
    n = max(n, size)
    layer = layers.ConvLSTM1D(2, size, strides=stride, padding=padding)
    graph = gg.from_keras(single(layer, (2, n, 1)))
    assert graph.verify().passed
    into = list(window_pairs(n, size, stride, padding=padding))
    n_states = 1 + max(dst for _, dst, _ in into)
    among = list(window_pairs(n_states, size, 1, padding="same"))
    n_weights = sum(p.n_edges for p in graph.projections if p.kind == "weight")
    assert n_weights == 2 * len(into) * 1 * 8 + 1 * len(among) * 2 * 8


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_channels_first(rank, return_sequences):
    cls = getattr(layers, f"ConvLSTM{rank}D")
    spatial = (5, 4, 3)[:rank]
    options = {"strides": 2, "padding": "same", "return_sequences": return_sequences}
    # TensorFlow has no channels_first windows on a CPU: the same layer, channels last.
    layer = cls(3, 2, data_format="channels_first", name="lstm", **options)
    twin = cls(3, 2, data_format="channels_last", **options)
    inputs = keras.Input((2, 2, *spatial))
    model = keras.Model(inputs, layer(inputs))
    randomise(model)
    twin.build((None, 2, *spatial, 2))
    twin.set_weights(layer.get_weights())

    def function(x):
        y = keras.ops.convert_to_numpy(twin(np.moveaxis(x, 2, -1)))
        return np.moveaxis(y, -1, 2 if return_sequences else 1)

    graph = gg.from_keras(model)
    assert_evaluates(graph, function, (2, 2, *spatial))
    assert graph.populations["lstm/t0/gates"].shape[:2] == (4, 3)
    assert graph.populations["lstm/t0/cell"].channels_first


def test_initial_states():
    shape = (4, 5, 3)
    inputs = [keras.Input((2, 4, 5, 2)), keras.Input(shape), keras.Input(shape)]
    layer = layers.ConvLSTM2D(3, 2, padding="same")
    model = keras.Model(inputs, layer(inputs[0], initial_state=inputs[1:]))
    randomise(model)
    assert gg.from_keras(model).verify().passed


def test_steps_share_the_kernels():
    graph = gg.from_keras(single(layers.ConvLSTM2D(3, 2), (4, 4, 5, 2)))
    assert len({id(p.kernel) for p in graph.projections if p.kind == "weight"}) == 2


def test_gates_lie_at_the_positions_of_the_states():
    graph = gg.from_keras(single(layers.ConvLSTM2D(3, 2, name="lstm"), (2, 4, 5, 2)))
    assert graph.populations["lstm/t0/gates"].shape == (3, 4, 4, 3)
    assert graph.populations["lstm/t0/cell"].shape == (3, 4, 3)
    for p in graph.projections:
        if p.kind == "dynamic" and p.source.name.endswith("gates"):
            for src, dst, _ in zip(*p.edges(), strict=True):
                y, x, _, filter_ = p.source.index(src)
                assert p.target.index(dst) == (y, x, filter_)


def test_stateful_layers_are_refused():
    inputs = keras.Input((2, 4, 2), batch_size=3)
    model = keras.Model(inputs, layers.ConvLSTM1D(3, 2, stateful=True, name="lstm")(inputs))
    with pytest.raises(gg.UnsupportedLayerError, match=r"'lstm' \(ConvLSTM1D\): it is stateful"):
        gg.from_keras(model)
