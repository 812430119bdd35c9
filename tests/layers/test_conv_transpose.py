import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from numpy.testing import assert_allclose

import gpugraph as gg
from tests.jacobian import (
    assert_forward,
    assert_linear,
    function_of,
    graph_map,
    keras_map,
    single,
)
from tests.strategies import windows


@given(window=windows(1, dilated=False), filters=st.integers(1, 3), use_bias=st.booleans())
def test_conv1d_transpose(window, filters, use_bias):
    layer = layers.Conv1DTranspose(filters, use_bias=use_bias, **window.options)
    assert_linear(layer, window.shape)


@given(window=windows(2, dilated=False), filters=st.integers(1, 3))
def test_conv2d_transpose(window, filters):
    assert_linear(layers.Conv2DTranspose(filters, **window.options), window.shape)


@settings(max_examples=10)
@given(window=windows(3, dilated=False), filters=st.integers(1, 2))
def test_conv3d_transpose(window, filters):
    assert_linear(layers.Conv3DTranspose(filters, **window.options), window.shape)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("dilation_rate", [(2, 1), (2, 2), (1, 3)])
def test_dilation(dilation_rate, padding):
    """TensorFlow has none on a CPU, so the plain convolution's Jacobian is turned round."""
    options = {"kernel_size": (2, 3), "dilation_rate": dilation_rate, "padding": padding}
    options["use_bias"] = False
    model = single(layers.Conv2DTranspose(2, **options), (5, 4, 3))
    plain = layers.Conv2D(3, **options)
    plain.build(model.output_shape)
    plain.kernel.assign(model.layers[1].kernel)
    expected, _ = keras_map(function_of(plain, model.output_shape[1:]), model.output_shape[1:])
    matrix, _ = graph_map(gg.from_keras(model))
    assert_allclose(matrix, expected.T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kernel_size", "strides", "padding", "output_padding"),
    [
        (3, 2, "valid", 0),
        (3, 2, "valid", 1),
        (2, 3, "valid", 2),
        (1, 4, "valid", None),
        (3, 2, "same", 0),
        (3, 2, "same", 1),
        (4, 3, "same", 1),
        (4, 3, "same", 2),
        (5, 4, "same", 3),
        (1, 4, "same", None),
    ],
)
def test_output_padding(kernel_size, strides, padding, output_padding):
    layer = layers.Conv1DTranspose(
        2, kernel_size, strides=strides, padding=padding, output_padding=output_padding
    )
    assert_linear(layer, (4, 2))


@pytest.mark.parametrize("output_padding", [(0, 1), (1, 1)])
def test_output_padding_differs_per_dimension(output_padding):
    layer = layers.Conv2DTranspose(
        2, (3, 2), strides=2, padding="same", output_padding=output_padding
    )
    assert_linear(layer, (3, 4, 2))


def test_strides_beyond_the_kernel_leave_nodes_without_edges():
    graph = assert_linear(layers.Conv1DTranspose(1, 1, strides=3), (4, 1))
    assert (graph.in_degree()[4:] == 0).sum() == 8


def test_fused_activation():
    assert_forward(layers.Conv2DTranspose(3, 2, activation="relu"), (3, 4, 2))
