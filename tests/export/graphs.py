"""Graphs that the tests of every format share."""

import keras
import numpy as np
from keras import layers

import gpugraph as gg
from tests.models import randomise


def everything():
    """Return a graph with every kind of edge, parallel edges, names to escape and alphas."""
    image = keras.Input((6, 5, 2), name="image")
    x = layers.Conv2D(3, 3, padding="same", name='a "<conv>" & more')(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.PReLU(name="prelu")(x)
    x = layers.Add(name="twice")([x, x])
    x = layers.AveragePooling2D(2, padding="same", name="mean")(x)
    x = layers.MaxPooling2D(2, strides=1, name="max")(x)
    x = layers.Flatten(name="flatten")(x)
    model = keras.Model(image, layers.Dense(4, activation="relu", name="dense")(x), name="net")
    return gg.from_keras(randomise(model))


def edge_set(graph):
    """Return all edges as a sorted list of (src, dst, kind, weight as float32)."""
    return sorted(
        (src, dst, edges.kind, np.float32(weight))
        for edges in graph.edges(device="cpu")
        for src, dst, weight in zip(*(column.tolist() for column in edges), strict=True)
    )
