"""Edges and measures on a CUDA GPU, against the card's own memory: ``python -m benchmarks.gpu``.

Figures go to ``benchmarks/results/gpu.json`` (or ``--out FILE``), section by section, so that a
run that is cut off leaves what it has. Takes under 9 minutes. Without a GPU it says so and stops.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

import keras
import numpy as np
from keras import layers

import gpugraph as gg
from benchmarks.measure import Figures, machine, versions
from benchmarks.models import lenet, vgg16_224
from gpugraph.arrays import namespace
from gpugraph.edges import edge_maker

RESULTS = Path(__file__).parent / "results" / "gpu.json"
ALPHA = 0.85
SIZES = (32, 64, 80, 96)  # of VGG16 without its top: 0.25 to 2.2 billion edges
LIBRARIES = (
    "cupy-cuda13x",
    "cupy-cuda12x",
    "pylibcugraph-cu13",
    "pylibcugraph-cu12",
    "torch",
    "jax",
)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    try:
        xp = namespace("cuda")
    except gg.DeviceError as error:
        sys.exit(f"Nothing was measured. {error}")
    results: Figures = {"machine": hardware(xp)}
    for name, section in SECTIONS.items():
        start = time.perf_counter()
        try:
            figures = section(xp)
        except Exception as error:  # what else there is to measure shall not be lost
            traceback.print_exc()
            figures = {"failed": f"{type(error).__name__}: {error}"}
        figures["section_s"] = time.perf_counter() - start
        results[name] = figures
        print(json.dumps({name: figures}, indent=2), flush=True)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=2) + "\n")
        gc.collect()
        xp.get_default_memory_pool().free_all_blocks()


def hardware(cupy: Any) -> Figures:
    """Describe the card and what runs on it."""
    properties = cupy.cuda.runtime.getDeviceProperties(0)
    return {
        **machine(),
        **versions(LIBRARIES),
        "gpu": properties["name"].decode(),
        "gpu_memory_GB": round(properties["totalGlobalMem"] / 1e9, 1),
        "cuda_runtime": cupy.cuda.runtime.runtimeGetVersion(),
        "cuda_driver": cupy.cuda.runtime.driverGetVersion(),
        "keras_backend": keras.backend.backend(),
    }


def timed(cupy: Any, function: Callable[[], object], repeats: int = 5) -> float:
    """Return the median time of some runs after one that does not count, on an idle device."""
    times = []
    for turn in range(repeats + 1):
        cupy.cuda.Device().synchronize()
        start = time.perf_counter()
        function()
        cupy.cuda.Device().synchronize()
        if turn:
            times.append(time.perf_counter() - start)
    return median(times)


def columns(cupy: Any, n: int, ids: Any) -> list[Any]:
    """Columns for n edges."""
    return [cupy.empty(n, dtype) for dtype in (ids, ids, cupy.float32)]


def memory(cupy: Any) -> Figures:
    """The card's own rates."""
    block = columns(cupy, 2**28, np.int32)
    other = cupy.empty_like(block[0])
    fill = timed(cupy, lambda: [column.fill(1) for column in block])
    copy = timed(cupy, lambda: cupy.copyto(other, block[0]))
    return {
        "fill_GB_per_s": 12 * 2**28 / fill / 1e9,
        "fill_G_edges_per_s": 2**28 / fill / 1e9,
        "copy_GB_per_s": 2 * other.nbytes / copy / 1e9,
    }


KINDS = {
    "conv3x3": (layers.Conv2D(256, 3, padding="same"), (56, 56, 256)),
    "conv3x3_strided": (layers.Conv2D(256, 3, strides=2, padding="same"), (56, 56, 256)),
    "conv1x1": (layers.Conv2D(512, 1), (56, 56, 256)),
    "depthwise": (layers.DepthwiseConv2D(3, padding="same"), (112, 112, 512)),
    "dense": (layers.Dense(4096), (25088,)),
    "max_pooling": (layers.MaxPooling2D(3, strides=1), (224, 224, 256)),
    "average_pooling_same": (layers.AveragePooling2D(3, padding="same"), (448, 448, 128)),
    "batch_normalization": (layers.BatchNormalization(), (224, 224, 512)),
}


def edges_by_kind(cupy: Any) -> Figures:
    """Edges per second of each kind of layer, beside filling the same columns."""
    found: Figures = {}
    for name, (layer, shape) in KINDS.items():
        (projection,) = gg.from_keras(keras.Sequential([keras.Input(shape), layer])).projections
        n = min(projection.n_edges, 2**27)
        for ids in (np.int32, np.int64):
            out = columns(cupy, n, ids)
            maker = edge_maker(projection, np.dtype(ids), cupy)
            made = timed(cupy, lambda m=maker, o=out, n=n: m.make(0, n, o))
            filled = timed(cupy, lambda o=out: [column.fill(1) for column in o])
            found[f"{name}_{np.dtype(ids).name}"] = {
                "edges": n,
                "G_edges_per_s": n / made / 1e9,
                "share_of_fill": filled / made,
            }
    return found


def stream_vgg16(cupy: Any) -> Figures:
    """All edges of VGG16 at 224 x 224, chunk by chunk."""
    graph = gg.from_keras(vgg16_224())
    out: Figures = {"edges": graph.n_edges}
    for bits in (22, 24, 26, 28):
        chunk = 2**bits
        s = timed(cupy, lambda c=chunk: _count(graph.edges(chunk_edges=c, device="cuda")), 3)
        out[f"chunks_of_2^{bits}"] = {"s": s, "G_edges_per_s": graph.n_edges / s / 1e9}
    return out


def _count(edges: Iterable[Any]) -> int:
    return sum(len(chunk) for chunk in edges)


def sweep_vgg16(cupy: Any) -> Figures:
    """PageRank of VGG16 at 224 x 224 by sweep; its error against the CPU; Keras's own run."""
    model = vgg16_224()
    graph = gg.from_keras(model)
    expected = np.asarray(gg.pagerank(graph, ALPHA, device="cpu"))
    found: Figures = {"edges": graph.n_edges}
    for dtype in ("float32", "float64"):
        s = timed(cupy, lambda d=dtype: gg.pagerank(graph, ALPHA, dtype=d, device="cuda"))
        got = np.asarray(gg.pagerank(graph, ALPHA, dtype=dtype, device="cuda"))
        error = float((np.abs(got - expected) / expected).max())
        found[dtype] = {"s": s, "largest_relative_error": error}
    image = keras.ops.ones((1, 224, 224, 3))
    found["keras_100_images_s"] = timed(
        cupy, lambda: [np.asarray(keras.ops.convert_to_numpy(model(image))) for _ in range(100)], 1
    )
    measures: dict[str, Callable[[], object]] = {
        "katz_centrality": lambda: gg.katz_centrality(graph, device="cuda"),
        "path_strength": lambda: gg.path_strength(graph, device="cuda"),
        "path_count": lambda: gg.path_count(graph, device="cuda"),
        "betweenness_k4": lambda: gg.betweenness_centrality(graph, 4, seed=0, device="cuda"),
        "components": lambda: gg.weakly_connected_components(graph, device="cuda"),
    }
    for name, measure in measures.items():
        found[f"{name}_s"] = timed(cupy, measure, 1)
    return found


def materialised(cupy: Any) -> Figures:
    """VGG16 without its top, all edges in the card's memory, ranked by cuGraph and by sweep."""
    return {f"{size}x{size}": _materialised_or_refused(cupy, size) for size in SIZES}


def _materialised_or_refused(cupy: Any, size: int) -> Figures:
    try:
        return _materialised(cupy, size)
    except gg.GraphTooLargeError as error:
        return {"refused": str(error)}


def _materialised(cupy: Any, size: int) -> Figures:
    model = keras.applications.VGG16(weights=None, include_top=False, input_shape=(size, size, 3))
    start = time.perf_counter()
    graph = gg.from_keras(model)
    converted = time.perf_counter() - start
    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    before = pool.total_bytes()
    edgelist = graph.materialise("cuda")
    column_bytes = sum(column.nbytes for column in edgelist)
    peak = pool.total_bytes() - before
    del edgelist
    made = timed(cupy, lambda: graph.materialise("cuda"), 3)
    ours = timed(cupy, lambda: gg.pagerank(graph, ALPHA, device="cuda"))
    swept = np.asarray(gg.pagerank(graph, ALPHA, device="cuda"))
    ranked = timed(cupy, lambda: gg.pagerank(graph, ALPHA, engine="cugraph"), 2)
    got = np.asarray(gg.pagerank(graph, ALPHA, engine="cugraph"))
    return {
        "edges": graph.n_edges,
        "convert_s": converted,
        "materialise_s": made,
        "peak_share_of_columns": peak / column_bytes,
        "sweep_s": ours,
        "cugraph_build_and_rank_s": ranked,
        "keras_to_cugraph_ranks_s": converted + ranked,
        "largest_difference": float((np.abs(got - swept) / swept).max()),
    }


def lenet_against_libraries(cupy: Any) -> Figures:
    """LeNet: the sweep, cuGraph, and networkx, on the same graph."""
    import networkx as nx

    graph = gg.from_keras(lenet())
    found: Figures = {
        "sweep_s": timed(cupy, lambda: gg.pagerank(graph, ALPHA, device="cuda")),
        "sweep_on_cpu_s": timed(cupy, lambda: gg.pagerank(graph, ALPHA, device="cpu")),
        "cugraph_s": timed(cupy, lambda: gg.pagerank(graph, ALPHA, engine="cugraph")),
        "betweenness_k64_s": timed(
            cupy, lambda: gg.betweenness_centrality(graph, 64, seed=0, device="cuda")
        ),
        "betweenness_k64_cugraph_s": timed(
            cupy, lambda: gg.betweenness_centrality(graph, 64, seed=0, engine="cugraph")
        ),
    }
    built = graph.to_networkx()
    start = time.perf_counter()
    nx.betweenness_centrality(built, 64, seed=0)
    found["betweenness_k64_networkx_s"] = time.perf_counter() - start
    return found


SECTIONS: dict[str, Callable[[Any], Figures]] = {
    "memory": memory,
    "edges_by_kind": edges_by_kind,
    "stream_vgg16_224": stream_vgg16,
    "sweep_vgg16_224": sweep_vgg16,
    "materialised_vgg16": materialised,
    "lenet": lenet_against_libraries,
}


if __name__ == "__main__":
    main(sys.argv[1:])
