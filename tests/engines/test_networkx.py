"""The networkx engine: the graph that networkx computes on, and what comes back."""

import networkx as nx
import numpy as np
import pytest

import gpugraph as gg
from gpugraph import arrays
from gpugraph.engines.networkx import digraph, node_values
from gpugraph.engines.networkx_backend.backend import Backend
from gpugraph.engines.networkx_backend.functions import link_analysis
from tests.algorithms.graphs import (
    VIEWS,
    adjacency,
    graph_of,
    of_edges,
    single_node,
    with_dead_channels,
    without_edges,
)
from tests.models import several_outputs, shared_layer


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("kind", [several_outputs, shared_layer])
def test_weights_are_those_of_the_view(kind, view):
    graph = graph_of(kind)
    built = digraph(graph, view)
    assert list(built) == list(range(graph.n_nodes))
    np.testing.assert_array_equal(nx.to_numpy_array(built), adjacency(graph, view))


def test_parallel_edges_are_summed():
    built = digraph(of_edges([(0, 1, 2.0), (0, 1, -3.0), (1, 2, 4.0)]), "magnitude")
    assert list(built.edges(data="weight")) == [(0, 1, 5.0), (1, 2, 4.0)]


def test_edges_of_weight_zero_are_there():
    graph = with_dead_channels()
    assert digraph(graph, "magnitude").number_of_edges() == graph.n_edges
    assert digraph(graph, "positive").number_of_edges() == graph.n_edges


@pytest.mark.parametrize(("make", "n"), [(single_node, 1), (without_edges, 4)])
def test_nodes_without_edges_are_there(make, n):
    assert list(digraph(make(), None)) == list(range(n))
    assert list(node_values(make(), "pagerank", None)) == list(range(n))


def test_what_would_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(arrays, "free_memory", lambda xp=np: 1000)
    with pytest.raises(gg.GraphTooLargeError, match="'several' in networkx"):
        digraph(graph_of(several_outputs), None)


def test_values_are_by_node():
    graph = graph_of(several_outputs)
    got = node_values(graph, "in_degree_centrality", None)
    assert isinstance(got, gg.NodeValues)
    assert got.name == "in_degree_centrality"
    np.testing.assert_allclose(got, gg.in_degree_centrality(graph))


def test_networkx_computes_itself_even_where_it_prefers_a_backend(monkeypatch):
    """A check by ourselves would be none."""
    monkeypatch.setattr(Backend, "should_run", lambda *call: True)
    seen = []
    monkeypatch.setattr(link_analysis, "exact_pagerank", lambda *a, **o: seen.append(a))
    graph = graph_of(several_outputs)
    with nx.config(backend_priority=["gpugraph"]):
        got = gg.pagerank(graph, engine="networkx")
    np.testing.assert_allclose(got, gg.pagerank(graph), 1e-9)
    assert not seen
