import random

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

import gpugraph as gg
from tests import models
from tests.models import randomise


def outputs(model, inputs):
    """Return all outputs in order, as numpy."""
    if isinstance(model, keras.Sequential):
        if any(getattr(x, "data_format", None) == "channels_first" for x in model.layers):
            return [by_the_graph(model, inputs[0])]
        return [model.predict_on_batch(inputs[0])]
    structure = keras.tree.pack_sequence_as(model.input, inputs)
    return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(model(structure))]


def by_the_graph(model, x):
    """Run a model's graph: TensorFlow has no channels_first windows on a CPU.

    And with XLA, wrong ones: Conv2D on 3 x 7 x 8 with a kernel of 4 x 5 and a bias, in 2.21.
    """
    graph = gg.from_keras(model, x.shape[1:])
    (ref,) = graph.topology.outputs
    tensor = graph.tensors[ref.label]
    return graph.evaluate(x)[tensor.population.name].reshape(len(x), *tensor.shape)


def noise(model, batch=2, seed=0):
    """Return noise of the model's input shapes; tokens for integer inputs."""
    rng = np.random.default_rng(seed)
    tokens = [keras.backend.is_int_dtype(t.dtype) for t in model.inputs]
    shapes = [(batch, *t.shape[1:]) for t in model.inputs]
    return [
        rng.integers(0, 5, s).astype("int32") if token else rng.standard_normal(s, np.float32)
        for token, s in zip(tokens, shapes, strict=True)
    ]


def assert_same_outputs(model, other, tolerance=1e-5):
    """Compare on the original size, up to axes of size 1."""
    inputs = noise(model)
    for y, found in zip(outputs(model, inputs), outputs(other, inputs), strict=True):
        assert found.size == y.size
        np.testing.assert_allclose(found.reshape(y.shape), y, rtol=tolerance, atol=tolerance)


def sequence(shape, *parts):
    return keras.Sequential([keras.Input(shape, name="x"), *parts])


def functional(shape, function):
    x = keras.Input(shape, name="x")
    return keras.Model(x, function(x))


# Models with Dense layers behind vectors


def vgg():
    """Return VGG16's kind of network, narrow and short."""
    blocks = []
    for i, filters in enumerate((4, 6, 8)):
        conv = {"padding": "same", "activation": "relu"}
        blocks += [layers.Conv2D(filters, 3, name=f"conv{i}", **conv), layers.MaxPooling2D()]
    return sequence(
        (24, 32, 3),
        *blocks,
        layers.Flatten(name="flatten"),
        layers.Dense(16, activation="relu", name="fc1"),
        layers.Dropout(0.5, name="dropout"),
        layers.Dense(12, activation="relu", name="fc2"),
        layers.Dense(5, activation="softmax", name="predictions"),
    )


def branches():
    """Return three heads on two depths, joined in every way, and two outputs."""

    def build(x):
        a = layers.Conv2D(3, 3, activation="relu", name="a")(x)
        b = layers.Conv2D(3, 3, name="b")(x)
        flat = layers.Flatten(name="flat")
        summed = layers.Add()([flat(a), layers.Flatten()(b)])
        summed = layers.ReLU()(summed)
        dense = layers.Dense(6, name="dense")(summed)
        side = layers.Dense(6, name="side")(layers.GlobalMaxPooling2D(name="max")(a))
        both = layers.Concatenate()([dense, layers.Multiply()([dense, side])])
        both = layers.BatchNormalization(name="norm")(both)
        both = layers.Concatenate(axis=1)([both, 2.0 * dense - 1.0])
        both = layers.LayerNormalization()(both)
        both = layers.PReLU(name="prelu", alpha_initializer="uniform")(both)
        return [layers.Dense(3, name="head")(both), layers.Softmax()(dense)]

    return functional((7, 9, 2), build)


def joined_windows():
    """Return one Dense over two flattened tensors of the same positions."""

    def build(x):
        parts = [layers.Conv2D(n, 3)(x) for n in (2, 3)]
        flat = layers.Concatenate()([layers.Flatten()(p) for p in parts])
        return layers.Dense(4)(layers.LeakyReLU()(flat))

    return functional((6, 5, 1), build)


def u_net_with_head():
    """Return a U-Net that tells the class of its lowest level too."""

    def build(x):
        top = layers.Conv2D(3, 3, padding="same", activation="relu")(x)
        low = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.MaxPooling2D()(top))
        up = layers.Concatenate()([top, layers.UpSampling2D()(low)])
        label = layers.Dense(3, activation="softmax", name="label")(layers.Flatten()(low))
        return {"mask": layers.Conv2D(1, 1)(up), "label": label}

    return functional((8, 8, 1), build)


def average_head():
    return sequence(
        (8, 6, 2),
        layers.Conv2D(4, 3),
        layers.GlobalAveragePooling2D(name="mean"),
        layers.BatchNormalization(),
        layers.Dense(3, activation="log_softmax", name="head"),
    )


def kept_axes():
    """Return MobileNet's head: a pooling that keeps its axes, a convolution, Reshape."""
    return sequence(
        (6, 6, 2),
        layers.Conv2D(4, 3),
        layers.GlobalAveragePooling2D(keepdims=True, name="mean"),
        layers.Conv2D(3, 1, name="head"),
        layers.Reshape((3,), name="reshape"),
        layers.Activation("softmax"),
    )


def signal():
    return sequence(
        (20, 3),
        layers.Conv1D(4, 5, strides=2, activation="relu"),
        layers.MaxPooling1D(2),
        layers.Flatten(),
        layers.Dense(6, use_bias=False, activation="tanh"),
        layers.Dense(2),
    )


def volume():
    return sequence(
        (6, 5, 7, 2),
        layers.Conv3D(3, 2),
        layers.AveragePooling3D(2),
        layers.Flatten(),
        layers.Dense(4, activation="relu"),
        layers.Dense(2, activation="softmax"),
    )


def perceptron():
    """Return a Dense over whole images without channels: rows are positions, columns channels."""
    return sequence((6, 5), layers.Flatten(), layers.Dense(4, activation="relu"), layers.Dense(2))


def reshaped():
    return sequence((6, 5, 2), layers.Conv2D(2, 3), layers.Reshape((-1,)), layers.Dense(3))


def tokens():
    x = keras.Input((7,), dtype="int32", name="x")
    y = layers.Conv1D(4, 3)(layers.Embedding(5, 3)(x))
    return keras.Model(x, layers.Dense(2)(layers.Flatten()(y)))


def nested():
    """Return a flattening model, twice, and a model of Dense layers, in a model."""
    x = keras.Input((6, 6, 1))
    y = layers.Flatten(name="flatten")(layers.Conv2D(2, 3, name="conv")(x))
    encoder = keras.Model(x, y, name="encoder")
    head = sequence((32,), layers.Dense(4, activation="relu", name="d"), layers.Dense(3, name="e"))
    left, right = keras.Input((6, 6, 1), name="left"), keras.Input((6, 6, 1), name="right")
    inner = keras.Sequential([keras.Input((32,)), head, layers.ReLU()], name="inner")
    scores = [inner(encoder(left)), inner(encoder(right))]
    return keras.Model({"left": left, "right": right}, layers.Subtract()(scores))


def shared_dense():
    def build(x):
        dense, flatten = layers.Dense(4, name="dense"), layers.Flatten(name="flatten")
        a, b = layers.Conv2D(2, 3)(x), layers.Conv2D(2, 3)(x)
        again = layers.Dense(4, activation="relu", name="again")
        return layers.Add()([again(again(dense(flatten(a)))), dense(flatten(b))])

    return functional((5, 5, 1), build)


def half():
    return sequence(
        (5, 5, 1),
        layers.Conv2D(2, 3, dtype="mixed_float16"),
        layers.Flatten(dtype="mixed_float16"),
        layers.Dense(3, dtype="mixed_float16", name="dense"),
    )


CONVERTIBLE = [
    *(vgg, branches, joined_windows, u_net_with_head, average_head, kept_axes, signal, volume),
    *(perceptron, reshaped, tokens, nested, shared_dense, models.cnn, models.siamese),
    *(models.auxiliary, models.lenet),
]


@pytest.mark.parametrize("build", CONVERTIBLE)
def test_outputs_are_the_same_on_the_original_size(build):
    model = randomise(build())
    found = gg.to_fully_convolutional(model)
    assert_same_outputs(model, found)
    assert type(found) is type(model)
    assert found.count_params() == model.count_params()


@pytest.mark.parametrize("build", CONVERTIBLE)
def test_it_takes_larger_inputs_and_gives_maps(build):
    model = build()
    found = gg.to_fully_convolutional(model)
    shapes = [[n and n + 12 for n in t.shape[1:]] for t in model.inputs]
    larger = [
        tuple(m if n is None else n for n, m in zip(t.shape[1:], shape, strict=True))
        for t, shape in zip(found.inputs, shapes, strict=True)
    ]
    rng = np.random.default_rng(0)
    inputs = [
        rng.integers(0, 5, (1, *s)) if keras.backend.is_int_dtype(t.dtype) else
        rng.standard_normal((1, *s), np.float32)
        for t, s in zip(model.inputs, larger, strict=True)
    ]  # fmt: skip
    small = outputs(found, noise(model, 1))
    for y, at_original in zip(outputs(found, inputs), small, strict=True):
        assert y.size > at_original.size
        assert y.ndim == at_original.ndim


@pytest.mark.parametrize("build", CONVERTIBLE)
def test_layers_keep_their_names_and_calls(build):
    model = build()
    found = gg.to_fully_convolutional(model)
    shapes = [t.shape[1:] for t in model.inputs]
    before, after = gg.topology(model), gg.topology(found, shapes)
    assert [c.name for c in after] == [c.name for c in before]
    assert [c.inputs for c in after] == [c.inputs for c in before]


@pytest.mark.parametrize("build", CONVERTIBLE)
def test_it_can_be_saved_and_loaded(build, tmp_path):
    model = randomise(build())
    gg.to_fully_convolutional(model).save(tmp_path / "fcn.keras")
    assert_same_outputs(model, keras.models.load_model(tmp_path / "fcn.keras"))


@pytest.mark.parametrize("build", CONVERTIBLE)
def test_its_graph_is_the_model(build):
    model = randomise(build())
    if build is tokens:
        pytest.skip("the graph of Embedding is told elsewhere")
    found = gg.to_fully_convolutional(model)
    shapes = [
        tuple(m + 2 if n is None else n for n, m in zip(t.shape[1:], own.shape[1:], strict=True))
        for t, own in zip(found.inputs, model.inputs, strict=True)
    ]
    assert gg.from_keras(found, shapes).verify().passed


def test_half_precision_stays():
    model = randomise(half())
    found = gg.to_fully_convolutional(model)
    assert found.get_layer("dense").dtype_policy.name == "mixed_float16"
    assert found.get_layer("dense").compute_dtype == "float16"
    assert_same_outputs(model, found, 2e-2)


def test_options_of_dense_layers_stay():
    dense = layers.Dense(
        3,
        activation="relu",
        kernel_regularizer=keras.regularizers.L2(0.1),
        bias_constraint="non_neg",
        activity_regularizer="l1",
        kernel_initializer="he_normal",
        name="dense",
    )
    model = sequence((4, 4, 1), layers.Conv2D(2, 2), layers.Flatten(), dense)
    dense.trainable = False
    model.layers[0].trainable = False
    found = gg.to_fully_convolutional(model).get_layer("dense")
    assert isinstance(found, layers.Conv2D)
    assert found.activation is keras.activations.relu
    assert found.kernel_size == (3, 3)
    assert found.kernel_regularizer.l2 == dense.kernel_regularizer.l2
    assert isinstance(found.bias_constraint, keras.constraints.NonNeg)
    assert isinstance(found.activity_regularizer, keras.regularizers.L1)
    assert isinstance(found.kernel_initializer, keras.initializers.HeNormal)
    assert not found.trainable


def test_a_frozen_model_stays_frozen():
    model = vgg()
    model.trainable = False
    assert gg.to_fully_convolutional(model).trainable_weights == []


def test_no_variable_is_shared():
    model = randomise(vgg())
    found = gg.to_fully_convolutional(model)
    assert not {id(v) for v in model.variables} & {id(v) for v in found.variables}
    inputs = noise(model)
    (before,) = outputs(model, inputs)
    for variable in found.weights:
        variable.assign(np.zeros(variable.shape, "float32"))
    np.testing.assert_array_equal(outputs(model, inputs)[0], before)


def test_training_the_old_model_leaves_the_new_one():
    model = randomise(models.cnn())
    found = gg.to_fully_convolutional(model)
    inputs = noise(model, 8)
    (before,) = outputs(found, inputs)
    model.compile("sgd", "mse")
    model.fit(inputs[0], np.ones((8, 4)), verbose=0)
    assert not np.allclose(outputs(model, inputs)[0], before.reshape(8, 4))
    np.testing.assert_array_equal(outputs(found, inputs)[0], before)


def test_it_can_be_trained():
    keras.utils.set_random_seed(0)  # by chance, no unit might be active
    found = gg.to_fully_convolutional(models.cnn())
    kernel = keras.ops.convert_to_numpy(found.get_layer("dense").kernel)
    found.compile("sgd", "mse")
    images = np.random.default_rng(0).standard_normal((4, 10, 10, 2))
    found.fit(images, np.zeros((4, 2, 2, 4)), verbose=0)
    after = keras.ops.convert_to_numpy(found.get_layer("dense").kernel)
    assert not np.array_equal(after, kernel)


def test_nobodys_random_numbers_are_taken():
    model = vgg()
    state = random.getstate()
    gg.to_fully_convolutional(model)
    assert random.getstate() == state


def test_a_compiled_model_gives_one_that_is_not():
    model = models.cnn()
    model.compile("adam", "mse")
    assert not gg.to_fully_convolutional(model).compiled


def test_states_of_preprocessing_layers_are_copied():
    scale = layers.Normalization(name="scale")
    scale.adapt(np.random.default_rng(0).normal(3, 2, (50, 6, 6, 2)))
    model = sequence((6, 6, 2), scale, layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3))
    assert_same_outputs(model, gg.to_fully_convolutional(model))


# Data formats


@pytest.mark.parametrize("flattened", ["channels_first", "channels_last"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_channels_first(rank, flattened):
    spatial = (5, 6, 4)[:rank]
    conv, pool = getattr(layers, f"Conv{rank}D"), getattr(layers, f"MaxPooling{rank}D")
    first = {"data_format": "channels_first"}
    model = randomise(
        sequence(
            (2, *spatial),
            conv(3, 2, activation="relu", **first),
            pool(2, **first),
            layers.Flatten(data_format=flattened),
            layers.Dense(4, activation="relu", name="fc"),
            layers.BatchNormalization(),
            layers.Dense(3, activation="softmax", name="head"),
            layers.Activation("softmax"),
            layers.Softmax(),
        )
    )
    found = gg.to_fully_convolutional(model)
    assert found.input_shape == (None, 2, *(None,) * rank)
    assert found.output_shape == (None, 3, *(None,) * rank)
    assert_same_outputs(model, found)
    larger = np.random.default_rng(0).standard_normal((1, 2, *(n + 4 for n in spatial)))
    (y,) = outputs(found, [larger.astype("float32")])
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-5)


def test_channels_first_is_channels_last_turned_round(tmp_path):
    first = {"data_format": "channels_first"}
    model = sequence(
        (2, 5, 6),
        layers.Conv2D(3, 2, **first, name="conv"),
        layers.Flatten(**first),
        layers.Dense(4, name="fc", activation="softmax"),
    )
    twin = sequence(
        (5, 6, 2), layers.Conv2D(3, 2, name="conv"), layers.Flatten(),
        layers.Dense(4, name="fc", activation="softmax"),
    )  # fmt: skip
    twin.set_weights(randomise(model).get_weights())
    found = gg.to_fully_convolutional(model)
    found.save(tmp_path / "first.keras")
    x = np.random.default_rng(0).standard_normal((2, 8, 9, 2), np.float32)
    (y,) = outputs(gg.to_fully_convolutional(twin), [x])
    for other in (found, keras.models.load_model(tmp_path / "first.keras")):
        (turned,) = outputs(other, [np.moveaxis(x, -1, 1)])
        np.testing.assert_allclose(np.moveaxis(turned, 1, -1), y, atol=1e-5)


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_a_pooled_head_in_both_data_formats(data_format):
    form = {"data_format": data_format}
    shape = (2, 6, 5) if data_format == "channels_first" else (6, 5, 2)
    model = sequence(
        shape,
        layers.Conv2D(3, 2, **form),
        layers.GlobalAveragePooling2D(**form),
        layers.Dense(4),
        layers.Softmax(axis=1),
    )
    assert_same_outputs(model, gg.to_fully_convolutional(model))


# Larger inputs


@st.composite
def padded_nowhere(draw):
    """Draw the layers of a classifier without padding, its input's size and its total stride."""
    rank = draw(st.integers(1, 2))
    parts, total = [], 1
    size = np.ones(rank, int) * draw(st.integers(1, 2))  # of what is flattened
    for _ in range(draw(st.integers(0, 3))):
        kernel = [draw(st.integers(1, 3)) for _ in range(rank)]
        stride, dilation = draw(st.sampled_from([(1, 1), (2, 1), (3, 1), (1, 2)]))
        kind = draw(st.sampled_from(["Conv", "MaxPooling", "AveragePooling"]))
        if kind == "Conv":
            options = (2, kernel, stride, "valid", None, dilation)
        else:
            dilation, options = 1, (kernel, stride)
        parts.insert(0, (f"{kind}{rank}D", options))
        size = (size - 1) * stride + (np.array(kernel) - 1) * dilation + 1
        total *= stride
    pooling = f"Global{draw(st.sampled_from(['Max', 'Average']))}Pooling{rank}D"
    parts.append((draw(st.sampled_from(["Flatten", pooling])), ()))
    parts.append(("Dense", (draw(st.integers(1, 3)), "tanh")))
    return parts, tuple(map(int, size)), total


@given(drawn=padded_nowhere(), steps=st.integers(1, 2))
def test_a_map_holds_what_the_model_makes_of_each_crop(drawn, steps):
    parts, size, stride = drawn
    made = [getattr(layers, name)(*options) for name, options in parts]
    model = randomise(sequence((*size, 2), *made, layers.Dense(2, activation="softmax")))
    found = gg.to_fully_convolutional(model)
    larger = [n + steps * stride for n in size]
    x = np.random.default_rng(0).standard_normal((1, *larger, 2), np.float32)
    y = keras.ops.convert_to_numpy(found(x))
    assert y.shape == (1, *(steps + 1,) * len(size), 2)
    places = list(np.ndindex(*y.shape[1:-1]))
    crops = [
        x[(0, *(slice(a * stride, a * stride + n) for a, n in zip(at, size, strict=True)))]
        for at in places
    ]
    expected = keras.ops.convert_to_numpy(model(np.stack(crops)))
    np.testing.assert_allclose(np.stack([y[(0, *at)] for at in places]), expected, atol=1e-5)


# What stays


UNCHANGED = [models.several_outputs, models.shared_layer, models.u_net, models.squeeze_excite]


@pytest.mark.parametrize("build", [*UNCHANGED, models.one_size_convolutional, models.nested_twice])
def test_a_model_without_dense_layers_behind_maps_is_copied(build):
    model = randomise(build())
    found = gg.to_fully_convolutional(model)
    assert found is not model
    assert [t.shape for t in found.inputs] == [t.shape for t in model.inputs]
    assert not {id(v) for v in model.variables} & {id(v) for v in found.variables}
    assert_same_outputs(model, found)


def excited(x, pooled, kept):
    features = layers.Conv2D(4, 3)(x)
    squeezed = layers.GlobalAveragePooling2D(name="squeeze", keepdims=kept)(features)
    squeezed = layers.Dense(4, activation="sigmoid", name="excite")(squeezed)
    if not kept:
        squeezed = layers.Reshape((1, 1, 4))(squeezed)
    features = layers.Multiply()([features, squeezed])
    head = layers.GlobalAveragePooling2D() if pooled else layers.Flatten()
    return layers.Dense(2, name="head")(head(features))


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("kept", [True, False])
def test_squeeze_and_excitation_stays_global(pooled, kept):
    model = functional((7, 7, 2), lambda x: excited(x, pooled, kept))
    found = gg.to_fully_convolutional(model)
    assert isinstance(found.get_layer("squeeze"), layers.GlobalAveragePooling2D)
    assert isinstance(found.get_layer("excite"), layers.Dense)
    assert isinstance(found.get_layer("head"), layers.Conv2D)
    assert_same_outputs(model, found)
    assert outputs(found, [np.ones((1, 9, 10, 2), np.float32)])[0].shape == (1, 3, 4, 2)


def test_poolings_of_different_scales_stay_global():
    def build(x):
        deep = layers.Conv2D(3, 3, strides=2)(x)
        pooled = [layers.GlobalAveragePooling2D()(t) for t in (x, deep)]
        return layers.Dense(2, name="head")(layers.Concatenate()(pooled))

    model = functional((7, 7, 2), build)
    found = gg.to_fully_convolutional(model)
    assert isinstance(found.get_layer("head"), layers.Dense)
    assert_same_outputs(model, found)


@pytest.mark.filterwarnings("ignore:.*mask")
def test_a_masked_average_stays_global():
    x = keras.Input((7,), dtype="int32")
    y = layers.GlobalAveragePooling1D()(layers.Embedding(5, 3, mask_zero=True)(x))
    model = keras.Model(x, layers.Dense(2, name="head")(y))
    found = gg.to_fully_convolutional(model)
    assert isinstance(found.get_layer("head"), layers.Dense)
    assert_same_outputs(model, found)


def test_dense_layers_at_every_position_stay():
    model = sequence(
        (6, 6, 2), layers.Dense(3, name="each"), layers.Flatten(), layers.Dense(2, name="all")
    )
    found = gg.to_fully_convolutional(model)
    assert isinstance(found.get_layer("each"), layers.Dense)
    assert isinstance(found.get_layer("all"), layers.Conv2D)
    assert_same_outputs(model, found)


def test_flatten_without_dense_stays():
    def build(x):
        features = layers.Conv2D(2, 3)(x)
        pooled = layers.GlobalAveragePooling2D()(features)
        return [layers.ReLU()(layers.Flatten(name="flat")(features)), layers.Dense(2)(pooled)]

    model = functional((5, 5, 1), build)
    found = gg.to_fully_convolutional(model)
    assert isinstance(found.get_layer("flat"), layers.Flatten)
    assert_same_outputs(model, found)


def test_a_model_of_open_size_stays():
    model = randomise(
        sequence((None, None, 1), layers.Conv2D(3, 3), layers.GlobalAveragePooling2D(),
                 layers.Dense(2))
    )  # fmt: skip
    found = gg.to_fully_convolutional(model)
    assert found.output_shape == (None, 2)
    x = [np.random.default_rng(0).standard_normal((1, 6, 7, 1), np.float32)]
    np.testing.assert_allclose(outputs(found, x)[0], outputs(model, x)[0], atol=1e-6)


# Functions


@keras.saving.register_keras_serializable("tests")
def halved(x):
    return 0.5 * x


@keras.saving.register_keras_serializable("tests")
def over_the_second_axis(x):
    return keras.ops.softmax(x, axis=1)


@pytest.mark.parametrize("function", [halved, "gelu", "sparsemax", layers.LeakyReLU(0.1)])
def test_activations_that_act_alike_everywhere(function):
    model = sequence(
        (4, 4, 2), layers.Flatten(), layers.Dense(3, activation=function),
        layers.Activation(function), layers.Dense(2),
    )  # fmt: skip
    assert_same_outputs(model, gg.to_fully_convolutional(model))


def test_functional_operations_that_act_alike_everywhere():
    def build(x):
        y = layers.Dense(3)(layers.Flatten()(keras.ops.relu(x)))
        return layers.Dense(2)(keras.ops.tanh(-y) + 1.0 / (2.0 + keras.ops.sigmoid(y)))

    model = functional((4, 4, 2), build)
    assert_same_outputs(model, gg.to_fully_convolutional(model))


# Refusals


def after_flatten(*parts, shape=(4, 4, 2), before=()):
    return lambda: sequence(shape, *before, layers.Flatten(name="flatten"), *parts)


def joined_with_a_vector():
    image, vector = keras.Input((4, 4, 1)), keras.Input((3,), name="vector")
    both = layers.Concatenate(name="both")([layers.Flatten(name="flatten")(image), vector])
    return keras.Model([image, vector], layers.Dense(2)(both))


def joined_sizes():
    def build(x):
        flat = [layers.Flatten()(t) for t in (x, layers.Conv2D(2, 3)(x))]
        return layers.Dense(2)(layers.Concatenate(name="both")(flat))

    return functional((5, 5, 1), build)


def joined_scales():
    def build(x):
        pair = [layers.Flatten()(t) for t in (x, layers.MaxPooling2D()(x))]
        return layers.Add(name="both")([layers.Dense(2)(t) for t in pair])

    return functional((4, 4, 1), build)


def called_on_two_kinds():
    image, vector = keras.Input((2, 2, 1)), keras.Input((4,))
    dense = layers.Dense(2, name="dense")
    return keras.Model([image, vector], [dense(layers.Flatten()(image)), dense(vector)])


def quantised():
    model = after_flatten(layers.Dense(2, name="dense"))()
    model.get_layer("dense").quantize("int8")
    return model


def with_lora():
    model = after_flatten(layers.Dense(2, name="dense"))()
    model.get_layer("dense").enable_lora(1)
    return model


def generated():
    return sequence(
        (4,), layers.Dense(9), layers.Reshape((3, 3, 1)), layers.Flatten(name="flatten"),
        layers.Dense(2),
    )  # fmt: skip


REFUSED = {
    "Reshape": (after_flatten(layers.Reshape((4, 8), name="r")), r"'r' \(Reshape\).*\(4, 8\)"),
    "decoder": (
        after_flatten(layers.Dense(9), layers.Reshape((3, 3, 1), name="r")),
        r"'r' \(Reshape\) .*behind 'flatten'",
    ),
    "RepeatVector": (after_flatten(layers.RepeatVector(2, name="r")), r"'r' \(RepeatVector\)"),
    "BatchNormalization": (
        after_flatten(layers.BatchNormalization(name="n"), layers.Dense(2)),
        r"'n' \(BatchNormalization\).*each flattened feature",
    ),
    "Softmax": (
        after_flatten(layers.Softmax(name="s"), layers.Dense(2)),
        r"'s' \(Softmax\).*put it before Flatten",
    ),
    "softmax": (
        after_flatten(layers.Activation("softmax", name="s"), layers.Dense(2)),
        r"'s' \(Activation\).*function 'softmax'",
    ),
    "axis": (
        after_flatten(layers.Dense(3, activation=over_the_second_axis, name="d")),
        r"'d' \(Dense\).*'over_the_second_axis'",
    ),
    "Lambda": (after_flatten(layers.Lambda(lambda x: x, name="l")), r"'l' \(Lambda\)"),
    "EinsumDense": (
        after_flatten(layers.EinsumDense("ab,bc->ac", 3, name="e")),
        r"'e' \(EinsumDense\)",
    ),
    "four dimensions": (
        lambda: functional((3, 3, 1), lambda x: layers.Dense(2)(
            keras.ops.sum(layers.Flatten(name="f")(x), axis=1, keepdims=True))),
        "behind 'f'",
    ),
    "vector": (joined_with_a_vector, r"'both' \(Concatenate\).*joins them with 'vector'"),
    "sizes": (joined_sizes, r"'both' \(Concatenate\).*5x5 and 3x3 positions"),
    "scales": (joined_scales, r"'both' \(Add\).*at another size than its own"),
    "two kinds": (called_on_two_kinds, r"'dense' \(Dense\).*called in several places"),
    "quantised": (quantised, r"'dense' \(Dense\).*quantised \(int8\)"),
    "LoRA": (with_lora, r"'dense' \(Dense\).*LoRA"),
    "generated": (generated, r"'flatten' \(Flatten\).*no input .* positions"),
    "reshaped before": (
        after_flatten(layers.Dense(2), shape=(16, 2), before=[layers.Reshape((4, 4, 2), name="r")]),
        r"'r' \(Reshape\).*another size",
    ),
    "weights per position": (
        after_flatten(layers.Dense(2), before=[layers.PReLU(name="p")]),
        r"'p' \(PReLU\) does not take an input of open size",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("build", "message"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_form_is_refused_by_name(build, message):
    with pytest.raises(gg.UnsupportedLayerError, match=message):
        gg.to_fully_convolutional(build())


def test_a_model_that_is_not_built_is_refused():
    with pytest.raises(gg.ModelError, match="not built"):
        gg.to_fully_convolutional(keras.Sequential([layers.Flatten(), layers.Dense(2)]))


def test_a_file_is_loaded(tmp_path):
    model = models.cnn()
    model.save(tmp_path / "m.keras")
    assert_same_outputs(model, gg.to_fully_convolutional(tmp_path / "m.keras"))
