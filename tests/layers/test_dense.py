import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

import gpugraph as gg
from tests.jacobian import adjacency, assert_forward, assert_linear, single


@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple),
    units=st.integers(1, 5),
    use_bias=st.booleans(),
)
def test_dense(shape, units, use_bias):
    graph = assert_linear(layers.Dense(units, use_bias=use_bias), shape)
    assert graph.n_edges == np.prod(shape) * units


@pytest.mark.parametrize(
    ("equation", "shape", "output_shape", "bias_axes"),
    [
        ("ab,bc->ac", (4,), (3,), "c"),
        ("abc,cd->abd", (3, 4), (None, 5), "d"),
        ("abc,cde->abde", (3, 4), (None, 2, 5), "de"),
        ("abcd,cde->abe", (3, 2, 4), (None, 5), "e"),  # two contracted dimensions
        ("abcd,cde->abe", (3, 2, 4), (3, 5), "be"),
        ("abc,bd->acd", (3, 4), (None, 5), "d"),  # a contracted dimension that is not the last
        ("abc,cd->adb", (3, 4), (5, 3), "d"),  # a made dimension before a kept one
        ("abc,dc->abd", (3, 4), (None, 5), None),  # a transposed kernel
        ("abc,bcd->abd", (3, 4), (3, 5), "bd"),  # b shared by input, kernel and output
        ("abc,cb->ac", (3, 4), (4,), "c"),  # c kept, b summed, both in the kernel
        ("abc,b->abc", (3, 4), (3, 4), "c"),  # no contraction at all
        ("ab,cd->abcd", (3,), (None, 2, 4), "cd"),
        ("abc,cd->ad", (3, 4), (5,), "d"),  # b summed, without a weight of its own
        ("...x,xy->...y", (3, 4), (5,), "y"),
        ("...x,xy->...y", (2, 3, 4), (5,), None),
        ("ab...,bc->ac...", (3, 4), (5,), None),
        ("ab...,bc->ac...", (3, 2, 4), (5,), "c"),
    ],
)
def test_einsum_dense(equation, shape, output_shape, bias_axes):
    assert_linear(layers.EinsumDense(equation, output_shape, bias_axes=bias_axes), shape)


@pytest.mark.parametrize(
    ("equation", "shape", "output_shape"),
    [
        ("abb,bc->ac", (3, 3), 4),  # summed along the diagonal
        ("abb,bc->abc", (3, 3), (3, 4)),  # kept along the diagonal
        ("...bb,bc->...bc", (2, 3, 3), (3, 4)),
        ("abcb,cd->abd", (3, 2, 3), (3, 4)),
        ("abb,cd->acd", (3, 3), (2, 4)),
        ("abb,bb->ab", (3, 3), 3),  # of input and kernel
        ("ab,bcc->ac", (3,), 4),  # of the kernel alone
        ("ab,bbc->ac", (3,), 4),
    ],
)
def test_einsum_dense_along_diagonals(equation, shape, output_shape):
    graph = assert_linear(layers.EinsumDense(equation, output_shape), shape)
    matrix = adjacency(graph)
    for view, expected in (("weight", matrix), ("magnitude", abs(matrix))):
        operator = graph.as_linear_operator(view, device="cpu")
        x = np.random.default_rng(0).standard_normal(graph.n_nodes)
        np.testing.assert_allclose(operator @ x, x @ expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(operator.rmatvec(x), expected @ x, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(graph.in_degree(), (matrix != 0).sum(0))
    np.testing.assert_allclose(graph.out_strength(), matrix.sum(1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("equation", "shape", "output_shape"),
    [("ab,bc->bc", (2,), 4), ("abc,acd->abd", (3, 4), (3, 5)), ("aab,bc->abc", (2, 3), (3, 4))],
)
def test_einsum_dense_refuses_to_join_samples(equation, shape, output_shape):
    inputs = keras.Input(batch_shape=(2, *shape))
    model = keras.Model(inputs, layers.EinsumDense(equation, output_shape)(inputs))
    with pytest.raises(gg.UnsupportedLayerError, match=f"'{equation}' joins samples of the batch"):
        gg.from_keras(model)


def test_einsum_dense_at_another_input_shape():
    model = single(layers.EinsumDense("abc,cd->abd", (3, 5)), (3, 4))
    graph = gg.from_keras(model, input_shape=(7, 4))
    assert [p.shape for p in graph.populations.values()] == [(7, 4), (7, 5)]


@pytest.mark.parametrize("name", ["relu", "tanh", "softmax", "gelu"])
def test_fused_activation(name):
    graph = assert_forward(layers.Dense(4, activation=name), (2, 3))
    (_, population) = graph.populations.values()
    assert population.activation.name == name


def test_activation_layer_fused_into_dense():
    layer = layers.Dense(4, activation=layers.LeakyReLU(negative_slope=0.2))
    graph = assert_forward(layer, (3,))
    (_, population) = graph.populations.values()
    assert population.activation.name == "leaky_relu(negative_slope=0.2)"


def test_an_activation_that_halves_the_channels_is_refused():
    model = single(layers.Dense(8, activation="glu"), (3,))
    with pytest.raises(gg.UnsupportedLayerError, match="'glu' halves"):
        gg.from_keras(model)


@pytest.mark.parametrize(
    "layer", [layers.Dense(4), layers.EinsumDense("ab,bc->ac", 4, bias_axes="c")]
)
def test_quantised_weights_are_refused(layer):
    model = single(layer, (3,))
    layer.quantize("int8")
    with pytest.raises(gg.UnsupportedLayerError, match=r"is quantised \(int8\)"):
        gg.from_keras(model)


def test_low_rank_adaptation_is_part_of_the_kernel():
    layer = layers.Dense(4)
    inputs = keras.Input((5,))
    model = keras.Model(inputs, layer(inputs))
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(np.ones(layer.lora_kernel_b.shape))
    graph = gg.from_keras(model)
    (projection,) = graph.projections
    kernel = keras.ops.convert_to_numpy(keras.ops.stop_gradient(layer.kernel))
    np.testing.assert_allclose(projection.kernel, kernel.ravel(), rtol=1e-6)


def test_input_that_does_not_fit_the_kernel_is_refused():
    model = single(layers.Dense(4), (3,))
    with pytest.raises(gg.ShapeError, match="was built for 3 inputs"):
        gg.from_keras(model, input_shape=(5,))
