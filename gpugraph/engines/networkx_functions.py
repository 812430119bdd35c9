"""networkx's functions, by gpugraph's: same names, arguments and results.

Each takes a NeuronGraph, whose nodes are ids and whose results are NodeValues, or a
LabelledGraph, whose nodes are networkx's own and whose results are dicts.
"""
# networkx calls its graphs G, and callers may name them.
# ruff: noqa: N803

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import networkx as nx
import numpy as np
from networkx.utils import create_py_random_state

from gpugraph.algorithms import (
    betweenness,
    closeness,
    components,
    degree,
    katz,
    longest_path,
    reach,
)
from gpugraph.algorithms.hits import hits as exact_hits
from gpugraph.algorithms.pagerank import pagerank as exact_pagerank
from gpugraph.edge_values import EdgeValues
from gpugraph.engines.labelled_graph import LabelledGraph
from gpugraph.errors import GpugraphError
from gpugraph.graph import NeuronGraph
from gpugraph.node_values import NodeValues
from gpugraph.views import Weight

Node = Hashable
PerNode = NodeValues | dict[Node, float]
Reason = str | None

HOPS_ONLY = "gpugraph counts paths in edges, not in weights"
ON_WHOLE_GRAPH = "gpugraph answers for the whole graph"


@dataclass(frozen=True)
class Answer:
    """One of networkx's functions, as gpugraph computes it.

    Attributes
    ----------
    function : callable
    plain : mapping of str to str
        Arguments that must keep their default, and why.
    simple_graph : bool
        Whether it needs a graph without parallel edges, where networkx tells them apart.
    worth_converting : bool
        Whether it can be faster than networkx on networkx's own graphs.
    """

    function: Callable[..., Any]
    plain: Mapping[str, str]
    simple_graph: bool
    worth_converting: bool

    @cached_property
    def signature(self) -> inspect.Signature:
        """Signature of the function."""
        return inspect.signature(self.function)

    def reason_against(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Reason:
        """Tell why these arguments cannot be answered; None where they can."""
        try:
            given = self.signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            return str(error)
        for name, why in self.plain.items():
            default = self.signature.parameters[name].default
            if name in given and given[name] is not default and given[name] != default:
                return f"{name}={given[name]!r}: {why}"
        graph = given["G"]
        if self.simple_graph and graph.is_multigraph():
            return "gpugraph takes parallel edges for separate paths"
        return None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Answer, or raise NotImplementedError where only networkx can."""
        graph = self.signature.bind(*args, **kwargs).arguments["G"]
        try:
            return self.function(*args, **kwargs)
        except GpugraphError as error:
            if isinstance(graph, LabelledGraph):  # networkx may still make something of it
                raise NotImplementedError(str(error)) from error
            raise


ANSWERS: dict[str, Answer] = {}


def answers(
    *,
    plain: Mapping[str, str] | None = None,
    simple_graph: bool = False,
    worth_converting: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as the answer to networkx's of the same name; see `Answer`."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        ANSWERS[function.__name__] = Answer(function, plain or {}, simple_graph, worth_converting)
        return function

    return register


# Centralities


@answers(worth_converting=True)
def pagerank(
    G: NeuronGraph,
    alpha: float = 0.85,
    personalization: Any = None,
    max_iter: int = 100,
    tol: float = 1.0e-6,
    nstart: Any = None,
    weight: str | None = "weight",
    dangling: Any = None,
    *,
    dtype: Any = "float64",
    device: Any = "auto",
) -> PerNode:
    """Return `gpugraph.pagerank`."""
    if not G.n_nodes:
        return {}
    jump, hang = _by_id(G, personalization), _by_id(G, dangling)
    view = _view(G, weight, default="magnitude")
    return _per_node(G, exact_pagerank(G, alpha, jump, hang, view, dtype=dtype, device=device))


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
        beta = _by_id(G, beta)
    view = _view(G, weight, default="weight")
    values = katz.katz_centrality(G, alpha, beta, normalized, view, dtype=dtype, device=device)
    return _per_node(G, values)


@answers(worth_converting=True)
def hits(
    G: NeuronGraph,
    max_iter: int = 100,
    tol: float = 1.0e-8,
    nstart: Any = None,
    normalized: bool = True,
    *,
    device: Any = "auto",
) -> tuple[PerNode, PerNode]:
    """Return `gpugraph.hits`."""
    if not G.n_nodes:
        return {}, {}
    view = _view(G, "weight", default="magnitude")
    hubs, authorities = exact_hits(G, view, normalized, tol=tol, device=device)
    return _per_node(G, hubs), _per_node(G, authorities)


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
    return _per_node(
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
        lengths = _distances(G, _id(G, u, nx.NodeNotFound, "Source {} is not in G"), backward=True)
        found = lengths[np.isfinite(lengths)]
        if not found.any():
            return 0.0
        share = (len(found) - 1) / (G.n_nodes - 1) if wf_improved else 1.0
        return share * (len(found) - 1) / float(found.sum())
    if not G.n_nodes:
        return {}
    return _per_node(G, closeness.closeness_centrality(G, wf_improved=wf_improved, device=device))


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
    chosen = list(range(G.n_nodes)) if sources is None else _bunch(G, sources)
    wanted = range(G.n_nodes) if nbunch is None else _bunch(G, nbunch)
    if len(wanted) < len(chosen):
        values = {}
        for node in wanted:
            lengths = _distances(G, node, backward=True)
            lengths[node] = np.inf
            values[_label(G, node)] = float((1 / lengths[chosen]).sum())
        return values
    found = closeness.harmonic_centrality(G, sources=chosen, device=device)
    if nbunch is None:
        return _per_node(G, found)
    return {_label(G, node): found[node] for node in wanted}


@answers()
def degree_centrality(G: NeuronGraph) -> PerNode:
    """Return `gpugraph.degree_centrality`."""
    return _per_node(G, degree.degree_centrality(G))


@answers()
def in_degree_centrality(G: NeuronGraph) -> PerNode:
    """Return `gpugraph.in_degree_centrality`."""
    return _per_node(G, degree.in_degree_centrality(G))


@answers()
def out_degree_centrality(G: NeuronGraph) -> PerNode:
    """Return `gpugraph.out_degree_centrality`."""
    return _per_node(G, degree.out_degree_centrality(G))


# Reach and distance


@answers()
def ancestors(G: NeuronGraph, source: Node) -> set[Node]:
    """Return the nodes of `gpugraph.ancestors`."""
    return _set(G, reach.ancestors(G, _id(G, source)))


@answers()
def descendants(G: NeuronGraph, source: Node) -> set[Node]:
    """Return the nodes of `gpugraph.descendants`."""
    return _set(G, reach.descendants(G, _id(G, source)))


@answers()
def has_path(G: NeuronGraph, source: Node, target: Node) -> bool:
    """Tell whether a node reaches another, or is it."""
    first = _id(G, source, nx.NodeNotFound, "Source {} is not in G")
    last = _id(G, target, nx.NodeNotFound, "Target {} is not in G")
    return first == last or bool(reach.descendants(G, first)[last])


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
    reached = reach.descendants(G, _id(G, v, nx.NodeNotFound, "Source {} not in G"))
    return int(np.asarray(reached).sum()) / (G.n_nodes - 1)


@answers()
def single_source_shortest_path_length(
    G: NeuronGraph, source: Node, cutoff: float | None = None
) -> dict[Node, int]:
    """Return the number of edges to each node that a node reaches."""
    node = _id(G, source, nx.NodeNotFound, "Source {} is not in G")
    return _lengths(G, _distances(G, node, backward=False), cutoff)


@answers()
def single_target_shortest_path_length(
    G: NeuronGraph, target: Node, cutoff: float | None = None
) -> dict[Node, int]:
    """Return the number of edges from each node that reaches a node."""
    node = _id(G, target, nx.NodeNotFound, "Target {} is not in G")
    return _lengths(G, _distances(G, node, backward=True), cutoff)


@answers()
def descendants_at_distance(G: NeuronGraph, source: Node, distance: int) -> set[Node]:
    """Return the nodes so many edges away from a node."""
    node = _id(G, source, message="The node {} is not in the graph.")
    return _set(G, _distances(G, node, backward=False) == distance)


# Components, which are single nodes where edges have a direction


@answers()
def weakly_connected_components(G: NeuronGraph) -> Iterator[set[Node]]:
    """Yield the nodes of each label of `gpugraph.weakly_connected_components`."""
    component = np.asarray(components.weakly_connected_components(G))
    order = np.argsort(component, kind="stable")
    starts = np.flatnonzero(np.diff(component[order], prepend=-1))
    for part in np.split(order, starts)[1:]:
        yield set(_labels(G, part))


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
    return ({node} for node in _nodes(G))


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
    return ({node} for node in _labels(G, np.flatnonzero(G.out_degree() == 0)))


@answers()
def number_attracting_components(G: NeuronGraph) -> int:
    """Return the number of nodes without edges out."""
    return int((G.out_degree() == 0).sum())


@answers()
def is_attracting_component(G: NeuronGraph) -> bool:
    """Tell whether there is a single node."""
    return G.n_nodes == 1


# What follows from having no cycle


@answers()
def is_directed_acyclic_graph(G: NeuronGraph) -> bool:
    """Return True."""
    return True


@answers()
def has_cycle(G: NeuronGraph) -> bool:
    """Return False."""
    return False


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


@answers()
def topological_sort(G: NeuronGraph) -> Iterator[Node]:
    """Yield the nodes in the order of their ids, which is topological."""
    return iter(G.labels if isinstance(G, LabelledGraph) else range(G.n_nodes))


@answers()
def topological_generations(G: NeuronGraph) -> Iterator[list[Node]]:
    """Yield the nodes of each `gpugraph.longest_path_length`."""
    generation = np.asarray(longest_path.longest_path_length(G))
    order = np.argsort(generation, kind="stable")
    starts = np.flatnonzero(np.diff(generation[order], prepend=-1))
    for part in np.split(order, starts)[1:]:
        yield _labels(G, part)


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


# Degrees


@answers()
def is_empty(G: NeuronGraph) -> bool:
    """Tell whether there are no edges."""
    return G.n_edges == 0


@answers()
def isolates(G: NeuronGraph) -> Iterator[Node]:
    """Yield the nodes without edges."""
    return iter(_labels(G, np.flatnonzero(_degree(G) == 0)))


@answers()
def is_isolate(G: NeuronGraph, n: Node) -> bool:
    """Tell whether a node has no edges."""
    return int(_degree(G)[_id(G, n, message="Node {} is not in the graph.")]) == 0


@answers()
def number_of_isolates(G: NeuronGraph) -> int:
    """Return the number of nodes without edges."""
    return int((_degree(G) == 0).sum())


# Between networkx's nodes and ours


def _id(
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


def _label(graph: NeuronGraph, node: int) -> Node:
    """Return networkx's node of an id."""
    return graph.labels[node] if isinstance(graph, LabelledGraph) else node


def _nodes(graph: NeuronGraph) -> Sequence[Node]:
    """Return the nodes in networkx's order."""
    return graph.nodes if isinstance(graph, LabelledGraph) else range(graph.n_nodes)


def _labels(graph: NeuronGraph, nodes: np.ndarray) -> list[Node]:
    """Return networkx's nodes of some ids."""
    ids = nodes.tolist()
    return [graph.labels[i] for i in ids] if isinstance(graph, LabelledGraph) else ids


def _bunch(graph: NeuronGraph, nodes: Any) -> list[int]:
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


def _set(graph: NeuronGraph, chosen: NodeValues | np.ndarray) -> set[Node]:
    """Return the nodes that a mask chooses."""
    return set(_labels(graph, np.flatnonzero(np.asarray(chosen))))


def _per_node(graph: NeuronGraph, values: NodeValues) -> PerNode:
    """Return values as networkx would: a dict in its order, of its nodes."""
    if not isinstance(graph, LabelledGraph):
        return values
    of = np.asarray(values).tolist()
    return {node: of[graph.ids[node]] for node in graph.nodes}


def _by_id(graph: NeuronGraph, given: Any) -> Any:
    """Return numbers by networkx's nodes as numbers by id; others are passed over."""
    if not isinstance(graph, LabelledGraph) or given is None:
        return given
    return {graph.ids[node]: value for node, value in given.items() if node in graph.ids}


def _view(graph: NeuronGraph, weight: str | None, default: Weight) -> Weight:
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


def _drawn(graph: NeuronGraph, k: int | None, seed: Any) -> dict[str, Any]:
    """Return the arguments that draw the nodes which networkx would draw."""
    if not isinstance(graph, LabelledGraph):
        return {"k": k, "seed": seed}
    if k is None or k == graph.n_nodes:
        return {}
    nodes = create_py_random_state(seed).sample(graph.nodes, k)
    return {"sources": [graph.ids[node] for node in nodes]}


def _distances(graph: NeuronGraph, node: int, *, backward: bool) -> np.ndarray:
    """Return the number of edges from a node to all, or with ``backward`` to it from all.

    Infinite where there is no path.
    """
    length = np.full(graph.n_nodes, np.inf)
    length[node] = 0
    for p in reversed(graph.projections) if backward else graph.projections:
        turned = p.transposed if backward else p
        arriving = length[turned.source.slice] + 1
        if np.isfinite(arriving).any():
            turned.apply(arriving, None, "min", out=length[turned.target.slice])
    return length


def _lengths(graph: NeuronGraph, distances: np.ndarray, cutoff: float | None) -> dict[Node, int]:
    """Return distances up to a cutoff, the nearest node first."""
    near = np.flatnonzero(distances <= (np.finfo(np.float64).max if cutoff is None else cutoff))
    near = near[np.argsort(distances[near], kind="stable")]
    lengths = distances[near].astype(np.int64).tolist()
    return dict(zip(_labels(graph, near), lengths, strict=True))


def _degree(graph: NeuronGraph) -> np.ndarray:
    return graph.in_degree() + graph.out_degree()


def _require_nodes(graph: NeuronGraph, message: str) -> None:
    if not graph.n_nodes:
        raise nx.NetworkXPointlessConcept(message)
