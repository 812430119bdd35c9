import itertools
import json

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers
from typer.testing import CliRunner

import gpugraph as gg
from gpugraph.cli import app
from gpugraph.cli.loading import parse_input_shapes
from gpugraph.errors import GpugraphError
from gpugraph.export.keras_file import write_keras
from gpugraph.transform.resize import minimal_shapes
from tests import models
from tests.models import randomise
from tests.test_convert import is_view
from tests.transform.test_fully_convolutional import (
    CONVERTIBLE,
    functional,
    outputs,
    sequence,
    tokens,
    vgg,
)


def sizes(graph):
    """Return the shapes of a graph's inputs."""
    return [graph.topology[name].output_shapes[0] for name in graph.topology.inputs]


# Another size


@pytest.mark.parametrize("build", [b for b in CONVERTIBLE if b is not tokens])
def test_the_graph_at_a_larger_size_is_the_models(build):
    model = randomise(build())
    open_shapes = [t.shape[1:] for t in gg.to_fully_convolutional(model).inputs]
    shapes = [
        tuple(n + 4 * (m is None) for n, m in zip(t.shape[1:], opened, strict=True))
        for t, opened in zip(model.inputs, open_shapes, strict=True)
    ]
    graph = gg.from_keras(model, shapes)
    assert sizes(graph) == shapes
    assert graph.verify().passed


def test_the_graph_at_a_larger_size_gives_a_map():
    model = randomise(vgg())
    graph = gg.from_keras(model, (32, 48, 3))
    assert graph.populations["predictions"].shape == (2, 3, 5)
    x = np.random.default_rng(0).standard_normal((1, 32, 48, 3), np.float32)
    (y,) = outputs(gg.to_fully_convolutional(model), [x])
    np.testing.assert_allclose(graph.evaluate(x)["predictions"], y, atol=1e-5)


def test_the_models_own_size_is_the_model_itself():
    model = models.cnn()
    graph = gg.from_keras(model, (8, 8, 2))
    assert graph.topology.model is model
    assert graph.populations["dense"].shape == (4,)


def test_global_pooling_stays_global_at_another_size():
    model = sequence((8, 8, 1), layers.Conv2D(2, 3), layers.GlobalMaxPooling2D(), layers.Dense(3))
    graph = gg.from_keras(model, (12, 9, 1))
    assert graph.topology.model is model


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="others copy")
def test_kernels_at_another_size_are_the_models_own_memory():
    model = vgg()
    dense = {
        p.target.name: p.kernel for p in gg.from_keras(model).projections if p.kernel is not None
    }
    graph = gg.from_keras(model, (48, 48, 3))
    for p in graph.projections:
        if p.kernel is not None:
            assert is_view(p.kernel)
            assert np.shares_memory(p.kernel, dense[p.target.name])


def test_a_size_that_is_too_small_tells_the_smallest():
    with pytest.raises(gg.ShapeError, match=r"'fc1' \(Conv2D\).*smallest that works is 24x32x3\."):
        gg.from_keras(vgg(), (16, 32, 3))
    with pytest.raises(gg.ShapeError, match=r"'conv2' .*smallest that works is 6x6x1\."):
        gg.from_keras(models.convolutional(), (4, 4, 1))


def test_a_decoder_behind_flatten_has_one_size():
    model = sequence(
        (4, 4, 1),
        layers.Flatten(),
        layers.Dense(16),
        layers.Reshape((4, 4, 1), name="image"),
    )
    for shape in ((8, 8, 1), "minimal"):
        with pytest.raises(gg.ShapeError, match=r"own size alone.*'image' \(Reshape\)"):
            gg.from_keras(model, shape)


def test_other_weights_at_another_size():
    graph = gg.from_keras(vgg(), (40, 32, 3))
    other = randomise(vgg(), seed=1)
    held = graph.with_weights(other)
    assert held.verify().passed
    again = gg.from_keras(other, (40, 32, 3))
    np.testing.assert_array_equal(held.in_strength(), again.in_strength())


def test_a_history_at_another_size():
    model = models.cnn()
    model.compile("sgd", "mse")
    history = gg.GraphHistory({"n": lambda graph: graph.n_nodes}, input_shape=(12, 10, 2))
    logs = model.fit(np.ones((4, 8, 8, 2)), np.ones((4, 4)), callbacks=[history], verbose=0)
    assert logs.history["n"] == [gg.from_keras(model, (12, 10, 2)).n_nodes]


# The smallest size


def works(model, shapes):
    """Whether a model has a graph at these shapes."""
    try:
        gg.from_keras(model, shapes)
    except GpugraphError:
        return False
    return True


@st.composite
def windows(draw):
    """Draw convolutions and poolings over images, one after the other."""
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
        stride = draw(st.integers(1, 2))
        padding = draw(st.sampled_from(["valid", "same"]))
        kind = draw(st.sampled_from(["Conv2D", "MaxPooling2D", "AveragePooling2D"]))
        parts.append((kind, (1, kernel, stride, padding) if kind == "Conv2D" else
                      (kernel, stride, padding)))  # fmt: skip
    return parts


@given(parts=windows(), head=st.sampled_from(["map", "mean"]))
def test_the_smallest_size_is_the_one_found_by_trying_all(parts, head):
    made = [getattr(layers, name)(*options) for name, options in parts]
    if head == "mean":
        made.append(layers.GlobalAveragePooling2D())
    model = sequence((None, None, 1), *made)
    (found,) = minimal_shapes(model, [(None, None, 1)])
    valid = [
        (height, width)
        for height, width in itertools.product(range(1, found[0] + 2), range(1, found[1] + 2))
        if works(model, (height, width, 1))
    ]
    assert found[:2] == (min(h for h, _ in valid), min(w for _, w in valid))
    assert found[:2] in valid


def crossed(shape=(8, 8, 1)):
    """Return a U-Net of valid windows whose arms meet at some sizes only."""

    def build(x):
        low = layers.Conv2D(2, 3)(layers.MaxPooling2D(2)(x))
        up = layers.ZeroPadding2D(2)(layers.UpSampling2D(2)(low))
        return layers.Concatenate()([x, up])

    return functional(shape, build)


@pytest.mark.parametrize(
    "build",
    [
        *(models.cnn, models.u_net, models.auxiliary, crossed),
        lambda: models.siamese(4),
        lambda: crossed((None, None, 1)),
        lambda: sequence((9, 2), layers.Conv1D(2, 3), layers.Flatten(), layers.Dense(2)),
    ],
)
def test_no_smaller_size_works(build):
    model = build()
    found = sizes(gg.from_keras(model, "minimal"))
    model = gg.to_fully_convolutional(model)
    assert works(model, found)
    (sizes_of_each,) = {shape[:-1] for shape in found}  # all inputs have one size
    for size in itertools.product(*(range(1, n + 1) for n in sizes_of_each)):
        if size != sizes_of_each:
            assert not works(model, [(*size, shape[-1]) for shape in found])


def test_the_smallest_size_per_input():
    graph = gg.from_keras(models.several_outputs(), "minimal")
    assert sizes(graph) == [(3, 3, 2), (5,)]


def test_inputs_that_meet_keep_one_size():
    assert sizes(gg.from_keras(models.siamese(), "minimal")) == [(8, 8, 1), (8, 8, 1)]


def test_inputs_that_do_not_meet_shrink_apart():
    left, right = (keras.Input((None, None, 1), name=n) for n in ("left", "right"))
    deep = layers.Conv2D(1, (1, 5))(layers.Conv2D(1, 3)(left))
    model = keras.Model([left, right], [deep, layers.Conv2D(1, (2, 4))(right)])
    assert sizes(gg.from_keras(model, "minimal")) == [(3, 7, 1), (2, 4, 1)]


@pytest.mark.parametrize("size", [(40, 60, 3), (None, None, 3)])
def test_the_smallest_size_of_a_long_chain(size):
    blocks = [layers.MaxPooling2D((2, 3)) for _ in range(3)]
    model = sequence(size, *blocks, layers.Conv2D(1, 1))
    assert sizes(gg.from_keras(model, "minimal")) == [(8, 27, 3)]


def test_sequences_shrink_to_one_step():
    model = sequence((10, 3), layers.SimpleRNN(4), layers.Dense(2))
    assert sizes(gg.from_keras(model, "minimal")) == [(1, 3)]


def test_vectors_have_no_smaller_size():
    model = sequence((4,), layers.Dense(2))
    assert gg.from_keras(model, "minimal").n_edges == 8


def test_channels_first_keeps_its_channels():
    model = sequence((2, 9, 9), layers.Conv2D(3, (2, 3), data_format="channels_first"))
    assert sizes(gg.from_keras(model, "minimal")) == [(2, 2, 3)]


class Places(layers.Layer):
    """Adds a vector for each position."""

    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:])

    def call(self, x):
        return x + self.table


@pytest.mark.parametrize(
    ("fixing", "message"),
    [
        (lambda: layers.Reshape((4, 8), name="fixed"), r"'fixed' fixes the size .*Reshape"),
        (lambda: Places(name="fixed"), r"'fixed' fixes the size .*\(Places\)"),
        (
            lambda: keras.Sequential([layers.Permute((2, 1)), layers.Dense(3)]),
            r"'.*dense.*' fixes the size",
        ),
    ],
)
def test_a_layer_that_fixes_the_size_is_named(fixing, message):
    model = sequence((16, 2), fixing(), layers.Conv1D(2, 1))
    with pytest.raises(gg.ShapeError, match=message):
        gg.from_keras(model, "minimal")


def test_a_model_that_works_at_no_size():
    def build(x):
        a, b = layers.Conv2D(1, 3)(x), layers.Conv2D(1, 5)(x)
        return layers.Concatenate()([a, b])

    with pytest.raises(gg.ShapeError, match="No input size up to 4096 works"):
        gg.from_keras(functional((None, None, 1), build), "minimal")


def test_other_words_are_no_shape():
    with pytest.raises(gg.ShapeError, match="or 'minimal'"):
        gg.from_keras(models.cnn(), "tiny")


def test_an_application_at_its_smallest_size():
    graph = gg.from_keras("keras.applications:MobileNetV2", "minimal")
    ((height, width, channels),) = sizes(graph)
    assert channels == 3
    assert max(height, width) <= 32


# The command line


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def saved(tmp_path):
    model = randomise(models.cnn())
    model.save(tmp_path / "cnn.keras")
    return model, tmp_path / "cnn.keras"


def test_minimal_from_the_shell(saved):
    _, path = saved
    document = json.loads(run("topology", path, "--input-shape", "minimal", "--json").stdout)
    assert document["calls"][0]["output_shapes"] == [[8, 8, 2]]
    assert parse_input_shapes(["minimal"]) == "minimal"
    assert run("summary", path, "--input-shape", "minimal", "--input-shape", "8,8,2").exit_code == 2


def test_fcn_writes_a_model(saved, tmp_path):
    model, path = saved
    result = run("fcn", path, tmp_path / "fcn.keras")
    assert result.exit_code == 0, result.stderr
    for word in ("flatten", "Flatten", "Identity", "dense", "Dense", "Conv2D", "3x3"):
        assert word in result.stdout
    found = keras.models.load_model(tmp_path / "fcn.keras")
    x = np.random.default_rng(0).standard_normal((2, 8, 8, 2), np.float32)
    np.testing.assert_allclose(
        found.predict_on_batch(x).reshape(2, 4), model.predict_on_batch(x), atol=1e-6
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cnn.keras", "fcn.keras"]


def test_fcn_as_json(saved, tmp_path):
    _, path = saved
    document = json.loads(run("fcn", path, tmp_path / "fcn.keras", "--json").stdout)
    assert document["changes"] == [
        {"layer": "flatten", "was": "Flatten", "became": "Identity", "window": []},
        {"layer": "dense", "was": "Dense", "became": "Conv2D", "window": [3, 3]},
    ]
    assert document["bytes"] == (tmp_path / "fcn.keras").stat().st_size


def test_fcn_overwrites_only_when_asked(saved, tmp_path):
    _, path = saved
    out = tmp_path / "fcn.keras"
    out.write_text("mine")
    result = run("fcn", path, out)
    assert result.exit_code == 5
    assert out.read_text() == "mine"
    assert run("fcn", path, out, "--overwrite").exit_code == 0
    assert keras.models.load_model(out).output_shape == (None, None, None, 4)


def test_fcn_refuses_by_name(tmp_path):
    model = sequence((4, 4, 1), layers.Flatten(), layers.Reshape((2, 8), name="again"))
    model.save(tmp_path / "m.keras")
    result = run("fcn", tmp_path / "m.keras", tmp_path / "out.keras")
    assert result.exit_code == 3
    assert "'again' (Reshape)" in result.stderr
    assert not (tmp_path / "out.keras").exists()


def test_fcn_says_when_nothing_changes(tmp_path):
    models.convolutional().save(tmp_path / "m.keras")
    result = run("fcn", tmp_path / "m.keras", tmp_path / "out.keras")
    assert "No layer had to change" in result.stdout


def test_fcn_writes_keras_files_only(saved, tmp_path):
    assert run("fcn", saved[1], tmp_path / "out.h5").exit_code == 2


def test_a_model_that_fails_to_be_saved_leaves_nothing(tmp_path, monkeypatch):
    model = models.cnn()

    def half_saved(path):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model, "save", half_saved)
    with pytest.raises(gg.OutputError, match="disk is full"):
        write_keras(model, tmp_path / "m.keras")
    assert list(tmp_path.iterdir()) == []
