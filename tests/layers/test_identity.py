import keras
import pytest
from keras import layers

import gpugraph as gg
from tests.jacobian import assert_forward, single


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Identity(), (2, 3)),
        (layers.ActivityRegularization(l2=0.1), (2, 3)),
        (layers.Dropout(0.5), (2, 3)),
        (layers.AlphaDropout(0.5), (2, 3)),
        (layers.GaussianDropout(0.5), (2, 3)),
        (layers.GaussianNoise(0.5), (2, 3)),
        (layers.SpatialDropout1D(0.5), (2, 3)),
        (layers.SpatialDropout2D(0.5), (2, 2, 3)),
        (layers.SpatialDropout3D(0.5), (2, 2, 2, 3)),
        (layers.Reshape((6,)), (2, 3)),
        (layers.Reshape((-1, 2)), (2, 3)),
        (layers.Reshape((1, 3, -1, 1)), (2, 3)),
        (layers.Flatten(), (2, 3, 2)),
        (layers.Flatten(), (3,)),
    ],
)
def test_passes_its_input_on_without_nodes(layer, shape):
    graph = assert_forward(layer, shape)
    assert len(graph.populations) == 1
    assert graph.n_edges == 0


@pytest.mark.parametrize("layer", [layers.Dropout(0.5), layers.GaussianNoise(0.5)])
def test_training_is_refused(layer):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layer(inputs, training=True))
    with pytest.raises(gg.UnsupportedLayerError, match="is called with training=True"):
        gg.from_keras(model)


def test_what_follows_reads_the_population_that_was_passed_on():
    inputs = keras.Input((2, 3))
    dropped = layers.Dropout(0.5)(inputs)
    outputs = layers.Dense(4)(layers.Reshape((6,))(dropped))
    graph = gg.from_keras(keras.Model(inputs, outputs))
    (projection,) = graph.projections
    assert projection.source.shape == (2, 3)
    assert graph.n_edges == 24


def test_input_layer_is_the_first_population():
    graph = gg.from_keras(single(layers.Dense(2), (5,)))
    first = next(iter(graph.populations.values()))
    assert (first.layer, first.shape, first.offset, first.depth) == ("InputLayer", (5,), 0, 0)
