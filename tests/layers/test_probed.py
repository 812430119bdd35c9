"""Layers without a converter: what probing finds, and what it refuses."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers, ops
from numpy.testing import assert_allclose, assert_array_equal
from typer.testing import CliRunner

import gpugraph as gg
from gpugraph import probe
from gpugraph.cli import app
from gpugraph.cli.app import EXIT_CODES
from tests.jacobian import assert_evaluates, graph_map, keras_map

numpy_of = ops.convert_to_numpy


class Matrix(layers.Layer):
    """Multiplies by a trained matrix and adds a trained offset."""

    def __init__(self, matrix, offset, **kwargs):
        super().__init__(**kwargs)
        self.matrix = self.add_weight(shape=matrix.shape, name="matrix")
        self.offset = self.add_weight(shape=offset.shape, name="offset")
        self.matrix.assign(matrix)
        self.offset.assign(offset)

    def call(self, x):
        return ops.matmul(x, self.matrix) + self.offset


class Blur(layers.Layer):
    def build(self, shape):
        rows = np.outer([1, 2, 1, 3, 1], [1, 2, 5]) / 16
        self.filter = np.repeat(rows[:, :, None, None], shape[-1], 2).astype(np.float32)

    def call(self, x):
        return ops.depthwise_conv(x, self.filter, padding="same", data_format="channels_last")


class Fourier(layers.Layer):
    def call(self, x):
        return ops.concatenate(ops.fft((x, ops.zeros_like(x))), -1)


class Shuffle(layers.Layer):
    def build(self, shape):
        self.order = np.random.default_rng(0).permutation(shape[-1])

    def call(self, x):
        return ops.take(x, self.order, axis=-1)


class Mix(layers.Layer):
    """Takes two tensors and gives two."""

    def call(self, a, b=None):
        return a - 2 * ops.flip(b, -1) + 1, ops.sum(a, axis=-1, keepdims=True) / 3


def model_of(layer, *shapes):
    inputs = [keras.Input(shape) for shape in shapes]
    return keras.Model(inputs, layer(*inputs))


def assert_probed(layer, shape, atol=1e-6):
    """Compare a probed layer's edges with its Jacobian, entry by entry; return the graph.

    ``atol`` is what unit vectors lose in the rounding of the offset.
    """
    graph = gg.from_keras(model_of(layer, shape), probe=True)

    def function(x):
        return numpy_of(layer(x))

    matrix, offset = graph_map(graph)
    expected, expected_offset = keras_map(function, shape)
    assert_allclose(matrix, expected, rtol=1e-5, atol=atol)
    assert_array_equal(offset, expected_offset)
    assert_evaluates(graph, function, shape)
    assert graph.verify().passed
    (projection,) = graph.projections
    assert (projection.kind, projection.is_listed) == ("weight", True)
    assert (projection.kernel != 0).all()
    return graph


# What is found


@given(data=st.data(), n=st.integers(1, 9), m=st.integers(1, 9), seed=st.integers(0, 99))
def test_random_sparse_matrices(data, n, m, seed):
    rng = np.random.default_rng(seed)
    density = data.draw(st.sampled_from([0.1, 0.5, 1.0]))
    matrix = np.where(rng.random((n, m)) < density, rng.standard_normal((n, m)), 0)
    matrix[0, 0] = 1
    size = data.draw(st.sampled_from([0, 1, 1000]))
    offset = (size * rng.standard_normal(m)).astype(np.float32)
    layer = Matrix(matrix.astype(np.float32), offset)
    graph = assert_probed(layer, (n,), atol=1e-6 + 4e-7 * abs(offset).max())
    assert graph.n_edges == np.count_nonzero(matrix)
    expected = matrix.astype(np.float32)
    (edges,) = graph.edges(device="cpu")
    assert_array_equal(np.stack([edges.src, edges.dst - n]), np.nonzero(expected))
    assert_allclose(edges.weight, expected[expected != 0], rtol=1e-5)


@given(seed=st.integers(0, 99), per_column=st.integers(0, 3))
def test_sparse_matrices_of_more_inputs_than_few(seed, per_column):
    rng = np.random.default_rng(seed)
    matrix = np.zeros((300, 40))
    for column in range(40):
        matrix[rng.choice(300, per_column, replace=False), column] = rng.standard_normal(per_column)
    found = probe.affine_map(lambda x: x @ matrix, [(300,)], np.dtype(np.float64))
    assert_array_equal(np.stack([found.src, found.dst]), np.nonzero(matrix))
    assert_allclose(found.weight, matrix[matrix != 0], rtol=1e-12)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Blur(), (6, 5, 2)),
        (Shuffle(), (7,)),
        (Shuffle(), (4, 7)),
        (layers.Lambda(lambda x: 2 * x + 1), (2, 3)),
        (layers.Lambda(lambda x: x[:, ::-1, :2]), (4, 3)),
        (layers.Lambda(lambda x: ops.cumsum(x, axis=1)), (4, 3)),
        (Blur(), (20, 20, 2)),
        (Shuffle(), (700,)),
        (layers.Lambda(lambda x: ops.diff(x, axis=1)), (30, 20)),
    ],
)
def test_affine_layers(layer, shape):
    assert_probed(layer, shape)


def test_the_transform_of_fourier():
    n = 12
    graph = gg.from_keras(model_of(Fourier(), (n,)), probe=True)
    matrix, _ = graph_map(graph)
    angle = 2 * np.pi * np.outer(np.arange(n), np.arange(n)) / n
    assert_allclose(matrix, np.concatenate([np.cos(angle), -np.sin(angle)], 1), atol=1e-6)
    assert graph.verify().passed


def test_entries_are_not_lost_in_a_large_offset():
    graph = gg.from_keras(model_of(layers.Lambda(lambda x: 0.1 * x + 1000), (3,)), probe=True)
    (projection,) = graph.projections
    assert_allclose(projection.kernel, 0.1, rtol=1e-6)


def test_several_inputs_and_outputs():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    graph = gg.from_keras(keras.Model([a, b], Mix(name="mix")(a, b=b)), probe=True)
    assert list(graph.populations) == ["a", "b", "mix", "mix/1"]
    ends = {(p.source.name, p.target.name): p for p in graph.projections}
    assert {names: p.n_edges for names, p in ends.items()} == {
        ("a", "mix"): 4,
        ("b", "mix"): 4,
        ("a", "mix/1"): 4,
    }
    edges = ends["b", "mix"].edges()
    assert_array_equal(edges.src - 4, [0, 1, 2, 3])
    assert_array_equal(edges.dst - 8, [3, 2, 1, 0])
    assert_array_equal(edges.weight, [-2] * 4)
    assert graph.verify().passed


def test_a_tensor_that_is_given_twice_is_one_source():
    x = keras.Input((4,), name="x")
    y, _ = Mix(name="mix")(x, b=x)
    graph = gg.from_keras(keras.Model(x, y), probe=True)
    assert len(graph.projections) == 2  # one to each output
    assert graph.verify().passed


def test_an_operator_without_converter():
    x = keras.Input((4, 4, 1), batch_size=1)
    scale, shift = np.full(2, 0.5, np.float32), np.zeros(2, np.float32)
    halved = ops.image.scale_and_translate(x, (1, 2, 2, 1), scale, shift, (1, 2), "linear", False)
    graph = gg.from_keras(keras.Model(x, halved), probe=True)
    assert graph.n_edges == 4 * 4
    assert graph.verify().passed


def test_complex_numbers_are_refused():
    x = keras.Input((3,))
    model = keras.Model(x, ops.polar(x, x))  # Keras notes real ones
    with pytest.raises(gg.UnsupportedLayerError, match="makes complex numbers"):
        gg.from_keras(model, probe=True)


def test_a_layer_that_another_wraps():
    layer = layers.TimeDistributed(layers.Lambda(lambda x: x[:, ::-1] * 3))
    assert gg.from_keras(model_of(layer, (2, 5)), probe=True).verify().passed


def test_a_constant_layer_has_a_bias_and_no_edges():
    layer = layers.Lambda(lambda x: ops.zeros_like(x) + 3, name="constant")
    graph = gg.from_keras(model_of(layer, (4,)), probe=True)
    assert (graph.n_edges, graph.n_nodes) == (0, 8)
    assert graph.verify().passed


def test_layers_with_a_converter_are_not_probed():
    model = model_of(layers.Dense(3), (4,))
    first, second = gg.from_keras(model), gg.from_keras(model, probe=True)
    assert [a.kind for p in second.projections for a in p.axes] == [
        a.kind for p in first.projections for a in p.axes
    ]


def test_other_weights_are_probed_again():
    def model(scale):
        return model_of(Matrix(scale * np.eye(3, dtype=np.float32), np.ones(3)), (3,))

    graph = gg.from_keras(model(2.0), probe=True).with_weights(model(5.0))
    assert_array_equal(graph.projections[0].kernel, [5.0] * 3)


def test_measures_take_a_probed_graph():
    graph = gg.from_keras(model_of(Blur(), (6, 5, 2)), probe=True)
    assert gg.pagerank(graph).top(1)
    assert graph.to_scipy().nnz == graph.n_edges
    assert len(graph.threshold(0.5).projections) <= 1


# How it is found


class Counted:
    """A function that counts the samples it is given."""

    def __init__(self, function):
        self.function, self.samples, self.largest = function, 0, 0

    def __call__(self, x):
        self.samples += len(x)
        self.largest = max(self.largest, len(x))
        return self.function(x)


def second_difference(x):
    return np.diff(x.reshape(len(x), 40, 50, 1), 2, axis=1).reshape(len(x), -1)


def test_inputs_that_share_no_output_are_probed_together():
    f = Counted(second_difference)
    found = probe.affine_map(f, [(40, 50, 1)], np.dtype(np.float32))
    assert f.samples < 300
    one_by_one = second_difference(np.eye(2000, dtype=np.float32))
    assert_array_equal(np.stack([found.src, found.dst]), np.nonzero(one_by_one))
    assert_array_equal(found.weight, one_by_one[one_by_one != 0])


@given(
    taps=st.lists(st.sampled_from([1.0, -1.0, 3.0, 1e-3, 1e-6, 0.0]), min_size=1, max_size=9),
    stride=st.integers(1, 5),
    offset=st.sampled_from([0.0, 1.0, 300.0]),
)
def test_windows_with_weights_of_very_different_size(taps, stride, offset):
    matrix = np.zeros((600, 500), np.float32)
    for column in range(500):
        for i, tap in enumerate(taps):
            matrix[(column + i * stride) % 600, column] += np.float32(tap)
    shift = np.float32(offset)
    found = probe.affine_map(lambda x: x @ matrix + shift, [(600,)], np.dtype(np.float32))
    dense = np.zeros(matrix.shape)
    dense[found.src, found.dst] = found.weight
    assert_allclose(dense, matrix, rtol=1e-4, atol=1e-7 if offset else 0)
    assert_array_equal(found.offset, [offset] * 500)


def test_two_neighbours_that_cancel_are_not_overlooked():
    matrix = np.zeros((600, 3), np.float32)
    matrix[[0, 1], 0] = 1, -1  # zero for every group that holds both
    matrix[[0, 1, 2], 1] = 3, -6, 3  # and in the next digit too
    matrix[[5, 599], 2] = 1, 1
    found = probe.affine_map(lambda x: x @ matrix, [(600,)], np.dtype(np.float32))
    assert_array_equal(np.stack([found.src, found.dst]), np.nonzero(matrix))


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(probe, "BLOCK_VALUES", 700)
    f = Counted(lambda x: x @ matrix)
    matrix = np.random.default_rng(0).standard_normal((300, 50))
    found = probe.affine_map(f, [(300,)], np.dtype(np.float64))
    assert f.largest == 2
    assert len(found.weight) == 15_000


def test_too_many_inputs_without_a_pattern_are_refused(monkeypatch):
    monkeypatch.setattr(probe, "MOST_RESPONSES", 10_000)
    matrix = np.random.default_rng(0).standard_normal((300, 50)).astype(np.float32)
    layer = Matrix(matrix, np.zeros(50), name="large")
    message = r"Cannot probe layer 'large' \(Matrix\): 300 inputs and 50 .*converts\(\"Matrix\"\)"
    with pytest.raises(gg.GraphTooLargeError, match=message):
        gg.from_keras(model_of(layer, (300,)), probe=True)


# What is refused


class BatchMean(layers.Layer):
    def call(self, x):
        return x - ops.mean(x, axis=0, keepdims=True)


class Noise(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed = keras.random.SeedGenerator(0)

    def call(self, x):
        return x + keras.random.normal(ops.shape(x), seed=self.seed)


class Counter(layers.Layer):
    """Gives the same, and counts its calls."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.count = self.add_weight(shape=(), initializer="zeros", name="count")

    def call(self, x):
        self.count.assign_add(1.0)
        return x * 2


class Strict(layers.Layer):
    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)

    def call(self, x):
        raise RuntimeError("only whole numbers, please")


@pytest.mark.parametrize(
    "function",
    [
        ops.relu,
        ops.sort,
        lambda x: x**2,
        lambda x: x + 1e-3 * x**2,
        lambda x: ops.clip(x, -1e4, 1e4),
        lambda x: ops.clip(x, -1e-4, 1e-4),
        lambda x: ops.where(ops.abs(x) < 1e-5, 0 * x, x),
        lambda x: ops.cast(ops.cast(x, "int32"), "float32"),
        lambda x: ops.concatenate([x[:, :-1], ops.abs(x[:, -1:])], axis=1),
        lambda x: x / ops.maximum(1.0, ops.norm(x, axis=-1, keepdims=True)),
        lambda x: ops.where(ops.all(x > 0, axis=-1, keepdims=True), 2 * x, x),
        lambda x: ops.where(ops.sum(ops.cast(x != 0, "int32"), -1, keepdims=True) < 2, x, 2 * x),
        ops.softmax,
    ],
)
def test_what_is_not_affine_is_refused(function):
    model = model_of(layers.Lambda(function, name="odd"), (12,))
    message = r"layer 'odd' \(Lambda\): probe=True .* not affine: for inputs of size about"
    with pytest.raises(gg.UnsupportedLayerError, match=message):
        gg.from_keras(model, probe=True)


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (BatchMean(), "depends on the others of its batch"),
        (Noise(), "gives other values when it is called on the same input again"),
        (Counter(), "calling it changes its count"),
        (Strict(), r"raises RuntimeError \(only whole"),
        (layers.Lambda(lambda x: x / 0.0), "NaN or infinity"),
        (Matrix(np.eye(4), np.zeros(4), dtype="mixed_float16"), "computes in float16"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_probed_is_refused(layer, why):
    with pytest.raises(gg.UnsupportedLayerError, match=why):
        gg.from_keras(model_of(layer, (4,)), probe=True)


def test_a_layer_is_left_as_it_was():
    for layer, variables in ((Counter(), "count"), (Noise(), "seed")):
        model = model_of(layer, (4,))
        state = getattr(layer, variables)
        state = getattr(state, "state", state)
        before = numpy_of(state).copy()
        with pytest.raises(gg.UnsupportedLayerError):
            gg.from_keras(model, probe=True)
        assert_array_equal(numpy_of(state), before)


def test_without_probe_the_error_offers_it():
    with pytest.raises(gg.UnsupportedLayerError, match=r"pass probe=True \(--probe\)"):
        gg.from_keras(model_of(layers.Lambda(lambda x: 2 * x), (3,)))


# The command line


@keras.saving.register_keras_serializable()
class Reverse(layers.Layer):
    def call(self, x):
        return ops.flip(x, axis=-1)


@pytest.mark.parametrize("command", ["summary", "verify", "rank", "stats", "convert"])
def test_commands_probe_where_asked(tmp_path, command):
    path = tmp_path / "reverse.keras"
    model_of(Reverse(name="reverse"), (3, 4)).save(path)
    out = [str(tmp_path / "edges.csv")] if command == "convert" else []
    result = CliRunner().invoke(app, [command, str(path), *out])
    assert result.exit_code == EXIT_CODES[gg.UnsupportedLayerError]
    assert "--probe" in result.stderr
    result = CliRunner().invoke(app, [command, str(path), *out, "--probe"])
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_command_says_what_is_not_affine(tmp_path):
    x = keras.Input((2, 2))
    path = tmp_path / "determinant.keras"
    keras.Model(x, ops.slogdet(x)[1]).save(path)
    result = CliRunner().invoke(app, ["summary", str(path), "--probe"])
    assert result.exit_code == EXIT_CODES[gg.UnsupportedLayerError]
    assert "it is not affine" in result.stderr
    assert 'converts("ops.Slogdet")' in result.stderr
