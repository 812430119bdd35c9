"""Cycles, of which there are none, and what follows from that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import networkx as nx

from gpugraph.engines.networkx_backend.answers import ON_WHOLE_GRAPH, answers
from gpugraph.engines.networkx_backend.nodes import Node
from gpugraph.graph import NeuronGraph


@answers(plain={"length_bound": ON_WHOLE_GRAPH})
def simple_cycles(G: NeuronGraph, length_bound: int | None = None) -> Iterator[list[Node]]:
    """Yield nothing."""
    return iter(())


@answers(
    plain={"source": ON_WHOLE_GRAPH, "orientation": "gpugraph follows edges in their direction"},
)
def find_cycle(G: NeuronGraph, source: Any = None, orientation: str | None = None) -> None:
    """Raise what networkx raises where there is no cycle."""
    raise nx.NetworkXNoCycle("No cycle found.")


@answers()
def number_of_selfloops(G: NeuronGraph) -> int:
    """Return 0."""
    return 0


@answers()
def overall_reciprocity(G: NeuronGraph) -> float:
    """Return 0: an edge back would close a cycle."""
    if not G.n_edges:
        raise nx.NetworkXError("Not defined for empty graphs")
    return 0.0


@answers(plain={"nodes": ON_WHOLE_GRAPH})
def reciprocity(G: NeuronGraph, nodes: Any = None) -> float:
    """Return 0: an edge back would close a cycle."""
    return overall_reciprocity(G)


@answers(plain={"weight": "gpugraph counts edges"})
def flow_hierarchy(G: NeuronGraph, weight: str | None = None) -> float:
    """Return 1: no edge lies on a cycle."""
    if not G.n_edges:
        raise nx.NetworkXError("flow_hierarchy not applicable to empty graphs")
    return 1.0
