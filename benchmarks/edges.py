"""Edges made on the CPU, against filling as much memory."""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np

import gpugraph as gg
from benchmarks.measure import Figures, extra_memory, seconds, side_by_side
from benchmarks.models import vgg16_32, vgg16_224
from gpugraph.edges import Edges

FILL = 2**25  # edges: 400 MB, more than any cache


def columns(n: int) -> list[np.ndarray]:
    """Columns of 12 bytes per edge."""
    return [np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.float32)]


def fill(arrays: Iterable[np.ndarray]) -> None:
    """Write every element once."""
    for array in arrays:
        array.fill(1)


def stream(edges: Iterable[Edges]) -> int:
    """Go through all edges and count them."""
    return sum(len(chunk) for chunk in edges)


def run() -> Figures:
    """Stream VGG16 at 224 x 224 in several chunk sizes; materialise it at 32 x 32."""
    return {
        "what": "edges on the CPU, billions per second, beside a memory fill of 12 bytes per edge",
        "stream_VGG16_224": _stream(),
        "materialise_VGG16_32": _materialise(),
    }


def _stream() -> Figures:
    graph = gg.from_keras(vgg16_224())
    # Memory first: what a first run leaves free would hide what a second one takes.
    memory = extra_memory(lambda: stream(graph.edges(populations=["block3_conv2"], device="cpu")))
    kept = columns(FILL)
    rates: Figures = {}
    for chunk_edges in [2**k for k in range(15, 24, 2)] + [2**18]:
        before = seconds(lambda: fill(kept), repeats=3)
        start = time.perf_counter()
        n_edges = stream(graph.edges(chunk_edges=chunk_edges, device="cpu"))
        rate = n_edges / (time.perf_counter() - start)
        filled = FILL / min(before, seconds(lambda: fill(kept), repeats=3))
        rates[str(chunk_edges)] = {
            "G_edges_per_s": rate / 1e9,
            "fill_G_per_s": filled / 1e9,
            "share_of_fill": rate / filled,
        }
    return {"by_chunk_edges": rates, "extra_memory_MB": memory / 1e6}


def _materialise() -> Figures:
    graph = gg.from_keras(vgg16_32())
    ours, filled = side_by_side(
        lambda: graph.materialise("cpu"), lambda: fill(columns(graph.n_edges)), repeats=3
    )
    return {
        "edges": graph.n_edges,
        "s": ours,
        "fill_s": filled,
        "times_fill": ours / filled,
    }
