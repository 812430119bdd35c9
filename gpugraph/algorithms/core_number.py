"""Cores: what remains when nodes of few neighbours go, again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpugraph.engines.choice import EdgeEngine, by_cugraph_or_networkx
from gpugraph.node_values import NodeValues
from gpugraph.scalars import whole

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph


def core_number(graph: NeuronGraph, *, engine: EdgeEngine = "auto") -> NodeValues:
    """Return, per node, the largest k such that it is in the k-core of the undirected graph.

    Parallel edges count once. All edges are made: by cuGraph on a GPU, else by networkx.

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

    References
    ----------
    Seidman (1983). Network structure and minimum degree. Social Networks 5(3).
    """
    return by_cugraph_or_networkx(engine, "core_number", graph)


def k_core(graph: NeuronGraph, k: int, *, engine: EdgeEngine = "auto") -> NodeValues:
    """Tell, per node, whether it is in the k-core: what remains when nodes of fewer than k go.

    Neighbours are counted in the undirected graph, again and again as nodes go. Otherwise as
    `core_number`.

    Raises
    ------
    SelectionError
        If k is no whole number of at least 0.
    """
    k = whole(k, "k")
    return NodeValues(graph, core_number(graph, engine=engine).array >= k, f"{k}_core")
