"""What is not traced, with the reason: calls that go by the batch, by values, or by the time."""

import functools
import itertools

import keras
import numpy as np
import pytest
from keras import layers, ops

import gpugraph as gg
from tests.model.test_tracing import MODELS, Affine, Block, model_of, shaped


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
