"""What users hand in beside plain models: each is converted exactly, or refused by name."""

import keras
import numpy as np
import pytest
from keras import layers

import gpugraph as gg
from tests.models import cnn, randomise


def image_model(*more):
    return randomise(keras.Sequential([keras.Input((8, 8, 4)), *more]))


@pytest.mark.parametrize("policy", ["float16", "bfloat16", "mixed_float16", "mixed_bfloat16"])
def test_dtype_policies_of_less_precision(policy):
    model = image_model(
        layers.Conv2D(3, 3, activation="relu", dtype=policy, name="conv"),
        layers.BatchNormalization(dtype=policy),
        layers.Flatten(dtype=policy),
        layers.Dense(5, dtype=policy),
    )
    graph = gg.from_keras(model)
    assert graph.weight_dtype == np.float32
    assert graph.verify().passed


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(layers.Dense(5, name="told"), (4,)), (layers.EinsumDense("ab,bc->ac", 5, name="told"), (4,))],
)
@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_quantised_layers_are_refused_by_name(layer, shape, mode):
    layer = layer.from_config(layer.get_config())
    model = keras.Sequential([keras.Input(shape), layer])
    layer.quantize(mode)
    with pytest.raises(gg.UnsupportedLayerError, match=rf"'told'.*quantised \({mode}\)"):
        gg.from_keras(model)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Dense(5, name="adapted"), (4,)),
        (layers.EinsumDense("ab,bc->ac", 5, name="adapted"), (4,)),
        (layers.Conv2D(5, 3, name="adapted"), (6, 6, 2)),
    ],
)
def test_lora_adds_to_the_kernel(layer, shape):
    layer = layer.from_config(layer.get_config())
    model = keras.Sequential([keras.Input(shape), layer])
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(np.ones(layer.lora_kernel_b.shape))  # Keras starts it at zero
    graph = gg.from_keras(model)
    assert graph.verify().passed
    (projection,) = graph.projections
    kernel = keras.ops.convert_to_numpy(layer.kernel).ravel()
    np.testing.assert_allclose(projection.kernel, kernel, rtol=1e-6)
    plain = keras.ops.convert_to_numpy(layer._kernel).ravel()
    assert not np.allclose(kernel, plain)


def test_a_lambda_is_refused_by_name():
    model = image_model(layers.Lambda(lambda x: x, name="code"))
    with pytest.raises(gg.UnsupportedLayerError, match="'code' \\(Lambda\\)"):
        gg.from_keras(model)


def test_a_model_with_its_own_call_is_refused_by_name():
    class Own(keras.Model):
        def __init__(self):
            super().__init__(name="own_model")
            self.dense = layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Own()
    model(np.zeros((1, 3), np.float32))
    with pytest.raises(gg.ModelError, match="own_model"):
        gg.from_keras(model)


def test_channels_first_is_converted_though_a_cpu_may_not_run_it():
    first = keras.Sequential(
        [
            keras.Input((4, 8, 8)),
            layers.Conv2D(3, 3, strides=2, data_format="channels_first"),
            layers.MaxPooling2D(2, data_format="channels_first"),
        ]
    )
    last = keras.Sequential(
        [keras.Input((8, 8, 4)), layers.Conv2D(3, 3, strides=2), layers.MaxPooling2D(2)]
    )
    randomise(first)
    last.set_weights(first.get_weights())
    x = np.random.default_rng(0).standard_normal((2, 8, 8, 4)).astype(np.float32)
    values = gg.from_keras(first).evaluate(np.moveaxis(x, -1, 1))
    expected = keras.ops.convert_to_numpy(last(x))
    *_, output = values.values()
    np.testing.assert_allclose(np.moveaxis(output, 1, -1), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="only TensorFlow has ragged")
def test_a_ragged_input_is_refused_by_name():
    try:
        ragged = keras.Input((None, 3), name="uneven", ragged=True)
    except TypeError:
        ragged = keras.Input((None, 3), name="uneven")
    model = keras.Model(ragged, layers.Dense(2)(ragged))
    with pytest.raises((gg.UnsupportedLayerError, gg.ShapeError), match="uneven"):
        gg.from_keras(model)


def test_a_sparse_input_computes_the_same():
    x = keras.Input((6,), name="sparse", sparse=True)
    model = randomise(keras.Model(x, layers.Dense(2)(x)))
    assert gg.from_keras(model).n_edges == 12


def test_a_shape_that_depends_on_data_is_refused_by_name():
    x = keras.Input((None, 3), name="open")
    model = keras.Model(x, layers.Dense(2)(x))
    with pytest.raises(gg.ShapeError, match="'open'"):
        gg.from_keras(model)
    assert gg.from_keras(model, (5, 3)).n_edges == 5 * 3 * 2


def test_training_calls_are_refused_by_name():
    x = keras.Input((4,))
    model = keras.Model(x, layers.Dropout(0.5, name="always")(x, training=True))
    with pytest.raises(gg.UnsupportedLayerError, match="'always'"):
        gg.from_keras(model)


def test_frozen_and_trainable_layers_are_the_same():
    model = randomise(cnn())
    n_edges = gg.from_keras(model).n_edges
    model.trainable = False
    assert gg.from_keras(model).n_edges == n_edges
