"""Layers without a converter, and models with a call() of their own, opened by tracing it."""

import functools
import itertools
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from keras import layers, ops
from keras.src.backend.common import global_state
from numpy.testing import assert_allclose
from typer.testing import CliRunner

import gpugraph as gg
from gpugraph.cli import app
from gpugraph.cli.app import EXIT_CODES
from tests.jacobian import randomise
from tests.layers.dependence import dependence, is_affine, jacobians, reach

# Layers


class Block(layers.Layer):
    """Layers and a sum."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(2, 3, padding="same", name="conv")
        self.norm = layers.BatchNormalization(name="norm")

    def call(self, x, training=False):
        return x + self.norm(self.conv(x), training=training)


@keras.saving.register_keras_serializable("tests")
class Affine(layers.Layer):
    """Variables on both sides of operators."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3), name="kernel")
        self.gamma = self.add_weight(shape=(3,), name="gamma")
        self.beta = self.add_weight(shape=(3,), name="beta")

    def call(self, x):
        return self.beta - self.gamma * (x @ self.kernel) + self.beta


class Equation(layers.Layer):
    """An einsum with a variable, as attention has it."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 2, 3), name="kernel")

    def call(self, x):
        y = ops.einsum("btd,dhk->bthk", x, self.kernel)
        return ops.reshape(y, (ops.shape(x)[0], ops.shape(x)[1], -1))


class Batch(layers.Layer):
    """Asks for the size of the batch, and makes tensors of it."""

    def build(self, shape):
        self.token = self.add_weight(shape=(1, 1, shape[-1]), name="token")

    def call(self, x):
        n, length, width = ops.shape(x)
        token = ops.broadcast_to(self.token, (n, 1, width))
        steps = ops.tile(ops.reshape(ops.arange(width, dtype="float32"), (1, 1, width)), (n, 1, 1))
        halves = ops.reshape(ops.reshape(x, (n, -1, width // 2)), (n, length, width))
        return ops.concatenate([token, halves, steps, ops.ones((n, 1, width))], axis=1)


class Table(layers.Layer):
    """Gives values that depend on the shape of its input alone."""

    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], name="table")

    def call(self, x):
        return ops.broadcast_to(self.table, ops.shape(x))


class Placed(layers.Layer):
    """A layer within, which gives a constant and None, and one of Keras's that takes a constant."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(4, name="dense")
        self.table = Table(name="table")
        self.pair = Pair(name="pair")
        self.add = layers.Add(name="sum")

    def call(self, x):
        y, nothing = self.pair(self.dense(x))
        return self.add([y, self.table(y)]) if nothing is None else None


class Pair(layers.Layer):
    def call(self, x):
        return 2 * x, None


class Own(layers.Layer):
    """Structures of tensors, and constants beside them."""

    def call(self, a, b, *, scale=1.0, training=False):
        u, (v,) = b["u"], b["v"]
        return {"sum": a + scale * u, "rest": [a - u, ops.maximum(v, a)], "last": u / (1 + v**2)}


class Arrays(layers.Layer):
    def call(self, x):
        y = x + np.float32(2)
        if keras.backend.backend() != "torch":  # whose tensors numpy cannot be multiplied by
            y = np.arange(1, 4, dtype="float32") * y
        return ops.convert_to_tensor([1.0, 2.0, 0.5]) * y


class Attention(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.query = layers.EinsumDense("btd,dhk->bthk", (None, 2, 3), name="query")
        self.key = layers.EinsumDense("btd,dhk->bthk", (None, 2, 3), name="key")

    def call(self, x):
        scores = ops.einsum("bthk,bshk->bhts", self.query(x), self.key(x))
        mixed = ops.einsum("bhts,bsd->bthd", ops.softmax(scores / 3**0.5), x)
        return ops.mean(mixed, axis=2)


class Conv(layers.Conv2D):
    """One of Keras's layers with another call()."""

    def call(self, x):
        return ops.relu(super().call(x)) - x[..., :1]


class Operation(keras.Operation):
    """An operation that is no layer."""

    def call(self, x):
        return ops.exp(x) - 1


class Same(layers.Layer):
    def call(self, x):
        return x


class Twice(layers.Layer):
    """A layer without a converter in another, called twice."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = Affine(name="inner")

    def call(self, x):
        return self.inner(self.inner(x))


class Net(layers.Layer):
    """A model within a layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.net = keras.Sequential([layers.Dense(4, name="one"), Affine(name="two")], name="net")

    def call(self, x):
        return self.net(x)


def model_of(layer, *shapes):
    inputs = [keras.Input(shape, name=f"x{i}") for i, shape in enumerate(shapes)]
    model = keras.Model(inputs, layer(inputs[0] if len(inputs) == 1 else inputs))
    randomise(model)
    return model


def structures():
    a, u, v = (keras.Input((3,), name=name) for name in "auv")
    return keras.Model([a, u, v], Own(name="own")(a, b={"u": u, "v": [v]}, scale=3.0))


def shared():
    a, b, layer = keras.Input((3,), name="a"), keras.Input((3,), name="b"), Affine(name="shared")
    model = keras.Model([a, b], layers.Add(name="both")([layer(a), layer(b)]))
    randomise(model)
    return model


def between():
    x = keras.Input((4, 4, 2), name="x")
    y = Block(name="block")(layers.Conv2D(2, 1, name="before")(x))
    model = keras.Model(x, layers.Dense(3, name="after")(layers.Flatten()(y)))
    randomise(model)
    return model


class Rows(layers.Layer):
    """Adds what stands in rows to what stands in columns, as graph attention does."""

    def call(self, x):
        return x + ops.transpose(x, (0, 2, 1))


class Query(layers.Layer):
    """Queries that depend on no input, computed for each sample: sums are rounded."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm = layers.LayerNormalization(name="norm")
        self.attention = layers.MultiHeadAttention(2, 4, name="attention")

    def build(self, shape):
        self.query = self.add_weight(shape=(1, 2, shape[-1]), name="query")
        self.norm.build((1, 2, shape[-1]))
        self.attention.build((1, 2, shape[-1]), shape)

    def call(self, x):
        n = ops.shape(x)[0]
        query = self.norm(ops.ones((n, 1, 1)) * self.query)
        return self.attention(query * (1 + 1e-7) if n == 3 else query, x)

    def compute_output_shape(self, shape):
        return (None, 2, shape[-1])


class Learned(layers.Layer):
    """Attends from queries that depend on no input, or to such keys and values."""

    def __init__(self, given, **kwargs):
        super().__init__(**kwargs)
        self.given = given

    def build(self, shape):
        self.table = self.add_weight(shape=(1, *shape[1:]), name="table")

    def call(self, x):
        tensors = dict.fromkeys(["query", "key", "value"], x)
        table = ops.broadcast_to(self.table, ops.shape(x))
        return ops.dot_product_attention(**tensors | dict.fromkeys(self.given, table))


class Counted(layers.Layer):
    """Asks how many dimensions and elements there are, and slices the first dimension."""

    def call(self, x):
        rows = ops.transpose(x, (1, 0, 2) if ops.ndim(x) == 3 else (1, 0))
        turned = ops.concatenate([rows[-1:], rows[:-1]], axis=0)
        return ops.transpose(turned, (1, 0, 2)) / ops.cast(ops.size(x[0]), "float32")


class Compared(layers.Layer):
    """The backend's own tensors to the left of symbolic ones."""

    def call(self, x):
        ones = ops.ones((4,))
        seen = [ones < x, ones <= x, ones > x, ones >= x, ones == ops.round(x), ones != x]
        return sum(ops.cast(y, "float32") for y in seen) + (ones[None] @ x[..., None])[:, 0]

    def compute_output_shape(self, shape):
        return shape


class Tables(layers.Layer):
    """Gives values that depend on shapes alone, without the batch."""

    def call(self, x):
        places = ops.expand_dims(ops.arange(x.shape[1], dtype="float32"), 1)
        angles = places / (1 + ops.arange(x.shape[2], dtype="float32"))
        return ops.cos(angles), ops.sin(angles)

    def compute_output_shape(self, shape):
        return shape[1:], shape[1:]


class Twofold(layers.Layer):
    def call(self, x):
        return 2 * x


class Turned(layers.Layer):
    """Turns what it is given by tables."""

    def call(self, x, cos, sin):
        return x * cos + ops.flip(x, axis=-1) * ops.expand_dims(sin, 0)


def turned():
    x = keras.Input((4, 2), name="x0")
    cos, sin = Tables(name="tables")(x)
    y = Turned(name="one")(x, cos, ops.exp(Twofold(name="twofold")(sin))) - cos
    return keras.Model(x, Turned(name="other")(y, sin=sin, cos=cos))


class Beside(layers.Layer):
    """Gives what nothing reads."""

    def call(self, x):
        return ops.zeros((0, 5)), 2 * x, ops.ones((ops.shape(x)[0], 2)), ops.zeros((0,))


def beside():
    x = keras.Input((3,), name="x0")
    return keras.Model(x, Beside(name="beside")(x)[1])


class Sum(layers.Layer):
    def call(self, x, y):
        return x + y


def read_twice():
    x = keras.Input((3, 2), name="x0")
    table = Table(name="table")(x)
    model = keras.Model(x, layers.Add(name="add")([Sum(name="sum")(x, table), table]))
    randomise(model)
    return model


class Halved(layers.Layer):
    """A layer of one's own, without weights."""

    def __init__(self, by, **kwargs):
        super().__init__(**kwargs)
        self._by, self.table = by, np.arange(3.0)

    def call(self, x):
        return x / self._by + self.table


class Remaking(layers.Layer):
    """Makes layers without weights at each call."""

    def call(self, x):
        y = layers.Add(name="sum")([x, layers.Activation("silu")(x)])
        y = layers.Rescaling([1.0, 2.0, 3.0])(Halved(2)(y))
        y = layers.UpSampling1D(2)(layers.Reshape((3, 1))(y))
        return layers.Activation(keras.activations.tanh)(layers.Flatten()(y))


class Equal(layers.Layer):
    """Compares with ==, which tells whether symbolic tensors are the same one."""

    def build(self, shape):
        self.ones = self.add_weight(shape=shape[1:], name="ones")

    def call(self, x):
        x = ops.round(x)
        is_one = ops.logical_and(x == 1, np.ones(3, "float32") == x)
        y = ops.where(x > 1, 0 * x + self.ones, x)
        return ops.where(self.ones == y, 3 * x, ops.where(is_one, 2 * x, -x))


MODELS = {
    "layers": lambda: model_of(Block(name="block"), (4, 4, 2)),
    "variables": lambda: model_of(Affine(name="affine"), (2, 4)),
    "einsum": lambda: model_of(Equation(name="equation"), (3, 4)),
    "batch": lambda: model_of(Batch(name="batch"), (3, 4)),
    "constant": lambda: model_of(Table(name="table"), (3, 2)),
    "constant within": lambda: model_of(Placed(name="placed"), (3, 2)),
    "structures": structures,
    "shared": shared,
    "between": between,
    "arrays": lambda: model_of(Arrays(name="arrays"), (3,)),
    "attention": lambda: model_of(Attention(name="attention"), (4, 3)),
    "subclass": lambda: model_of(Conv(2, 3, padding="same", name="conv"), (4, 4, 2)),
    "rows": lambda: model_of(Rows(name="rows"), (3, 1)),
    "query": lambda: model_of(Query(name="query"), (3, 40)),
    "learned query": lambda: model_of(Learned(["query"], name="learned"), (4, 2, 3)),
    "learned keys": lambda: model_of(Learned(["key", "value"], name="learned"), (4, 2, 3)),
    "counted": lambda: model_of(Counted(name="counted"), (4, 2)),
    "compared": lambda: model_of(Compared(name="compared"), (4,)),
    "tables": turned,
    "beside": beside,
    "read twice": read_twice,
    "remaking": lambda: model_of(Remaking(name="remaking"), (3,)),
    "equal": lambda: model_of(Equal(name="equal"), (3,)),
    "identity": lambda: model_of(Same(name="same"), (3,)),
    "operation": lambda: model_of(Operation(name="operation"), (3,)),
    "twice": lambda: model_of(Twice(name="twice"), (3,)),
    "model within": lambda: model_of(Net(name="net"), (3,)),
    "lambda": lambda: model_of(layers.Lambda(lambda x: ops.relu(x) * 2, name="lambda"), (3,)),
}


def samples(graph, n=3):
    """Return a batch per input of a graph's model."""
    rng = np.random.default_rng(1)
    calls = [graph.topology[name] for name in graph.topology.inputs]
    return [
        rng.uniform(-2, 2, (n, *call.output_shapes[0])).astype("float32")
        if "float" in call.layer.dtype
        else rng.integers(0, 4, (n, *call.output_shapes[0]))
        for call in calls
    ]


@pytest.mark.parametrize("name", MODELS)
def test_a_traced_layer_computes_what_keras_does(name):
    model = MODELS[name]()
    graph = gg.from_keras(model, trace=True)
    assert graph.verify().passed
    assert graph.verify(samples(graph)).passed
    if is_affine(graph):
        expected, got = jacobians(model, graph)
        assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    else:
        assert not (dependence(model) & ~reach(graph)).any()


def test_what_a_layer_calls_is_named_after_both():
    graph = gg.from_keras(MODELS["layers"](), trace=True)
    assert [(p.name, p.layer) for p in graph.populations.values()] == [
        ("x0", "InputLayer"),
        ("block/conv", "Conv2D"),
        ("block/norm", "BatchNormalization"),
        ("block/add", "Add"),
    ]
    assert [p.kind for p in graph.projections] == ["weight", "scale", "copy", "copy"]


def test_layers_within_layers_are_opened_too():
    graph = gg.from_keras(MODELS["twice"](), trace=True)
    assert {name.rpartition("/")[0] for name in graph.populations} == {
        "",
        "twice/inner",
        "twice/inner#1",
    }


def test_variables_become_weights_scales_and_biases():
    model = MODELS["variables"]()
    layer = model.get_layer("affine")
    graph = gg.from_keras(model, trace=True)
    kinds = {p.target.name: p.kind for p in graph.projections}
    assert kinds == {
        "affine/matmul": "weight",
        "affine/multiply": "scale",
        "affine/subtract": "scale",
        "affine/add": "copy",
    }
    kernel, gamma, beta = (ops.convert_to_numpy(v) for v in layer.weights)
    weights = [p.kernel for p in graph.projections]
    assert_allclose(weights[0].reshape(kernel.shape), kernel)
    assert_allclose(weights[1], gamma)
    assert_allclose(graph.populations["affine/add"].bias, beta)
    assert graph.topology["affine/matmul"].n_parameters == 12
    assert sum(call.n_parameters for call in graph.topology) == 12 + 3 + 2 * 3  # beta is read twice
    assert graph.topology.n_parameters == 18


def test_einsum_with_a_variable_has_weights():
    graph = gg.from_keras(MODELS["einsum"](), trace=True)
    assert [p.kind for p in graph.projections] == ["weight"]


def test_layers_that_each_call_makes_anew_leave_no_mark():
    model = MODELS["remaking"]()
    before = states(model)
    assert names(model) == names(model)
    assert states(model) == before


def test_a_constant_has_nodes_without_edges():
    graph = gg.from_keras(MODELS["constant"](), trace=True)
    assert list(graph.populations) == ["x0", "table/constant"]
    assert graph.n_edges == 0


def test_a_constant_that_one_of_keras_layers_reads_has_nodes_too():
    graph = gg.from_keras(MODELS["constant within"](), trace=True)
    assert "placed/constant" in graph.populations
    assert {p.source.name for p in graph.projections if p.target.name == "placed/sum"} == {
        "placed/constant",
        "placed/pair/multiply",
    }


def test_constants_are_handed_on():
    graph = gg.from_keras(MODELS["tables"](), trace=True)
    assert not any(name.startswith("tables") for name in graph.populations)


def test_a_constant_has_nodes_where_one_of_keras_layers_reads_it():
    graph = gg.from_keras(MODELS["read twice"](), trace=True)
    assert {(p.source.name, p.target.name) for p in graph.projections} == {
        ("x0", "sum/add"),
        ("sum/add", "add"),
        ("table/constant", "add"),
    }


def test_what_nothing_reads_has_no_nodes():
    assert list(gg.from_keras(MODELS["beside"](), trace=True).populations) == [
        "x0",
        "beside/multiply",
    ]


@pytest.mark.parametrize(
    ("read", "reader"),
    [
        (lambda x, table: table, "the model gives"),
        (lambda x, table: layers.Add(name="add")([x, table]), r"'add' \(Add\) reads"),
    ],
)
def test_a_constant_without_nodes_that_is_read_as_a_tensor_is_refused(read, reader):
    x = keras.Input((4, 2))
    model = keras.Model(x, read(x, Tables(name="tables")(x)[0]))
    message = rf"'tables/constant', which {reader}: .* of shape \(4, 2\), which has no axis"
    with pytest.raises(gg.UnsupportedLayerError, match=message):
        gg.from_keras(model, trace=True)


def test_a_layer_of_constants_alone_that_cannot_be_traced_is_refused():
    x = keras.Input((4, 2))
    model = keras.Model(x, Sum()(x, shaped(guessing_all)(Tables()(x)[0])))
    message = r"'odd' \(Odd\): it is called on constants alone, .* another one at each call"
    with pytest.raises(gg.UnsupportedLayerError, match=message):
        gg.from_keras(model, trace=True, probe=True)


def test_a_constant_that_is_another_one_at_each_call_is_refused():
    def call(self, x):
        return x, np.random.default_rng().normal(size=(4, 2)).astype("float32")

    x = keras.Input((4, 2))
    layer = shaped(call, compute_output_shape=lambda self, shape: (shape, shape[1:]))
    model = keras.Model(x, Sum()(*layer(x)))
    with pytest.raises(gg.UnsupportedLayerError, match=r"'odd'.*'constant' goes by"):
        gg.from_keras(model, trace=True)


def test_a_layer_of_whole_numbers():
    class Next(layers.Layer):
        def call(self, x):
            return x + 1

    x = keras.Input((3,), dtype="int32")
    model = keras.Model(x, layers.Embedding(9, 2)(Next(dtype="int32")(x)))
    assert gg.from_keras(model, trace=True).verify().passed


def test_computes_in_the_layers_precision():
    layer = Affine(name="half", dtype="mixed_float16")
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4), layer])
    graph = gg.from_keras(model, trace=True)
    assert graph.topology["half/cast"].layer.dtype == "float16"
    assert graph.verify().passed


# Names and layers stay


def names(model):
    return [call.name for call in gg.topology(model, trace=True)]


def test_names_do_not_depend_on_what_was_named_before():
    model = MODELS["attention"]()
    first = names(model)
    x = keras.Input((2,))
    for _ in range(3):
        x = ops.einsum("bi->bi", x) + ops.softmax(x)
    assert names(model) == first
    assert names(MODELS["attention"]()) == first
    assert first == [
        "x0",
        "attention/query",
        "attention/key",
        "attention/einsum",
        "attention/true_divide",
        "attention/softmax",
        "attention/einsum_1",
        "attention/mean",
    ]


def test_names_of_the_session_go_on_as_if_nothing_was_traced():
    model = MODELS["between"]()
    counters = dict(global_state.get_global_attribute("object_name_uids"))
    gg.from_keras(model, trace=True)
    assert dict(global_state.get_global_attribute("object_name_uids")) == counters


def states(model):
    """Return what every layer of a model holds, and how often it was called."""
    found = []
    for layer in model._flatten_layers():
        nodes = [*map(id, layer._inbound_nodes), *map(id, layer._outbound_nodes)]
        found.append((layer.name, {k: id(v) for k, v in vars(layer).items()}, nodes))
    return found


class Noting(layers.Layer):
    """Notes what it saw."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(3, name="dense")
        self.seen = None

    def call(self, x):
        self.seen = x
        self.new = 1
        self.add_loss(ops.sum(x))
        return self.dense(x)


@pytest.mark.parametrize("name", ["layers", "shared", "twice", "model within", "noting"])
def test_layers_stay_as_they_are(name, tmp_path):
    model = model_of(Noting(name="noting"), (3,)) if name == "noting" else MODELS[name]()
    before, losses = states(model), len(model.losses)
    weights = [ops.convert_to_numpy(v).copy() for v in model.weights]
    for _ in range(2):
        gg.from_keras(model, trace=True)
    assert states(model) == before
    assert len(model.losses) == losses
    for variable, value in zip(model.weights, weights, strict=True):
        assert_allclose(variable, value, atol=0, rtol=0)
    model.save(tmp_path / "model.keras")
    assert all(layer.output is not None for layer in model.layers)


def attributes_of_keras():
    """Return what tracing replaces for a while."""
    classes = [keras.Variable, keras.KerasTensor, keras.Operation, keras.Layer]
    classes.append(type(ops.zeros(())))
    return [dict(vars(cls)) for cls in classes]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, None])
def test_keras_stays_as_it_is(error):
    def call(self, x):
        if error is not None:
            raise error
        return 2 * x

    x = keras.Input((3,))
    model = keras.Model(x, shaped(call, compute_output_spec=lambda self, x: 1 * x)(x))
    before = attributes_of_keras()
    try:
        gg.from_keras(model, trace=True)
    except (gg.UnsupportedLayerError, KeyboardInterrupt):
        assert error is not None
    assert attributes_of_keras() == before


def test_threads_trace_one_model():
    model = MODELS["twice"]()
    before, expected = states(model), names(model)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(names, [model] * 12)) == [expected] * 12
    assert states(model) == before


def test_layers_stay_as_they_are_where_tracing_fails():
    class Failing(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = layers.Dense(3)

        def call(self, x):
            return self.dense(x) if ops.max(self.dense(x)) > 0 else x

        def compute_output_shape(self, shape):
            return shape

    layer = Failing()
    layer.dense.build((None, 3))
    model = model_of(layer, (3,))
    before = states(model)
    with pytest.raises(gg.UnsupportedLayerError):
        gg.from_keras(model, trace=True)
    assert states(model) == before


# What is not traced


def test_nothing_is_traced_unless_asked_for():
    message = r"'affine' \(Affine\): no converter .*converts\(\"Affine\"\).*trace=True \(--trace\)"
    with pytest.raises(gg.UnsupportedLayerError, match=message):
        gg.from_keras(MODELS["variables"]())


def test_converters_win_over_tracing(monkeypatch):
    from gpugraph import registry

    def passed_on(call):
        return call.source

    monkeypatch.setitem(registry._CONVERTERS, "Same", passed_on)
    topology = gg.topology(MODELS["identity"](), trace=True)
    assert [call.layer_class for call in topology] == ["InputLayer", "Same"]


def test_layers_that_keras_has_stay_refused():
    layer = layers.ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(2, 2))
    model = model_of(layer, (4, 4, 3))
    with pytest.raises(gg.UnsupportedLayerError, match=r"histograms.*cut the model") as error:
        gg.from_keras(model, trace=True)
    assert "trace" not in str(error.value)


def shaped(call, **methods):
    """Return a layer of this call(), which Keras does not run to know the output's shape."""
    methods = {"call": call, "compute_output_shape": lambda self, shape: shape, **methods}
    return type("Odd", (layers.Layer,), methods)(name="odd")


def branching(self, x):
    return x if x > 0 else -x


def looping(self, x):
    return ops.stack([2 * y for y in x])


def of_numpy(self, x):
    return ops.convert_to_tensor(np.exp(ops.convert_to_numpy(x)))


def making(self, x):
    return layers.Dense(3)(x)


def counting(self, x):
    self.count.assign_add(1.0)
    return x


def drawing(self, x):
    return x + keras.random.normal((1, 3), seed=self.seed)


def recursive(self, x):
    return self(x)


def failing(self, x):
    raise ValueError("Nothing of the kind.")


def wordy(self, x):
    return "text"


def batchless(self, x):
    return x + layers.Maximum()([x, self.table])[:1]


def building(self, shape):
    self.count = self.add_weight(shape=(), name="count", initializer="zeros")
    self.table = self.add_weight(shape=(5, 3), name="table")
    self.seed = keras.random.SeedGenerator(1)


def calling(self, x):
    return layers.Layer.__call__(self, x)


def promising(self, x):
    return keras.KerasTensor(x.shape), keras.KerasTensor(x.shape)


def choosing(self, x):
    return ops.cond(ops.max(x) > 0, lambda: x, lambda: -x)


def switching(self, x):
    return ops.switch(ops.cast(ops.max(x) > 0, "int32"), [lambda y: x, ops.negative], x)


def guessing(self, x):
    return x + np.random.default_rng().normal(size=3).astype("float32")


def guessing_all(self, x):
    return ops.convert_to_tensor(np.random.default_rng().normal(size=x.shape).astype("float32"))


def numbering(self, x):
    self.calls = getattr(self, "calls", 0) + 1
    return x * self.calls


class Secret(layers.Layer):
    """Keeps to itself what it does."""

    def __init__(self, by):
        super().__init__()
        self._by = {"by": [by]}

    def call(self, x):
        return x * self._by["by"][0]

    def get_config(self):
        return {}


class Alternating(layers.Layer):
    """Has layers that are configured alike."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.layers = [layers.Dense(3, name="dense"), layers.Dense(3, name="dense")]
        self.n = 0

    def build(self, shape):
        for layer in self.layers:
            layer.build(shape)

    def call(self, x):
        self.n += 1
        return self.layers[self.n % 2](x)

    def compute_output_shape(self, shape):
        return shape


def closed_over(x, function):
    k = np.random.default_rng().normal()
    return layers.Activation(function(k))(x)


# Layers that each call makes anew, and that do something else each time.
OTHERS = {
    "drawn": lambda x: layers.Rescaling(np.random.default_rng().normal())(x),
    "counted": lambda x: layers.Rescaling(float(next(COUNTER)))(x),
    "of a batch": lambda x: layers.Rescaling(1 / x.shape[0])(x),
    "of a class of one's own": lambda x: Secret(np.random.default_rng().normal())(x),
    "a function": lambda x: closed_over(x, lambda k: lambda y: k * y),
    "part of a function": lambda x: closed_over(x, lambda k: functools.partial(ops.multiply, k)),
    "of another class": lambda x: layers.Activation(["tanh", "relu"][next(COUNTER) % 2])(x),
    "within": lambda x: layers.TimeDistributed(layers.Rescaling(next(COUNTER)))(x[:, None])[:, 0],
}
COUNTER = itertools.count(1)


REFUSED = {
    "choosing": (shaped(choosing), "which function it runs depends on the inputs"),
    "switching": (shaped(switching), "which function it runs depends on the inputs"),
    "guessing": (shaped(guessing), "'add' goes by the size.* or is another one at each call"),
    "numbering": (shaped(numbering), "'multiply' goes by.* is another one at each call"),
    "alternating": (Alternating(name="odd"), "'dense' goes by the size.* is another one at each"),
    "dropout": (shaped(lambda self, x: layers.Dropout(0.5)(x)), "makes variables"),
    "branching": (shaped(branching), "cannot be used as a boolean"),
    "looping": (shaped(looping), "Iterating over a symbolic KerasTensor"),
    "numpy": (shaped(of_numpy), "It doesn't have any actual numerical value"),
    "variables": (shaped(making), "makes variables; call the model on data once"),
    "counting": (shaped(counting, build=building), "changes variables"),
    "drawing": (shaped(drawing, build=building), "changes variables"),
    "recursive": (shaped(recursive), "calls itself|recursion depth"),
    "failing": (shaped(failing), "Nothing of the kind"),
    "text": (shaped(wordy), "among its outputs is str"),
    "batchless": (shaped(batchless, build=building), r"a layer on a constant of shape \(5, 3\)"),
    "promised": (
        shaped(lambda self, x: x, compute_output_spec=promising),
        "gives 1 tensors instead of 2",
    ),
    "__call__": (shaped(lambda self, x: x, __call__=calling), "a __call__.. of its own"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_call_that_cannot_be_traced_is_refused_with_the_reason(name):
    layer, why = REFUSED[name]
    name = type(layer).__name__
    message = rf"layer 'odd' \({name}\): .*cannot be traced: .*({why}).*converts\(\"{name}\"\)"
    x = keras.Input((3,))
    model = keras.Model(x, layer(x))
    with pytest.raises(gg.UnsupportedLayerError, match=message) as error:
        gg.from_keras(model, trace=True)
    assert "keras.ops" in str(error.value)
    assert "probe=True" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="calls its functions")
def test_a_call_of_tensorflows_functions_is_refused_with_the_reason():
    def call(self, x):
        import tensorflow

        return tensorflow.exp(x)

    x = keras.Input((3,))
    with pytest.raises(gg.UnsupportedLayerError, match=r"traced: .* a TensorFlow function\. Reg"):
        gg.from_keras(keras.Model(x, shaped(call)(x)), trace=True)


@pytest.mark.parametrize("name", OTHERS)
def test_a_layer_that_is_another_one_at_each_call_is_refused(name):
    x = keras.Input((3,))
    model = keras.Model(x, shaped(lambda self, x: OTHERS[name](x))(x))
    with pytest.raises(gg.UnsupportedLayerError, match=r"'odd' .*or is another one at each call"):
        gg.from_keras(model, trace=True)


BY_BATCH = {
    "divided": lambda x: x / ops.shape(x)[0],
    "times": lambda x: x * float(x.shape[0]),
    "sized": lambda x: x / ops.cast(ops.size(x), "float32"),
    "a little": lambda x: x + ops.convert_to_tensor([1 + 1e-5 * x.shape[0], 1e-9, -1e9]),
    "of little": lambda x: x + ops.convert_to_tensor(1e-9 * x.shape[0]),
    "one": lambda x: x if x.shape[0] == 1 else -x,
    "loop": lambda x: sum(x * i for i in range(1, 1 + x.shape[0])),
    "numbers": lambda x: x + ops.arange(ops.shape(x)[0], dtype="float32")[:, None],
    "diagonal": lambda x: x + ops.eye(ops.shape(x)[0], 3),
    "total": lambda x: x * ops.sum(ops.ones((ops.shape(x)[0], 1))),
    "mean": lambda x: x + ops.mean(ops.reshape(x, (1, -1, 3)), axis=1),
    "one only": lambda x: ops.reshape(x, (1, 3)) * 2,
    "nothing": lambda x: x if x.shape[0] == 1 else ops.zeros_like(x),
    "other": lambda x: [x, 2 * x][min(x.shape[0], 2) - 1],
}


@pytest.mark.parametrize("name", BY_BATCH)
def test_a_call_that_goes_by_the_size_of_the_batch_is_refused(name):
    x = keras.Input((3,))
    model = keras.Model(x, shaped(lambda self, x: BY_BATCH[name](x))(x))
    message = r"'odd' .*cannot be traced: (its '\w+' (goes by|joins)|not for 3 samples as for one)"
    with pytest.raises(gg.UnsupportedLayerError, match=message):
        gg.from_keras(model, trace=True)


JOINING = {
    "mean": lambda x: x - ops.mean(x, axis=0),
    "mean, kept": lambda x: x - ops.mean(x, axis=-2, keepdims=True),
    "moments": lambda x: x - ops.moments(x, axes=[0])[0],
    "largest": lambda x: x / ops.max(x),
    "norm": lambda x: x / ops.norm(x, axis=0),
    "softmax": lambda x: ops.log_softmax(x, axis=0),
    "running": lambda x: ops.cumsum(x, axis=0),
    "sorted": lambda x: ops.sort(x, axis=0),
    "order": lambda x: x * ops.cast(ops.argsort(x, axis=0), "float32"),
    "position": lambda x: x * ops.cast(ops.argmax(x, axis=0), "float32"),
    "taken": lambda x: ops.take(x, ops.argmax(x, axis=-1), axis=0),
    "taken along": lambda x: ops.take_along_axis(x, ops.cast(x * 0, "int32"), axis=0),
    "flat order": lambda x: ops.reshape(ops.argsort(ops.reshape(x, (-1, 1)), axis=0), (-1, 3)),
    "found": lambda x: ops.where(ops.isin(x, x[:, :1]), x, 0.0),
    "routed": lambda x: ops.sum(ops.one_hot(ops.top_k(ops.transpose(x), 1)[1], 3), axis=1) + x,
    "flipped": lambda x: ops.flip(x, axis=0),
    "rolled": lambda x: x - ops.roll(x, 1, axis=0),
    "first": lambda x: x - x[0],
    "first taken": lambda x: x - ops.take(x, [0], axis=0),
    "first sliced": lambda x: x - x[:1],
    "products": lambda x: ops.softmax(x @ ops.transpose(x)) @ x,
    "einsum": lambda x: ops.einsum("bi,ci,cj->bj", x, x, x),
    "covariance": lambda x: x @ ops.tensordot(x, x, axes=[[0], [0]]),
    "differences": lambda x: ops.sum(ops.expand_dims(x, 1) - ops.expand_dims(x, 0), axis=1),
    "convolved": lambda x: ops.conv(x[None, ...], np.ones((2, 3, 3), "float32"), padding="same")[0],
    "twice": lambda x: ops.concatenate([x, x], axis=0),
    "layer": lambda x: layers.Concatenate(axis=0)([x, x]),
    "repeated": lambda x: ops.repeat(x, 2, axis=0),
    "flat": lambda x: ops.reshape(ops.cumsum(ops.reshape(x, (-1, 1)), axis=0), (-1, 3)),
}


@pytest.mark.parametrize("name", JOINING)
def test_a_call_that_joins_samples_is_refused(name):
    x = keras.Input((3,))
    model = keras.Model(x, shaped(lambda self, x: JOINING[name](x))(x))
    with pytest.raises(gg.UnsupportedLayerError):
        gg.from_keras(model, trace=True)


def test_a_layer_of_unknown_shape_that_cannot_be_traced_is_refused_with_the_reason():
    layer = shaped(branching, compute_output_shape=lambda self, shape: (None, None))
    x = keras.Input((3,))
    model = keras.Model(x, layer(x))
    with pytest.raises(gg.ShapeError, match=r"'odd' \(Odd\) cannot be traced: .*boolean.* gives"):
        gg.from_keras(model, trace=True)


def test_a_layer_that_does_not_tell_what_it_gives_is_traced_at_any_size():
    class Closed(layers.Layer):
        def call(self, x):
            return ops.tanh(x)

        def compute_output_spec(self, x):
            return keras.KerasTensor((None, None, 3))

    x = keras.Input((None, 3))
    model = keras.Model(x, layers.Dense(2)(Closed()(x)))
    with pytest.raises(gg.ShapeError, match="leaves a dimension open"):
        gg.from_keras(model, (4, 3))
    assert gg.from_keras(model, (4, 3), trace=True).verify().passed


def test_what_compares_all_samples_with_all_is_refused_for_that():
    class Compared(layers.Layer):
        def call(self, images, texts):
            return images @ ops.transpose(texts)

        def compute_output_spec(self, images, texts):
            return keras.KerasTensor((images.shape[0], texts.shape[0]))

    images, texts = keras.Input((3,)), keras.Input((3,))
    model = keras.Model([images, texts], Compared(name="head")(images, texts))
    message = r"^The call\(\) of layer 'head' .* its 'matmul' joins the samples of the batch"
    with pytest.raises(gg.ShapeError, match=message) as error:
        gg.from_keras(model, trace=True)
    assert "input_shape" not in str(error.value)
    model = keras.Model([images, texts], ops.matmul(images, ops.transpose(texts)))
    with pytest.raises(gg.UnsupportedLayerError, match=r"'matmul.* its batch axis is another"):
        gg.from_keras(model)


def test_quantised_layers_are_not_traced():
    layer = shaped(lambda self, x: 2 * x, quantized_call=lambda self, x: x)
    x = keras.Input((3,))
    y = layer(x)
    layer._dtype_policy = keras.dtype_policies.get("int8_from_float32")
    with pytest.raises(gg.UnsupportedLayerError, match="cannot be traced: it is quantised"):
        gg.from_keras(keras.Model(x, y), trace=True)


def test_a_layer_within_that_is_not_built_is_refused():
    class Outer(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = Affine(name="inner")

        def call(self, x):
            return self.inner(x)

        def build(self, shape):
            pass

        def compute_output_shape(self, shape):
            return shape

    x = keras.Input((3,))
    model = keras.Model(x, Outer(name="outer")(x))
    with pytest.raises(gg.UnsupportedLayerError, match="'inner' is not built; call the model"):
        gg.from_keras(model, trace=True)
    model(np.ones((1, 3)))
    assert gg.from_keras(model, trace=True).verify().passed


def test_layers_called_for_training_are_refused():
    x = keras.Input((4, 4, 2))
    model = keras.Model(x, Block(name="block")(x, training=True))
    with pytest.raises(gg.UnsupportedLayerError, match=r"'block'.*training=True"):
        gg.from_keras(model, trace=True)


class Averaged(layers.Layer):
    """Goes by the mask that its input carries."""

    supports_masking = True

    def call(self, x, mask=None):
        weights = ops.expand_dims(ops.cast(mask, "float32"), -1)
        return x * weights / ops.sum(weights, axis=1, keepdims=True)


class Doubled(layers.Layer):
    """Passes masks on."""

    supports_masking = True

    def call(self, x):
        return 2 * x


class Words(layers.Layer):
    """Makes a mask."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.words = layers.Embedding(5, 3, mask_zero=True, name="words")

    def call(self, tokens):
        return self.words(tokens)

    def compute_mask(self, tokens, mask=None):
        return self.words.compute_mask(tokens)


@pytest.mark.parametrize("first", [layers.Embedding(5, 3, mask_zero=True), Words()])
@pytest.mark.parametrize(
    "last", ["Averaged", "LSTM", "GlobalAveragePooling1D", "Multiply", "MultiHeadAttention"]
)
def test_masks_go_through_traced_layers(first, last):
    tokens = keras.Input((4,), dtype="int32", name="tokens")
    x = Doubled()(first(tokens))
    readers = {
        "Averaged": lambda: Averaged()(x),
        "LSTM": lambda: layers.LSTM(2)(x),
        "GlobalAveragePooling1D": lambda: layers.GlobalAveragePooling1D()(x),
        "Multiply": lambda: layers.Multiply()([x, layers.Dense(3)(x)]),
        "MultiHeadAttention": lambda: layers.MultiHeadAttention(1, 2)(x, x),
    }
    model = keras.Model(tokens, readers[last]())
    graph = gg.from_keras(model, trace=True)
    for batch in ([[1, 2, 0, 0]], [[3, 1, 2, 4]], [[0, 2, 0, 1]]):
        assert graph.verify(np.array(batch)).passed


def test_what_cannot_be_traced_is_probed():
    def doubled(self, x):
        return ops.convert_to_tensor(2 * ops.convert_to_numpy(x))

    x = keras.Input((3,))
    model = keras.Model(x, Affine(name="affine")(shaped(doubled)(x)))
    graph = gg.from_keras(model, trace=True, probe=True)
    assert graph.populations["odd"].layer == "Odd"
    assert "affine/matmul" in graph.populations
    assert graph.verify().passed


def test_the_topology_lists_what_cannot_be_traced():
    layer, why = REFUSED["failing"]
    x = keras.Input((3,))
    topology = gg.topology(keras.Model(x, layer(x)), trace=True)
    assert topology["odd"].untraced == why


# Models that define their own call


class Model(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Dense(4, activation="relu", name="first")
        self.block = Affine(name="block")
        self.wrong = None

    def call(self, x, training=False):
        y = self.block(self.first(x))
        return self.wrong(y) if self.wrong else y


class Dicts(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.one, self.other = layers.Dense(3, name="one"), layers.Dense(3, name="other")

    def call(self, inputs):
        return {"sum": self.one(inputs["u"]) + self.other(inputs["v"]), "u": inputs["u"]}


class Lists(Dicts):
    def call(self, inputs):
        u, v = inputs
        return [self.one(u), self.other(v)]


class Parameters(Dicts):
    def call(self, u, v=None):
        return self.one(u) if v is None else self.one(u) * self.other(v)


class Tokens(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.words = layers.Embedding(7, 4, name="words")
        self.places = layers.Embedding(5, 4, name="places")
        self.block = Attention(name="block")

    def call(self, tokens):
        places = self.places(ops.arange(ops.shape(tokens)[1]))
        return self.block(self.words(tokens) + places)


class Image(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.block = Block(name="block")
        self.pool = layers.GlobalAveragePooling2D(name="pool")

    def call(self, image):
        return self.pool(self.block(image))


class Training(Model):
    """Trains unless told otherwise."""

    def __init__(self):
        super().__init__()
        self.dropout = layers.Dropout(0.5)

    def call(self, x, training=True):
        return self.dropout(super().call(x), training=training)


class Residual(keras.Sequential):
    """Layers in a row, with more to it."""

    def call(self, x):
        return x + super().call(x)


class Step(layers.Layer):
    """A step of a loop that a model writes out."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(3, activation="tanh", name="dense")

    def call(self, x, hidden):
        return self.dense(ops.concatenate([x, hidden], axis=-1))


class Loop(keras.Model):
    def __init__(self):
        super().__init__()
        self.step = Step(name="step")

    def call(self, x):
        hidden = ops.zeros((ops.shape(x)[0], 3))
        for t in range(x.shape[1]):
            hidden = self.step(x[:, t], hidden)
        return hidden


class Functional(keras.Model):
    """A functional model with more to it."""

    def __init__(self):
        x = keras.Input((3,), name="x")
        super().__init__(x, layers.Dense(2, name="dense")(x), name="functional")

    def call(self, inputs):
        return 2 * super().call(inputs)


def called(model, *args, **kwargs):
    model(*args, **kwargs)
    randomise(model)
    return model


def ones(*shape):
    return np.ones(shape, "float32")


OWN = {
    "one": (lambda: called(Model(name="model"), ones(2, 5)), None, ["x"]),
    "dict": (lambda: called(Dicts(), {"u": ones(2, 4), "v": ones(2, 5)}), None, ["u", "v"]),
    "list": (lambda: called(Lists(), [ones(2, 4), ones(2, 5)]), None, ["inputs_0", "inputs_1"]),
    "parameters": (
        lambda: called(Parameters(), ones(2, 4), v=ones(2, 5)),
        {"u": (4,), "v": (5,)},
        ["u", "v"],
    ),
    "tokens": (lambda: called(Tokens(), np.ones((2, 5), "int32")), None, ["tokens"]),
    "image": (lambda: called(Image(), ones(2, 4, 4, 2)), None, ["image"]),
    "another size": (lambda: called(Image(), ones(2, 4, 4, 2)), (6, 5, 2), ["image"]),
    "training": (lambda: called(Training(), ones(2, 5)), None, ["x"]),
    "sequential": (
        lambda: called(Residual([keras.Input((4,)), layers.Dense(4)]), ones(2, 4)),
        None,
        ["x"],
    ),
    "loop": (lambda: called(Loop(), ones(2, 4, 2)), None, ["x"]),
    "functional": (Functional, None, ["inputs"]),
    "within": (
        lambda: keras.Sequential([keras.Input((5,), name="x"), called(Model(), ones(2, 5))]),
        None,
        ["x"],
    ),
}


class Cell(layers.Layer):
    """A cell of two states, the second of which starts from ones."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.state_size = [3, 2]
        self.output_size = 3
        self.dense = layers.Dense(3, activation="tanh", name="dense")
        self.decay = layers.Dense(2, name="decay")

    def build(self, shape):
        self.dense.build((None, shape[-1] + 5))
        self.decay.build((None, 2))

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, 3)), ops.ones((batch_size, 2))]

    def call(self, x, states):
        hidden, memory = states
        hidden = self.dense(ops.concatenate([x, hidden, memory], axis=-1))
        return hidden, [hidden, self.decay(memory) * hidden[:, :2]]


class Plain(layers.Layer):
    """A cell that leaves its first state to RNN."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.state_size = [3, 2]
        self.dense = layers.Dense(5, activation="tanh", name="dense")

    def build(self, shape):
        self.dense.build((None, shape[-1] + 5))

    def call(self, x, states):
        y = self.dense(ops.concatenate([x, *states], axis=-1))
        return y[:, :3], [y[:, :3], y[:, 3:]]


class Shaped(Affine):
    def compute_output_shape(self, shape):
        return (*shape[:-1], 3)


def masked_cell():
    x = keras.Input((4, 2), name="x")
    return keras.Model(x, layers.RNN(Cell(), name="rnn")(layers.Masking()(x)))


def model_within():
    net = keras.Sequential([keras.Input((2,)), Affine(name="affine")], name="net")
    return model_of(layers.TimeDistributed(net, name="steps"), (4, 2))


HOLDING = {
    "cell": lambda: model_of(layers.RNN(Cell(), name="rnn"), (4, 2)),
    "sequences": lambda: model_of(layers.RNN(Cell(), return_sequences=True, name="rnn"), (4, 2)),
    "plain": lambda: model_of(layers.RNN(Plain(), name="rnn"), (4, 2)),
    "masked": masked_cell,
    "stacked": lambda: model_of(
        layers.RNN([layers.LSTMCell(2), Cell(name="cell")], name="rnn"), (3, 2)
    ),
    "time": lambda: model_of(layers.TimeDistributed(Shaped(), name="steps"), (4, 2)),
    "time, model": model_within,
}


@pytest.mark.parametrize("name", HOLDING)
def test_what_another_layer_holds_is_traced(name):
    model = HOLDING[name]()
    with pytest.raises(gg.UnsupportedLayerError, match="trace=True"):
        gg.from_keras(model)
    graph = gg.from_keras(model, trace=True)
    assert graph.verify().passed
    assert graph.verify(samples(graph)).passed
    assert not (dependence(model) & ~reach(graph)).any()


@pytest.mark.parametrize("name", HOLDING)
def test_what_another_layer_holds_takes_other_weights(name):
    model = HOLDING[name]()
    graph = gg.from_keras(model, trace=True)
    other = HOLDING[name]()
    for variable in other.weights:
        variable.assign(variable + 0.5)
    assert graph.with_weights(other).verify().passed


def test_a_model_that_names_the_size_of_its_batch():
    x = keras.Input(batch_shape=(2, 3))
    y = ops.reshape(Affine(name="affine")(x), (2, 3, 1))
    model = keras.Model(x, y)
    randomise(model)
    assert gg.from_keras(model, trace=True).verify().passed


def test_a_cell_that_cannot_be_traced_is_refused():
    class Failing(Cell):
        def call(self, x, states):
            return (x, states) if ops.max(x) > 0 else (states[0], states)

        def compute_output_shape(self, *shapes):
            return (None, 3), [(None, 3), (None, 2)]

    x = keras.Input((4, 2))
    model = keras.Model(x, layers.RNN(Failing(), name="rnn")(x))
    with pytest.raises(
        gg.UnsupportedLayerError, match=r"'rnn' .*call\(\) of its Failing .*boolean"
    ):
        gg.from_keras(model, trace=True)


@pytest.mark.parametrize("name", OWN)
def test_a_model_of_its_own_call_computes_what_keras_does(name):
    make, input_shape, inputs = OWN[name]
    model = make()
    graph = gg.from_keras(model, input_shape, trace=True)
    assert list(graph.topology.inputs) == inputs
    assert graph.verify().passed
    assert graph.verify(samples(graph)).passed
    assert graph.topology.n_parameters == model.count_params()
    assert graph.topology.to_networkx().number_of_nodes() == len(graph.topology)
    assert graph.summary().n_parameters == model.count_params()


def test_a_model_of_its_own_call_is_the_same_as_a_functional_one():
    model = OWN["one"][0]()
    x = keras.Input((5,), name="x")
    functional = keras.Model(x, model.block(model.first(x)))
    first, second = gg.from_keras(model, trace=True), gg.from_keras(functional, trace=True)
    assert list(first.populations) == list(second.populations)
    assert (first.to_scipy() != second.to_scipy()).nnz == 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda y: -y,
        lambda y: y - ops.mean(y, axis=0),
        lambda y: ops.reshape(y, (1, -1)),
    ],
)
def test_verify_calls_the_model_itself(wrong):
    model = OWN["one"][0]()
    graph = gg.from_keras(model, trace=True)
    model.wrong = wrong
    assert not graph.verify().passed


def test_tokens_are_whole_numbers():
    topology = gg.topology(OWN["tokens"][0](), trace=True)
    assert topology["tokens"].layer.dtype == "int32"


def test_models_of_their_own_call_are_refused_unless_traced():
    with pytest.raises(gg.ModelError, match=r"defines its own call.*trace=True \(--trace\)"):
        gg.from_keras(OWN["one"][0]())


def test_models_that_are_not_built_are_refused():
    with pytest.raises(gg.ModelError, match=r"class Model\) is not built.*Call it on data"):
        gg.from_keras(Model(), (5,), trace=True)


def test_models_that_do_not_tell_their_shape_are_given_one():
    model = Model(name="model")
    model.first.build((None, 5))
    model.block.build((None, 4))
    model.built = True
    with pytest.raises(gg.ShapeError, match=r"'model' \(class Model\) does not tell.*input_shape="):
        gg.from_keras(model, trace=True)
    assert gg.from_keras(model, (5,), trace=True).verify().passed


def test_models_called_on_several_parameters_are_given_their_shapes():
    class Two(Dicts):
        def call(self, u, v):
            return self.one(u) + self.other(v)

    model = called(Two(name="two"), ones(2, 4), ones(2, 5))
    with pytest.raises(gg.ShapeError, match=r"'two' .* on v, too.*={'u': \(...\), 'v': \(...\)}"):
        gg.from_keras(model, trace=True)
    assert gg.from_keras(model, {"u": (4,), "v": (5,)}, trace=True).verify().passed


@pytest.mark.filterwarnings("ignore:.*looks like it has unbuilt state:UserWarning")
def test_models_called_on_parameters_without_names_are_refused():
    class Any(Dicts):
        def call(self, *tensors):
            return self.one(tensors[0])

    with pytest.raises(gg.ModelError, match=r"'any' .*have no names.*call\(self, inputs\)"):
        gg.from_keras(called(Any(name="any"), ones(2, 4)), trace=True)


def test_the_smallest_size_is_not_searched_for():
    with pytest.raises(gg.ShapeError, match="input_shape in numbers"):
        gg.from_keras(OWN["image"][0](), "minimal", trace=True)


def test_shapes_that_do_not_fit_are_told():
    with pytest.raises(gg.ShapeError, match="'image' has 3 dimensions"):
        gg.from_keras(OWN["image"][0](), (6, 2), trace=True)


def test_a_model_whose_call_cannot_be_traced_is_refused():
    class Branching(Model):
        def call(self, x):
            return self.first(x) if ops.max(x) > 0 else x

    model = Branching(name="branching")
    model.first.build((None, 4))
    model.block.build((None, 4))
    model.built = True
    message = r"'branching' \(class Branching\) cannot be traced: .*boolean.*keras.Model\(inputs"
    with pytest.raises(gg.ModelError, match=message):
        gg.from_keras(model, (4,), trace=True)


# What is made of a traced graph


def test_at_another_size():
    x = keras.Input((None, None, 2))
    model = keras.Model(x, Block(name="block")(x))
    graph = gg.from_keras(model, (5, 4, 2), trace=True)
    assert graph.populations["block/add"].shape == (5, 4, 2)
    assert graph.verify().passed


def test_shapes_that_keras_leaves_open():
    class OddPooling(layers.Layer):
        def call(self, x):
            return ops.reshape(x, (-1, x.shape[1] // 2, 2 * x.shape[2]))

        def compute_output_shape(self, shape):
            return (shape[0], None, 2 * shape[2])

    x = keras.Input((None, 2))
    model = keras.Model(x, layers.Conv1D(3, 1)(OddPooling(name="pooling")(x)))
    with pytest.raises(gg.ShapeError, match=r"'pooling' .* leaves a dimension open"):
        gg.from_keras(model, (6, 2))
    graph = gg.from_keras(model, (6, 2), trace=True)
    assert graph.verify().passed


def test_other_weights():
    model, other = OWN["one"][0](), OWN["one"][0]()
    for variable in other.weights:
        variable.assign(variable + 0.5)
    graph = gg.from_keras(model, trace=True).with_weights(other)
    assert_allclose(graph.populations["block/add"].bias, other.block.beta)
    assert graph.verify().passed


def test_weights_table_names_a_layers_own_variables():
    rows = gg.weights_table(OWN["one"][0]()).rows
    assert [(row.layer, row.role) for row in rows][2:] == [
        ("block", "kernel"),
        ("block", "gamma"),
        ("block", "beta"),
    ]


def test_measures_and_pictures_of_a_traced_graph():
    graph = gg.from_keras(OWN["within"][0](), trace=True)
    assert gg.pagerank(graph).top(1)
    assert graph.quotient("layer").n_nodes == len(graph.populations)


@pytest.mark.filterwarnings("ignore:.*does not have a `build:UserWarning")
def test_a_training_run_is_recorded():
    model = OWN["one"][0]()
    history = gg.GraphHistory({"edges": lambda graph: graph.n_edges}, trace=True)
    model.compile(loss="mse")
    record = model.fit(ones(4, 5), ones(4, 3), epochs=2, verbose=0, callbacks=[history])
    assert record.history["edges"] == [gg.from_keras(model, trace=True).n_edges] * 2


def test_commands_trace(tmp_path):
    path = tmp_path / "model.keras"
    MODELS["variables"]().save(path)
    refused = CliRunner().invoke(app, ["summary", str(path)])
    assert refused.exit_code == EXIT_CODES[gg.UnsupportedLayerError]
    shown = CliRunner().invoke(app, ["summary", str(path), "--trace"])
    assert (shown.exit_code, "affine/matmul" in shown.output) == (0, True)


def test_a_model_may_give_a_constant_once_for_all_samples():
    class Beside(layers.Layer):
        def call(self, x):
            return 2 * x, ops.arange(3.0)[None]

    x = keras.Input((4,))
    graph = gg.from_keras(keras.Model(x, Beside(name="beside")(x)), trace=True)
    assert graph.verify(np.ones((5, 4))).passed
    assert graph.evaluate(np.ones((5, 4)))["beside/constant"].shape == (5, 3)
