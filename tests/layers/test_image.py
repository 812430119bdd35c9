import keras
import numpy as np
import pytest
from keras import ops

import gpugraph as gg
from tests.operations import assert_affine, assert_computes, assert_refused, kinds, reached

IMAGE = (5, 6, 3)
SHIFT = np.array([1.0, 0.1, -0.5, -0.2, 0.9, 0.75, 0.0, 0.0], np.float32)
CORNERS = np.array([[0, 0], [5, 0], [0, 4], [5, 4]], np.float32)
MOVED = CORNERS + np.array([[0.5, 0.25], [-1, 0.5], [0, -0.5], [-0.5, -0.5]], np.float32)

ROWS = {
    "ops.AffineTransform": (lambda x: ops.image.affine_transform(x, SHIFT), IMAGE),
    "ops.Fold": (lambda x: ops.fold(x, (3, 4), 2), (8, 6)),
    "ops.GaussianBlur": (ops.image.gaussian_blur, IMAGE),
    "ops.HSVToRGB": (ops.image.hsv_to_rgb, IMAGE),
    "ops.PerspectiveTransform": (
        lambda x: ops.image.perspective_transform(x, CORNERS, MOVED),
        IMAGE,
    ),
    "ops.RGBToHSV": (ops.image.rgb_to_hsv, IMAGE),
    "ops.SSIM": (lambda xs: ops.image.ssim(*xs, filter_size=3), (3, 4, 2), (3, 4, 2)),
    "ops.SobelEdges": (ops.image.sobel_edges, IMAGE),
}


def layouts(shape):
    """Return an image's shape in both layouts."""
    return [(shape, "channels_last"), ((shape[-1], *shape[:-1]), "channels_first")]


@pytest.mark.parametrize(("shape", "data_format"), layouts((6, 5, 2)))
@pytest.mark.parametrize("kernel_size", [(3, 3), (3, 5), (5, 1), (2, 4)])
def test_blur(kernel_size, shape, data_format):
    def blur(x):
        return ops.image.gaussian_blur(x, kernel_size, (0.7, 1.5), data_format)

    graph = assert_affine(blur, shape)
    assert kinds(graph) == {"weight"}


def test_a_blur_has_an_edge_per_tap_within_the_image():
    graph = assert_affine(ops.image.gaussian_blur, (4, 5, 2))
    assert graph.n_edges == (3 * 4 - 2) * (3 * 5 - 2) * 2


@pytest.mark.parametrize(("shape", "data_format"), layouts((4, 5, 3)) + layouts((2, 3, 1)))
def test_edges_of_an_image(shape, data_format):
    graph = assert_affine(lambda x: ops.image.sobel_edges(x, data_format), shape)
    if keras.backend.backend() == "tensorflow":  # elsewhere zeros are beyond the border
        assert graph.n_edges == 2 * 6 * np.prod(shape)
        assert all(p.kernel.size == 6 for p in graph.projections)


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((4, 5), {"kernel_size": 2}),
        ((4, 5), {"kernel_size": (2, 3), "stride": (2, 1)}),
        ((6, 5), {"kernel_size": 3, "padding": (1, 2)}),
        ((7, 6), {"kernel_size": 2, "dilation": (2, 3), "padding": 1, "stride": 2}),
    ],
)
def test_patches_are_put_together(size, options):
    patches = ops.unfold(np.zeros((1, 2, *size), np.float32), **options)
    graph = assert_affine(lambda x: ops.fold(x, size, **options), patches.shape[1:])
    assert kinds(graph) == {"copy"}
    # As many as lead the other way.
    there = assert_affine(lambda x: ops.unfold(x, **options), (2, *size))
    assert graph.n_edges == there.n_edges
    (projection,) = graph.projections
    y = np.random.default_rng(0).uniform(size=projection.target.size)
    matrix = graph.to_scipy()[projection.source.slice, projection.target.slice]
    np.testing.assert_allclose(projection.apply_transposed(y), matrix @ y)


def test_patches_that_do_not_fit_are_refused():
    inputs = keras.Input((4, 7))
    model = keras.Model(inputs, ops.fold(inputs, (3, 4), 2))
    with pytest.raises(gg.ShapeError, match="built for 6 patches"):
        gg.from_keras(model)


@pytest.mark.parametrize("function", [ops.image.rgb_to_hsv, ops.image.hsv_to_rgb])
@pytest.mark.parametrize(("shape", "data_format"), layouts((2, 4, 3)))
def test_the_colours_of_a_pixel_meet(function, shape, data_format):
    inputs = keras.Input(shape)
    graph = gg.from_keras(keras.Model(inputs, function(inputs, data_format=data_format)))
    x = np.random.default_rng(0).uniform(0, 1, (2, *shape)).astype(np.float32)
    assert graph.verify(x).passed
    pixel = np.indices(shape)[1:] if data_format == "channels_first" else np.indices(shape)[:2]
    flat = pixel.reshape(2, -1)
    met = (flat[:, :, None] == flat[:, None]).all(axis=0)
    np.testing.assert_array_equal(reached(graph)[:24, 24:], met)


def test_the_colours_of_a_row_of_pixels_meet():
    assert assert_computes(ops.image.rgb_to_hsv, (4, 3)).n_edges == 4 * 9


def test_all_of_two_images_is_compared():
    graph = assert_computes(lambda x, y: ops.image.ssim(x, y, filter_size=3), (4, 3, 2), (4, 3, 2))
    assert graph.n_edges == 2 * 24


def test_an_image_is_like_itself():
    graph = assert_computes(lambda x: ops.image.ssim(x, x, filter_size=3), (4, 3, 2))
    assert graph.n_edges == 24


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"interpolation": "nearest"},
        {"fill_mode": "nearest"},
        {"fill_mode": "reflect"},
        {"fill_mode": "wrap"},
        {"fill_value": 0.5},
    ],
)
def test_pixels_go_where_a_transform_takes_them(options):
    graph = assert_affine(lambda x: ops.image.affine_transform(x, SHIFT, **options), IMAGE)
    assert kinds(graph) == {"weight"}
    # A pixel is blended of four at most, of its own channel.
    assert graph.n_edges <= 4 * np.prod(IMAGE)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_pixels_go_where_a_perspective_takes_them(interpolation):
    def function(x):
        return ops.image.perspective_transform(x, CORNERS, MOVED, interpolation, 0.25)

    assert assert_affine(function, IMAGE).n_edges <= 4 * np.prod(IMAGE)


def test_a_large_image_is_transformed():
    graph = assert_computes(lambda x: ops.image.affine_transform(x, SHIFT), (48, 64, 3))
    assert graph.n_edges <= 4 * 48 * 64 * 3


def per_sample(transform):
    return np.repeat(transform[None], 2, axis=0) * np.array([[1.0], [0.5]], np.float32)


@pytest.mark.parametrize(
    ("function", "shape", "why"),
    [
        (ops.image.gaussian_blur, (6, 3), "single image"),
        (lambda x: ops.image.affine_transform(x, SHIFT), (6, 3), "single image"),
        (lambda x: ops.image.rgb_to_hsv(x, "channels_first"), (5, 6), "the batch's"),
        (
            lambda x: ops.image.affine_transform(x, per_sample(SHIFT)),
            IMAGE,
            "from sample to sample",
        ),
        (
            lambda x: ops.image.ssim(x, np.ones((1, *IMAGE), np.float32), filter_size=3),
            IMAGE,
            "one of its images is a constant",
        ),
        (ops.image.elastic_transform, IMAGE, "draws at random"),
        (
            lambda x: ops.image.map_coordinates(x, np.zeros((4, 7), np.float32), 1),
            IMAGE,
            "samples of a batch as a whole|leaves a dimension open",
        ),
    ],
)
def test_other_operations_on_images_are_refused(function, shape, why):
    assert_refused(function, shape, why=why, batch_size=3 if len(shape) == 2 else None)


def test_a_transform_that_depends_on_the_inputs_is_refused():
    image, transform = keras.Input(IMAGE), keras.Input((8,))
    model = keras.Model([image, transform], ops.image.affine_transform(image, transform))
    with pytest.raises(gg.UnsupportedLayerError, match="where its pixels go depends"):
        gg.from_keras(model)
