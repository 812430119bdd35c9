import keras
import numpy as np
import pytest
from keras import layers

import gpugraph as gg
from gpugraph import registry
from tests import models


def is_view(array):
    """Whether an array is a view of memory that something else owns."""
    return array.base is not None and not array.flags.owndata


# Counts


def test_nodes_and_edges_of_a_small_model():
    graph = gg.from_keras(models.cnn())
    assert {name: p.size for name, p in graph.populations.items()} == {
        "image": 128,
        "conv": 108,
        "pool": 27,
        "dense": 4,
    }
    assert [p.n_edges for p in graph.projections] == [6 * 6 * 9 * 2 * 3, 27 * 4, 27 * 4]
    assert (graph.n_nodes, graph.n_edges) == (267, 2160)
    assert repr(graph) == (
        "NeuronGraph('cnn': 267 nodes in 4 populations, 2,160 edges in 3 projections)"
    )


def test_vgg16_at_32():
    model = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    graph = gg.from_keras(model)
    assert (graph.n_nodes, graph.n_edges) == (310_784, 247_433_984)


def test_vgg16_at_224_is_counted_without_a_copy_of_its_weights():
    import psutil

    model = keras.applications.VGG16(weights=None)
    process = psutil.Process()
    before = process.memory_info().rss
    graph = gg.from_keras(model)
    grown = process.memory_info().rss - before
    assert (graph.n_nodes, graph.n_edges) == (15_237_608, 14_975_945_472)
    assert graph.topology.n_parameters == 138_357_544
    assert grown < 200e6  # the weights are 553 MB


def test_a_shared_layers_weights_are_held_once():
    graph = gg.from_keras(models.shared_layer())
    kernels = [p.kernel for p in graph.projections if p.kind == "weight"]
    assert len(kernels) == 3
    assert graph.topology.n_parameters == 20
    if keras.backend.backend() != "jax":  # which gives every reader an array of its own
        assert all(np.shares_memory(kernels[0], k) for k in kernels)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(3, 3),
        layers.Conv2DTranspose(3, 2),
        layers.DepthwiseConv2D(3),
        layers.Dense(3),
        layers.SeparableConv2D(3, 3),
    ],
    ids=lambda layer: layer.name,
)
def test_kernels_are_views_of_the_models_weights(layer):
    graph = gg.from_keras(keras.Sequential([keras.Input((6, 6, 2)), layer]))
    assert all(is_view(p.kernel) for p in graph.projections)


# What from_keras takes


def test_a_model_a_file_and_a_name_give_graphs(tmp_path):
    model = models.cnn()
    model.save(tmp_path / "m.keras")
    assert gg.from_keras(tmp_path / "m.keras").n_edges == gg.from_keras(model).n_edges
    assert gg.from_keras("keras.applications:MobileNetV2", (32, 32, 3)).n_nodes > 10_000


@pytest.mark.parametrize("build", models.EVERY_KIND)
def test_populations_and_projections_are_in_topological_order(build):
    graph = gg.from_keras(build())
    at = {name: i for i, name in enumerate(graph.populations)}
    offset = 0
    for name, population in graph.populations.items():
        assert population.name == name
        assert population.offset == offset
        offset += population.size
    assert offset == graph.n_nodes
    targets = [at[p.target.name] for p in graph.projections]
    assert targets == sorted(targets)
    for p in graph.projections:
        assert at[p.source.name] < at[p.target.name]
        assert p.source.depth < p.target.depth
        assert graph.populations[p.source.name] is p.source


@pytest.mark.parametrize("build", models.EVERY_KIND)
def test_every_call_has_a_tensor_of_the_shape_that_keras_gives(build):
    graph = gg.from_keras(build())
    assert set(graph.tensors) == {call.name for call in graph.topology}
    for call in graph.topology:
        assert graph.tensors[call.name].shape == call.output_shapes[0]


def test_conversion_is_deterministic():
    model = models.auxiliary()
    first, second = gg.from_keras(model), gg.from_keras(model)
    assert list(first.populations) == list(second.populations)
    for a, b in zip(first.edges(), second.edges(), strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)


# Refusals


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("index", "what"), [(0, "weights"), (1, "bias")])
def test_weights_that_are_not_finite_are_named(value, index, what):
    model = models.cnn()
    values = model.get_layer("dense").get_weights()
    values[index].flat[3] = value
    model.get_layer("dense").set_weights(values)
    message = rf"The {what} of layer 'dense' \(Dense\) hold NaN .*allow_nonfinite=True"
    with pytest.raises(gg.NonFiniteError, match=message):
        gg.from_keras(model)
    graph = gg.from_keras(model, allow_nonfinite=True)
    assert graph.n_edges == gg.from_keras(models.cnn()).n_edges


def test_a_size_that_dense_weights_do_not_fit():
    model = keras.Sequential(
        [keras.Input((8, 4)), layers.Permute((2, 1)), layers.Dense(3, name="dense")]
    )
    message = r"'dense' \(Dense\) was built for 8 inputs, .*shape \(4, 9\)\. Choose an input_shape"
    with pytest.raises(gg.ShapeError, match=message):
        gg.from_keras(model, (9, 4))


def test_channels_that_a_convolution_does_not_fit():
    with pytest.raises(gg.ShapeError, match=r"'conv' \(Conv2D\) was built for 1 channels"):
        gg.from_keras(models.convolutional(), (8, 8, 2))


def test_training_is_refused():
    x = keras.Input((4,))
    model = keras.Model(x, layers.Dropout(0.5, name="drop")(x, training=True))
    with pytest.raises(gg.UnsupportedLayerError, match=r"'drop' \(Dropout\) .*training=True"):
        gg.from_keras(model)


def test_training_false_is_taken():
    x = keras.Input((4,))
    assert gg.from_keras(keras.Model(x, layers.Dropout(0.5)(x, training=False))).n_nodes == 4


class Odd(layers.Layer):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("converter", "error", "message"),
    [
        (
            lambda call: call.population(shape=(7,)),
            gg.ShapeError,
            r"'odd' \(Odd\) gives shapes \(\(7,\),\); Keras gives \(\(4,\),\)",
        ),
        (lambda call: None, gg.UnsupportedLayerError, r"'odd' \(Odd\) gives NoneType; let it"),
        (lambda call: [3], gg.UnsupportedLayerError, r"gives list; let it return the Tensor"),
        (lambda call: (), gg.ShapeError, r"gives shapes \(\); Keras gives"),
    ],
    ids=["shape", "nothing", "numbers", "none"],
)
def test_what_a_converter_must_not_give(monkeypatch, converter, error, message):
    gg.supported_layers()
    monkeypatch.setattr(registry, "_CONVERTERS", {**registry._CONVERTERS, "Odd": converter})
    x = keras.Input((4,))
    with pytest.raises(error, match=message):
        gg.from_keras(keras.Model(x, Odd(name="odd")(x)))


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_inputs_are_laid_out_as_the_layers_behind_them(data_format):
    image, vector = keras.Input((4, 4, 4), name="image"), keras.Input((3,), name="vector")
    x = layers.BatchNormalization(axis=1, name="norm")(image)
    x = layers.Conv2D(2, 3, data_format=data_format, name="conv")(x)
    x = layers.Concatenate()([layers.Flatten()(x), vector])
    graph = gg.from_keras(keras.Model([image, vector], x))
    first = data_format == "channels_first"
    for name in ("image", "norm", "conv"):
        assert graph.populations[name].channels_first is first
    assert graph.populations["image"].axis_names[0 if first else -1] == "channel"
    assert not graph.populations["vector"].channels_first
