import keras
import numpy as np
import pytest
from keras import layers

import gpugraph as gg
from tests.jacobian import assert_forward, single


@pytest.mark.parametrize(
    "name",
    ["relu", "relu6", "sigmoid", "tanh", "softmax", "gelu", "silu", "elu", "selu", "softplus"],
)
def test_activation(name):
    graph = assert_forward(layers.Activation(name), (2, 3))
    (projection,) = graph.projections
    assert projection.target.activation.name == name
    assert projection.kind == "copy"
    assert [src for src, _, _ in graph.edge_tuples()] == list(range(6))


@pytest.mark.parametrize("function", [None, "linear", keras.activations.linear])
def test_linear_activation_makes_no_nodes(function):
    graph = gg.from_keras(single(layers.Activation(function), (2, 3)))
    assert (graph.n_nodes, graph.n_edges) == (6, 0)


def test_activation_that_is_a_layer():
    graph = assert_forward(layers.Activation(layers.ReLU(max_value=1.0)), (2, 3))
    assert graph.projections[0].target.activation.name == "relu(max_value=1)"


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (layers.ReLU(), "relu"),
        (layers.ReLU(max_value=1.0), "relu(max_value=1)"),
        (layers.ReLU(threshold=0.5), "relu(threshold=0.5)"),
        (
            layers.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.2),
            "relu(max_value=1.5, negative_slope=0.1, threshold=0.2)",
        ),
        (layers.LeakyReLU(negative_slope=0.3), "leaky_relu"),
        (layers.ELU(alpha=0.7), "elu(alpha=0.7)"),
        (layers.Softmax(), "softmax"),
        (layers.Softmax(axis=1), "softmax(axis=1)"),
        (layers.Softmax(axis=(1, 2)), "softmax(axis=(1, 2))"),
        (layers.PReLU(), "prelu"),
        (layers.PReLU(shared_axes=[1]), "prelu"),
        (layers.PReLU(shared_axes=[1, 2]), "prelu"),
    ],
)
def test_activation_layers(layer, name):
    graph = assert_forward(layer, (2, 3, 4))
    (projection,) = graph.projections
    assert projection.target.activation.name == name
    assert projection.n_edges == 24


def test_softmax_with_a_mask_is_refused():
    inputs, mask = keras.Input((3,)), keras.Input((3,), dtype="bool")
    model = keras.Model([inputs, mask], layers.Softmax()(inputs, mask=mask))
    with pytest.raises(gg.UnsupportedLayerError, match="called on 2 tensors instead of one"):
        gg.from_keras(model)


@pytest.mark.parametrize("shared_axes", [None, [1], [1, 2]])
def test_alpha_of_prelu_is_an_attribute_of_the_nodes(shared_axes):
    layer = layers.PReLU(shared_axes=shared_axes)
    graph = gg.from_keras(single(layer, (2, 3, 4)))
    (projection,) = graph.projections
    alpha = projection.target.values(projection.target.attributes["alpha"])
    expected = np.broadcast_to(layer.alpha.numpy(), (2, 3, 4)).ravel()
    np.testing.assert_array_equal(alpha, expected)
