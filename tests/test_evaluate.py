import copy
from dataclasses import replace

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

import gpugraph as gg
from gpugraph import registry
from gpugraph.evaluate import verify
from tests import models


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def outputs(model, inputs):
    return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(model(inputs))]


def output_values(graph, values):
    """Return the values of a graph's outputs, in the shapes that the model gives them."""
    tensors = [graph.tensors[ref.call] for ref in graph.topology.outputs]
    return [values[t.population.name].reshape(-1, *t.shape) for t in tensors]


# The graph computes what the model computes


@pytest.mark.parametrize("build", models.EVERY_KIND)
def test_evaluate_gives_what_the_model_gives(build):
    model = models.randomise(build())
    graph = gg.from_keras(model)
    inputs = [noise(3, *t.shape[1:], seed=i) for i, t in enumerate(model.inputs)]
    got = output_values(graph, graph.evaluate(inputs))
    expected = outputs(model, inputs if len(inputs) > 1 else inputs[0])
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("build", models.EVERY_KIND)
def test_verify_compares_every_layer(build):
    graph = gg.from_keras(models.randomise(build()))
    report = graph.verify()
    assert report.passed
    assert report.worst[1] < 1e-5
    assert set(report.errors) == set(graph.populations)


def edges_into(graph):
    """Return each population's edges, made one by one."""
    into = {name: [] for name in graph.populations}
    for chunk in graph.edges(device="cpu", chunk_edges=1000):
        into[chunk.projection.target.name].append(tuple(column.copy() for column in chunk))
    return into


def by_edges(graph, values):
    """Compute every population's values from the edges alone, given those of the inputs."""
    join = {"sum": np.add, "max": np.maximum, "min": np.minimum, "product": np.multiply}
    start = {"sum": 0.0, "max": -np.inf, "min": np.inf, "product": 1.0}
    x = np.zeros(graph.n_nodes)
    into = edges_into(graph)
    for name, population in graph.populations.items():
        if name in graph.topology.inputs:
            x[population.slice] = values[name].reshape(-1)
            continue
        total = np.full(graph.n_nodes, start[population.reduce])
        for src, dst, weight in into[name]:
            join[population.reduce].at(total, dst, weight * x[src])
        y = total[population.slice]
        if population.bias is not None:
            y = y + population.values(population.bias)
        if population.activation.function is not None:
            y = population.activation.function(y.reshape(1, *population.shape)).reshape(-1)
        x[population.slice] = y
    return x


@pytest.mark.parametrize("build", models.EVERY_KIND)
def test_the_edges_compute_what_evaluate_computes(build):
    graph = gg.from_keras(models.randomise(build()))
    values = graph.evaluate([noise(1, *graph.population(n).shape) for n in graph.topology.inputs])
    x = by_edges(graph, values)
    for name, population in graph.populations.items():
        expected = values[name].reshape(-1)
        np.testing.assert_allclose(x[population.slice], expected, rtol=1e-3, atol=1e-5)


def random_model(draw):
    """Draw a small acyclic model of convolutions, pools, merges and dense layers."""
    channels = draw(st.integers(1, 3))
    size = draw(st.integers(4, 9)), draw(st.integers(4, 9))
    maps = [keras.Input((*size, channels), name="image")]
    for _ in range(draw(st.integers(1, 6))):
        x = draw(st.sampled_from(maps))
        kind = draw(
            st.sampled_from(["conv", "pool", "norm", "relu", "add", "concatenate", "depth"])
        )
        room = min(x.shape[1:3])
        if kind == "conv":
            padding = draw(st.sampled_from(["same", "valid"]))
            kernel = draw(st.integers(1, min(3, room)))
            strides = draw(st.integers(1, 2))
            x = layers.Conv2D(draw(st.integers(1, 3)), kernel, strides, padding)(x)
        elif kind == "pool":
            padding = draw(st.sampled_from(["same", "valid"]))
            pool = draw(st.sampled_from([layers.MaxPooling2D, layers.AveragePooling2D]))
            x = pool(draw(st.integers(1, min(3, room))), draw(st.integers(1, 2)), padding)(x)
        elif kind == "norm":
            x = layers.BatchNormalization()(x)
        elif kind == "relu":
            x = layers.ReLU()(x)
        elif kind == "depth":
            x = layers.DepthwiseConv2D(min(2, room), depth_multiplier=draw(st.integers(1, 2)))(x)
        else:
            alike = [y for y in maps if y.shape[1:3] == x.shape[1:3]]
            if kind == "add":
                alike = [y for y in alike if y.shape == x.shape]
            others = draw(st.lists(st.sampled_from(alike), min_size=1, max_size=2))
            merge = layers.Add if kind == "add" else layers.Concatenate
            x = merge()([x, *others])
        maps.append(x)
    heads = draw(st.lists(st.sampled_from(maps[1:]), min_size=1, max_size=2))
    flat = [layers.Flatten()(x) for x in heads]
    joined = flat[0] if len(flat) == 1 else layers.Concatenate()(flat)
    label = layers.Dense(draw(st.integers(1, 3)), activation="sigmoid")(joined)
    extra = draw(st.booleans())
    return keras.Model(maps[0], [label, maps[-1]] if extra else label)


@given(st.data(), st.integers(0, 100))
def test_random_models(data, seed):
    model = models.randomise(random_model(data.draw), seed)
    graph = gg.from_keras(model)
    report = graph.verify(seed=seed)
    assert report.passed, str(report)
    values = graph.evaluate(noise(1, *model.inputs[0].shape[1:], seed=seed))
    expected = np.concatenate([v.reshape(-1) for v in values.values()])
    np.testing.assert_allclose(by_edges(graph, values), expected, rtol=1e-3, atol=1e-4)
    assert sum(len(src) for into in edges_into(graph).values() for src, *_ in into) == graph.n_edges


# Inputs


def two_input_graph():
    return gg.from_keras(models.siamese())


def test_inputs_as_list_tuple_and_mapping_are_the_same():
    graph = two_input_graph()
    left, right = noise(2, 8, 8, 1), noise(2, 8, 8, 1, seed=1)
    expected = graph.evaluate([left, right])["score"]
    for inputs in ((left, right), {"right": right, "left": left}):
        np.testing.assert_array_equal(graph.evaluate(inputs)["score"], expected)


def test_a_single_input_may_be_bare_listed_or_named():
    graph = gg.from_keras(models.cnn())
    x = noise(2, 8, 8, 2)
    expected = graph.evaluate(x)["dense"]
    for inputs in ([x], {"image": x}, (x,)):
        np.testing.assert_array_equal(graph.evaluate(inputs)["dense"], expected)


def test_every_sample_of_a_batch_is_computed_on_its_own():
    graph = gg.from_keras(models.randomise(models.u_net()))
    x = noise(5, 8, 8, 1)
    values = graph.evaluate(x)
    for i in range(5):
        np.testing.assert_allclose(values["mask"][i], graph.evaluate(x[i : i + 1])["mask"][0], 1e-5)
    assert {v.shape for v in values.values()} == {(5, *p.shape) for p in graph.populations.values()}


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (np.float64, np.float64),
        (np.float32, np.float32),
        (np.float16, np.float32),
        (int, np.float32),
    ],
)
def test_values_are_float32_unless_the_input_is_float64(given, dtype):
    graph = gg.from_keras(models.cnn())
    values = graph.evaluate(noise(1, 8, 8, 2).astype(given))
    assert {v.dtype for v in values.values()} == {np.dtype(dtype)}


def test_one_float64_input_makes_all_float64():
    graph = two_input_graph()
    values = graph.evaluate([noise(1, 8, 8, 1), noise(1, 8, 8, 1).astype(np.float64)])
    assert {v.dtype for v in values.values()} == {np.dtype(np.float64)}


def test_float64_is_closer_to_the_exact_sum():
    x = keras.Input((1000,))
    graph = gg.from_keras(keras.Model(x, layers.Dense(1, name="d")(x)))
    kernel = graph.projections[0].kernel.astype(np.float64)
    values = noise(1, 1000).astype(np.float64)
    np.testing.assert_allclose(graph.evaluate(values)["d"][0, 0], values[0] @ kernel, 1e-12, 1e-13)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            np.zeros((8, 8, 2)),
            r"'image' must be numbers of shape \(batch, 8, 8, 2\); got .*8, 8, 2",
        ),
        (np.zeros((1, 8, 8, 3)), r"got shape \(1, 8, 8, 3\)"),
        (np.zeros((0, 8, 8, 2)), r"got shape \(0, 8, 8, 2\)"),
        (0.0, r"got shape \(\)"),
        ("image.png", "must be numbers.*got str"),
        ([], r"has 1 inputs \['image'\]; got 0"),
        ([np.zeros((1, 8, 8, 2))] * 2, r"has 1 inputs \['image'\]; got 2"),
        ({"picture": 0}, r"Inputs are named \['picture'\]; the model's are \['image'\]"),
        ({}, r"Inputs are named \[\]"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs, message):
    graph = gg.from_keras(models.cnn())
    with pytest.raises(gg.ShapeError, match=message):
        graph.evaluate(inputs)


def test_inputs_of_different_batches_are_refused():
    with pytest.raises(gg.ShapeError, match=r"differ in batch size: .*'left': 2, 'right': 3"):
        two_input_graph().evaluate([noise(2, 8, 8, 1), noise(3, 8, 8, 1)])


def test_a_graph_without_topology_does_not_evaluate():
    whole = gg.from_keras(models.cnn())
    part = gg.NeuronGraph("part", whole.populations, whole.projections)
    with pytest.raises(gg.ModelError, match=r"'part' is not a whole .*that from_keras gave"):
        part.evaluate(noise(1, 8, 8, 2))
    with pytest.raises(gg.ModelError, match="or a copy of one"):
        copy.copy(whole).evaluate(noise(1, 8, 8, 2))


def test_nan_reaches_what_depends_on_it_and_nothing_else():
    graph = gg.from_keras(models.convolutional(8))
    x = noise(1, 8, 8, 1)
    x[0, 0, 0, 0] = np.nan
    conv = graph.evaluate(x)["conv"]
    assert np.isnan(conv[0, :2, :2]).all()
    assert np.isfinite(conv[0, 2:]).all()
    assert np.isfinite(conv[0, :, 2:]).all()
    assert graph.verify(x).passed


# Verification


def test_verify_takes_inputs():
    graph = two_input_graph()
    assert graph.verify([noise(2, 8, 8, 1), noise(2, 8, 8, 1)]).passed
    assert graph.verify({"left": noise(1, 8, 8, 1), "right": noise(1, 8, 8, 1)}).passed


@pytest.mark.parametrize("order", ["ab", "ba", None], ids=str)
def test_verify_of_models_called_with_mappings(order):
    tensors = {n: keras.Input((4,), name=n) for n in "ab"}
    inputs = tensors if order is None else [tensors[n] for n in order]
    inner = keras.Model(inputs, layers.Subtract(name="s")([tensors["a"], tensors["b"]]), name="i")
    assert gg.from_keras(inner).verify().passed
    p, q = keras.Input((4,), name="p"), keras.Input((4,), name="q")
    graph = gg.from_keras(keras.Model({"q": q, "p": p}, inner({"a": p, "b": q})))
    x, y = noise(2, 4), noise(2, 4, seed=1)
    np.testing.assert_allclose(graph.evaluate({"p": x, "q": y})["i/s"], x - y)
    assert graph.verify().passed


def test_verify_takes_float64():
    graph = gg.from_keras(models.auxiliary())
    assert graph.verify(noise(2, 8, 8, 1).astype(np.float64)).passed


def test_the_report_says_how_far_and_where():
    report = gg.Verification({"a": 1e-7, "b": 3e-6}, tolerance=1e-4)
    assert report.passed
    assert report.worst == ("b", 3e-6)
    assert str(report) == (
        "The graph equals the model on 2 populations: largest error 3.0e-06 of the population's "
        "largest value, at 'b' (tolerance 1e-04)."
    )
    worse = replace(report, tolerance=1e-6)
    assert not worse.passed
    assert "DIFFERS FROM" in str(worse)


def test_verify_takes_a_tolerance():
    graph = gg.from_keras(models.randomise(models.cnn()))
    assert verify(graph).tolerance == 1e-4
    assert verify(graph, tolerance=0.5).tolerance == 0.5


def test_verify_of_a_model_that_names_its_batch():
    x = keras.Input(batch_shape=(3, 4))
    assert gg.from_keras(keras.Model(x, layers.Dense(2)(x))).verify().passed


class Doubled(layers.Layer):
    def call(self, x):
        return 2 * x


def doubled(weight, bias=None, transposed=False):
    """Return a converter that is right only for weight 2."""

    def convert(call):
        target = call.population(bias=bias)
        axes = [gg.one_to_one(n) for n in call.output_shape]
        strides = target.strides[::-1] if transposed else target.strides
        placed = [a.place(s, t) for a, s, t in zip(axes, strides, target.strides, strict=True)]
        call.project(call.source, target, [gg.fan_in(1), *placed], np.float32([weight]), "scale")
        return target

    return convert


@pytest.mark.parametrize(
    ("converter", "passed"),
    [
        (doubled(2.0), True),
        (doubled(2.002), False),
        (doubled(-2.0), False),
        (doubled(2.0, bias=np.float32(0.01)), False),
        (doubled(2.0, transposed=True), False),
        (doubled(np.inf), False),
    ],
    ids=["right", "weight", "sign", "bias", "wiring", "infinite"],
)
def test_verify_tells_a_wrong_converter(monkeypatch, converter, passed):
    gg.supported_layers()
    monkeypatch.setattr(registry, "_CONVERTERS", {**registry._CONVERTERS, "Doubled": converter})
    x = keras.Input((4, 4), name="x")
    y = layers.ReLU(name="relu")(Doubled(name="doubled")(x))
    report = gg.from_keras(keras.Model(x, y), allow_nonfinite=True).verify()
    assert report.passed == passed
    assert (report.errors["doubled"] <= report.tolerance) == passed
    assert report.errors["x"] == 0


def test_verify_tells_a_wrong_wiring_of_layers():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    graph = gg.from_keras(keras.Model([a, b], [layers.ReLU(name="r")(a), layers.ELU(name="e")(b)]))
    assert graph.verify().passed
    graph.topology = replace(graph.topology, outputs=graph.topology.outputs[::-1])
    assert not graph.verify().passed


@pytest.mark.parametrize(
    ("policy", "tolerance"),
    [
        ("float32", 1e-4),
        pytest.param("float64", 1e-4, marks=models.needs_float64),
        ("mixed_float16", 1e-2),
        ("float16", 1e-2),
        ("mixed_bfloat16", 5e-2),
        ("bfloat16", 5e-2),
    ],
)
def test_dtype_policies(policy, tolerance):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(4, 3, activation="relu", dtype=policy),
            layers.BatchNormalization(dtype=policy),
            layers.MaxPooling2D(2, dtype=policy),
            layers.Flatten(dtype=policy),
            layers.Dense(3, activation="softmax", dtype=policy),
        ]
    )
    graph = gg.from_keras(models.randomise(model))
    report = graph.verify()
    assert report.tolerance == tolerance
    assert report.passed, str(report)
    assert graph.weight_dtype == (np.float64 if policy == "float64" else np.float32)


def test_verify_at_another_size_than_the_model_accepts():
    graph = gg.from_keras(models.randomise(models.convolutional(8)), (14, 10, 1))
    assert graph.topology.predict([noise(1, 14, 10, 1)]) is None
    assert graph.verify().passed


def test_verify_with_a_fixed_batch():
    model = keras.Sequential([keras.Input(batch_shape=(4, 6)), layers.Dense(2), layers.ReLU()])
    assert gg.from_keras(model).verify().passed


def test_dropout_and_noise_are_those_of_inference():
    x = keras.Input((6, 6, 2))
    y = layers.GaussianNoise(1.0)(layers.SpatialDropout2D(0.5)(x))
    y = layers.BatchNormalization()(layers.Dropout(0.9)(y))
    assert gg.from_keras(models.randomise(keras.Model(x, y))).verify().passed


def test_an_integer_input_is_tested_on_integers():
    x = keras.Input((5,), dtype="int32", name="x")
    graph = gg.from_keras(keras.Model(x, layers.Rescaling(0.5, offset=1.0)(x)))
    assert graph.verify().passed


def mean_of_itself(x):
    return layers.Average()([x, x, x])


CANCELLING = {
    "difference": lambda x: layers.Subtract()([x, mean_of_itself(x)]),
    "read by a layer": lambda x: layers.Dense(4)(layers.Subtract()([x, mean_of_itself(x)])),
    "mean of what was centred": lambda x: keras.ops.mean(
        x - keras.ops.mean(x, axis=1, keepdims=True), axis=1
    ),
    "mean of what was normalised": lambda x: layers.GlobalAveragePooling2D()(
        layers.GroupNormalization(3)(x)
    ),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("build", CANCELLING.values(), ids=CANCELLING)
def test_what_cancels_to_rounding_is_no_false_alarm(build, dtype):
    inputs = keras.Input((6, 6, 3))
    graph = gg.from_keras(keras.Model(inputs, build(inputs)))
    assert graph.verify(noise(2, 6, 6, 3).astype(dtype)).passed


@pytest.mark.parametrize("build", CANCELLING.values(), ids=CANCELLING)
def test_what_cancels_hides_no_fault_behind_it(build):
    inputs = keras.Input((6, 6, 3))
    outputs = layers.Conv2D(4, 3, name="conv")(inputs)
    model = keras.Model(inputs, [build(inputs), outputs])
    graph = gg.from_keras(model)
    kernel = model.get_layer("conv").kernel
    kernel.assign(kernel * 1.01)
    report = graph.verify()
    assert not report.passed
    assert report.worst[0] == "conv"
    assert report.worst[1] > 1e-3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_integer_inputs_cut_fractions_as_keras_does(dtype):
    model = keras.Sequential([keras.Input((5,), dtype="int32"), layers.Embedding(4, 3)])
    graph = gg.from_keras(model)
    tokens = np.array([[0.2, 1.7, 3.0, 2.999, 0.0]], dtype)
    assert graph.evaluate(tokens)[graph.topology.inputs[0]].tolist() == [[0, 1, 3, 2, 0]]
    assert graph.verify(tokens).passed


def test_numbers_next_to_the_smallest_are_no_false_alarm():
    inputs = keras.Input((140,))
    graph = gg.from_keras(keras.Model(inputs, keras.ops.prod(inputs, axis=1)))
    # Multiplies to what processors may take for 0.
    sample = np.random.default_rng(0).standard_normal((1, 140), np.float32)
    (value,) = graph.evaluate(sample)[graph.outputs[0].name]
    assert abs(value) < np.finfo(np.float32).tiny
    assert graph.verify(sample).passed
