import keras
import numpy as np
import pytest
from keras import layers
from keras.src.applications.convnext import LayerScale, StochasticDepth

import gpugraph as gg
from tests.jacobian import assert_evaluates, assert_linear, randomise, single

ROWS = {
    "LayerScale": (LayerScale(1e-6, 3), (2, 3)),
    "SpectralNormalization": (layers.SpectralNormalization(layers.Dense(4)), (2, 3)),
    "StochasticDepth": (StochasticDepth(0.5), (2, 3)),
}


@pytest.mark.parametrize("axis", [-1, 1, 2, 3])
@pytest.mark.parametrize(("center", "scale"), [(True, True), (True, False), (False, True)])
def test_batch_normalization(axis, center, scale):
    layer = layers.BatchNormalization(axis=axis, center=center, scale=scale, epsilon=0.01)
    graph = assert_linear(layer, (2, 3, 4))
    assert graph.n_edges == 24


def test_batch_normalization_of_features():
    assert_linear(layers.BatchNormalization(center=False, scale=False), (5,))


@pytest.mark.parametrize("options", [{"renorm": True}, {"synchronized": True}])
def test_batch_normalization_by_other_statistics_in_training(options):
    if "synchronized" in options and keras.config.backend() != "tensorflow":
        pytest.skip("Keras has it for TensorFlow alone")
    assert_linear(layers.BatchNormalization(**options), (2, 3))


def test_the_mask_of_a_batch_normalization_matters_in_training_only():
    x, mask = keras.Input((2, 3), name="x"), keras.Input((2,), dtype="bool")
    model = keras.Model([x, mask], layers.BatchNormalization()(x, mask=mask))
    randomise(model)
    graph = gg.from_keras(model)
    assert graph.verify().passed
    assert [(p.source.name, p.n_edges) for p in graph.projections] == [("x", 6)]


def test_batch_normalization_along_the_batch_is_refused():
    layer = layers.BatchNormalization()
    model = single(layer, (2, 3))
    layer.axis = 0
    with pytest.raises(gg.UnsupportedLayerError, match="axis 0, the batch's"):
        gg.from_keras(model)


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


@pytest.mark.parametrize("shape", [(3,), (2, 4, 3)])
def test_layer_scale(shape):
    graph = assert_linear(LayerScale(1e-6, 3), shape)
    assert {p.kind for p in graph.projections} == {"scale"}


def test_stochastic_depth_makes_no_nodes():
    graph = gg.from_keras(single(StochasticDepth(0.5), (2, 3)))
    assert (graph.n_nodes, graph.n_edges) == (6, 0)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Dense(4), (3,)),
        (layers.Conv2D(2, 3, strides=2, padding="same"), (5, 4, 3)),
        (layers.DepthwiseConv2D(2), (3, 4, 2)),
        (layers.EinsumDense("abc,cd->abd", (2, 4)), (2, 3)),
    ],
)
def test_spectral_normalization_is_the_layer_inside(layer, shape):
    graph = assert_linear(layers.SpectralNormalization(layer, name="outside"), shape)
    (projection,) = graph.projections
    assert (projection.target.name, projection.kind) == ("outside", "weight")
    assert projection.target.layer == type(layer).__name__


def test_spectral_normalization_after_training():
    layer = layers.SpectralNormalization(layers.Dense(4))
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layer(inputs))
    before = keras.ops.convert_to_numpy(layer.layer.kernel)
    layer(np.ones((2, 3), np.float32), training=True)
    graph = gg.from_keras(model)
    assert graph.verify().passed
    assert np.abs(graph.projections[0].kernel - before.ravel()).max() > 1e-3


def test_spectral_normalization_of_an_embedding_is_refused():
    layer = layers.SpectralNormalization(layers.Embedding(5, 2))
    inputs = keras.Input((3,), dtype="int32")
    with pytest.raises(gg.UnsupportedLayerError, match="cut off to whole numbers"):
        gg.from_keras(keras.Model(inputs, layer(inputs)))
