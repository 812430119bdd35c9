"""networkx's centralities."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
from networkx.utils import create_py_random_state

from gpugraph.algorithms import betweenness, closeness, degree, katz, reach
from gpugraph.algorithms.distances import hops
from gpugraph.algorithms.reach import marked
from gpugraph.edge_values import EdgeValues
from gpugraph.engines.networkx_backend.answers import HOPS_ONLY, answers
from gpugraph.engines.networkx_backend.labelled_graph import LabelledGraph
from gpugraph.engines.networkx_backend.nodes import (
    Node,
    PerNode,
    by_id,
    id_of,
    ids_of,
    label,
    per_node,
    view_of,
)
from gpugraph.graph import NeuronGraph


@answers(worth_converting=True)
def katz_centrality(
    G: NeuronGraph,
    alpha: float = 0.1,
    beta: Any = 1.0,
    max_iter: int = 1000,
    tol: float = 1.0e-6,
    nstart: Any = None,
    normalized: bool = True,
    weight: str | None = None,
    *,
    dtype: Any = "float64",
    device: Any = "auto",
) -> PerNode:
    """Return `gpugraph.katz_centrality`."""
    if not G.n_nodes:
        return {}
    if isinstance(G, LabelledGraph) and not isinstance(beta, (int, float)):
        if set(beta) != set(G.nodes):
            raise nx.NetworkXError("beta dictionary must have a value for every node")
        beta = by_id(G, beta)
    view = view_of(G, weight, default="weight")
    values = katz.katz_centrality(G, alpha, beta, normalized, view, dtype=dtype, device=device)
    return per_node(G, values)


@answers(plain={"weight": HOPS_ONLY}, simple_graph=True, worth_converting=True)
def betweenness_centrality(
    G: NeuronGraph,
    k: int | None = None,
    normalized: bool = True,
    weight: str | None = None,
    endpoints: bool = False,
    seed: Any = None,
    *,
    device: Any = "auto",
) -> PerNode:
    """Return `gpugraph.betweenness_centrality`."""
    if not G.n_nodes:
        return {}
    return per_node(
        G,
        betweenness.betweenness_centrality(
            G, normalized=normalized, endpoints=endpoints, device=device, **_drawn(G, k, seed)
        ),
    )


@answers(plain={"weight": HOPS_ONLY}, simple_graph=True, worth_converting=True)
def edge_betweenness_centrality(
    G: NeuronGraph,
    k: int | None = None,
    normalized: bool = True,
    weight: str | None = None,
    seed: Any = None,
    *,
    device: Any = "auto",
) -> EdgeValues | dict[tuple[Node, Node], float]:
    """Return `gpugraph.edge_betweenness_centrality`."""
    if not G.n_nodes:
        return {}
    values = betweenness.edge_betweenness_centrality(
        G, normalized=normalized, device=device, **_drawn(G, k, seed)
    )
    if not isinstance(G, LabelledGraph):
        return values
    return {(G.labels[u], G.labels[v]): value for (u, v), value in values.items()}


def _drawn(graph: NeuronGraph, k: int | None, seed: Any) -> dict[str, Any]:
    """Return the arguments that draw the nodes which networkx would draw."""
    if not isinstance(graph, LabelledGraph):
        return {"k": k, "seed": seed}
    if k is None or k == graph.n_nodes:
        return {}
    nodes = create_py_random_state(seed).sample(graph.nodes, k)
    return {"sources": [graph.ids[node] for node in nodes]}


@answers(plain={"distance": HOPS_ONLY}, worth_converting=True)
def closeness_centrality(
    G: NeuronGraph,
    u: Node | None = None,
    distance: str | None = None,
    wf_improved: bool = True,
    *,
    device: Any = "auto",
) -> PerNode | float:
    """Return `gpugraph.closeness_centrality`; of one node, from one sweep."""
    if u is not None:
        node = id_of(G, u, nx.NodeNotFound, "Source {} is not in G")
        lengths = hops(G, marked(G, node), backward=True)
        found = lengths[np.isfinite(lengths)]
        if not found.any():
            return 0.0
        share = (len(found) - 1) / (G.n_nodes - 1) if wf_improved else 1.0
        return share * (len(found) - 1) / float(found.sum())
    if not G.n_nodes:
        return {}
    return per_node(G, closeness.closeness_centrality(G, wf_improved=wf_improved, device=device))


@answers(plain={"distance": HOPS_ONLY}, worth_converting=True)
def harmonic_centrality(
    G: NeuronGraph,
    nbunch: Any = None,
    distance: str | None = None,
    sources: Any = None,
    *,
    device: Any = "auto",
) -> PerNode:
    """Return `gpugraph.harmonic_centrality`; of a few nodes, from a sweep for each."""
    if not G.n_nodes:
        return {}
    chosen = list(range(G.n_nodes)) if sources is None else ids_of(G, sources)
    wanted = range(G.n_nodes) if nbunch is None else ids_of(G, nbunch)
    if len(wanted) < len(chosen):
        values = {}
        for node in wanted:
            lengths = hops(G, marked(G, node), backward=True)
            lengths[node] = np.inf
            values[label(G, node)] = float((1 / lengths[chosen]).sum())
        return values
    found = closeness.harmonic_centrality(G, sources=chosen, device=device)
    if nbunch is None:
        return per_node(G, found)
    return {label(G, node): found[node] for node in wanted}


@answers()
def degree_centrality(G: NeuronGraph) -> PerNode:
    """Return `gpugraph.degree_centrality`."""
    return per_node(G, degree.degree_centrality(G))


@answers()
def in_degree_centrality(G: NeuronGraph) -> PerNode:
    """Return `gpugraph.in_degree_centrality`."""
    return per_node(G, degree.in_degree_centrality(G))


@answers()
def out_degree_centrality(G: NeuronGraph) -> PerNode:
    """Return `gpugraph.out_degree_centrality`."""
    return per_node(G, degree.out_degree_centrality(G))


@answers(
    plain={"paths": "gpugraph finds who is reached itself", "weight": HOPS_ONLY},
)
def local_reaching_centrality(
    G: NeuronGraph,
    v: Node,
    paths: Any = None,
    weight: str | None = None,
    normalized: bool = True,
) -> float:
    """Return the share of the other nodes that a node reaches."""
    if not G.n_edges:
        raise nx.NetworkXError("Size of G must be positive")
    reached = reach.descendants(G, id_of(G, v, nx.NodeNotFound, "Source {} not in G"))
    return int(np.asarray(reached).sum()) / (G.n_nodes - 1)
