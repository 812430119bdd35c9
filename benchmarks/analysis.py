"""Measures in factored form, against libraries on the materialised graph and Keras's own run."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import igraph
import keras
import networkx as nx
import numpy as np
from scipy import sparse

import gpugraph as gg
from benchmarks.measure import Figures, extra_memory, once, seconds, side_by_side
from benchmarks.models import cnn, lenet, vgg16_224

ALPHA = 0.85
ARCHITECTURES = ("MobileNetV2", "EfficientNetB0", "ResNet152")


def run() -> Figures:
    """Rank the largest graph, then graphs that others can hold too, then measure whole families."""
    return {
        "what": "measures by sweeps, in seconds, against Keras's predict and other libraries",
        "vgg16_224": _vgg16(),
        "cnn_pagerank": _cnn_pagerank(),
        "lenet_betweenness": _lenet_betweenness(),
        "every_measure": {name: _every_measure(name) for name in ARCHITECTURES},
    }


def _vgg16() -> Figures:
    model = vgg16_224()
    graph = gg.from_keras(model)
    image = np.random.default_rng(0).standard_normal((1, *model.input_shape[1:]), np.float32)
    figures: Figures = {"nodes": graph.n_nodes, "edges": graph.n_edges}
    ranks = {}
    for dtype in ("float32", "float64"):

        def ours(dtype: str = dtype) -> None:
            ranks[dtype] = np.asarray(gg.pagerank(graph, ALPHA, dtype=dtype, device="cpu"))

        mine, theirs = side_by_side(ours, lambda: model.predict(image, verbose=0), repeats=9)
        figures[f"pagerank_{dtype}"] = {
            "s": mine,
            "predict_s": theirs,
            "ratio": mine / theirs,
            "extra_MB": extra_memory(ours) / 1e6,
        }
    error = np.abs(ranks["float32"] - ranks["float64"]) / ranks["float64"]
    figures["float32_largest_relative_error"] = float(error.max())
    figures["in_and_out_degree_s"] = seconds(lambda: (graph.in_degree(), graph.out_degree()))
    figures["in_and_out_strength_s"] = seconds(
        lambda: (graph.in_strength("magnitude"), graph.out_strength("magnitude")), 3
    )
    figures["betweenness_k16"] = once(lambda: gg.betweenness_centrality(graph, 16, seed=0))
    return figures


def _cnn_pagerank() -> Figures:
    """Exact PageRank of a CNN that every library can hold, against theirs."""
    graph = gg.from_keras(cnn())
    src, dst, weight = graph.materialise("cpu")
    weight = np.abs(weight.astype(np.float64))
    shape = (graph.n_nodes, graph.n_nodes)
    matrix = sparse.coo_array((weight, (src, dst)), shape=shape).tocsr()
    strength = matrix.sum(axis=1)
    inverse = np.divide(1, strength, out=np.zeros_like(strength), where=strength > 0)
    forward = (sparse.diags_array(inverse) @ matrix).T.tocsr()
    dangling = strength == 0

    def power(tolerance: float) -> np.ndarray:
        x = np.full(graph.n_nodes, 1 / graph.n_nodes)
        while True:
            rest = (ALPHA * x[dangling].sum() + 1 - ALPHA) / graph.n_nodes
            y = ALPHA * (forward @ x) + rest
            if np.abs(y - x).sum() < tolerance:
                return y
            x = y

    others = igraph.Graph(graph.n_nodes, np.stack([src, dst], axis=1), directed=True)
    others.es["weight"] = weight.tolist()
    start = perf_counter()
    built = nx.DiGraph()
    built.add_weighted_edges_from(zip(src.tolist(), dst.tolist(), weight.tolist(), strict=True))
    networkx_build = perf_counter() - start
    ours = seconds(lambda: gg.pagerank(graph, ALPHA, device="cpu"), 101)
    exact = np.asarray(gg.pagerank(graph, ALPHA, device="cpu"))
    rivals: dict[str, Callable[[], object]] = {
        "scipy_power_iteration": lambda: power(1e-12),
        "igraph": lambda: others.pagerank(damping=ALPHA, weights="weight"),
        "networkx": lambda: nx.pagerank(built, ALPHA),
    }
    figures: Figures = {"edges": graph.n_edges, "s": ours, "networkx_build_s": networkx_build}
    for name, rival in rivals.items():
        theirs = seconds(rival, 1 if name == "networkx" else 9)
        figures[name] = {"s": theirs, "times_slower": theirs / ours}
    converged = power(1e-16)
    figures["largest_relative_difference_to_power_iteration"] = float(
        (np.abs(exact - converged) / converged).max()
    )
    return figures


def _lenet_betweenness() -> Figures:
    graph = gg.from_keras(lenet())
    built = graph.to_networkx()
    ours = seconds(lambda: gg.betweenness_centrality(graph, 64, seed=0, device="cpu"), 25)
    start = perf_counter()
    found = nx.betweenness_centrality(built, 64, seed=0)
    theirs = perf_counter() - start
    mine = np.asarray(gg.betweenness_centrality(graph, 64, seed=0, device="cpu"))
    expected = np.array([found[node] for node in range(graph.n_nodes)])
    return {
        "edges": graph.n_edges,
        "sources": 64,
        "s": ours,
        "networkx_s": theirs,
        "times_slower": theirs / ours,
        "largest_difference": float(np.abs(mine - expected).max() / expected.max()),
    }


def _every_measure(name: str) -> Figures:
    """Run every measure once on a large model at its full size."""
    graph = gg.from_keras(getattr(keras.applications, name)(weights=None))
    last = list(graph.populations)[-1]
    conv = max((p for p in graph.projections if p.kernel is not None), key=lambda p: p.n_edges)
    measures: dict[str, Callable[[], object]] = {
        "pagerank": lambda: gg.pagerank(graph),
        "katz_centrality": lambda: gg.katz_centrality(graph),
        "hits": lambda: gg.hits(graph),
        "edge_betweenness_centrality_k2": lambda: gg.edge_betweenness_centrality(graph, 2, seed=0),
        "betweenness_centrality_k2": lambda: gg.betweenness_centrality(graph, 2, seed=0),
        "closeness_centrality_k2": lambda: gg.closeness_centrality(graph, 2, seed=0),
        "harmonic_centrality_k2": lambda: gg.harmonic_centrality(graph, 2, seed=0),
        "path_count": lambda: gg.path_count(graph),
        "path_strength": lambda: gg.path_strength(graph),
        "edge_path_strength": lambda: gg.edge_path_strength(graph),
        "longest_path_length": lambda: gg.longest_path_length(graph),
        "ancestors": lambda: gg.ancestors(graph, last),
        "weakly_connected_components": lambda: gg.weakly_connected_components(graph),
        "degree_centrality": lambda: gg.degree_centrality(graph),
        "strengths": lambda: (gg.in_strength(graph), gg.out_strength(graph)),
        "singular_values": lambda: gg.singular_values(conv, 1, tol=1e-4),
        "layer_statistics": lambda: gg.layer_statistics(graph),
    }
    figures: Figures = {"nodes": graph.n_nodes, "edges": graph.n_edges}
    for measure, function in measures.items():
        figures[measure] = once(function)
        print(name, measure, figures[measure], flush=True)
    return figures
