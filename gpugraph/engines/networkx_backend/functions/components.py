"""Components: where edges have a direction, single nodes, as there is no cycle."""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx
import numpy as np

from gpugraph.algorithms import components
from gpugraph.engines.networkx_backend.answers import ON_WHOLE_GRAPH, answers
from gpugraph.engines.networkx_backend.nodes import Node, groups, labels, nodes
from gpugraph.graph import NeuronGraph


@answers()
def weakly_connected_components(G: NeuronGraph) -> Iterator[set[Node]]:
    """Yield the nodes of each label of `gpugraph.weakly_connected_components`."""
    return map(set, groups(G, components.weakly_connected_components(G)))


@answers()
def number_weakly_connected_components(G: NeuronGraph) -> int:
    """Return the number of weakly connected components."""
    return len(np.unique(np.asarray(components.weakly_connected_components(G))))


@answers()
def is_weakly_connected(G: NeuronGraph) -> bool:
    """Tell whether there is one weakly connected component."""
    _require_nodes(G, "Connectivity is undefined for the null graph.")
    return not np.asarray(components.weakly_connected_components(G)).any()  # all joined to node 0


@answers()
def strongly_connected_components(G: NeuronGraph) -> Iterator[set[Node]]:
    """Yield every node by itself."""
    return ({node} for node in nodes(G))


@answers(plain={"source": ON_WHOLE_GRAPH})
def kosaraju_strongly_connected_components(
    G: NeuronGraph, source: Node | None = None
) -> Iterator[set[Node]]:
    """Yield every node by itself."""
    return strongly_connected_components(G)


@answers()
def number_strongly_connected_components(G: NeuronGraph) -> int:
    """Return the number of nodes."""
    return G.n_nodes


@answers()
def is_strongly_connected(G: NeuronGraph) -> bool:
    """Tell whether there is a single node."""
    _require_nodes(G, "Connectivity is undefined for the null graph.")
    return G.n_nodes == 1


@answers()
def attracting_components(G: NeuronGraph) -> Iterator[set[Node]]:
    """Yield every node without edges out by itself."""
    return ({node} for node in labels(G, np.flatnonzero(G.out_degree() == 0)))


@answers()
def number_attracting_components(G: NeuronGraph) -> int:
    """Return the number of nodes without edges out."""
    return int((G.out_degree() == 0).sum())


@answers()
def is_attracting_component(G: NeuronGraph) -> bool:
    """Tell whether there is a single node."""
    return G.n_nodes == 1


def _require_nodes(graph: NeuronGraph, message: str) -> None:
    if not graph.n_nodes:
        raise nx.NetworkXPointlessConcept(message)
