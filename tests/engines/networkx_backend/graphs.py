"""Graphs of networkx's own, without cycles."""

from itertools import pairwise

import networkx as nx
import numpy as np
from hypothesis import strategies as st


@st.composite
def acyclic(draw, multigraph=False):
    """Draw a DiGraph whose edges run with a hidden order of its nodes, which are words."""
    n = draw(st.integers(1, 12))
    nodes = draw(st.permutations([f"n{i}" for i in range(n)]))
    pairs = [(i, j) for j in range(n) for i in range(j)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=not multigraph)) if pairs else []
    graph = nx.MultiDiGraph() if multigraph else nx.DiGraph()
    graph.add_nodes_from(sorted(nodes))
    for i, j in edges:
        data = draw(st.sampled_from([{}, {"weight": 1}, {"weight": 2.5}, {"weight": 0.25}]))
        graph.add_edge(nodes[i], nodes[j], **data)
    return graph


def diamond():
    """Return four nodes, a way that forks and joins, and one node apart."""
    graph = nx.DiGraph([("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])
    graph.add_edge("b", "c", weight=4)
    graph.add_node("alone")
    return graph


def weighing(weight):
    graph = diamond()
    nx.set_edge_attributes(graph, weight, "weight")
    return graph


def layered(n_layers=3, width=60):
    """Return a graph of full layers: few generations, many edges."""
    nodes = np.arange(n_layers * width).reshape(n_layers, width).tolist()
    graph = nx.DiGraph()
    for before, after in pairwise(nodes):
        graph.add_edges_from((u, v) for u in before for v in after)
    return graph
