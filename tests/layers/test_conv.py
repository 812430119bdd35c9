import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import gpugraph as gg
from tests.jacobian import assert_forward, assert_linear, single
from tests.strategies import windows

CAUSAL = ("valid", "same", "causal")


@given(window=windows(1, paddings=CAUSAL), filters=st.integers(1, 3), use_bias=st.booleans())
def test_conv1d(window, filters, use_bias):
    assert_linear(layers.Conv1D(filters, use_bias=use_bias, **window.options), window.shape)


@given(window=windows(2), filters=st.integers(1, 3), use_bias=st.booleans())
def test_conv2d(window, filters, use_bias):
    assert_linear(layers.Conv2D(filters, use_bias=use_bias, **window.options), window.shape)


@settings(max_examples=10)
@given(window=windows(3), filters=st.integers(1, 2))
def test_conv3d(window, filters):
    assert_linear(layers.Conv3D(filters, **window.options), window.shape)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Conv1D(6, 3, groups=2, padding="causal"), (5, 4)),
        (layers.Conv2D(6, 3, groups=3, strides=2, padding="same"), (4, 5, 6)),
        (layers.Conv2D(4, (2, 3), groups=4), (4, 4, 4)),  # one channel per group
        (layers.Conv2D(4, 2, groups=2, data_format="channels_first"), (4, 4, 3)),
        (layers.Conv3D(2, 2, groups=2), (2, 3, 2, 4)),
    ],
)
def test_groups(layer, shape):
    assert_linear(layer, shape)


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 5, 6, 9])
@pytest.mark.parametrize("dilation_rate", [1, 2, 4])
def test_kernel_larger_than_its_input(kernel_size, dilation_rate):
    layer = layers.Conv1D(2, kernel_size, padding="same", dilation_rate=dilation_rate)
    assert_linear(layer, (4, 2))


def test_padding_gives_no_edge():
    graph = assert_linear(layers.Conv2D(2, 3, padding="same"), (4, 4, 1))
    assert graph.n_edges == 2 * (4 * 3 - 2) ** 2


@given(window=windows(1), multiplier=st.integers(1, 3), use_bias=st.booleans())
def test_depthwise_conv1d(window, multiplier, use_bias):
    layer = layers.DepthwiseConv1D(depth_multiplier=multiplier, use_bias=use_bias, **window.options)
    assert_linear(layer, window.shape)


@given(window=windows(2, even_strides=True), multiplier=st.integers(1, 3))
def test_depthwise_conv2d(window, multiplier):
    layer = layers.DepthwiseConv2D(depth_multiplier=multiplier, **window.options)
    assert_linear(layer, window.shape)


@given(
    window=windows(1),
    filters=st.integers(1, 3),
    multiplier=st.integers(1, 2),
    use_bias=st.booleans(),
)
def test_separable_conv1d(window, filters, multiplier, use_bias):
    layer = layers.SeparableConv1D(
        filters, depth_multiplier=multiplier, use_bias=use_bias, **window.options
    )
    assert_linear(layer, window.shape)


@given(
    window=windows(2, even_strides=True), filters=st.integers(1, 3), multiplier=st.integers(1, 2)
)
def test_separable_conv2d(window, filters, multiplier):
    layer = layers.SeparableConv2D(filters, depth_multiplier=multiplier, **window.options)
    assert_linear(layer, window.shape)


def test_separable_conv_has_a_population_between_its_two_kernels():
    layer = layers.SeparableConv2D(5, 3, depth_multiplier=2, name="sep")
    graph = assert_linear(layer, (4, 4, 3))
    depthwise, pointwise = graph.projections
    assert graph.populations["sep/depthwise"].shape == (2, 2, 6)
    assert depthwise.target is pointwise.source
    assert pointwise.target is graph.populations["sep"]


@pytest.mark.parametrize("layer_class", [layers.DepthwiseConv2D, layers.SeparableConv2D])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_strides_and_dilation_at_once(layer_class, padding):
    filters = {"filters": 2} if layer_class is layers.SeparableConv2D else {}
    layer = layer_class(kernel_size=2, strides=2, dilation_rate=2, padding=padding, **filters)
    assert_linear(layer, (6, 5, 2))


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(3, 2, activation="relu"),
        layers.DepthwiseConv2D(2, activation="tanh"),
        layers.SeparableConv2D(3, 2, activation="elu"),
        layers.Conv2D(3, 2, activation=layers.ReLU(max_value=0.5)),
    ],
)
def test_fused_activation(layer):
    assert_forward(layer, (3, 4, 2))


def test_weights_are_those_of_the_kernel_in_order():
    model = single(layers.Conv2D(2, 2), (2, 2, 3))
    (edges,) = gg.from_keras(model).edges(device="cpu")
    np.testing.assert_array_equal(edges.weight, np.ravel(model.layers[1].kernel)[edges.parameter])


@pytest.mark.parametrize(
    "layer", [layers.Conv2D(2, 2), layers.DepthwiseConv2D(2), layers.Conv2DTranspose(2, 2)]
)
def test_input_of_other_channels_is_refused(layer):
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, layer(inputs))
    layer.input_spec = None
    with pytest.raises(gg.ShapeError, match="3"):
        gg.from_keras(model, input_shape=(4, 4, 5))
