"""Measures recorded while a model trains, against the model as it is then."""

import keras
import numpy as np
import pytest
from keras import layers
from numpy.testing import assert_allclose, assert_array_equal

import gpugraph as gg

X = np.random.default_rng(0).standard_normal((32, 6, 6, 1)).astype(np.float32)
Y = np.random.default_rng(1).standard_normal((32, 2)).astype(np.float32)


def network():
    """Return a compiled model whose layers act otherwise while they train."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1), name="image"),
            layers.Conv2D(3, 3, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.3, name="dropout"),
            layers.Flatten(name="flatten"),
            layers.Dense(2, name="dense"),
        ],
        name="network",
    )
    model.compile("sgd", "mse")
    return model


def fit(model, *callbacks, epochs=3, **options):
    options = {"epochs": epochs, "batch_size": 8, "verbose": 0, **options}
    return model.fit(X, Y, callbacks=list(callbacks), **options).history


def strength(graph):
    return abs(graph.in_strength()).sum()


def weights(graph):
    return {p.target.name: abs(p.kernel).mean() for p in graph.projections}


class Seen(keras.callbacks.Callback):
    """Keep the logs that come by."""

    def __init__(self):
        super().__init__()
        self.logs = []

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(dict(logs))


@pytest.fixture(scope="module")
def trained():
    """Return a model, its history, and what callbacks before and after ours saw."""
    model, before, after = network(), Seen(), Seen()
    measures = {"strength": strength, "mean": weights, "rank": gg.pagerank}
    history = fit(model, before, gg.GraphHistory(measures), after)
    return model, history, before, after


def test_the_last_epoch_is_the_model_as_it_is_now(trained):
    model, history, _, _ = trained
    graph = gg.from_keras(model)
    assert history["strength"][-1] == strength(graph)
    for name, value in weights(graph).items():
        assert history[f"mean/{name}"][-1] == value
    ranks = gg.pagerank(graph)
    for name in graph.populations:
        assert_allclose(history[f"rank/{name}"][-1], ranks[name].mean(), rtol=1e-12)


def test_every_epoch_is_recorded_as_it_was(trained):
    _, history, _, _ = trained
    names = {"loss", "strength", "mean/conv", "mean/norm", "mean/dense"}
    assert set(history) == names | {f"rank/{n}" for n in ("image", "conv", "norm", "dense")}
    for name in names:
        assert len(set(history[name])) == 3
        assert all(type(value) is float for value in history[name])


def test_callbacks_see_it_that_come_after(trained):
    _, history, before, after = trained
    assert [logs["rank/conv"] for logs in after.logs] == history["rank/conv"]
    assert [set(logs) for logs in before.logs] == [{"loss"}] * 3


def test_training_goes_on_as_without(trained):
    model, history, _, _ = trained
    alone = network()
    assert fit(alone)["loss"] == history["loss"]
    for ours, theirs in zip(model.get_weights(), alone.get_weights(), strict=True):
        assert_array_equal(ours, theirs)


def test_a_kept_graph_stays_as_it_was():
    kept = []

    def keep(graph):
        kept.append((graph, [np.array(p.kernel) for p in graph.projections]))
        return 0

    model = network()
    fit(model, gg.GraphHistory({"kept": keep}))
    for graph, kernels in kept:
        for projection, kernel in zip(graph.projections, kernels, strict=True):
            assert_array_equal(projection.kernel, kernel)
    dense = [graph.projections[-1].kernel for graph, _ in kept]
    assert (dense[0] != dense[1]).any()
    assert_array_equal(dense[2], np.ravel(keras.ops.convert_to_numpy(model.layers[-1].kernel)))


def test_before_training():
    model = network()
    callback = gg.GraphHistory({"strength": strength, "mean": weights}, before_training=True)
    expected = strength(gg.from_keras(model))
    history = fit(model, callback, epochs=1)
    assert callback.initial["strength"] == expected != history["strength"][0]
    assert set(callback.initial) == {"strength", "mean/conv", "mean/norm", "mean/dense"}
    callback.before_training = False
    fit(model, callback, epochs=1)
    assert callback.initial == {}


def test_validation_and_early_stopping_work_beside_it():
    model = network()
    stop = keras.callbacks.EarlyStopping(monitor="nodes", mode="max", patience=1)
    callback = gg.GraphHistory({"nodes": lambda graph: graph.n_nodes})
    history = fit(model, callback, stop, epochs=9, validation_split=0.25)
    assert history["nodes"] == [gg.from_keras(model).n_nodes] * 2
    assert len(history["val_loss"]) == 2


def test_a_model_that_is_built_by_its_data():
    model = keras.Sequential([layers.Flatten(), layers.Dense(2, name="dense")])
    model.compile("sgd", "mse")
    history = fit(model, gg.GraphHistory({"edges": lambda graph: graph.n_edges}), epochs=2)
    assert history["edges"] == [72.0, 72.0]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="builds it before")
def test_a_model_that_is_not_built_has_no_weights_before_training():
    model = keras.Sequential([layers.Flatten(), layers.Dense(2, name="dense")])
    model.compile("sgd", "mse")
    with pytest.raises(gg.ModelError, match="is not built"):
        fit(model, gg.GraphHistory({"strength": strength}, before_training=True))


def test_an_input_shape_for_what_the_model_leaves_open():
    image = keras.Input((None, None, 1))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3, name="conv")(image))
    model = keras.Model(image, x)
    model.compile("sgd", "mse")
    nodes = {"nodes": lambda graph: graph.n_nodes}
    assert fit(model, gg.GraphHistory(nodes, input_shape=(4, 4, 1)), epochs=1)["nodes"] == [26.0]
    with pytest.raises(gg.ShapeError, match="leaves a dimension open"):
        fit(model, gg.GraphHistory(nodes), epochs=1)


def fails(graph):
    raise ZeroDivisionError("nothing to divide")


@pytest.mark.parametrize(
    ("measure", "match"),
    [
        (fails, "'wrong' failed after epoch 1: ZeroDivisionError: nothing to divide"),
        (lambda graph: None, "it returned NoneType; return a number, a mapping"),
        (lambda graph: "3", "it returned str; return a number"),
        (lambda graph: graph.in_strength(), "it returned ndarray; return a number"),
        (lambda graph: {"a": [1.0]}, "it returned list; return a number"),
        (lambda graph: graph.population("nothing"), "'wrong' failed .*no population 'nothing'"),
    ],
)
def test_a_measure_that_fails_is_named(measure, match):
    with pytest.raises(gg.MeasureError, match=match):
        fit(network(), gg.GraphHistory({"right": strength, "wrong": measure}))


def test_it_fails_before_the_first_epoch_if_asked_then():
    seen = Seen()
    with pytest.raises(gg.MeasureError, match="'wrong' failed before training"):
        fit(network(), gg.GraphHistory({"wrong": fails}, before_training=True), seen)
    assert seen.logs == []


@pytest.mark.parametrize(
    "measures",
    [{"loss": strength}, {"a/b": strength, "a": lambda graph: {"b": 1}}],
)
def test_nothing_is_overwritten(measures):
    with pytest.raises(gg.MeasureError, match="is in the logs already"):
        fit(network(), gg.GraphHistory(measures))


def test_what_cannot_be_converted_is_told_before_the_first_epoch():
    class Odd(layers.Layer):
        def call(self, x):
            return x

    model = keras.Sequential([keras.Input((6, 6, 1)), Odd(name="odd"), *network().layers])
    model.compile("sgd", "mse")
    seen = Seen()
    with pytest.raises(gg.UnsupportedLayerError, match="'odd'"):
        fit(model, seen, gg.GraphHistory({"strength": strength}))
    assert seen.logs == []


def test_weights_that_become_nan():
    def diverging():
        model = network()
        model.compile(keras.optimizers.SGD(1e30), "mse")
        return model

    with pytest.raises(gg.NonFiniteError, match="hold NaN or infinity"):
        fit(diverging(), gg.GraphHistory({"strength": strength}))
    allowed = gg.GraphHistory({"strength": strength}, allow_nonfinite=True)
    assert np.isnan(fit(diverging(), allowed)["strength"][-1])


@pytest.mark.parametrize("measures", [{"pagerank": 1}, [gg.pagerank], gg.pagerank])
def test_measures_are_functions_by_name(measures):
    with pytest.raises(gg.MeasureError, match="takes a mapping of names to functions of a graph"):
        gg.GraphHistory(measures)


def test_tensorboard_writes_it(tmp_path):
    pytest.importorskip("tensorboard")
    board = keras.callbacks.TensorBoard(tmp_path)
    fit(network(), gg.GraphHistory({"strength": strength}), board, epochs=1)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("events*"))
    assert b"epoch_strength" in written
