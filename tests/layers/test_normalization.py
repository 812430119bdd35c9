import keras
import numpy as np
import pytest
from keras import layers

import gpugraph as gg
from tests.jacobian import assert_evaluates, assert_linear, single


@pytest.mark.parametrize("axis", [-1, 1, 2, 3])
@pytest.mark.parametrize(("center", "scale"), [(True, True), (True, False), (False, True)])
def test_batch_normalization(axis, center, scale):
    layer = layers.BatchNormalization(axis=axis, center=center, scale=scale, epsilon=0.01)
    graph = assert_linear(layer, (2, 3, 4))
    assert graph.n_edges == 24


def test_batch_normalization_of_features():
    assert_linear(layers.BatchNormalization(center=False, scale=False), (5,))


def test_batch_normalization_refuses_another_number_of_features():
    layer = layers.BatchNormalization()
    model = single(layer, (2, 3))
    layer.input_spec = None
    with pytest.raises(gg.ShapeError, match="3 features along axis -1"):
        gg.from_keras(model, input_shape=(2, 4))


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize(
    ("axis", "statistics"),
    [
        (-1, [0.5, 2.0, -1.0]),
        (1, [0.5, 2.0]),
        ((1, 2), [[0.5, 2.0, 1.0], [0.1, -3.0, 0.2]]),
        (None, 0.7),
    ],
)
def test_normalization_by_given_statistics(axis, statistics, invert):
    mean = np.asarray(statistics, np.float32)
    layer = layers.Normalization(axis, mean=mean, variance=mean**2 + 0.1, invert=invert)
    assert_linear(layer, (2, 3))


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("axis", [-1, 1, (1, 2), None])
def test_normalization_by_adapted_statistics(axis, invert):
    layer = layers.Normalization(axis, invert=invert)
    layer.adapt(np.random.default_rng(0).normal(2, 3, (50, 2, 3)).astype(np.float32))
    inputs = keras.Input((2, 3))
    graph = gg.from_keras(keras.Model(inputs, layer(inputs)))
    assert_evaluates(graph, layer, (2, 3))


def test_normalization_of_constant_features():
    layer = layers.Normalization(mean=[1.0, 2.0], variance=[0.0, 1.0])
    inputs = keras.Input((2,))
    graph = gg.from_keras(keras.Model(inputs, layer(inputs)))
    weights = [weight for _, _, weight in graph.edge_tuples()]
    np.testing.assert_allclose(weights, [1e7, 1.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("scale", "offset"),
    [(1 / 255, 0.0), (2, -1), ([0.5, 2.0, -1.0], [1.0, 0.0, 3.0]), (0.5, [1.0, 2.0, 3.0])],
)
def test_rescaling(scale, offset):
    assert_linear(layers.Rescaling(scale, offset), (2, 4, 3))


@pytest.mark.parametrize(
    ("scale", "offset"), [([0.5, 2.0], 1.0), ([0.5, 2.0], [[[3.0]], [[4.0]]]), (2.0, 3.0)]
)
def test_rescaling_of_channels_first_images(scale, offset):
    keras.config.set_image_data_format("channels_first")
    try:
        assert_linear(layers.Rescaling(scale, offset), (2, 4, 3))
    finally:
        keras.config.set_image_data_format("channels_last")
