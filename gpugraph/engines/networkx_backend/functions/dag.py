"""What networkx has for graphs without cycles."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gpugraph.algorithms import longest_path, reach
from gpugraph.engines.networkx_backend.answers import answers
from gpugraph.engines.networkx_backend.labelled_graph import LabelledGraph
from gpugraph.engines.networkx_backend.nodes import Node, groups, id_of, node_set
from gpugraph.graph import NeuronGraph


@answers()
def ancestors(G: NeuronGraph, source: Node) -> set[Node]:
    """Return the nodes of `gpugraph.ancestors`."""
    return node_set(G, reach.ancestors(G, id_of(G, source)))


@answers()
def descendants(G: NeuronGraph, source: Node) -> set[Node]:
    """Return the nodes of `gpugraph.descendants`."""
    return node_set(G, reach.descendants(G, id_of(G, source)))


@answers()
def is_directed_acyclic_graph(G: NeuronGraph) -> bool:
    """Return True."""
    return True


@answers()
def has_cycle(G: NeuronGraph) -> bool:
    """Return False."""
    return False


@answers()
def topological_sort(G: NeuronGraph) -> Iterator[Node]:
    """Yield the nodes in the order of their ids, which is topological."""
    return iter(G.labels if isinstance(G, LabelledGraph) else range(G.n_nodes))


@answers()
def topological_generations(G: NeuronGraph) -> Iterator[list[Node]]:
    """Yield the nodes of each `gpugraph.longest_path_length`."""
    return groups(G, longest_path.longest_path_length(G))


@answers()
def dag_longest_path_length(
    G: NeuronGraph, weight: str | None = "weight", default_weight: float = 1
) -> float:
    """Return the largest `gpugraph.longest_path_length`, where every edge weighs the same."""
    if not G.n_nodes:
        return 0
    if weight is not None:
        if not isinstance(G, LabelledGraph) or any(p.kernel is not None for p in G.projections):
            raise NotImplementedError("gpugraph finds the longest path in edges: weight=None")
        default_weight = 1
    return int(np.asarray(longest_path.longest_path_length(G)).max()) * max(default_weight, 0)
