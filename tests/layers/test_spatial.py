import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

import gpugraph as gg
from tests.jacobian import assert_linear, single

BOTH = ["channels_last", "channels_first"]
INTERPOLATIONS = ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"]

ROWS = {
    "CenterCrop": (layers.CenterCrop(2, 2), (3, 5, 2)),
    "Resizing": (layers.Resizing(4, 3), (3, 5, 2)),
}


def skip_without(interpolation):
    if keras.config.backend() == "torch" and interpolation.startswith("lanczos"):
        pytest.skip("Keras has no lanczos on torch")


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
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_up_sampling2d(interpolation, size, data_format):
    skip_without(interpolation)
    layer = layers.UpSampling2D(size, interpolation=interpolation, data_format=data_format)
    assert_linear(layer, (2, 3, 4))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_up_sampling_of_a_single_pixel(interpolation):
    assert_linear(layers.UpSampling2D(3, interpolation=interpolation), (1, 1, 2))


@pytest.mark.parametrize("data_format", BOTH)
def test_up_sampling3d(data_format):
    assert_linear(layers.UpSampling3D((1, 2, 3), data_format=data_format), (2, 3, 2, 2))


@pytest.mark.parametrize("data_format", BOTH)
@pytest.mark.parametrize("size", [(3, 4), (5, 7), (6, 2), (1, 1), (4, 5)])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_resizing(interpolation, size, data_format):
    skip_without(interpolation)
    shape = (2, *size) if data_format == "channels_first" else (*size, 2)
    layer = layers.Resizing(4, 5, interpolation=interpolation, data_format=data_format)
    graph = assert_linear(layer, shape)
    assert [p.kind for p in graph.projections] == ["copy" if interpolation == "nearest" else "mean"]


@pytest.mark.parametrize("data_format", BOTH)
@pytest.mark.parametrize("size", [(3, 4), (7, 3), (2, 9), (8, 10)])
@pytest.mark.parametrize(
    "options",
    [
        {"crop_to_aspect_ratio": True},
        {"crop_to_aspect_ratio": True, "interpolation": "nearest"},
        {"pad_to_aspect_ratio": True},
        {"pad_to_aspect_ratio": True, "fill_value": 1.5},
        {"pad_to_aspect_ratio": True, "fill_value": -2.0, "interpolation": "bicubic"},
        {"antialias": True},
        {"antialias": True, "crop_to_aspect_ratio": True, "interpolation": "bicubic"},
    ],
)
def test_resizing_to_another_aspect_ratio(options, size, data_format):
    shape = (2, *size) if data_format == "channels_first" else (*size, 2)
    assert_linear(layers.Resizing(4, 5, data_format=data_format, **options), shape)


@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    target=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    fit=st.sampled_from([{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}]),
    interpolation=st.sampled_from(["nearest", "bilinear", "bicubic"]),
)
def test_resizing_between_any_sizes(size, target, fit, interpolation):
    layer = layers.Resizing(*target, interpolation=interpolation, fill_value=0.5, **fit)
    assert_linear(layer, (*size, 1))


def test_resizing_may_pick_nothing_but_padding():
    layer = layers.Resizing(2, 2, interpolation="nearest", pad_to_aspect_ratio=True, fill_value=2.0)
    graph = assert_linear(layer, (1, 100, 1))
    assert graph.n_edges == 0


def test_resizing_nearest_copies_one_input_to_each_output():
    graph = assert_linear(layers.Resizing(7, 3, interpolation="nearest"), (5, 4, 2))
    _, target = graph.populations.values()
    assert (graph.in_degree()[target.slice] == 1).all()


def test_resizing_has_no_edges_that_are_rounding():
    graph = gg.from_keras(single(layers.Resizing(90, 90), (30, 30, 1)))
    weights = np.concatenate([edges.weight for edges in graph.edges(device="cpu")])
    assert weights.min() > 0.01


def test_an_interpolation_that_the_backend_lacks_is_refused(monkeypatch):
    model = single(layers.Resizing(4, 4, interpolation="lanczos3"), (3, 3, 1))

    def resize(*_, **__):
        raise ValueError("no lanczos3 here")

    monkeypatch.setattr(keras.ops.image, "resize", resize)
    with pytest.raises(gg.UnsupportedLayerError, match="no 'lanczos3' interpolation"):
        gg.from_keras(model)


@pytest.mark.parametrize("data_format", BOTH)
@pytest.mark.parametrize("size", [(4, 4), (5, 6), (7, 4), (3, 9), (9, 2), (1, 1)])
@pytest.mark.parametrize("target", [(4, 4), (3, 2), (2, 5)])
def test_center_crop(target, size, data_format):
    shape = (2, *size) if data_format == "channels_first" else (*size, 2)
    graph = assert_linear(layers.CenterCrop(*target, data_format=data_format), shape)
    fits = all(n >= wanted for n, wanted in zip(size, target, strict=True))
    assert [p.kind for p in graph.projections] == ["copy" if fits else "mean"]


@pytest.mark.parametrize("layer", [layers.Resizing(2, 2), layers.CenterCrop(2, 2)])
def test_a_single_image_instead_of_a_batch_is_refused(layer):
    image = keras.Input((3, 2), batch_size=3)
    model = keras.Model(image, layer(image))
    with pytest.raises(gg.UnsupportedLayerError, match=r"\(3, 2\) is not a batch of images"):
        gg.from_keras(model)
