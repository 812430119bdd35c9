import keras
import numpy as np
import pytest
from keras import layers

import gpugraph as gg
from gpugraph.layers.refused import REFUSED
from tests.jacobian import assert_forward, assert_linear, single
from tests.reach import assert_reaches

IMAGE = (4, 5, 3)

ROWS = {
    "AutoContrast": (layers.AutoContrast(), IMAGE),
    "AugMix": (layers.AugMix(), IMAGE),
    "CutMix": (layers.CutMix(), IMAGE),
    "MaxNumBoundingBoxes": (layers.MaxNumBoundingBoxes(2), IMAGE),
    "MixUp": (layers.MixUp(), IMAGE),
    "Pipeline": (layers.Pipeline([layers.RandomFlip(), layers.Rescaling(0.5, 1.0)]), IMAGE),
    "RandAugment": (layers.RandAugment(), IMAGE),
    "RandomBrightness": (layers.RandomBrightness(0.5), IMAGE),
    "RandomColorDegeneration": (layers.RandomColorDegeneration(0.5), IMAGE),
    "RandomColorJitter": (layers.RandomColorJitter(brightness_factor=0.5), IMAGE),
    "RandomContrast": (layers.RandomContrast(0.5), IMAGE),
    "RandomCrop": (layers.RandomCrop(*IMAGE[:2]), IMAGE),
    "RandomElasticTransform": (layers.RandomElasticTransform(), IMAGE),
    "RandomErasing": (layers.RandomErasing(), IMAGE),
    "RandomFlip": (layers.RandomFlip(), IMAGE),
    "RandomGaussianBlur": (layers.RandomGaussianBlur(), IMAGE),
    "RandomGrayscale": (layers.RandomGrayscale(), IMAGE),
    "RandomHue": (layers.RandomHue(0.5), IMAGE),
    "RandomInvert": (layers.RandomInvert(), IMAGE),
    "RandomPerspective": (layers.RandomPerspective(), IMAGE),
    "RandomPosterization": (layers.RandomPosterization(3), IMAGE),
    "RandomRotation": (layers.RandomRotation(0.5), IMAGE),
    "RandomSaturation": (layers.RandomSaturation(0.5), IMAGE),
    "RandomSharpness": (layers.RandomSharpness(0.5), IMAGE),
    "RandomShear": (layers.RandomShear(0.5, 0.5), IMAGE),
    "RandomTranslation": (layers.RandomTranslation(0.5, 0.5), IMAGE),
    "RandomZoom": (layers.RandomZoom(0.5), IMAGE),
    "Solarization": (layers.Solarization(0.5), IMAGE),
}


@pytest.mark.parametrize("name", sorted(ROWS.keys() - {"AutoContrast", "Pipeline"}))
def test_augmentation_passes_its_input_on_as_predict_does(name):
    layer, shape = ROWS[name]
    model = keras.Sequential([keras.Input(shape), layer])
    graph = gg.from_keras(model)
    assert len(graph.populations) == 1
    x = np.random.default_rng(0).uniform(-300, 300, (2, *shape)).astype(np.float32)
    (values,) = graph.evaluate(x).values()
    np.testing.assert_array_equal(values, model.predict(x, verbose=0))


def test_augmentation_within_a_model():
    image = keras.Input(IMAGE)
    x = layers.RandomRotation(0.5)(layers.RandomFlip()(layers.Rescaling(0.5)(image)))
    graph = gg.from_keras(keras.Model(image, layers.Conv2D(2, 3)(x)))
    assert [p.layer for p in graph.populations.values()] == ["InputLayer", "Rescaling", "Conv2D"]
    assert graph.verify().passed


def test_a_random_crop_that_keras_skips_at_inference_is_refused():
    with pytest.raises(gg.UnsupportedLayerError, match=r"\(4, 5, 3\) on as it is, but says"):
        gg.from_keras(single(layers.RandomCrop(2, 2), IMAGE))


def test_pipeline_names_its_steps():
    steps = [
        layers.Resizing(3, 4, name="resizing"),
        layers.Rescaling(2.0, name="scale"),
        layers.Rescaling([0.5, 1, 2], 1.0, name="scale"),
        layers.CenterCrop(2, 2),
    ]
    graph = assert_linear(layers.Pipeline(steps, name="steps"), IMAGE)
    assert [*graph.populations][1:] == ["steps/resizing", "steps/scale", "steps/scale#1", "steps"]


def test_pipeline_of_layers_with_weights():
    steps = [layers.RandomContrast(0.5), layers.Conv2D(2, 3, activation="relu"), layers.Flatten()]
    graph = gg.from_keras(single(layers.Pipeline(steps), IMAGE))
    assert graph.verify().passed
    assert [p.kind for p in graph.projections] == ["weight"]


@pytest.mark.parametrize("layer", [layers.Resizing(3, 3), layers.Pipeline([layers.Resizing(3, 3)])])
def test_interpolated_whole_numbers_are_refused(layer):
    image = keras.Input(IMAGE, dtype="uint8")
    with pytest.raises(gg.UnsupportedLayerError, match="it takes whole numbers, and"):
        gg.from_keras(keras.Model(image, layer(image)))


@pytest.mark.parametrize(
    "layer",
    [
        layers.Resizing(3, 3, interpolation="nearest"),
        layers.Pipeline([layers.Resizing(3, 3, interpolation="nearest"), layers.RandomFlip()]),
        layers.CenterCrop(3, 3),
        layers.CenterCrop(8, 3),
    ],
)
def test_whole_numbers(layer):
    image = keras.Input(IMAGE, dtype="uint8")
    assert gg.from_keras(keras.Model(image, layer(image))).verify().passed


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("value_range", [(0, 255), (-1, 1)])
def test_contrast_is_stretched_one_to_one(value_range, data_format):
    layer = layers.AutoContrast(value_range, data_format=data_format)
    graph = assert_forward(layer, IMAGE)
    (projection,) = graph.projections
    assert (projection.kind, projection.n_edges) == ("copy", 60)
    # One value alone, of which Keras leaves what it is.
    assert gg.from_keras(single(layer, (1, 1, 2))).verify().passed


def test_pixels_that_are_stretched_together_are_coupled_where_asked_for():
    model = single(layers.AutoContrast((0, 1)), IMAGE)
    graph = gg.from_keras(model, couplings=True)
    assert graph.verify().passed
    assert graph.n_edges == 60 + 3 * 20 * 20
    assert_reaches(graph, np.random.default_rng(0).uniform(0, 1, (2, *IMAGE)))


def test_the_contrast_of_a_single_image_is_refused():
    with pytest.raises(gg.UnsupportedLayerError, match="rows would be the batch"):
        gg.from_keras(single(layers.AutoContrast(), (5, 3)))


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (layers.ContrastLimitedAdaptiveHistogramEqualization(), "histograms"),
        (layers.Pipeline([layers.Equalization()]), "cycle"),
    ],
)
def test_layers_that_go_by_the_image_are_refused_with_the_reason(layer, why):
    with pytest.raises(gg.UnsupportedLayerError, match=rf"{why}.*@gpugraph\.converts"):
        gg.from_keras(single(layer, (8, 8, 3)))


def test_every_layer_of_keras_is_converted_or_refused_with_a_reason():
    own = {
        cls.__name__
        for cls in vars(keras.layers).values()
        if isinstance(cls, type) and issubclass(cls, keras.layers.Layer)
    }
    converted = own & gg.supported_layers().keys()
    assert converted.isdisjoint(REFUSED)
    assert own - converted == set(REFUSED)
    assert all(REFUSED.values())
