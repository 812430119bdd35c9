"""Weakly connected components, by labels that sweep to and fro."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpugraph.arrays import Device, namespace
from gpugraph.fallback import falls_back
from gpugraph.node_values import NodeValues

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph


@falls_back
def weakly_connected_components(graph: NeuronGraph, *, device: Device = "auto") -> NodeValues:
    """Return, per node, the smallest id of the nodes that edges connect it with in any direction.

    Nodes of one component have the same label; ``np.unique`` counts components. Strongly
    connected components are single nodes, because the graph has no cycle.

    Parameters
    ----------
    graph : NeuronGraph
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    NodeValues
        Int64.

    Notes
    -----
    Every node takes the smallest label among its neighbours, in a sweep forward and one backward;
    a component whose label has shrunk tells the node of its old label, and labels are followed
    to their end [1]_, until nothing changes. Few rounds are enough.

    References
    ----------
    .. [1] Shiloach, Vishkin (1982). An O(log n) parallel connectivity algorithm. Journal of
       Algorithms 3(1).
    """
    xp = namespace(device)
    labels = xp.arange(graph.n_nodes, dtype=np.float64)  # exact: ids stay far below 2**53
    while True:
        before = labels.copy()
        for p in graph.projections:
            p.apply(labels[p.source.slice], None, "min", out=labels[p.target.slice])
        for p in reversed(graph.projections):
            p.transposed.apply(labels[p.target.slice], None, "min", out=labels[p.source.slice])
        if bool((labels == before).all()):
            return NodeValues(graph, labels.astype(np.int64), "weakly_connected_component")
        shrunk = xp.flatnonzero(labels < before)
        roots = labels.astype(np.uint64)  # CuPy's minimum.at rounds float64 to float32
        xp.minimum.at(roots, before[shrunk].astype(np.int64), roots[shrunk])
        labels = roots.astype(np.float64)
        while True:
            followed = labels[labels.astype(np.int64)]
            if bool((followed == labels).all()):
                break
            labels = followed
