"""Degrees, strengths and degree centralities, in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpugraph.algorithms.requirements import require_view
from gpugraph.node_values import NodeValues
from gpugraph.views import Weight

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph


def in_degree(graph: NeuronGraph) -> NodeValues:
    """Return the number of edges into each node, int64; parallel edges count each."""
    return NodeValues(graph, graph.in_degree(), "in_degree")


def out_degree(graph: NeuronGraph) -> NodeValues:
    """Return the number of edges out of each node, int64; parallel edges count each."""
    return NodeValues(graph, graph.out_degree(), "out_degree")


def in_strength(graph: NeuronGraph, weight: Weight = "weight") -> NodeValues:
    """Return the sum of the weights into each node, float64.

    Parameters
    ----------
    graph : NeuronGraph
    weight : {"weight", "magnitude", "positive", "negative", None}
        View of the weights: signed by default; None counts edges.

    Notes
    -----
    The kernel is contracted with a small table per axis: no edge is made.

    References
    ----------
    Barrat, Barthelemy, Pastor-Satorras, Vespignani (2004). The architecture of complex weighted
    networks. PNAS 101(11).
    """
    require_view(weight)
    return NodeValues(graph, graph.in_strength(weight), "in_strength")


def out_strength(graph: NeuronGraph, weight: Weight = "weight") -> NodeValues:
    """Return the sum of the weights out of each node, float64; otherwise as `in_strength`."""
    require_view(weight)
    return NodeValues(graph, graph.out_strength(weight), "out_strength")


def degree_centrality(graph: NeuronGraph) -> NodeValues:
    """Return each node's degree, in and out, as a share of the n - 1 other nodes.

    Parallel edges count each, so that it can exceed 1.
    """
    return _centrality(graph, graph.in_degree() + graph.out_degree(), "degree_centrality")


def in_degree_centrality(graph: NeuronGraph) -> NodeValues:
    """Return each node's in-degree as a share of the n - 1 other nodes."""
    return _centrality(graph, graph.in_degree(), "in_degree_centrality")


def out_degree_centrality(graph: NeuronGraph) -> NodeValues:
    """Return each node's out-degree as a share of the n - 1 other nodes."""
    return _centrality(graph, graph.out_degree(), "out_degree_centrality")


def _centrality(graph: NeuronGraph, degree: np.ndarray, name: str) -> NodeValues:
    """Divide by n - 1; a single node has centrality 1, as networkx defines it."""
    others = graph.n_nodes - 1
    values = degree / others if others > 0 else np.ones(graph.n_nodes)
    return NodeValues(graph, values, name)
