import keras
import pytest
from keras import layers

from tests.jacobian import assert_linear

BOTH = ["channels_last", "channels_first"]


@pytest.mark.parametrize("padding", [1, (0, 2), (3, 1)])
def test_zero_padding1d(padding):
    graph = assert_linear(layers.ZeroPadding1D(padding), (4, 2))
    assert graph.n_edges == 8


@pytest.mark.parametrize("data_format", BOTH)
@pytest.mark.parametrize("padding", [1, (0, 2), ((1, 0), (2, 3))])
def test_zero_padding2d(padding, data_format):
    graph = assert_linear(layers.ZeroPadding2D(padding, data_format=data_format), (3, 4, 2))
    assert graph.n_edges == 24


@pytest.mark.parametrize("data_format", BOTH)
@pytest.mark.parametrize("padding", [1, (0, 2, 1), ((1, 0), (0, 3), (0, 0))])
def test_zero_padding3d(padding, data_format):
    assert_linear(layers.ZeroPadding3D(padding, data_format=data_format), (2, 3, 2, 2))


@pytest.mark.parametrize("cropping", [1, (0, 2), (3, 1)])
def test_cropping1d(cropping):
    assert_linear(layers.Cropping1D(cropping), (5, 2))


@pytest.mark.parametrize("data_format", BOTH)
@pytest.mark.parametrize("cropping", [1, (1, 0), ((1, 1), (2, 0)), ((0, 0), (0, 0))])
def test_cropping2d(cropping, data_format):
    assert_linear(layers.Cropping2D(cropping, data_format=data_format), (3, 4, 5))


@pytest.mark.parametrize("data_format", BOTH)
@pytest.mark.parametrize("cropping", [1, (1, 0, 1), ((1, 1), (0, 2), (0, 0))])
def test_cropping3d(cropping, data_format):
    assert_linear(layers.Cropping3D(cropping, data_format=data_format), (3, 4, 3, 4))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_up_sampling1d(size):
    graph = assert_linear(layers.UpSampling1D(size), (4, 2))
    assert graph.n_edges == 8 * size


@pytest.mark.parametrize("data_format", BOTH)
@pytest.mark.parametrize("size", [1, (2, 3)])
@pytest.mark.parametrize(
    "interpolation", ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"]
)
def test_up_sampling2d(interpolation, size, data_format):
    if keras.config.backend() == "torch" and interpolation.startswith("lanczos"):
        pytest.skip("Keras has no lanczos on torch")
    layer = layers.UpSampling2D(size, interpolation=interpolation, data_format=data_format)
    assert_linear(layer, (2, 3, 4))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_up_sampling_of_a_single_pixel(interpolation):
    assert_linear(layers.UpSampling2D(3, interpolation=interpolation), (1, 1, 2))


@pytest.mark.parametrize("data_format", BOTH)
def test_up_sampling3d(data_format):
    assert_linear(layers.UpSampling3D((1, 2, 3), data_format=data_format), (2, 3, 2, 2))
