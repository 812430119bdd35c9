"""Layers without a converter, and models with a call() of their own, opened by tracing it."""

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


def shaped(call, **methods):
    """Return a layer of this call(), which Keras does not run to know the output's shape."""
    methods = {"call": call, "compute_output_shape": lambda self, shape: shape, **methods}
    return type("Odd", (layers.Layer,), methods)(name="odd")


def guessing_all(self, x):
    return ops.convert_to_tensor(np.random.default_rng().normal(size=x.shape).astype("float32"))


def ones(*shape):
    return np.ones(shape, "float32")


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
