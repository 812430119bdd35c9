"""The networkx engine: the same measure by networkx on the materialised graph, for checking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpugraph.algorithms.communities import Communities
from gpugraph.node_values import NodeValues
from gpugraph.views import Weight

if TYPE_CHECKING:
    import networkx as nx

    from gpugraph.graph import NeuronGraph


def digraph(graph: NeuronGraph, weight: Weight) -> nx.DiGraph:
    """Return a DiGraph of ids whose weights are those of the view; parallel edges are summed.

    Raises
    ------
    GraphTooLargeError
        If it would not fit in memory.
    """
    import networkx as nx

    return _built(graph, weight, nx.DiGraph)


def undirected(graph: NeuronGraph, weight: Weight) -> nx.Graph:
    """Return a Graph of ids; otherwise as `digraph`."""
    import networkx as nx

    return _built(graph, weight, nx.Graph)


def _built(graph: NeuronGraph, weight: Weight, kind: type[nx.Graph]) -> Any:
    import networkx as nx

    from gpugraph.export.networkx import require_networkx_memory

    require_networkx_memory(graph)
    return nx.from_scipy_sparse_array(graph.to_scipy(weight), create_using=kind)


def node_values(graph: NeuronGraph, function: str, view: Weight, /, **options: Any) -> NodeValues:
    """Return what a networkx function gives per node of the directed graph.

    Parameters
    ----------
    graph : NeuronGraph
    function : str
        Its name in networkx.
    view : {"weight", "magnitude", "positive", "negative", None}
        What the function sees as edges' ``weight``; parallel edges are summed.
    **options
        Passed on to it.
    """
    return _asked(graph, function, digraph(graph, view), options)


def core_number(graph: NeuronGraph) -> NodeValues:
    """Return `gpugraph.core_number`."""
    return _asked(graph, "core_number", undirected(graph, None), {})


def triangle_count(graph: NeuronGraph) -> NodeValues:
    """Return `gpugraph.triangle_count`."""
    found = _asked(graph, "triangles", undirected(graph, None), {})
    return NodeValues(graph, found.array, "triangle_count")


def _asked(
    graph: NeuronGraph, function: str, built: nx.Graph, options: dict[str, Any]
) -> NodeValues:
    import networkx as nx

    # By networkx itself, even where it would hand its own graphs on to a backend.
    values = getattr(nx, function)(built, backend="networkx", **options)
    array = np.array([values[node] for node in range(graph.n_nodes)])
    return NodeValues(graph, array, function)


def louvain(
    graph: NeuronGraph, weight: Weight, resolution: float, threshold: float, max_level: int
) -> Communities:
    """Return `gpugraph.louvain`; the largest community is the first."""
    from networkx.algorithms import community

    built = undirected(graph, weight)
    parts = community.louvain_communities(
        built,
        resolution=resolution,
        threshold=threshold,
        max_level=max_level,
        seed=0,  # the same graph, the same communities
        backend="networkx",
    )
    labels = np.empty(graph.n_nodes, np.int64)
    for label, part in enumerate(sorted(parts, key=lambda part: (-len(part), min(part)))):
        labels[list(part)] = label
    quality = community.modularity(built, parts, resolution=resolution, backend="networkx")
    return Communities(graph, labels, "louvain", float(quality))
