import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

import gpugraph as gg
from tests.jacobian import assert_evaluates, assert_forward, single

ROWS = {
    "GroupNormalization": (layers.GroupNormalization(2), (3, 4)),
    "LayerNormalization": (layers.LayerNormalization(), (2, 3)),
    "RMSNormalization": (layers.RMSNormalization(), (2, 3)),
    "UnitNormalization": (layers.UnitNormalization(), (2, 3)),
}


def scale_weights(graph):
    (scale,) = (p for p in graph.projections if p.kind == "scale")
    src, dst, weight = scale.edges()
    np.testing.assert_array_equal(dst - scale.target.offset, src - scale.source.offset)
    return weight.reshape(scale.target.shape)


@pytest.mark.parametrize("axis", [-1, 1, 2, -2, (1, 2), [1, 3], [-1, 1], [1, 2, 3]])
@pytest.mark.parametrize(("center", "scale"), [(True, True), (True, False), (False, True)])
def test_layer_normalization(axis, center, scale):
    layer = layers.LayerNormalization(axis=axis, center=center, scale=scale, epsilon=0.01)
    graph = assert_forward(layer, (2, 3, 4))
    assert graph.n_edges == 24


def test_weights_are_gamma_and_biases_are_beta():
    layer = layers.LayerNormalization(axis=1)
    graph = gg.from_keras(single(layer, (3, 2)))
    gamma, beta = (keras.ops.convert_to_numpy(v) for v in (layer.gamma, layer.beta))
    np.testing.assert_array_equal(scale_weights(graph), np.stack([gamma] * 2, 1))
    (_, population) = graph.populations.values()
    np.testing.assert_array_equal(population.bias, beta[:, None])


@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple),
    data=st.data(),
    center=st.booleans(),
)
def test_layer_normalization_of_any_shape(shape, data, center):
    axes = data.draw(st.sets(st.integers(1, len(shape)), min_size=1).map(list))
    layer = layers.LayerNormalization(axis=axes, center=center)
    graph = assert_forward(layer, shape)
    assert graph.n_edges == np.prod(shape)


@pytest.mark.filterwarnings("ignore:.*rms_scaling=True")  # Keras advises against it
@pytest.mark.parametrize("axis", [-1, [1, 2]])
def test_layer_normalization_by_the_deviation_alone(axis):
    assert_forward(layers.LayerNormalization(axis=axis, rms_scaling=True), (2, 3))


@pytest.mark.parametrize("epsilon", [1e-3, 1e-12])
@pytest.mark.parametrize("spread", [0.0, 1e-6, 1e-3])
def test_layer_normalization_of_next_to_no_variance(spread, epsilon):
    layer = layers.LayerNormalization(epsilon=epsilon)
    graph = gg.from_keras(single(layer, (4,)))
    x = np.array([[1.0, -1.0, 2.0, 0.5]], np.float32) * np.float32(spread)
    (_, got) = graph.evaluate(x).values()
    expected = keras.ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("groups", [1, 2, 4, -1])
@pytest.mark.parametrize("axis", [-1, 3, -3, 1])
@pytest.mark.parametrize(("center", "scale"), [(True, True), (False, False)])
def test_group_normalization(groups, axis, center, scale):
    shape = (4, 3, 2) if axis in (1, -3) else (2, 3, 4)
    layer = layers.GroupNormalization(groups, axis=axis, center=center, scale=scale)
    graph = assert_forward(layer, shape)
    assert graph.n_edges == 24


@pytest.mark.parametrize("shape", [(6,), (5, 6), (2, 1, 3, 6)])
def test_group_normalization_of_any_rank(shape):
    assert_forward(layers.GroupNormalization(3), shape)


@pytest.mark.parametrize(
    ("axis", "shape"),
    [(-1, (2, 3)), (2, (2, 3)), ([1, 2], (2, 3)), ([2, 3], (4, 2, 3)), (1, (3, 3))],
)
def test_rms_normalization(axis, shape):
    assert_forward(layers.RMSNormalization(axis=axis), shape)


def test_the_scale_of_a_rms_normalization_lies_along_the_last_dimension():
    # Whatever the axis: Keras multiplies by it as it is.
    layer = layers.RMSNormalization(axis=1)
    graph = gg.from_keras(single(layer, (3, 3)))
    scale = keras.ops.convert_to_numpy(layer.scale)
    np.testing.assert_array_equal(scale_weights(graph), np.stack([scale] * 3))


def test_a_scale_that_keras_cannot_multiply_by_is_refused():
    x = keras.Input((3, 4))
    with pytest.raises(gg.ShapeError, match=r"\(3, 4\) and weights \(3,\) do not broadcast"):
        gg.from_keras(keras.Model(x, layers.RMSNormalization(axis=1)(x)))


@pytest.mark.parametrize("axis", [-1, 1, -2, (1, 2), [1, 3]])
def test_unit_normalization(axis):
    graph = assert_forward(layers.UnitNormalization(axis=axis), (2, 3, 4))
    np.testing.assert_array_equal(scale_weights(graph), 1)


@pytest.mark.parametrize("size", [0.0, 1e-20, 1e-13, 1e-6, 1e6])
def test_unit_normalization_of_short_and_long_vectors(size):
    layer = layers.UnitNormalization()
    graph = gg.from_keras(single(layer, (3,)))
    x = np.array([[1.0, -2.0, 0.5]], np.float32) * np.float32(size)
    (_, got) = graph.evaluate(x).values()
    np.testing.assert_allclose(got, keras.ops.convert_to_numpy(layer(x)), rtol=1e-5)


@pytest.mark.parametrize("batch", [1, 5])
def test_samples_are_normalised_each_by_itself(batch):
    layer = layers.LayerNormalization()
    graph = gg.from_keras(single(layer, (3,)))
    x = np.random.default_rng(0).normal(size=(batch, 3))
    (_, together) = graph.evaluate(x).values()
    alone = [list(graph.evaluate(x[i : i + 1]).values())[1] for i in range(batch)]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_groups_of_images_are_averaged_accurately():
    layer = layers.LayerNormalization(axis=[1, 2], epsilon=1e-6)
    graph = gg.from_keras(single(layer, (300, 200, 2)))
    x = np.random.default_rng(0).normal(100, 1, (1, 300, 200, 2)).astype(np.float32)
    single_precision, double = (list(graph.evaluate(v).values())[1] for v in (x, x.astype(float)))
    np.testing.assert_allclose(single_precision, double, atol=2e-5)


def test_a_normalisation_of_reshaped_nodes():
    x = keras.Input((2, 6))
    y = layers.GroupNormalization(2)(layers.Reshape((3, 4))(x))
    assert gg.from_keras(keras.Model(x, y)).verify().passed


@pytest.mark.parametrize(
    "layer",
    [
        layers.LayerNormalization(axis=[0, 1]),
        layers.UnitNormalization(axis=0),
        layers.UnitNormalization(axis=[-3, -1]),
        layers.RMSNormalization(axis=0),
        layers.GroupNormalization(1, axis=0),
    ],
)
def test_normalising_across_samples_is_refused(layer):
    x = keras.Input((2, 3), batch_size=4)
    y = layer(x)
    with pytest.raises(gg.UnsupportedLayerError, match="the batch's, samples depend on one anoth"):
        gg.from_keras(keras.Model(x, y))


def test_another_number_of_features_is_refused():
    model = single(layers.LayerNormalization(axis=[1, 2]), (2, 3))
    with pytest.raises(gg.ShapeError, match=r"6 features along axis \[1, 2\]"):
        gg.from_keras(model, input_shape=(4, 3))


def test_another_size_where_channels_alone_are_normalised():
    layer = layers.LayerNormalization()
    graph = gg.from_keras(single(layer, (2, 2, 3)), input_shape=(4, 5, 3))
    assert_evaluates(graph, layer, (4, 5, 3))
