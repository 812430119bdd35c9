"""Traced layers that fold positions into the batch axis, or move it."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from numpy.testing import assert_allclose

import gpugraph as gg
from tests.jacobian import randomise
from tests.reach import assert_reaches


class Flat(layers.Layer):
    """A Dense at every position, as of one long batch."""

    def build(self, shape):
        self.dense = layers.Dense(3, activation="tanh", name="dense")
        self.dense.build((None, shape[-1]))

    def call(self, x):
        batch, time, channels = ops.shape(x)
        y = self.dense(ops.reshape(x, (-1, channels)))
        y = y * ops.mean(y, axis=-1, keepdims=True)
        return ops.reshape(y, (batch, time, 3))


class Joint(layers.Layer):
    """Attention whose queries, keys and values come from one Dense, heads before positions."""

    def build(self, shape):
        self.joint = layers.Dense(3 * shape[-1], name="joint")
        self.joint.build(shape)

    def call(self, x):
        batch, time, channels = ops.shape(x)
        y = ops.reshape(self.joint(x), (batch, time, 3, 2, channels // 2))
        query, key, value = ops.unstack(ops.transpose(y, (2, 0, 3, 1, 4)), axis=0)
        scores = ops.softmax(ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))), axis=-1)
        means = ops.transpose(ops.matmul(scores, value), (0, 2, 1, 3))
        return ops.reshape(means, (batch, time, channels))


class FoldedHeads(Joint):
    """The same, with the heads folded into the batch axis behind the three of them."""

    def call(self, x):
        batch, time, channels = ops.shape(x)
        y = ops.reshape(self.joint(x), (batch, time, 3, 2, channels // 2))
        y = ops.transpose(y, (2, 0, 3, 1, 4))
        query, key, value = ops.unstack(ops.reshape(y, (3, batch * 2, time, -1)), axis=0)
        scores = ops.softmax(ops.matmul(query, ops.transpose(key, (0, 2, 1))), axis=-1)
        means = ops.reshape(ops.matmul(scores, value), (batch, 2, time, channels // 2))
        return ops.reshape(ops.transpose(means, (0, 2, 1, 3)), (batch, time, channels))


class Windows(Joint):
    """Attention within windows of two positions, of a sequence rolled by one."""

    def call(self, x):
        batch, time, channels = ops.shape(x)
        y = ops.reshape(ops.roll(x, 1, axis=1), (batch, time // 2, 2, channels))
        y = super().call(ops.reshape(y, (-1, 2, channels)))
        y = ops.reshape(y, (batch, time // 2, 2, channels))
        return x + ops.roll(ops.reshape(y, (batch, time, channels)), -1, axis=1)


class StepsFirst(Flat):
    """The steps of time before the samples, apart and in one long batch."""

    def build(self, shape):
        super().build(shape)
        self.beta = self.add_weight(shape=shape[-1:], name="beta")

    def call(self, x):
        batch, time, channels = ops.shape(x)
        y = ops.transpose(x, (1, 0, 2))
        y = ops.tanh(1 - y) * np.linspace(1, 2, time)[:, None, None] + self.beta
        y = ops.reshape(self.dense(ops.reshape(y, (-1, channels))), (time, batch, 3))
        return ops.transpose(ops.where(y > 0, y, 0), (1, 0, 2))


class Pairs(layers.Layer):
    """Steps of time, the samples between two dimensions of them: every one against every other."""

    def call(self, x):
        y = ops.transpose(x[:, :, 0], (1, 0))
        y = ops.cast(ops.logical_not(y[:, None] > y[None, :]), "float32")
        return ops.transpose(y, (2, 0, 1))


class Doubled(Flat):
    """A batch after another one, as of what is to be guided and what is not."""

    def call(self, x):
        y = self.dense(ops.concatenate([x, ops.tile(ops.flip(x, axis=1), (1, 1, 1))], axis=0))
        guided, free = ops.split(y, 2, axis=0)
        return free + 2 * (guided - free)


class Within(layers.Layer):
    """A model of layers, called at every position."""

    def build(self, shape):
        x = keras.Input(shape[-1:])
        y = layers.Dense(3, activation="tanh", name="dense")(2 * x)
        self.model = keras.Model(x, layers.LayerNormalization(name="norm")(y), name="model")

    def call(self, x):
        y = self.model(ops.reshape(x, (-1, x.shape[-1])))
        return ops.reshape(y, (-1, x.shape[1], 3))


class Experts(layers.Layer):
    """A mixture of experts: all of them, before the positions, at each position of a long batch."""

    def build(self, shape):
        self.router = layers.Dense(3, activation="softmax", name="router")
        self.router.build((None, shape[-1]))
        self.up = self.add_weight(shape=(3, shape[-1], 5), name="up")
        self.down = self.add_weight(shape=(3, 5, shape[-1]), name="down")

    def call(self, x):
        y = ops.reshape(x, (-1, x.shape[-1]))
        share, expert = ops.top_k(self.router(y), 2)
        share = ops.sum(ops.one_hot(expert, 3) * share[..., None], axis=1)
        hidden = ops.einsum("th,ehm->etm", y, self.up)
        hidden = ops.tanh(hidden) * ops.softmax(hidden, axis=0)
        hidden = hidden - ops.max(hidden, axis=2, keepdims=True)
        given = ops.einsum("etm,emh->eth", hidden, self.down)
        given = given * ops.transpose(share)[..., None]
        both = ops.einsum("eth,te->th", given, share) + ops.mean(given, axis=(0,))
        return ops.reshape(both + ops.sum(given, axis=0), ops.shape(x))


LAYERS = [Flat, Joint, FoldedHeads, Windows, StepsFirst, Pairs, Doubled, Within, Experts]


def model_of(layer, shape=(4, 6)):
    x = keras.Input(shape)
    model = keras.Model(x, layer(name="layer")(x))
    randomise(model)
    return model


@pytest.mark.parametrize("layer", LAYERS)
def test_the_graph_is_the_model(layer):
    graph = gg.from_keras(model_of(layer), trace=True)
    x = np.random.default_rng(0).standard_normal((3, 4, 6))
    assert graph.verify(x).passed
    assert_reaches(graph, x)
    assert graph.verify(x[:1]).passed


def test_windows_do_not_meet():
    graph = gg.from_keras(model_of(Windows), trace=True)
    part = graph.descendants(graph.node_id(graph.topology.inputs[0], (0, 0)))
    (name,) = (p.name for p in graph.outputs)
    # Rolled by one, the first position stands beside the last.
    assert {part.node(i)[1][0] for i in part.populations[name].ids} == {0, 3}


def test_a_dense_at_folded_positions_is_one_at_every_position():
    graph = gg.from_keras(model_of(Flat), trace=True)
    dense = graph.populations["layer/dense"]
    assert dense.shape == (4, 3)
    (projection,) = graph.projections_into["layer/dense"]
    assert (projection.kind, projection.n_edges) == ("weight", 4 * 6 * 3)
    assert projection.kernel.size == 6 * 3


def test_layers_on_folded_positions_may_be_any():
    class Read(layers.Layer):
        def build(self, shape):
            self.lstm = layers.LSTM(2, name="lstm")
            self.lstm.build((None, *shape[2:]))

        def call(self, x):
            batch, n, time, channels = ops.shape(x)
            return ops.reshape(self.lstm(ops.reshape(x, (-1, time, channels))), (batch, n, 2))

    graph = gg.from_keras(model_of(Read, (3, 4, 2)), trace=True)
    x = np.random.default_rng(0).standard_normal((3, 3, 4, 2))
    assert graph.verify(x).passed
    assert graph.populations["layer/lstm/t1/gates"].shape == (3, 4, 2)


JOINING = {
    "mean": lambda y: y - ops.mean(y, axis=0),
    "std": lambda y: y / ops.std(y, axis=0, keepdims=True),
    "softmax": lambda y: ops.softmax(y, axis=0),
    "cumsum": lambda y: ops.cumsum(y, axis=0),
    "roll": lambda y: ops.roll(y, 1, axis=0),
    "flip": lambda y: ops.flip(y, axis=0),
    "first": lambda y: y - y[0],
    "between": lambda y: ops.matmul(y @ ops.transpose(y), y),
    "transposed": lambda y: ops.transpose(ops.softmax(ops.transpose(y), axis=-1)),
    "weighted": lambda y: ops.transpose(ops.matmul(ops.transpose(y), ops.ones((4, 4)))),
    "renamed": lambda y: ops.reshape(ops.transpose(y), (-1, 6)),
    "first of two": lambda y: ops.concatenate([y, y + 1], axis=0)[::2],
    "added by an equation": lambda y: y + ops.einsum("th->h", y),
    "each with each": lambda y: ops.einsum("th,sh->ts", y, y)[:, :1] * y,
    "diagonal": lambda y: y + ops.einsum("tt->t", ops.einsum("th,sh->ts", y, y))[:, None],
    "moved, softmax": lambda y: ops.einsum("he->eh", ops.softmax(ops.einsum("th->ht", y), axis=1)),
    "moved, constant": lambda y: ops.einsum("ht,t->th", ops.transpose(y), np.arange(4.0)),
    "sums": lambda y: ops.sum(ops.reshape(y, (4, -1, 6)), axis=0),
}


@pytest.mark.parametrize("name", JOINING)
def test_what_joins_samples_is_refused(name):
    class Joining(layers.Layer):
        def call(self, x):
            y = JOINING[name](ops.reshape(x, (-1, x.shape[-1])))
            return ops.reshape(y, (-1, *x.shape[1:]))

    with pytest.raises(gg.UnsupportedLayerError, match="'layer"):
        gg.from_keras(model_of(Joining), trace=True)


def test_positions_in_a_batch_axis_that_has_moved():
    class Moved(layers.Layer):
        def call(self, x):
            batch, time, channels = ops.shape(x)
            y = ops.transpose(ops.reshape(x, (batch, time, 3, -1)), (2, 0, 1, 3))
            y = ops.reshape(y, (3, 1, batch * time, -1))
            y = ops.flip(ops.transpose(y, (2, 1, 0, 3)), axis=2)
            return ops.reshape(y, (batch, time, channels))

    graph = gg.from_keras(model_of(Moved), trace=True)
    assert graph.verify(np.random.default_rng(0).standard_normal((3, 4, 6))).passed
    assert {p.kind for p in graph.projections} == {"copy"}
    shapes = [call.output_shapes for call in graph.topology]
    assert shapes[3] == ((3, 1, 4, 2),)


@pytest.mark.parametrize("shape", [(-1, 6), (1, -1), (1, -1, 6)])
def test_what_a_model_gives_is_a_batch(shape):
    class Rows(layers.Layer):
        def call(self, x):
            return ops.reshape(x, shape)

    with pytest.raises(gg.UnsupportedLayerError, match=r"'layer/reshape' gives: the batch axis"):
        gg.from_keras(model_of(Rows), trace=True)


class Fold(layers.Layer):
    """Every frame of a video as a sample."""

    def call(self, x):
        return ops.reshape(x, (-1, *x.shape[2:]))

    def compute_output_shape(self, shape):
        return (None, *shape[2:])


class Unfold(layers.Layer):
    """The samples again, of as many frames each."""

    def call(self, x):
        return ops.reshape(x, (-1, 2, *x.shape[1:]))

    def compute_output_shape(self, shape):
        return (None, 2, *shape[1:])


class Shifted(layers.Layer):
    """A traced layer in between."""

    def call(self, x):
        return x + ops.max(x, axis=-1, keepdims=True)


def nested():
    x = keras.Input((4, 3))
    return keras.Model(x, layers.LayerNormalization(name="norm")(layers.Dense(3)(x)), name="nested")


BETWEEN = {
    "nothing": lambda x: x,
    "dense": layers.Dense(5, activation="tanh"),
    "convolution": layers.Conv1D(2, 3, padding="same"),
    "pooling": layers.MaxPooling1D(2),
    "normalisation": layers.LayerNormalization(),
    "flatten": layers.Flatten(),
    "attention": lambda x: layers.MultiHeadAttention(2, 3)(x, x),
    "recurrent": lambda x: layers.LSTM(2)(layers.Dropout(0.5)(x)),
    "traced": Shifted(),
    "nested": lambda x: nested()(x),
    "layers": lambda x: layers.Add()([x, layers.Activation("relu")(x)]),
    "operators": lambda x: ops.tanh(2 * x - 1) * x[:, :, ::-1] + ops.softmax(x, axis=1),
    "reduced": lambda x: ops.mean(x, axis=1),
    "turned": lambda x: ops.transpose(x, (0, 2, 1)),
    "turned to the back": lambda x: ops.transpose(1 + 2 * ops.transpose(x, (1, 2, 0)), (2, 0, 1)),
    "in and out": lambda x: Fold()(layers.Dense(2)(Unfold()(x))),
}


def video(between, shape=(2, 4, 3)):
    x = keras.Input(shape, name="video")
    model = keras.Model(x, Unfold()(between(Fold()(x))))
    randomise(model)
    return model


@pytest.mark.parametrize("name", BETWEEN)
def test_layers_between_layers_that_fold_and_unfold(name):
    model = video(BETWEEN[name])
    graph = gg.from_keras(model, trace=True)
    x = np.random.default_rng(0).standard_normal((3, 2, 4, 3)).astype(np.float32)
    assert graph.verify(x).passed
    assert graph.verify().passed
    output = graph.tensors[graph.topology.outputs[0].label].population.name
    expected = model.predict(x, verbose=0)
    assert_allclose(graph.evaluate(x)[output].reshape(expected.shape), expected, atol=1e-5)
    # Frames do not meet.
    part = graph.descendants(graph.node_id("video", (1, 0, 0)))
    assert {part.node(i)[1][0] for i in part.populations[output].ids} == {1}


def test_a_functional_model_folds_and_moves_by_itself():
    x = keras.Input((2, 4, 3))
    y = layers.Dense(5, activation="tanh")(ops.reshape(x, (-1, 4, 3)))
    y = ops.transpose(2 * ops.transpose(ops.reshape(y, (-1, 2, 4, 5)), (1, 2, 0, 3)), (2, 0, 1, 3))
    model = keras.Model(x, layers.Flatten()(y))
    randomise(model)
    graph = gg.from_keras(model)
    x = np.random.default_rng(0).standard_normal((3, 2, 4, 3))
    assert graph.verify(x).passed
    assert_reaches(graph, x)


REFUSED_BETWEEN = {
    "joined": (lambda x: x - ops.mean(x, axis=0), "its batch axis is another"),
    "first": (lambda x: x - x[0], "its batch axis is another"),
    "rolled": (lambda x: ops.roll(x, 1, axis=0), "from one sample of the batch to another"),
    "at the back": (
        lambda x: ops.transpose(layers.Dense(3)(ops.transpose(x, (1, 0, 2))), (1, 0, 2)),
        "its batch axis is another",
    ),
    "other samples": (
        lambda x: ops.reshape(ops.transpose(ops.reshape(x, (-1, 2, 12)), (1, 0, 2)), (-1, 4, 3)),
        "from one sample of the batch to another",
    ),
}


@pytest.mark.parametrize("name", REFUSED_BETWEEN)
def test_what_joins_folded_samples_is_refused(name):
    between, why = REFUSED_BETWEEN[name]
    with pytest.raises(gg.UnsupportedLayerError, match=why):
        gg.from_keras(video(between), trace=True)


def test_a_model_gives_samples_not_their_frames():
    x = keras.Input((2, 4, 3))
    model = keras.Model(x, layers.Dense(2, name="dense")(Fold()(x)))
    with pytest.raises(gg.UnsupportedLayerError, match="output that 'dense' gives: the batch axis"):
        gg.from_keras(model, trace=True)


def test_a_layer_that_cannot_be_traced_says_so_of_folded_positions_too():
    class Untraced(layers.Layer):
        def call(self, x):
            return x if ops.max(x) > 0 else -x

        def compute_output_shape(self, shape):
            return shape

    with pytest.raises(gg.UnsupportedLayerError, match=r"Untraced.*cannot be traced: .*boolean"):
        gg.from_keras(video(Untraced()), trace=True)


def test_models_that_fold_at_every_step():
    x = keras.Input((5, 2, 4, 3))
    model = keras.Model(x, layers.TimeDistributed(video(BETWEEN["dense"]))(x))
    graph = gg.from_keras(model, trace=True)
    assert graph.verify(np.random.default_rng(0).standard_normal((3, 5, 2, 4, 3))).passed
