"""Between networkx's nodes and ours: ids, labels, and results as networkx gives them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import networkx as nx
import numpy as np

from gpugraph.engines.networkx_backend.labelled_graph import LabelledGraph
from gpugraph.graph import NeuronGraph
from gpugraph.node_values import NodeValues
from gpugraph.views import Weight

Node = Hashable
PerNode = NodeValues | dict[Node, float]


def id_of(
    graph: NeuronGraph,
    node: Any,
    error: type[nx.NetworkXException] = nx.NetworkXError,
    message: str = "The node {} is not in the digraph.",
) -> int:
    """Return the id of a node, or raise what networkx raises."""
    found = _find(graph, node)
    if found is None:
        raise error(message.format(node))
    return found


def _find(graph: NeuronGraph, node: Any) -> int | None:
    """Return the id of a node; None if there is none."""
    if isinstance(graph, LabelledGraph):
        return graph.ids.get(node)
    is_id = hasattr(node, "__index__") and 0 <= node < graph.n_nodes
    return int(node) if is_id else None


def ids_of(graph: NeuronGraph, nodes: Any) -> list[int]:
    """Return the ids of one node or some, each once; as in networkx others are passed over."""
    try:
        one = _find(graph, nodes)
    except TypeError:  # not hashable, so not a node
        one = None
    if one is not None:
        return [one]
    if not isinstance(nodes, Iterable):
        raise nx.NetworkXError(f"Node {nodes} is not in the graph.")
    ids = (_find(graph, node) for node in nodes)
    return list(dict.fromkeys(node for node in ids if node is not None))


def by_id(graph: NeuronGraph, given: Any) -> Any:
    """Return numbers by networkx's nodes as numbers by id; others are passed over."""
    if not isinstance(graph, LabelledGraph) or given is None:
        return given
    return {graph.ids[node]: value for node, value in given.items() if node in graph.ids}


def label(graph: NeuronGraph, node: int) -> Node:
    """Return networkx's node of an id."""
    return graph.labels[node] if isinstance(graph, LabelledGraph) else node


def labels(graph: NeuronGraph, nodes: np.ndarray) -> list[Node]:
    """Return networkx's nodes of some ids."""
    ids = nodes.tolist()
    return [graph.labels[i] for i in ids] if isinstance(graph, LabelledGraph) else ids


def nodes(graph: NeuronGraph) -> Sequence[Node]:
    """Return the nodes in networkx's order."""
    return graph.nodes if isinstance(graph, LabelledGraph) else range(graph.n_nodes)


def node_set(graph: NeuronGraph, chosen: NodeValues | np.ndarray) -> set[Node]:
    """Return the nodes that a mask chooses."""
    return set(labels(graph, np.flatnonzero(np.asarray(chosen))))


def groups(graph: NeuronGraph, values: NodeValues) -> Iterator[list[Node]]:
    """Yield the nodes of each value, the smallest first."""
    array = np.asarray(values)
    order = np.argsort(array, kind="stable")
    starts = np.flatnonzero(np.diff(array[order], prepend=-1))
    for part in np.split(order, starts)[1:]:
        yield labels(graph, part)


def per_node(graph: NeuronGraph, values: NodeValues) -> PerNode:
    """Return values as networkx would: a dict in its order, of its nodes."""
    if not isinstance(graph, LabelledGraph):
        return values
    of = np.asarray(values).tolist()
    return {node: of[graph.ids[node]] for node in graph.nodes}


def view_of(graph: NeuronGraph, weight: str | None, default: Weight) -> Weight:
    """Return the view that an edge attribute means.

    Of a model's graph, ``"weight"`` is what networkx says when nothing was said: the default.
    """
    if weight is None:
        return None
    if not isinstance(graph, LabelledGraph):
        return default if weight == "weight" else weight  # type: ignore[return-value]
    if weight != graph.attribute:
        raise NotImplementedError(
            f"The graph was converted with edge attribute {graph.attribute!r}, not {weight!r}."
        )
    return "weight"
