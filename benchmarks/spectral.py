"""Eigenvectors of whole architectures: minutes, and gigabytes, each."""

from __future__ import annotations

from collections.abc import Callable

import keras

import gpugraph as gg
from benchmarks.analysis import ARCHITECTURES
from benchmarks.measure import Figures, once

MEASURES: dict[str, Callable[[gg.NeuronGraph], object]] = {
    "spectral_gap": gg.spectral_gap,
    "normalized_cut_2": lambda graph: gg.normalized_cut(graph, 2),
}


def run() -> Figures:
    """Find the gap and the best cut in two of each large architecture, at full size."""
    figures: Figures = {"what": "spectral measures at 224 x 224, in seconds"}
    for name in ARCHITECTURES:
        graph = gg.from_keras(getattr(keras.applications, name)(weights=None))
        figures[name] = {"nodes": graph.n_nodes, "edges": graph.n_edges}
        for measure, function in MEASURES.items():
            figures[name][measure] = once(lambda: function(graph))  # noqa: B023
            print(name, measure, figures[name][measure], flush=True)
    return figures
