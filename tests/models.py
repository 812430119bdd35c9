"""Small models that several tests share, and random values for all of a model's weights."""

import keras
import numpy as np
import pytest
from keras import layers

needs_float64 = pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="jax has float64 only on request"
)


def randomise(model, seed=0):
    """Fill what Keras starts at zero or one: biases, moving statistics, gamma and beta."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        name, shape = variable.path.rsplit("/", 1)[-1], tuple(variable.shape)
        if name in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.5, 1.5, shape))
        elif name in ("bias", "beta", "moving_mean"):
            variable.assign(0.2 * rng.standard_normal(shape))
    return model


def cnn(size=8, channels=2):
    """Return conv, pool, flatten, dense: the smallest of the usual kind."""
    return keras.Sequential(
        [
            keras.Input((size, size, channels), name="image"),
            layers.Conv2D(3, 3, activation="relu", name="conv"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flatten"),
            layers.Dense(4, activation="softmax", name="dense"),
        ],
        name="cnn",
    )


def convolutional(size=None):
    """Return a model that takes images of any size."""
    return keras.Sequential(
        [
            keras.Input((size, size, 1), name="image"),
            layers.Conv2D(2, 3, padding="same", name="conv"),
            layers.AveragePooling2D(2, name="pool"),
            layers.Conv2D(3, 3, name="conv2"),
            layers.GlobalAveragePooling2D(name="mean"),
        ],
        name="convolutional",
    )


def encoder(size=8, name="encoder"):
    """Return a small model to be nested in others."""
    image = keras.Input((size, size, 1), name="image")
    x = layers.Conv2D(2, 3, padding="same", activation="relu", name="conv")(image)
    x = layers.BatchNormalization(name="norm")(x)
    return keras.Model(image, x, name=name)


def siamese(size=8):
    """Return two inputs through one nested encoder, then their distance."""
    left, right = (keras.Input((size, size, 1), name=name) for name in ("left", "right"))
    shared = encoder(size)
    distance = layers.Subtract(name="distance")([shared(left), shared(right)])
    x = layers.Flatten(name="flatten")(distance)
    return keras.Model([left, right], layers.Dense(1, name="score")(x), name="siamese")


def several_outputs():
    """Return an image and a vector to a map, a class, and an intermediate."""
    image, vector = keras.Input((6, 6, 2), name="image"), keras.Input((5,), name="vector")
    features = layers.Conv2D(3, 3, activation="relu", name="features")(image)
    pooled = layers.GlobalMaxPooling2D(name="pooled")(features)
    joined = layers.Concatenate(name="joined")([pooled, vector])
    label = layers.Dense(4, activation="softmax", name="label")(joined)
    mask = layers.Conv2D(1, 1, activation="sigmoid", name="mask")(features)
    return keras.Model([image, vector], [label, mask, features], name="several")


def shared_layer():
    """Return one Dense called three times in a row, its outputs added."""
    x = keras.Input((4,), name="x")
    dense = layers.Dense(4, activation="tanh", name="dense")
    once = dense(x)
    twice = dense(once)
    total = layers.Add(name="total")([once, twice, dense(twice), once])
    return keras.Model(x, total, name="shared")


def u_net():
    """Return a U-Net of two levels."""
    image = keras.Input((8, 8, 1), name="image")
    top = layers.Conv2D(4, 3, padding="same", activation="relu", name="down1")(image)
    low = layers.MaxPooling2D(name="pool1")(top)
    low = layers.Conv2D(6, 3, padding="same", activation="relu", name="down2")(low)
    low = layers.Dropout(0.5, name="dropout")(low)
    up = layers.Conv2DTranspose(4, 2, strides=2, padding="same", name="up1")(low)
    x = layers.Concatenate(name="skip")([top, up])
    x = layers.Conv2D(2, 3, padding="same", activation="relu", name="out1")(x)
    return keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid", name="mask")(x))


def squeeze_excite():
    """Return a block that weighs its channels: Multiply broadcasts (1, 1, c) over (h, w, c)."""
    image = keras.Input((6, 6, 2), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="conv")(image)
    s = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    s = layers.Conv2D(2, 1, activation="relu", name="reduce")(s)
    s = layers.Conv2D(4, 1, activation="sigmoid", name="expand")(s)
    x = layers.Multiply(name="excite")([x, s])
    return keras.Model(image, layers.Add(name="residual")([x, s]), name="se")


def auxiliary():
    """Return a classifier with a second head on an earlier layer, and operators between."""
    image = keras.Input((8, 8, 1), name="image")
    early = layers.Conv2D(3, 3, name="early")(image)
    scaled = 2.0 * early - 1.0
    late = layers.ReLU(name="late")(scaled + early)
    main = layers.Dense(3, name="main")(layers.Flatten(name="flatten")(late))
    side = layers.Dense(3, name="side")(layers.GlobalAveragePooling2D(name="mean")(early))
    return keras.Model(image, {"main": main, "side": side}, name="auxiliary")


def nested_twice():
    """Return a model in a model in a model; the innermost is called twice."""
    x = keras.Input((8, 8, 2), name="x")
    inner = keras.Sequential(
        [keras.Input((8, 8, 2)), layers.Conv2D(2, 3, padding="same", name="conv")], name="inner"
    )
    middle = keras.Model(x, layers.ReLU(name="relu")(inner(inner(x))), name="middle")
    image = keras.Input((8, 8, 2), name="image")
    return keras.Model(image, layers.Flatten(name="flatten")(middle(image)), name="outer")


def lenet():
    """Return LeNet-5's shape of network."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, 5, padding="same", activation="tanh", name="c1"),
            layers.AveragePooling2D(2, name="s2"),
            layers.Conv2D(16, 5, activation="tanh", name="c3"),
            layers.AveragePooling2D(2, name="s4"),
            layers.Flatten(name="flatten"),
            layers.Dense(120, activation="tanh", name="c5"),
            layers.Dense(84, activation="tanh", name="f6"),
            layers.Dense(10, activation="softmax", name="output"),
        ],
        name="lenet",
    )


def one_size_convolutional():
    """Return `convolutional` at a fixed size."""
    return convolutional(8)


EVERY_KIND = [
    cnn,
    one_size_convolutional,
    siamese,
    several_outputs,
    shared_layer,
    u_net,
    squeeze_excite,
    auxiliary,
    nested_twice,
]
