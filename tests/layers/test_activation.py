import keras
import numpy as np
import pytest
from keras import layers

import gpugraph as gg
from tests.jacobian import assert_forward, single

# Neither can be an activation by its name alone: one makes no nodes, one halves the channels, and
# Keras cannot call the third without its threshold.
NOT_PLAIN = {"linear", "glu", "threshold"}
PLAIN = sorted(
    name
    for name, function in vars(keras.activations).items()
    if callable(function) and name not in {"get", "serialize", "deserialize", *NOT_PLAIN}
)


@pytest.mark.parametrize("name", PLAIN)
def test_activation(name):
    graph = assert_forward(layers.Activation(name), (2, 3))
    (projection,) = graph.projections
    assert keras.activations.get(projection.target.activation.name) is keras.activations.get(name)
    assert projection.kind == "copy"
    assert [src for src, _, _ in graph.edge_tuples()] == list(range(6))


def test_every_activation_layer_of_keras_has_a_converter():
    package = "keras.src.layers.activations."
    own = {n for n, c in vars(layers).items() if getattr(c, "__module__", "").startswith(package)}
    assert {"Activation", "ReLU", "Softmax"} < own <= set(gg.supported_layers())


def test_an_activation_that_halves_the_channels_is_refused():
    x = keras.Input((4,))
    with pytest.raises(gg.UnsupportedLayerError, match="'glu' halves"):
        gg.from_keras(keras.Model(x, layers.Activation("glu")(x)))


@pytest.mark.parametrize("function", [None, "linear", keras.activations.linear])
def test_linear_activation_makes_no_nodes(function):
    graph = gg.from_keras(single(layers.Activation(function), (2, 3)))
    assert (graph.n_nodes, graph.n_edges) == (6, 0)


def test_activation_that_is_another_activation_layer():
    graph = assert_forward(layers.Activation(layers.Activation("tanh")), (2, 3))
    assert graph.projections[0].target.activation.name == "tanh"


def test_an_activation_that_is_any_other_layer_is_refused():
    layer = layers.Activation(layers.Dense(3))
    inputs = keras.Input((3,))
    with pytest.raises(gg.UnsupportedLayerError, match="is a layer, Dense, whose edges would not"):
        gg.from_keras(keras.Model(inputs, layer(inputs)))


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


@pytest.mark.parametrize("couplings", [False, True])
@pytest.mark.parametrize("shape", [(4, 3), (4, 1), (1, 3)])
@pytest.mark.parametrize("axis", [-1, 1, (1, 2)])
def test_softmax_with_a_mask(axis, shape, couplings):
    inputs, mask = keras.Input((4, 3)), keras.Input(shape, dtype="bool")
    model = keras.Model([inputs, mask], layers.Softmax(axis)(inputs, mask=mask))
    rng = np.random.default_rng(0)
    there = rng.random((5, *shape)) > 0.5
    there[0], there[1] = False, True
    graph = gg.from_keras(model, couplings=couplings)
    assert graph.verify([rng.standard_normal((5, 4, 3)), there]).passed


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda x, mask: layers.Softmax()(x, mask), "joins the samples"),
        (lambda x, mask: layers.Softmax()(x, mask=np.array([True, False, True])), "is a constant"),
    ],
)
def test_masks_of_softmax_that_are_refused(call, why):
    inputs, mask = keras.Input((3, 3)), keras.Input((3,), dtype="bool")
    model = keras.Model([inputs, mask], call(inputs, mask))
    with pytest.raises(gg.UnsupportedLayerError, match=why):
        gg.from_keras(model)


def test_softmax_over_the_batch_is_refused():
    with pytest.raises(gg.UnsupportedLayerError, match="along its axis 0, the batch's"):
        gg.from_keras(single(layers.Softmax(axis=0), (3,)))


@pytest.mark.parametrize("shared_axes", [None, [1], [1, 2]])
def test_alpha_of_prelu_is_an_attribute_of_the_nodes(shared_axes):
    layer = layers.PReLU(shared_axes=shared_axes)
    graph = gg.from_keras(single(layer, (2, 3, 4)))
    (projection,) = graph.projections
    alpha = projection.target.values(projection.target.attributes["alpha"])
    expected = np.broadcast_to(layer.alpha.numpy(), (2, 3, 4)).ravel()
    np.testing.assert_array_equal(alpha, expected)
