"""From a Keras model to exact counts: VGG16 closely, and every application."""

from __future__ import annotations

import time
from collections.abc import Iterator

import keras
import numpy as np

import gpugraph as gg
from benchmarks.measure import Figures, extra_memory, seconds, side_by_side
from benchmarks.models import vgg16_224

APPLICATIONS = [name for name in dir(keras.applications) if name[0].isupper()]


def run() -> Figures:
    """Convert VGG16 at 224 x 224, then every application; models exist already, as for a user."""
    figures = vgg16()
    converted = {name: conversion(name) for name in APPLICATIONS}
    verified = {name: verification(name) for name in smallest_of_families(converted)}
    return {
        **figures,
        "applications": converted,
        "slowest_s": max(f["convert_s"] for f in converted.values()),
        "most_extra_memory_MB": max(f["extra_memory_MB"] for f in converted.values()),
        "verified": verified,
        "most_times_predict": max(f["times_predict"] for f in verified.values()),
    }


def vgg16() -> Figures:
    model = vgg16_224()
    # Memory first: what a first run leaves free would hide what a second one takes.
    memory = extra_memory(lambda: gg.from_keras(model).n_edges)
    start = time.perf_counter()
    graph = gg.from_keras(model)
    counts = graph.n_nodes, graph.n_edges
    once = time.perf_counter() - start
    return {
        "what": "VGG16 224x224: model to exact counts",
        "nodes": counts[0],
        "edges": counts[1],
        "once_s": once,
        "repeated_s": seconds(lambda: gg.from_keras(model).n_edges),
        "extra_memory_MB": memory / 1e6,
        "summary_s": seconds(lambda: str(graph.summary())),
        "verify_s": seconds(graph.verify, repeats=1),
    }


def application(name: str) -> tuple[keras.Model, tuple[int, ...]]:
    """Build an application with random weights, and say at which size: its own, or 224 x 224."""
    keras.backend.clear_session()
    model = getattr(keras.applications, name)(weights=None)
    return model, tuple(n or 224 for n in model.input_shape[1:])


def conversion(name: str) -> Figures:
    model, shape = application(name)
    memory = extra_memory(lambda: gg.from_keras(model, shape).n_edges)
    graph = gg.from_keras(model, shape)
    figures = {
        "input_shape": shape,
        "nodes": graph.n_nodes,
        "edges": graph.n_edges,
        "convert_s": seconds(lambda: gg.from_keras(model, shape).n_edges, repeats=3),
        "extra_memory_MB": memory / 1e6,
    }
    print(
        f"{name}: {graph.n_edges:,} edges in {figures['convert_s']:.2f} s, "
        f"{figures['extra_memory_MB']:.0f} MB",
        flush=True,
    )
    return figures


def smallest_of_families(figures: dict[str, Figures]) -> Iterator[str]:
    """Yield the application of fewest nodes in each of Keras's files."""
    families: dict[str, list[str]] = {}
    for name in figures:
        families.setdefault(getattr(keras.applications, name).__module__, []).append(name)
    for names in families.values():
        yield min(names, key=lambda name: figures[name]["nodes"])


def verification(name: str) -> Figures:
    """Compare the graph with the model, beside Keras's `predict` of the same image."""
    model, shape = application(name)
    graph = gg.from_keras(model, shape)
    image = np.random.default_rng(0).standard_normal((1, *shape), np.float32)
    verify_s, predict_s = side_by_side(
        lambda: graph.verify(image), lambda: model.predict(image, verbose=0), repeats=3
    )
    figures = {
        "verify_s": verify_s,
        "predict_s": predict_s,
        "times_predict": verify_s / predict_s,
        "largest_error": graph.verify(image).worst[1],
    }
    print(
        f"{name}: verify {verify_s:.2f} s, {figures['times_predict']:.1f} x predict, largest "
        f"error {figures['largest_error']:.0e}",
        flush=True,
    )
    return figures
