import os
import urllib.error

import keras
import numpy as np
import pytest
from keras import layers

import gpugraph as gg
from gpugraph.model.load import load_model
from tests import models

pytestmark = pytest.mark.filterwarnings("ignore:.*HDF5 file:UserWarning", "ignore:.*legacy")


@pytest.fixture
def saved(tmp_path):
    """Return a function that saves a model under a name."""

    def save(model, name):
        model.save(tmp_path / name)
        return tmp_path / name

    return save


def test_keras_is_told_to_leave_the_gpus_memory_to_others(monkeypatch):
    growth, preallocate = "TF_FORCE_GPU_ALLOW_GROWTH", "XLA_PYTHON_CLIENT_PREALLOCATE"
    monkeypatch.setenv(growth, "false")  # the user's own choice
    monkeypatch.setenv(preallocate, "")
    monkeypatch.delenv(preallocate)
    load_model(models.cnn())  # Keras has started
    assert preallocate not in os.environ
    with pytest.raises(gg.ModelError):
        load_model("missing.keras")
    assert (os.environ[growth], os.environ[preallocate]) == ("false", "false")


def test_a_model_is_returned_as_it_is():
    model = models.cnn()
    assert load_model(model) is model


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.hdf5"])
@pytest.mark.parametrize("form", [str, lambda p: p], ids=["str", "Path"])
def test_a_file_gives_the_same_graph_as_the_model(saved, name, form):
    model = models.cnn()
    graph, loaded = gg.from_keras(model), gg.from_keras(form(saved(model, name)))
    assert (loaded.n_nodes, loaded.n_edges) == (graph.n_nodes, graph.n_edges)
    for a, b in zip(graph.projections, loaded.projections, strict=True):
        np.testing.assert_array_equal(a.kernel, b.kernel)


@pytest.mark.parametrize("build", models.EVERY_KIND)
def test_every_kind_of_model_comes_back_from_a_file_with_its_names(saved, build):
    model = build()
    calls, loaded = gg.topology(model), gg.topology(saved(model, "m.keras"))
    assert {c.name: c.inputs for c in loaded} == {c.name: c.inputs for c in calls}


# Files that cannot be used


@pytest.mark.parametrize("path", ["nothing.keras", "a/b.h5", "x" * 5000 + ".keras", "a\0.keras"])
def test_a_missing_file(path):
    with pytest.raises(gg.ModelError, match=r"There is no model file .*Give a \.keras") as caught:
        gg.from_keras(path)
    assert len(str(caught.value)) < 600


def test_an_address_is_named_as_it_was_given():
    with pytest.raises(gg.ModelError, match=r"no model file 'https://host/model\.keras'"):
        gg.from_keras("https://host/model.keras")


def test_control_characters_in_a_path_are_escaped():
    with pytest.raises(gg.ModelError, match=r"'a\\x1b\[31m\.keras'"):
        gg.from_keras("a\x1b[31m.keras")


@pytest.mark.parametrize("name", ["m.txt", "m", "m.keras.zip", "m.pb"])
def test_a_file_of_another_kind(tmp_path, name):
    (tmp_path / name).write_text("hello")
    with pytest.raises(gg.ModelError, match=r"is not a Keras model file: .*\.keras.*model\.save"):
        gg.from_keras(tmp_path / name)


@pytest.mark.parametrize("name", ["m", "m.keras", "m.h5"])
def test_a_directory(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(gg.ModelError, match="is not a Keras model file"):
        gg.from_keras(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\3\4" + b"\0" * 50])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("m.keras", r"not a \.keras archive.*copy it again"),
        ("m.h5", r"file signature .*model\.save"),
    ],
)
def test_a_file_of_something_else(tmp_path, name, message, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(gg.ModelError, match=message):
        gg.from_keras(tmp_path / name)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_a_truncated_file(saved, name, share):
    path = saved(models.cnn(), name)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(gg.ModelError, match=f"Cannot read the model file '.*{name}': .*again"):
        gg.from_keras(path)


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_a_lambda_is_not_run(saved, name):
    model = keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: x * 2)])
    with pytest.raises(gg.ModelError, match=r"Lambda.*safe mode refuses.*pass the model object"):
        gg.from_keras(saved(model, name))


def test_a_custom_layer_is_named(saved):
    class Mine(layers.Layer):
        def call(self, x):
            return x

    model = keras.Sequential([keras.Input((4,)), Mine()])
    with pytest.raises(gg.ModelError, match=r"it uses 'Mine', .*register_keras_serializable"):
        gg.from_keras(saved(model, "m.keras"))


@pytest.mark.parametrize("thing", [3, None, b"m.keras", layers.Dense(2), ["m.keras"]])
def test_something_else_than_a_model(thing):
    with pytest.raises(gg.ModelError, match=r"Expected a keras\.Model, a path or .*got \w+"):
        gg.from_keras(thing)


# keras.applications


def test_an_application_is_built_at_the_size_given():
    graph = gg.from_keras("keras.applications:MobileNetV2", (32, 32, 3))
    assert graph.population(graph.topology.inputs[0]).shape == (32, 32, 3)
    assert graph.name.startswith("mobilenetv2")


@pytest.mark.parametrize("form", [list, lambda s: [s], lambda s: {"image": s}])
def test_an_application_takes_a_shape_in_any_form(form):
    model = load_model("keras.applications:MobileNetV2", form((32, 32, 3)))
    assert model.input_shape == (None, 32, 32, 3)


@pytest.mark.parametrize("name", ["VGG17", "vgg16", "", "VGG16 ", "imagenet_utils", "__name__"])
def test_an_unknown_application(name):
    with pytest.raises(gg.ModelError, match=f"has no model '{name.strip()}'. It has: .*VGG16"):
        gg.from_keras(f"keras.applications:{name}")


def test_a_long_name_is_not_repeated():
    with pytest.raises(gg.ModelError) as caught:
        gg.from_keras("keras.applications:" + "x" * 10_000)
    assert str(caught.value).count("x") < 400


@pytest.mark.parametrize(
    "input_shape", [5, "garbage", (32, 32), (-32, 32, 3), ("garbage", 32, 3), (None, None, 3), []]
)
def test_an_application_at_a_shape_that_is_none(input_shape):
    message = r"keras\.applications:VGG16 must be three positive whole numbers"
    with pytest.raises(gg.ShapeError, match=message) as caught:
        gg.from_keras("keras.applications:VGG16", input_shape)
    assert "garbage" not in str(caught.value)


def test_an_application_at_a_size_too_small_for_it():
    with pytest.raises(gg.ModelError, match=r"cannot build VGG16.*at least 32x32.*Choose another"):
        gg.from_keras("keras.applications:VGG16", (8, 8, 3))


def test_weights_that_cannot_be_downloaded(monkeypatch, tmp_path):
    def offline(*args, **kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", offline)
    monkeypatch.setattr("keras.src.backend.config.keras_home", lambda: str(tmp_path))
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    with pytest.raises(gg.ModelError, match=r"weights='imagenet'.*with a network, or use random"):
        load_model("keras.applications:MobileNetV2", weights="imagenet")


def test_weights_of_an_application_that_are_missing():
    with pytest.raises(gg.ModelError, match=r"no weights file 'nothing\.weights\.h5'"):
        load_model("keras.applications:VGG16", weights="nothing.weights.h5")


# Weights files


def test_weights_are_loaded(tmp_path):
    source, target = models.randomise(models.cnn(), 1), models.cnn()
    source.save_weights(tmp_path / "w.weights.h5")
    load_model(target, weights=str(tmp_path / "w.weights.h5"))
    for a, b in zip(source.get_weights(), target.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["nothing.weights.h5", "imagenet"])
def test_weights_that_are_missing(name):
    with pytest.raises(gg.ModelError, match=f"weights '{name}' into model 'cnn': .*of this model"):
        load_model(models.cnn(), weights=name)


def test_weights_of_another_model(tmp_path):
    models.shared_layer().save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(gg.ModelError, match=r"into model 'cnn': .*Give a \.weights\.h5 file"):
        load_model(models.cnn(), weights=str(tmp_path / "w.weights.h5"))
