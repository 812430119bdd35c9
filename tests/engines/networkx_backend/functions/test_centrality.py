"""Centralities by their names in networkx."""

import networkx as nx
import numpy as np
import pytest

import gpugraph as gg
from gpugraph.engines.networkx import digraph
from tests.algorithms.graphs import graph_of
from tests.engines.networkx_backend.compare import (
    assert_node_is_answered_as_by_networkx,
    assert_node_is_missing_as_in_networkx,
    assert_same,
)
from tests.models import (
    EVERY_KIND,
    cnn,
    one_size_convolutional,
    shared_layer,
    siamese,
    squeeze_excite,
)

# Without parallel edges, which networkx does not have in a DiGraph.
SIMPLE = [cnn, one_size_convolutional, siamese, squeeze_excite]


@pytest.mark.parametrize("model", EVERY_KIND)
@pytest.mark.parametrize("options", [{}, {"alpha": 0.3, "normalized": False}, {"beta": 2}])
def test_katz(model, options):
    graph = graph_of(model)
    found = nx.katz_centrality(graph, **options)
    assert found == gg.katz_centrality(graph, **options)
    if model is not shared_layer:  # parallel edges count each
        assert_same(
            found, nx.katz_centrality(digraph(graph, "magnitude"), tol=1e-14, **options), 1e-6
        )


@pytest.mark.parametrize("model", SIMPLE)
@pytest.mark.parametrize(
    "options", [{}, {"normalized": False}, {"endpoints": True}, {"k": 1, "normalized": False}]
)
def test_betweenness(model, options):
    graph = graph_of(model)
    options = {"k": 5, "seed": 3, **options}
    found = nx.betweenness_centrality(graph, **options)
    np.testing.assert_array_equal(found, gg.betweenness_centrality(graph, **options))
    assert_same(found, nx.betweenness_centrality(digraph(graph, None), **options))


def test_betweenness_of_all_sources():
    graph = graph_of(cnn)
    assert_same(nx.betweenness_centrality(graph), nx.betweenness_centrality(digraph(graph, None)))


@pytest.mark.parametrize("model", SIMPLE)
def test_edge_betweenness(model):
    graph = graph_of(model)
    found = dict(nx.edge_betweenness_centrality(graph, k=5, seed=3).items())
    expected = nx.edge_betweenness_centrality(digraph(graph, None), k=5, seed=3)
    assert_same(found, expected)


@pytest.mark.parametrize("model", [cnn, squeeze_excite])
@pytest.mark.parametrize("wf_improved", [True, False])
def test_closeness(model, wf_improved):
    graph, expected = graph_of(model), None
    found = nx.closeness_centrality(graph, wf_improved=wf_improved)
    expected = nx.closeness_centrality(digraph(graph, None), wf_improved=wf_improved)
    assert_same(found, expected)
    for node in (0, graph.n_nodes // 2, graph.n_nodes - 1):
        one = nx.closeness_centrality(graph, node, wf_improved=wf_improved)
        assert one == pytest.approx(expected[node])


@pytest.mark.parametrize("model", [cnn, squeeze_excite])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"nbunch": [3, 250]},
        {"nbunch": 250},
        {"sources": [0, 7, 100]},
        {"nbunch": [200, 250, 10**6, 3], "sources": [0, 7]},
        {"nbunch": [250], "sources": [0, 7]},
        {"nbunch": [], "sources": [0, 7]},
    ],
)
def test_harmonic(model, options):
    graph = graph_of(model)
    assert_same(
        nx.harmonic_centrality(graph, **options),
        nx.harmonic_centrality(digraph(graph, None), **options),
    )


@pytest.mark.parametrize("model", SIMPLE)
@pytest.mark.parametrize(
    "name", ["degree_centrality", "in_degree_centrality", "out_degree_centrality"]
)
def test_degree_centralities(model, name):
    graph = graph_of(model)
    found = getattr(nx, name)(graph)
    assert found == getattr(gg, name)(graph)
    assert_same(found, getattr(nx, name)(digraph(graph, None)))


@pytest.mark.parametrize("model", [cnn, squeeze_excite])
@pytest.mark.parametrize("name", ["local_reaching_centrality"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_node(model, name, share):
    assert_node_is_answered_as_by_networkx(graph_of(model), name, share)


@pytest.mark.parametrize("name", ["local_reaching_centrality"])
def test_a_node_that_is_not_there(name):
    assert_node_is_missing_as_in_networkx(graph_of(cnn), name)
