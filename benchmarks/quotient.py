"""The graphs of channels and of layers, against reducing the kernels by hand."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

import gpugraph as gg
from benchmarks.measure import Figures, extra_memory, seconds, side_by_side
from benchmarks.models import vgg16_224
from gpugraph.derived.channels import Granularity
from gpugraph.derived.norms import Norm

NORMS: tuple[Norm | None, ...] = ("l1", "l2", "max", "sum", None)
BY: tuple[Granularity, ...] = ("channel", "layer")
ARCHITECTURES = ("MobileNetV2", "EfficientNetB0", "ResNet152")


def run() -> Figures:
    """Merge VGG16 at 224 x 224 by every norm, then deeper models."""
    return {
        "what": "graphs of channels and of layers without an edge made, in seconds",
        "vgg16_224": _vgg16(),
        "l1_of_channels": {name: _channels(name) for name in ARCHITECTURES},
    }


def _vgg16() -> Figures:
    model = vgg16_224()
    graph = gg.from_keras(model)
    kernels = [keras.ops.convert_to_numpy(w) for w in model.weights if w.path.endswith("kernel")]

    def merge(by: Granularity, norm: Norm | None) -> Callable[[], gg.NeuronGraph]:
        return lambda: graph.quotient(by, norm)

    def by_hand() -> list[np.ndarray]:
        """Sums of magnitudes over the taps, as numpy adds them up; fc1's over its positions."""
        found = []
        for kernel in kernels:
            channels = 512 if kernel.shape[0] == 25088 else kernel.shape[-2]
            taps = kernel.reshape(-1, channels, kernel.shape[-1])
            found.append(np.abs(taps).sum(axis=0))
        return found

    ours, theirs = side_by_side(merge("channel", "l1"), by_hand)
    return {
        "neuron_edges": graph.n_edges,
        "l1_of_channels_s": ours,
        "by_hand_s": theirs,
        "ratio": ours / theirs,
        "l1_of_channels_extra_MB": extra_memory(merge("channel", "l1")) / 1e6,
        "by": {
            by: {
                str(norm): {
                    "edges": graph.quotient(by, norm).n_edges,
                    "s": seconds(merge(by, norm)),
                }
                for norm in NORMS
            }
            for by in BY
        },
    }


def _channels(name: str) -> Figures:
    graph = gg.from_keras(getattr(keras.applications, name)(weights=None))
    merged = graph.quotient("channel", "l1")
    return {
        "neuron_edges": graph.n_edges,
        "nodes": merged.n_nodes,
        "edges": merged.n_edges,
        "s": seconds(lambda: graph.quotient("channel", "l1")),
        "pagerank_s": seconds(lambda: gg.pagerank(merged, device="cpu")),
    }
