"""Nodes without edges."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gpugraph.engines.networkx_backend.answers import answers
from gpugraph.engines.networkx_backend.nodes import Node, id_of, labels
from gpugraph.graph import NeuronGraph


@answers()
def is_empty(G: NeuronGraph) -> bool:
    """Tell whether there are no edges."""
    return G.n_edges == 0


@answers()
def isolates(G: NeuronGraph) -> Iterator[Node]:
    """Yield the nodes without edges."""
    return iter(labels(G, np.flatnonzero(_degree(G) == 0)))


@answers()
def is_isolate(G: NeuronGraph, n: Node) -> bool:
    """Tell whether a node has no edges."""
    return int(_degree(G)[id_of(G, n, message="Node {} is not in the graph.")]) == 0


@answers()
def number_of_isolates(G: NeuronGraph) -> int:
    """Return the number of nodes without edges."""
    return int((_degree(G) == 0).sum())


def _degree(graph: NeuronGraph) -> np.ndarray:
    return graph.in_degree() + graph.out_degree()
