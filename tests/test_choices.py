"""Models in which the inputs choose: mixtures of experts, quantisers, pooling, embeddings."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import gpugraph as gg
from tests.jacobian import randomise

WORDS, LENGTH, WIDTH = 7, 5, 4


class Experts(layers.Layer):
    """Each token by the two experts that its router trusts most, in the shares that it says."""

    def __init__(self, n_experts=3, k=2, **kwargs):
        super().__init__(**kwargs)
        self.n_experts, self.k = n_experts, k
        self.router = layers.Dense(n_experts, name="router")

    def build(self, shape):
        self.router.build(shape)
        kernels = (self.n_experts, shape[-1], shape[-1])
        self.kernels = self.add_weight(shape=kernels, initializer="normal", name="kernels")

    def call(self, x):
        shares = ops.softmax(self.router(x), axis=-1)
        largest, chosen = ops.top_k(shares, self.k)
        largest = largest / ops.sum(largest, axis=-1, keepdims=True)
        one_hot = ops.one_hot(chosen, self.n_experts)
        weights = ops.sum(one_hot * largest[..., None], axis=-2)
        return ops.einsum("btd,edf,bte->btf", x, self.kernels, weights)


class ExpertsOneByOne(Experts):
    """The same, token by token in a batch of all, and expert by expert."""

    def call(self, x):
        tokens = ops.reshape(x, (-1, WIDTH))
        shares = ops.softmax(self.router(tokens), axis=-1)
        largest, chosen = ops.top_k(shares, self.k)
        largest = largest / ops.sum(largest, axis=-1, keepdims=True)
        total = ops.zeros_like(tokens)
        for i in range(self.n_experts):
            share = ops.sum(ops.where(ops.equal(chosen, i), largest, 0.0), axis=-1, keepdims=True)
            total = total + share * ops.matmul(tokens, self.kernels[i])
        return ops.reshape(total, (-1, LENGTH, WIDTH))


class Quantiser(layers.Layer):
    """Each vector as the nearest of a code book."""

    def build(self, shape):
        self.codes = self.add_weight(shape=(6, shape[-1]), initializer="normal", name="codes")

    def call(self, x):
        distances = (
            ops.sum(ops.square(x), axis=-1, keepdims=True)
            - 2 * ops.matmul(x, ops.transpose(self.codes))
            + ops.sum(ops.square(self.codes), axis=-1)
        )
        nearest = ops.take(self.codes, ops.argmin(distances, axis=-1), axis=0)
        return x + ops.stop_gradient(nearest - x), nearest


class LargestInOrder(layers.Layer):
    """The k largest of each channel over time, in the order in which they come."""

    def call(self, x):
        channels = ops.transpose(x, (0, 2, 1))
        _, places = ops.top_k(channels, 3)
        kept = ops.take_along_axis(channels, ops.sort(places, axis=-1), axis=-1)
        return ops.transpose(kept, (0, 2, 1))


class LargestBySorting(layers.Layer):
    """The k largest of each channel over time, from the largest down."""

    def call(self, x):
        return ops.flip(ops.sort(x, axis=1), axis=1)[:, :3]


class TokensAndPlaces(layers.Layer):
    """A row of one table per token, and of another per place."""

    def build(self, shape):
        self.words = self.add_weight(shape=(WORDS, WIDTH), initializer="normal", name="words")
        self.places = self.add_weight(shape=(9, WIDTH), initializer="normal", name="places")

    def call(self, tokens):
        return ops.take(self.words, tokens, axis=0) + ops.take(
            self.places, ops.arange(ops.shape(tokens)[1]), axis=0
        )


class Hashed(layers.Layer):
    """Two rows per token: by its remainder, and by its quotient."""

    def build(self, shape):
        self.rows = self.add_weight(shape=(3, WIDTH), initializer="normal", name="rows")

    def call(self, tokens):
        parts = [ops.take(self.rows, index, axis=0) for index in (tokens % 3, tokens // 3)]
        return ops.concatenate(parts, axis=-1)


VECTORS = ((LENGTH, WIDTH), "float32")
MODELS = {
    "experts": (lambda: Experts(), VECTORS),
    "experts one by one": (lambda: ExpertsOneByOne(), VECTORS),
    "quantiser": (lambda: Quantiser(), VECTORS),
    "largest in order": (lambda: LargestInOrder(), VECTORS),
    "largest by sorting": (lambda: LargestBySorting(), VECTORS),
    "tokens and places": (lambda: TokensAndPlaces(), ((LENGTH,), "int32")),
    "hashed": (lambda: Hashed(), ((LENGTH,), "int32")),
}


def model_of(name):
    layer, (shape, dtype) = MODELS[name]
    inputs = keras.Input(shape, dtype=dtype)
    x = layers.Dense(WIDTH, name="before")(inputs) if dtype == "float32" else inputs
    chosen = layer()(x)
    after = layers.Dense(2, name="after")
    model = keras.Model(inputs, [after(y) for y in keras.tree.flatten(chosen)])
    randomise(model)
    return model


def samples(model, n=8):
    rng = np.random.default_rng(0)
    shape = (n, *model.inputs[0].shape[1:])
    return rng.integers(0, WORDS, shape) if len(shape) == 2 else rng.standard_normal(shape)


@pytest.mark.parametrize("name", MODELS)
def test_the_graph_is_the_model(name):
    model = model_of(name)
    graph = gg.from_keras(model, trace=True)
    assert graph.verify().passed
    x = samples(model).astype(np.float32)
    assert graph.verify(x).passed
    values = graph.evaluate(x)
    expected = keras.tree.flatten(model.predict(x, verbose=0))
    for ref, y in zip(graph.topology.outputs, expected, strict=True):
        got = values[graph.tensors[ref.label].population.name]
        np.testing.assert_allclose(got.reshape(y.shape), y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_a_new_set_of_weights(name):
    graph = gg.from_keras(model_of(name), trace=True)
    other = model_of(name)
    randomise(other, seed=1)
    renewed = graph.with_weights(other)
    assert renewed.verify(samples(other)).passed
    assert renewed.n_edges == graph.n_edges


def test_every_expert_may_be_chosen():
    graph = gg.from_keras(model_of("experts"), trace=True)
    kinds = {p.kind for p in graph.projections}
    assert kinds == {"weight", "copy", "choice", "dynamic"}
    (choice,) = (p for p in graph.projections if p.kind == "choice")
    assert choice.n_edges == LENGTH * 2 * 3  # tokens, of which two experts each, of three


def test_the_code_book_is_a_table():
    model = model_of("quantiser")
    graph = gg.from_keras(model, trace=True)
    codes = model.layers[2].codes.numpy()
    tables = [p for p in graph.projections if p.kernel is not None and p.kernel.size == codes.size]
    assert any(np.array_equal(p.kernel, codes.ravel()) for p in tables)


def test_a_table_that_is_looked_up_is_shuffled():
    graph = gg.from_keras(model_of("hashed"), trace=True)
    null = graph.shuffled(seed=0)
    assert any(
        not np.array_equal(p.kernel, q.kernel)
        for p, q in zip(graph.projections, null.projections, strict=True)
        if p.kernel is not None
    )
