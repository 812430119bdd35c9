"""Who is how many edges away."""

from __future__ import annotations

import networkx as nx
import numpy as np

from gpugraph.algorithms import reach
from gpugraph.algorithms.distances import hops
from gpugraph.engines.networkx_backend.answers import answers
from gpugraph.engines.networkx_backend.nodes import Node, id_of, labels, node_set
from gpugraph.graph import NeuronGraph


@answers()
def has_path(G: NeuronGraph, source: Node, target: Node) -> bool:
    """Tell whether a node reaches another, or is it."""
    first = id_of(G, source, nx.NodeNotFound, "Source {} is not in G")
    last = id_of(G, target, nx.NodeNotFound, "Target {} is not in G")
    return first == last or bool(reach.descendants(G, first)[last])


@answers()
def single_source_shortest_path_length(
    G: NeuronGraph, source: Node, cutoff: float | None = None
) -> dict[Node, int]:
    """Return the number of edges to each node that a node reaches."""
    node = id_of(G, source, nx.NodeNotFound, "Source {} is not in G")
    return _lengths(G, _hops(G, node), cutoff)


@answers()
def single_target_shortest_path_length(
    G: NeuronGraph, target: Node, cutoff: float | None = None
) -> dict[Node, int]:
    """Return the number of edges from each node that reaches a node."""
    node = id_of(G, target, nx.NodeNotFound, "Target {} is not in G")
    return _lengths(G, _hops(G, node, backward=True), cutoff)


@answers()
def descendants_at_distance(G: NeuronGraph, source: Node, distance: int) -> set[Node]:
    """Return the nodes so many edges away from a node."""
    node = id_of(G, source, message="The node {} is not in the graph.")
    return node_set(G, _hops(G, node) == distance)


def _hops(graph: NeuronGraph, node: int, *, backward: bool = False) -> np.ndarray:
    """Return the number of edges from a node to all, or with ``backward`` to it from all."""
    return hops(graph, reach.marked(graph, node), backward=backward)


def _lengths(graph: NeuronGraph, distances: np.ndarray, cutoff: float | None) -> dict[Node, int]:
    """Return distances up to a cutoff, the nearest node first."""
    near = np.flatnonzero(distances <= (np.finfo(np.float64).max if cutoff is None else cutoff))
    near = near[np.argsort(distances[near], kind="stable")]
    lengths = distances[near].astype(np.int64).tolist()
    return dict(zip(labels(graph, near), lengths, strict=True))
