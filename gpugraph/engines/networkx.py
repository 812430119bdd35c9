"""The networkx engine: the same measure by networkx on the materialised graph, for checking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

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

    from gpugraph.export.networkx import require_networkx_memory

    require_networkx_memory(graph)
    matrix = graph.to_scipy(weight)
    return nx.from_scipy_sparse_array(matrix, create_using=nx.DiGraph)


def node_values(graph: NeuronGraph, function: str, view: Weight, /, **options: Any) -> NodeValues:
    """Return what a networkx function gives per node.

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
    import networkx as nx

    # By networkx itself, even where it would hand its own graphs on to a backend.
    values = getattr(nx, function)(digraph(graph, view), backend="networkx", **options)
    array = np.array([values[node] for node in range(graph.n_nodes)])
    return NodeValues(graph, array, function)
