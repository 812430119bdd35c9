"""Layers of Keras that have no converter, and why."""

from __future__ import annotations

REFUSED = {
    "ContrastLimitedAdaptiveHistogramEqualization": "it goes by the histograms of each image",
    "Equalization": "Keras gives its input as its output, so that a model with it is a cycle",
    "FlaxLayer": "it runs a program of another library, whose layers Keras does not know",
    "HashedCrossing": "its output is a hash of its inputs, which has no weights",
    "Hashing": "its output is a hash of its input, which has no weights",
    "IntegerLookup": "its output is looked up in a table, which has no weights",
    "JaxLayer": "it runs a program of another library, whose layers Keras does not know",
    "Lambda": "what its function computes cannot be told from outside",
    "Layer": "it computes nothing by itself",
    "StringLookup": "its input is text, which no node holds",
    "TFSMLayer": "it runs a program of another library, whose layers Keras does not know",
    "TextVectorization": "its input is text, which no node holds",
    "TorchModuleWrapper": "it runs a program of another library, whose layers Keras does not know",
    "Wrapper": "it computes nothing by itself",
}
