"""From a Keras model to exact counts."""

from __future__ import annotations

import time

import gpugraph as gg
from benchmarks.measure import Figures, extra_memory, seconds
from benchmarks.models import vgg16_224


def run() -> Figures:
    """Convert VGG16 at 224 x 224; the model exists already, as for a user."""
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
