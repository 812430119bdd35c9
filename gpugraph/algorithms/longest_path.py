"""Length of the longest path to each node, in one sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpugraph.arrays import Device, namespace
from gpugraph.fallback import falls_back
from gpugraph.node_values import NodeValues

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph


@falls_back
def longest_path_length(graph: NeuronGraph, *, device: Device = "auto") -> NodeValues:
    """Return the number of edges of the longest path that ends at each node.

    It is the node's topological generation; the largest is ``nx.dag_longest_path_length`` of
    the graph without weights.

    Parameters
    ----------
    graph : NeuronGraph
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    NodeValues
        Int64.
    """
    xp = namespace(device)
    length = xp.zeros(graph.n_nodes)
    for p in graph.projections:
        p.apply(length[p.source.slice] + 1, None, "max", out=length[p.target.slice])
    return NodeValues(graph, length.astype(np.int64), "longest_path_length")
