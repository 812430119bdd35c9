"""Triangles: three nodes that are joined two by two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpugraph.engines.choice import EdgeEngine, by_cugraph_or_networkx
from gpugraph.node_values import NodeValues

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph


def triangle_count(graph: NeuronGraph, *, engine: EdgeEngine = "auto") -> NodeValues:
    """Return the number of triangles that each node is in, whatever the edges' directions.

    Only edges that skip a layer close any: residual and dense connections. Parallel edges count
    once. All edges are made: by cuGraph on a GPU, else by networkx.

    Parameters
    ----------
    graph : NeuronGraph
    engine : {"auto", "cugraph", "networkx"}
        "auto" takes cuGraph if there is a GPU that it has memory on.

    Returns
    -------
    NodeValues
        Whole numbers.

    Raises
    ------
    DeviceError, MissingDependencyError, GraphTooLargeError
        As for `louvain`.
    """
    return by_cugraph_or_networkx(engine, "triangle_count", graph)
