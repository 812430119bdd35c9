"""The same graph with another checkpoint's weights."""

import keras
import numpy as np
import pytest
from keras import layers
from numpy.testing import assert_array_equal

import gpugraph as gg
from tests.models import EVERY_KIND, cnn, convolutional, randomise, shared_layer, siamese


def columns(graph):
    return [np.concatenate(c) for c in zip(*map(list, graph.edges(device="cpu")), strict=True)]


def network(normalised=True, **options):
    """Return a model whose layers get their names from Keras."""
    image = keras.Input((6, 6, 2))
    x = layers.Conv2D(**{"filters": 4, "kernel_size": 3, "padding": "same", **options})(image)
    if normalised:
        x = layers.BatchNormalization()(x)
    x = layers.PReLU()(x)
    x = layers.Add()([x, layers.Conv2D(4, 1)(x)])
    x = layers.SeparableConv2D(3, 2)(layers.Dropout(0.5)(x))
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))


@pytest.mark.parametrize("build", [*EVERY_KIND, network], ids=lambda build: build.__name__)
def test_names_are_the_graphs_and_weights_the_models(build):
    first, second = randomise(build()), randomise(build(), seed=1)
    for kernel in second.trainable_weights:
        kernel.assign(kernel + 0.1)
    graph, other = gg.from_keras(first), gg.from_keras(second)
    held = graph.with_weights(second)
    assert list(held.populations) == list(graph.populations)
    assert list(held.tensors) == list(graph.tensors)
    for got, expected in zip(columns(held), columns(other), strict=True):
        assert_array_equal(got, expected)
    for p, q in zip(held.populations.values(), other.populations.values(), strict=True):
        assert p.offset == q.offset
        assert p.node_values.keys() == q.node_values.keys()
        for name, value in p.node_values.items():
            assert_array_equal(value, q.node_values[name])
    assert (columns(held)[2] != columns(graph)[2]).any()
    assert held.verify().passed
    assert held.name == second.name


def test_only_names_from_keras_differ():
    graph = gg.from_keras(network())
    other = gg.from_keras(network())
    assert list(graph.populations) != list(other.populations)
    held = graph.with_weights(network())
    assert held.topology.inputs == graph.topology.inputs
    assert [call.name for call in held.topology] == [call.name for call in graph.topology]
    assert held.topology.model is not graph.topology.model
    assert_array_equal(
        np.asarray(gg.pagerank(held))[:72] != np.asarray(gg.pagerank(graph))[:72], True
    )


def test_it_takes_a_file_and_leaves_the_graph_as_it_was(tmp_path):
    model = randomise(cnn())
    graph = gg.from_keras(model)
    before = columns(graph)[2]
    later = keras.models.clone_model(model)
    later.set_weights([w + 1 for w in model.get_weights()])
    later.save(tmp_path / "later.keras")
    held = graph.with_weights(tmp_path / "later.keras")
    assert_array_equal(columns(graph)[2], before)
    kernel = later.get_layer("dense").kernel
    assert_array_equal(held.projections[-1].kernel, np.ravel(kernel))
    assert graph.with_weights(str(tmp_path / "later.keras")).verify().passed


def test_the_input_shape_is_the_graphs():
    graph = gg.from_keras(convolutional(), input_shape=(10, 7, 1))
    for size in (None, 8):
        model = randomise(convolutional(size), seed=1)
        held = graph.with_weights(model)
        assert held.populations["image"].shape == (10, 7, 1)
        assert_array_equal(columns(held)[2], columns(gg.from_keras(model, (10, 7, 1)))[2])


def test_shared_kernels_stay_shared():
    held = gg.from_keras(shared_layer()).with_weights(randomise(shared_layer()))
    assert len({id(p.kernel) for p in held.projections if p.kind == "weight"}) == 1


def test_no_kernel_is_copied():
    model = cnn()
    held = gg.from_keras(cnn()).with_weights(model)
    for p, q in zip(held.projections, gg.from_keras(model).projections, strict=True):
        if p.kernel is not None and keras.backend.backend() != "torch":
            assert p.kernel.ctypes.data == q.kernel.ctypes.data


def head(*tail):
    """Return an image through a few layers."""
    return keras.Sequential([keras.Input((4, 4, 2), name="image"), *tail], name="head")


def reads(which):
    """Return a chain of layers, and the last one added to one of those before."""
    tensors = [keras.Input((4,), name="x")]
    for name in "ab":
        tensors.append(layers.Dense(4, name=name)(tensors[-1]))
    total = layers.Add(name="sum")([tensors[-1], tensors[which]])
    return keras.Model(tensors[0], total, name="reads")


def two_outputs(order):
    x = keras.Input((4,), name="x")
    a = layers.Dense(4, name="a")(x)
    outputs = [a, layers.Dense(4, name="b")(a)]
    return keras.Model(x, [outputs[i] for i in order], name="two")


CONV, DENSE = layers.Conv2D, layers.Dense
DIFFERENT = {
    "class": (
        lambda: head(layers.ReLU(name="act")),
        lambda: head(layers.Softmax(name="act")),
        r"layer call 1 is 'act' \(ReLU of 'image', 4x4x2\) here and 'act' \(Softmax of",
    ),
    "units": (
        lambda: head(DENSE(3, name="d")),
        lambda: head(DENSE(5, name="d")),
        r"layer call 1 is 'd' \(Dense of 'image', 4x4x3\) here and 'd' \(Dense of 'image', 4x4x5\)",
    ),
    "fewer": (
        lambda: head(DENSE(3, name="d"), DENSE(3, name="e")),
        lambda: head(DENSE(3, name="d")),
        r"layer call 2 is 'e' \(Dense of 'd', 4x4x3\) here and the end, with the outputs 'd'",
    ),
    "more": (
        lambda: head(DENSE(3, name="d")),
        lambda: head(DENSE(3, name="d"), DENSE(3, name="e")),
        "layer call 2 is the end, with the outputs 'd' here and 'e'",
    ),
    "kernel_size": (
        lambda: head(CONV(3, 3, padding="same", name="c")),
        lambda: head(CONV(3, 1, padding="same", name="c")),
        r"projection 0 is 'image' -> 'c' \(600 edges of 54 weights\) here and .*\(96 edges of 6",
    ),
    "dilation": (
        lambda: head(CONV(3, 3, padding="same", name="c")),
        lambda: head(CONV(3, 3, padding="same", dilation_rate=2, name="c")),
        r"projection 0 is .*\(600 edges of 54 weights\) here and .*\(384 edges of 54 weights\)",
    ),
    "strides": (
        lambda: head(layers.MaxPooling2D(3, strides=1, name="p")),
        lambda: head(layers.MaxPooling2D(2, strides=2, name="p")),
        r"projection 0 is 'image' -> 'p' \(72 edges of 0 weights\) here",
    ),
    "reordered": (
        lambda: head(layers.Permute((1, 2, 3), name="p")),
        lambda: head(layers.Permute((2, 1, 3), name="p")),
        r"projection 0, 'image' -> 'p' \(32 edges of 0 weights\), connects other places there",
    ),
    "wiring": (
        lambda: reads(0),
        lambda: reads(1),
        r"'sum' \(Add of 'b', 'x', 4\) here and 'sum' \(Add of 'b', 'a', 4\) there",
    ),
    "outputs": (
        lambda: two_outputs([0, 1]),
        lambda: two_outputs([1, 0]),
        "the end, with the outputs 'a', 'b' here and the end, with the outputs 'b', 'a' there",
    ),
    "inputs": (siamese, cnn, "does not fit the model's inputs"),
    "channels": (
        lambda: head(CONV(3, 3, name="c")),
        lambda: keras.Sequential([keras.Input((4, 4, 1)), CONV(3, 3, name="c")]),
        r"at the inputs' shapes, Layer 'c' \(Conv2D\) was built for 1 channels",
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_another_structure_is_refused_by_its_first_difference(name):
    build, other, match = DIFFERENT[name]
    graph = gg.from_keras(build())
    with pytest.raises(gg.ModelError, match=match) as caught:
        graph.with_weights(other())
    assert f"does not have the structure of '{graph.name}'" in str(caught.value)
    assert str(caught.value).endswith("or convert this one with from_keras.")


def test_a_part_has_no_model():
    graph = gg.from_keras(cnn())
    with pytest.raises(gg.ModelError, match=r"Call with_weights\(\) on the graph that from_keras"):
        graph.subgraph(["image", "conv"]).with_weights(cnn())


def test_weights_that_are_not_finite():
    model = cnn()
    model.get_layer("dense").kernel.assign(np.full((27, 4), np.nan))
    graph = gg.from_keras(cnn())
    with pytest.raises(gg.NonFiniteError, match="layer 'dense'"):
        graph.with_weights(model)
    held = graph.with_weights(model, allow_nonfinite=True)
    assert np.isnan(held.projections[-1].kernel).all()


def test_what_is_no_model_is_refused():
    with pytest.raises(gg.ModelError, match="There is no model file"):
        gg.from_keras(cnn()).with_weights("nothing.keras")
