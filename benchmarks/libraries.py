"""Handing the graph to networkx and scipy, against their own way in from ready columns."""

from __future__ import annotations

import gc

import networkx as nx
from scipy import sparse

import gpugraph as gg
from benchmarks.measure import Figures, side_by_side
from benchmarks.models import cnn, vgg16_32


def run() -> Figures:
    """Build the same networkx graph and the same CSR matrix both ways."""
    return {
        "what": "other libraries, from the factored graph against from ready tuples or columns",
        "to_networkx": _networkx(),
        "to_scipy": {name: _scipy(make()) for name, make in (("CNN", cnn), ("VGG16_32", vgg16_32))},
    }


def _networkx() -> Figures:
    graph = gg.from_keras(cnn())
    tuples = list(graph.edge_tuples())

    def ready() -> None:
        nx.DiGraph().add_weighted_edges_from(tuples)
        gc.collect()

    def ours() -> None:
        graph.to_networkx()
        gc.collect()

    mine, theirs = side_by_side(ours, ready, repeats=3)
    return {"edges": graph.n_edges, "s": mine, "networkx_s": theirs, "ratio": mine / theirs}


def _scipy(model: object) -> Figures:
    graph = gg.from_keras(model)
    src, dst, weight = graph.materialise("cpu")
    shape = (graph.n_nodes, graph.n_nodes)
    mine, theirs = side_by_side(
        graph.to_scipy,
        lambda: sparse.coo_array((weight, (src, dst)), shape=shape).tocsr(),
        repeats=3,
    )
    return {"edges": graph.n_edges, "s": mine, "scipy_s": theirs, "ratio": mine / theirs}
