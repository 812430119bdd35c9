"""Models to measure on."""

from __future__ import annotations

import keras
from keras import layers


def vgg16_224() -> keras.Model:
    """VGG16 as published: 15,237,608 nodes, 14,975,945,472 edges."""
    return keras.applications.VGG16(weights=None)


def vgg16_32() -> keras.Model:
    """VGG16 at 32 x 32 without its top: 310,784 nodes, 247,433,984 edges."""
    return keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))


def cnn() -> keras.Model:
    """A CNN of 2.7 million edges, which networkx can still hold."""
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def lenet() -> keras.Model:
    """LeNet-5's shape of network: 8,878 nodes, 412,960 edges."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, 5, padding="same", activation="tanh"),
            layers.AveragePooling2D(2),
            layers.Conv2D(16, 5, activation="tanh"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(120, activation="tanh"),
            layers.Dense(84, activation="tanh"),
            layers.Dense(10, activation="softmax"),
        ]
    )
