"""Models, and what other layers hold, whose own ``call`` is traced; the inputs they are given."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from numpy.testing import assert_allclose

import gpugraph as gg
from tests.jacobian import randomise
from tests.layers.dependence import dependence, reach
from tests.model.test_tracing import Affine, Attention, Block, model_of, ones, samples


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
