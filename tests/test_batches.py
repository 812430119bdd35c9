"""Traced layers that fold positions into the batch axis, or move it."""

import keras
import numpy as np
import pytest
from keras import layers, ops

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


LAYERS = [Flat, Joint, FoldedHeads, Windows]


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
def test_what_a_layer_gives_is_a_batch(shape):
    class Rows(layers.Layer):
        def call(self, x):
            return ops.reshape(x, shape)

    with pytest.raises(gg.UnsupportedLayerError, match=r"'layer' .*the batch axis is not in front"):
        gg.from_keras(model_of(Rows), trace=True)
