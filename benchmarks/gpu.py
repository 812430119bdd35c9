"""Edges and measures on a CUDA GPU, against the card's own memory: ``python -m benchmarks.gpu``.

Figures go to ``benchmarks/results/gpu.json`` (or ``--out FILE``), section by section, the most
important ones first, so that a run that is cut off leaves what it has. Takes under 9 minutes: what
would start too late is left out, and said so. Without a GPU it says so and stops.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import keras
import networkx as nx
import numpy as np
from keras import layers

import gpugraph as gg
from benchmarks.measure import Figures, machine, versions
from benchmarks.models import lenet
from gpugraph.arrays import namespace
from gpugraph.edges import edge_maker
from gpugraph.engines.cugraph_graph import weighted_columns
from gpugraph.model.load import spare_gpu_memory

RESULTS = Path(__file__).parent / "results" / "gpu.json"
STARTED = time.perf_counter()
LAST_START_S = 400  # since the program began; no section and no larger size starts later

ALPHA = 0.85
FILL_EDGES = 2**28  # 3.2 GB of columns, far more than any cache
KIND_EDGES = 2**27
CHUNK_EDGES = (2**22, 2**24, 2**26, 2**28)
LARGE = 224  # pixels of VGG16 as published: 15 G edges, more than a card holds
SMALL = 32  # ... without its top, where cuGraph builds it: 247 M edges
SIZES = range(160, SMALL, -16)  # tried for the largest that fits: 6.2 G edges and fewer
FORWARD_PASSES = 100
REPEATS = 5

LIBRARIES = (
    *("cupy-cuda12x", "cupy-cuda13x", "dask-cuda", "torch", "jax"),
    *(
        f"{name}-cu{major}"
        for name in ("pylibcugraph", "cugraph", "nx-cugraph", "cudf", "rmm")
        for major in (12, 13)
    ),
)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    spare_gpu_memory()
    try:
        xp = namespace("cuda")
    except gg.DeviceError as error:
        sys.exit(f"Nothing was measured. {error}")
    keep_tensorflow_small()
    results: Figures = {"machine": hardware(xp), "what": "seconds, unless a name says otherwise"}
    for name, section in SECTIONS.items():
        results[name] = measured(section, xp)
        results["targets"] = targets(results)
        print(json.dumps({name: results[name]}, indent=2), flush=True)
        save(results, options.out)
    print(json.dumps({"targets": results["targets"]}, indent=2), flush=True)


def measured(section: Callable[[Any], Figures], cupy: Any) -> Figures:
    """Return a section's figures, or why there are none."""
    if is_late():
        return {"left_out": f"{LAST_START_S} s were over"}
    start = time.perf_counter()
    try:
        figures = section(cupy)
    except Exception as error:  # what else there is to measure shall not be lost
        traceback.print_exc()
        figures = {"failed": f"{type(error).__name__}: {error}"}
    gc.collect()
    cupy.get_default_memory_pool().free_all_blocks()
    return {**figures, "section_s": time.perf_counter() - start}


def is_late() -> bool:
    return time.perf_counter() - STARTED > LAST_START_S


def save(results: Figures, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n")


def keep_tensorflow_small() -> None:
    """Have TensorFlow, where it sees the card, take memory as it needs it, not all at once."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)


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


def timed(cupy: Any, function: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the median time of some runs after one that does not count, on an idle device."""
    return median([once(cupy, function) for _ in range(repeats + 1)][1:])


def once(cupy: Any, function: Callable[[], object]) -> float:
    """Return the time of one run, from an idle device to an idle device."""
    cupy.cuda.Device().synchronize()
    start = time.perf_counter()
    function()
    cupy.cuda.Device().synchronize()
    return time.perf_counter() - start


def largest_error(got: object, expected: np.ndarray) -> float:
    """Return the largest relative difference."""
    return float((np.abs(np.asarray(got) - expected) / expected).max())


def vgg16(size: int, include_top: bool = False) -> keras.Model:
    shape = (size, size, 3)
    return keras.applications.VGG16(weights=None, include_top=include_top, input_shape=shape)


def columns(cupy: Any, n: int, ids: Any) -> list[Any]:
    """Columns for n edges."""
    return [cupy.empty(n, dtype) for dtype in (ids, ids, np.float32)]


def fill(arrays: Iterable[Any]) -> None:
    """Write every element once."""
    for array in arrays:
        array.fill(1)


def memory(cupy: Any) -> Figures:
    """The card's own rates, by columns of 12 bytes per edge."""
    block = columns(cupy, FILL_EDGES, np.int32)
    other = cupy.empty_like(block[0])
    filled = timed(cupy, lambda: fill(block))
    copied = timed(cupy, lambda: cupy.copyto(other, block[0]))
    return {
        "fill_GB_per_s": 12 * FILL_EDGES / filled / 1e9,
        "fill_G_edges_per_s": FILL_EDGES / filled / 1e9,
        "copy_GB_per_s": 2 * other.nbytes / copied / 1e9,
    }


KINDS = {
    "conv3x3": (layers.Conv2D(256, 3, padding="same"), (56, 56, 256)),
    "conv3x3_strided": (layers.Conv2D(256, 3, strides=2, padding="same"), (56, 56, 256)),
    "conv1x1": (layers.Conv2D(512, 1), (56, 56, 256)),
    "conv_transposed": (layers.Conv2DTranspose(128, 3, strides=2), (28, 28, 256)),
    "depthwise": (layers.DepthwiseConv2D(3, padding="same"), (112, 112, 512)),
    "dense": (layers.Dense(4096), (25088,)),
    "max_pooling": (layers.MaxPooling2D(3, strides=1), (224, 224, 256)),
    "average_pooling_same": (layers.AveragePooling2D(3, padding="same"), (448, 448, 128)),
    "batch_normalization": (layers.BatchNormalization(), (224, 224, 512)),
}


def edges_by_kind(cupy: Any) -> Figures:
    """Edges per second of each kind of layer, beside filling the same columns."""
    found: Figures = {"int32": {}, "int64": {}}
    for name, (layer, shape) in KINDS.items():
        (projection,) = gg.from_keras(keras.Sequential([keras.Input(shape), layer])).projections
        n = min(projection.n_edges, KIND_EDGES)
        for ids in found:
            out = columns(cupy, n, ids)
            maker = edge_maker(projection, np.dtype(ids), cupy)
            made = timed(cupy, lambda m=maker, o=out, n=n: m.make(0, n, o))
            filled = timed(cupy, lambda o=out: fill(o))
            found[ids][name] = {
                "edges": n,
                "G_edges_per_s": n / made / 1e9,
                "share_of_fill": filled / made,
            }
    return found


def stream_large(cupy: Any) -> Figures:
    """All edges of VGG16 as published, chunk by chunk."""
    graph = gg.from_keras(vgg16(LARGE, include_top=True))
    by_chunk = {}
    for chunk in CHUNK_EDGES:
        s = timed(cupy, lambda c=chunk: count(graph.edges(chunk_edges=c, device="cuda")), 3)
        by_chunk[str(chunk)] = {"s": s, "G_edges_per_s": graph.n_edges / s / 1e9}
    fastest = min(figures["s"] for figures in by_chunk.values())
    return {"edges": graph.n_edges, "by_chunk_edges": by_chunk, "fastest_s": fastest}


def count(edges: Iterable[Any]) -> int:
    return sum(len(chunk) for chunk in edges)


def sweep_large(cupy: Any) -> Figures:
    """PageRank of VGG16 as published by sweep, its error against the CPU's, and forward passes."""
    model = vgg16(LARGE, include_top=True)
    graph = gg.from_keras(model)
    expected = np.asarray(gg.pagerank(graph, ALPHA, device="cpu"))
    found: Figures = {"edges": graph.n_edges}
    for dtype in ("float32", "float64"):

        def ranks(dtype: str = dtype) -> gg.NodeValues:
            return gg.pagerank(graph, ALPHA, dtype=dtype, device="cuda")

        found[dtype] = {
            "s": timed(cupy, ranks),
            "largest_relative_error": largest_error(ranks(), expected),
        }
    found["forward_passes"] = FORWARD_PASSES
    for name, passes in forward_passes(model).items():
        s = timed(cupy, passes, 1)
        found[name] = {"s": s, "float32_share": found["float32"]["s"] / s}
    return found


def forward_passes(model: keras.Model) -> dict[str, Callable[[], object]]:
    """Return runs of VGG16 on the card, one image at a time, by what frameworks see the card."""
    found: dict[str, Callable[[], object]] = {}
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            image = tf.ones((1, LARGE, LARGE, 3))
            run = tf.function(lambda x: model(x, training=False))
            found["tensorflow"] = lambda: [run(image) for _ in range(FORWARD_PASSES)][-1].numpy()
    if find_spec("torch") is not None:
        import torch

        if torch.cuda.is_available():
            found["torch"] = torch_passes(torch)
    return found


def torch_passes(torch: Any) -> Callable[[], object]:
    """Return runs of VGG16 as PyTorch's own layers."""
    parts: list[Any] = []
    n = 3
    for filters, repeats in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(repeats):
            parts += [torch.nn.Conv2d(n, filters, 3, padding=1), torch.nn.ReLU()]
            n = filters
        parts.append(torch.nn.MaxPool2d(2))
    n *= (LARGE // 32) ** 2
    parts.append(torch.nn.Flatten())
    for units in (4096, 4096):
        parts += [torch.nn.Linear(n, units), torch.nn.ReLU()]
        n = units
    parts += [torch.nn.Linear(n, 1000), torch.nn.Softmax(1)]
    model = torch.nn.Sequential(*parts).cuda().eval()
    image = torch.ones(1, 3, LARGE, LARGE, device="cuda")

    def run() -> object:
        with torch.inference_mode():
            return [model(image) for _ in range(FORWARD_PASSES)][-1].cpu()

    return run


def materialised_small(cupy: Any) -> Figures:
    """All edges of the small VGG16 at once: time and peak memory, beside the columns' own."""
    graph = gg.from_keras(vgg16(SMALL))
    graph.materialise("cuda")  # uploads what stays: kernels and tables
    cupy.get_default_memory_pool().free_all_blocks()
    before, _ = cupy.cuda.runtime.memGetInfo()
    edgelist = list(graph.materialise("cuda"))
    after, _ = cupy.cuda.runtime.memGetInfo()  # CuPy's pool keeps what was ever taken
    n_bytes = sum(column.nbytes for column in edgelist)
    filled = timed(cupy, lambda: fill(edgelist), 3)
    edgelist.clear()
    made = timed(cupy, lambda: graph.materialise("cuda"), 3)
    return {
        "edges": graph.n_edges,
        "s": made,
        "share_of_fill": filled / made,
        "peak_share_of_columns": (before - after) / n_bytes,
    }


def cugraph_small(cupy: Any) -> Figures:
    """From a Keras model to cuGraph's ranks, and what part of the time is ours."""
    model = vgg16(SMALL)
    graph = gg.from_keras(model)
    found: Figures = {
        "edges": graph.n_edges,
        "first_time_s": once(cupy, lambda: ranked_by_cugraph(gg.from_keras(model), "float64")),
        "convert_s": timed(cupy, lambda: gg.from_keras(model)),
    }
    for dtype in ("float32", "float64"):

        def made(dtype: str = dtype) -> object:
            number = np.dtype(dtype)
            return weighted_columns(graph, "magnitude", graph.index_dtype, number, cupy)

        def whole(dtype: str = dtype) -> object:
            return ranked_by_cugraph(gg.from_keras(model), dtype)

        found[dtype] = against_sweep(cupy, graph, dtype)
        total = timed(cupy, whole, 3)
        ours = found["convert_s"] + timed(cupy, made, 3)
        found[dtype] |= {"keras_to_ranks_s": total, "ours_s": ours, "our_share": ours / total}
    return found


def ranked_by_cugraph(graph: gg.NeuronGraph, dtype: str) -> gg.NodeValues:
    return gg.pagerank(graph, ALPHA, dtype=dtype, engine="cugraph")


def against_sweep(cupy: Any, graph: gg.NeuronGraph, dtype: str) -> Figures:
    """PageRank by cuGraph, edges and graph made anew, and by sweep."""
    swept = np.asarray(gg.pagerank(graph, ALPHA, device="cuda"))
    got = ranked_by_cugraph(graph, dtype)
    theirs = timed(cupy, lambda: ranked_by_cugraph(graph, dtype), 2)
    ours = timed(cupy, lambda: gg.pagerank(graph, ALPHA, dtype=dtype, device="cuda"))
    return {
        "cugraph_build_and_rank_s": theirs,
        "sweep_s": ours,
        "times_slower": theirs / ours,
        "largest_relative_difference": largest_error(got, swept),
    }


def cugraph_largest(cupy: Any) -> Figures:
    """The largest VGG16 that cuGraph builds on this card, against the sweep."""
    refused: Figures = {}
    for size in SIZES:
        if is_late():
            return {"refused": refused, "left_out": "what is smaller"}
        graph = gg.from_keras(vgg16(size))
        try:
            return {
                "size": size,
                "edges": graph.n_edges,
                **against_sweep(cupy, graph, "float64"),
                "refused": refused,
            }
        except gg.GraphTooLargeError as error:
            refused[f"{size}x{size}"] = str(error)
    return {"refused": refused}


def lenet_against_libraries(cupy: Any) -> Figures:
    """LeNet: the sweep, cuGraph, nx-cugraph and networkx on the same graph."""
    graph = gg.from_keras(lenet())
    found: Figures = {"edges": graph.n_edges}
    start = time.perf_counter()
    others: dict[str, Any] = {"networkx": graph.to_networkx()}
    found["to_networkx_s"] = time.perf_counter() - start
    for _, _, edge in others["networkx"].edges(data=True):
        edge["weight"] = abs(edge["weight"])
    if find_spec("nx_cugraph") is not None:
        others["nx_cugraph"] = graph.to_nx_cugraph("magnitude")
        found["to_nx_cugraph_s"] = timed(cupy, lambda: graph.to_nx_cugraph("magnitude"), 3)
    return {
        **found,
        "pagerank": _lenet_pagerank(cupy, graph, others),
        "betweenness_k64": _lenet_betweenness(cupy, graph, others),
    }


def _lenet_pagerank(cupy: Any, graph: gg.NeuronGraph, others: dict[str, Any]) -> Figures:
    swept = np.asarray(gg.pagerank(graph, ALPHA, device="cuda"))
    found: Figures = {
        "sweep_s": timed(cupy, lambda: gg.pagerank(graph, ALPHA, device="cuda")),
        "sweep_on_cpu_s": timed(cupy, lambda: gg.pagerank(graph, ALPHA, device="cpu")),
    }
    runs = {"cugraph": lambda: ranked_by_cugraph(graph, "float64")}
    for name, other in others.items():
        runs[name] = lambda o=other: by_node(nx.pagerank(o, ALPHA, tol=1e-10, max_iter=1000))
    for name, run in runs.items():
        error = largest_error(run(), swept)
        s = timed(cupy, run, 1)
        found[name] = {
            "s": s,
            "times_slower": s / found["sweep_s"],
            "largest_relative_difference": error,
        }
    return found


def by_node(values: dict[int, float]) -> np.ndarray:
    return np.array([values[node] for node in range(len(values))])


def _lenet_betweenness(cupy: Any, graph: gg.NeuronGraph, others: dict[str, Any]) -> Figures:
    def ours(**options: Any) -> gg.NodeValues:
        return gg.betweenness_centrality(graph, 64, seed=0, **options)

    found: Figures = {
        "sweep_s": timed(cupy, lambda: ours(device="cuda")),
        "sweep_on_cpu_s": timed(cupy, lambda: ours(device="cpu")),
    }
    expected = np.asarray(ours(device="cpu"))
    got = np.abs(np.asarray(ours(device="cuda")) - expected).max()
    found["largest_difference_to_cpu"] = float(got / expected.max())
    runs: dict[str, Callable[[], object]] = {"cugraph": lambda: ours(engine="cugraph")}
    for name, other in others.items():
        runs[name] = lambda o=other: nx.betweenness_centrality(o, 64, seed=0)
    for name, run in runs.items():
        s = timed(cupy, run, 1) if name != "networkx" else once(cupy, run)
        found[name] = {"s": s, "times_slower": s / found["sweep_s"]}
    return found


def betweenness_small(cupy: Any) -> Figures:
    """Betweenness of the small VGG16 from 64 nodes."""
    graph = gg.from_keras(vgg16(SMALL))

    def ours(**options: Any) -> gg.NodeValues:
        return gg.betweenness_centrality(graph, 64, seed=0, **options)

    swept, built = ours(device="cuda"), ours(engine="cugraph")
    difference = np.abs(np.asarray(built) - np.asarray(swept)).max() / np.max(swept)
    mine = timed(cupy, lambda: ours(device="cuda"), 2)
    theirs = once(cupy, lambda: ours(engine="cugraph"))
    return {
        "edges": graph.n_edges,
        "sources": 64,
        "sweep_s": mine,
        "cugraph_s": theirs,
        "times_slower": theirs / mine,
        "largest_difference": float(difference),
    }


def measures_large(cupy: Any) -> Figures:
    """Other measures of VGG16 as published, by sweep."""
    graph = gg.from_keras(vgg16(LARGE, include_top=True))
    measures: dict[str, Callable[[], object]] = {
        "katz_centrality": lambda: gg.katz_centrality(graph, device="cuda"),
        "path_strength": lambda: gg.path_strength(graph, device="cuda"),
        "path_count": lambda: gg.path_count(graph, device="cuda"),
        "betweenness_k4": lambda: gg.betweenness_centrality(graph, 4, seed=0, device="cuda"),
        "components": lambda: gg.weakly_connected_components(graph, device="cuda"),
    }
    found: Figures = {"edges": graph.n_edges}
    for name, measure in measures.items():
        found[f"{name}_s"] = timed(cupy, measure, 1)
    return found


SECTIONS: dict[str, Callable[[Any], Figures]] = {
    "memory": memory,
    "edges_by_kind": edges_by_kind,
    "stream_vgg16_224": stream_large,
    "sweep_vgg16_224": sweep_large,
    "materialised_vgg16_32": materialised_small,
    "cugraph_vgg16_32": cugraph_small,
    "lenet": lenet_against_libraries,
    "cugraph_largest_vgg16": cugraph_largest,
    "betweenness_vgg16_32": betweenness_small,
    "measures_vgg16_224": measures_large,
}

# What was to be reached: the figure, and its bound from above or below.
AT_MOST: dict[str, tuple[Callable[[Figures], float], float]] = {
    "stream_vgg16_224_s": (lambda r: r["stream_vgg16_224"]["fastest_s"], 0.2),
    "sweep_vgg16_224_float32_s": (lambda r: r["sweep_vgg16_224"]["float32"]["s"], 0.02),
    "sweep_share_of_100_forward_passes": (
        lambda r: min(
            r["sweep_vgg16_224"][name]["float32_share"]
            for name in ("tensorflow", "torch")
            if name in r["sweep_vgg16_224"]
        ),
        0.5,
    ),
    "keras_to_cugraph_ranks_s": (
        lambda r: r["cugraph_vgg16_32"]["float64"]["keras_to_ranks_s"],
        2.0,
    ),
    "our_share_of_it": (lambda r: r["cugraph_vgg16_32"]["float64"]["our_share"], 0.2),
    "cugraph_relative_difference": (
        lambda r: r["cugraph_vgg16_32"]["float64"]["largest_relative_difference"],
        1e-5,
    ),
    "peak_share_of_columns": (
        lambda r: r["materialised_vgg16_32"]["peak_share_of_columns"],
        1.1,
    ),
}
AT_LEAST: dict[str, tuple[Callable[[Figures], float], float]] = {
    f"slowest_{ids}_edges_share_of_fill": (
        lambda r, ids=ids: min(f["share_of_fill"] for f in r["edges_by_kind"][ids].values()),
        0.7,
    )
    for ids in ("int32", "int64")
}


def targets(results: Figures) -> Figures:
    """Compare what was measured so far with what was to be reached."""
    found: Figures = {}
    for bound, wanted in (("at_most", AT_MOST), ("at_least", AT_LEAST)):
        for name, (figure, limit) in wanted.items():
            try:
                got = figure(results)
            except (KeyError, ValueError):  # not measured, or not yet
                continue
            ratio = got / limit if bound == "at_most" else limit / got
            found[name] = {"figure": got, bound: limit, "ratio": ratio, "reached": ratio <= 1}
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
