"""A networkx DiGraph without cycles as a NeuronGraph: generations are its populations."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugraph.axes import listed
from gpugraph.export.networkx import require_networkx_memory
from gpugraph.graph import NeuronGraph
from gpugraph.population import Population
from gpugraph.projection import Projection

if TYPE_CHECKING:
    import networkx as nx

Node = Hashable


class LabelledGraph(NeuronGraph):
    """A graph that came from networkx, with its nodes' labels.

    Populations are topological generations, edges are listed one by one: measures work on it as
    on a model's graph, if less fast.

    Attributes
    ----------
    labels : list
        The node of each id.
    nodes : list
        The nodes in networkx's order.
    ids : dict
        The id of each node.
    attribute : str, optional
        The edge attribute that the weights are; None: all are 1.
    """

    def __init__(
        self,
        name: str,
        populations: Sequence[Population],
        projections: Sequence[Projection],
        labels: Sequence[Node],
        nodes: Sequence[Node],
        attribute: str | None,
        is_multigraph: bool,
    ) -> None:
        super().__init__(name, {p.name: p for p in populations}, projections)
        self.labels, self.nodes, self.attribute = list(labels), list(nodes), attribute
        self.ids = {label: i for i, label in enumerate(self.labels)}
        self._is_multigraph = is_multigraph

    def is_multigraph(self) -> bool:
        """Whether it was a MultiDiGraph; parallel edges are kept."""
        return self._is_multigraph

    def to_networkx(self, *, multigraph: bool = False, parameters: bool = False) -> nx.DiGraph:
        """Return it as networkx had it: its nodes and edges, and the attribute that it kept.

        Parameters
        ----------
        multigraph : bool
            Return a MultiDiGraph even if it was none.
        parameters : bool
            Without meaning here.
        """
        import networkx as nx

        require_networkx_memory(self)
        built = nx.MultiDiGraph() if multigraph or self.is_multigraph() else nx.DiGraph()
        built.add_nodes_from(self.nodes)
        for src, dst, weight in self.edge_tuples():
            data = {} if self.attribute is None else {self.attribute: weight}
            built.add_edge(self.labels[src], self.labels[dst], **data)
        return built


def from_networkx(graph: nx.DiGraph, attribute: str | None = None, default: Any = 1) -> NeuronGraph:
    """Return a directed graph without cycles as a `LabelledGraph`.

    Parameters
    ----------
    graph : networkx.DiGraph or networkx.MultiDiGraph
    attribute : str, optional
        Of edges, taken as their weights; by default all weigh 1.
    default : number
        Weight of edges without the attribute.

    Raises
    ------
    NotImplementedError
        If the graph is undirected, has a cycle, or weights that are no numbers: what tells
        networkx to do the work itself.
    """
    if not graph.is_directed():
        raise NotImplementedError(
            "gpugraph works on graphs without cycles, and an undirected edge is one."
        )
    sorted_nodes = generations(graph)
    labels = [node for generation in sorted_nodes for node in generation]
    populations, offset = [], 0
    for depth, generation in enumerate(sorted_nodes):
        name, shape = f"generation{depth}", (len(generation),)
        populations.append(Population(name, shape, offset, "generation", depth))
        offset += len(generation)
    ids = {node: i for i, node in enumerate(labels)}
    projections = _projections(populations, *_columns(graph, ids, attribute, default))
    name = str(graph.name or "graph")
    return LabelledGraph(
        name, populations, projections, labels, list(graph), attribute, graph.is_multigraph()
    )


def generations(graph: nx.DiGraph) -> list[list[Node]]:
    """Sort nodes by the longest path to them, in the order of `nx.topological_generations`.

    Raises
    ------
    NotImplementedError
        If the graph has a cycle.
    """
    waiting = {node: len(before) for node, before in graph._pred.items()}
    found = []
    ready = [node for node, n in waiting.items() if not n]
    while ready:
        found.append(ready)
        following = []
        for node in ready:
            for after in graph._succ[node]:
                waiting[after] -= 1
                if not waiting[after]:
                    following.append(after)
        ready = following
    if sum(map(len, found)) < len(waiting):
        caught = next(node for node, n in waiting.items() if n)
        raise NotImplementedError(
            f"gpugraph works on graphs without cycles, and a cycle leads to node {caught!r}."
        )
    return found


def _columns(
    graph: nx.DiGraph, ids: dict[Node, int], attribute: str | None, default: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return source, target and weight of every edge."""

    def numbers() -> Iterator[float]:
        for src, dst, data in graph.edges(data=True):
            yield ids[src]
            yield ids[dst]
            yield 1 if attribute is None else data.get(attribute, default)

    try:
        rows = np.fromiter(numbers(), np.float64).reshape(-1, 3)
    except (TypeError, ValueError) as error:
        raise NotImplementedError(
            f"Edge attribute {attribute!r} must be a number on every edge: {error}."
        ) from error
    return rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64), rows[:, 2]


def _projections(
    populations: Sequence[Population], src: np.ndarray, dst: np.ndarray, weight: np.ndarray
) -> list[Projection]:
    """Return a projection for every pair of generations that edges join."""
    offsets = np.array([p.offset for p in populations])
    before = np.searchsorted(offsets, src, side="right") - 1
    after = np.searchsorted(offsets, dst, side="right") - 1
    order = np.lexsort((dst, src, before, after))
    src, dst, weight = src[order], dst[order], weight[order]
    before, after = before[order], after[order]
    changes = np.flatnonzero((np.diff(before) != 0) | (np.diff(after) != 0)) + 1
    is_weighted = bool((weight != 1).any())
    projections = []
    for first, last in zip([0, *changes], [*changes, len(src)], strict=True):
        if first == last:
            continue  # a graph without edges
        source, target = populations[before[first]], populations[after[first]]
        axis = listed(
            src[first:last] - source.offset,
            dst[first:last] - target.offset,
            np.arange(last - first),
            source.size,
            target.size,
            int(last - first),
        )
        kernel = weight[first:last] if is_weighted else None
        projections.append(Projection(source, target, (axis,), kernel, "weight"))
    return projections
