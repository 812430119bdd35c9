"""Functions and arguments that gpugraph has not, on the graph as networkx's."""

import re

import keras
import networkx as nx
import numpy as np
import pytest

import gpugraph as gg
from gpugraph.engines.networkx import digraph
from gpugraph.engines.networkx_backend.fallback import FrozenGraphError
from tests.algorithms.graphs import graph_of
from tests.engines.networkx_backend.compare import assert_same, in_any_order
from tests.models import cnn, squeeze_excite


def test_what_gpugraph_has_not_runs_in_networkx():
    graph = graph_of(squeeze_excite)
    theirs = graph.to_networkx()
    assert nx.transitivity(graph) == nx.transitivity(theirs)
    assert nx.dag_longest_path(graph) == nx.dag_longest_path(theirs)
    assert nx.adjacency_matrix(graph).nnz == graph.n_edges
    assert isinstance(nx.transitive_reduction(graph), nx.DiGraph)
    assert nx.to_dict_of_lists(graph) == nx.to_dict_of_lists(theirs)
    assert nx.number_of_edges(nx.compose_all([graph, graph])) == graph.n_edges


def test_arguments_that_gpugraph_has_not_run_in_networkx():
    graph = graph_of(cnn)
    theirs = graph.to_networkx()
    assert nx.dag_longest_path_length(graph) == nx.dag_longest_path_length(theirs)
    found = nx.kosaraju_strongly_connected_components(graph, source=200)
    expected = nx.kosaraju_strongly_connected_components(theirs, source=200)
    assert in_any_order(found) == in_any_order(expected)


def test_views_are_edge_attributes_to_networkx():
    graph = graph_of(cnn)
    expected = nx.betweenness_centrality(digraph(graph, "magnitude"), weight="weight", k=5, seed=1)
    assert_same(nx.betweenness_centrality(graph, weight="magnitude", k=5, seed=1), expected)
    assert nx.dag_longest_path_length(graph, "positive") == pytest.approx(
        nx.dag_longest_path_length(digraph(graph, "positive"))
    )


def test_what_networkx_does_not_take_is_left_out_for_it():
    graph = graph_of(cnn)
    found = nx.betweenness_centrality(graph, k=2, weight="positive", seed=1, device="cpu")
    assert_same(found, nx.betweenness_centrality(graph, k=2, weight="positive", seed=1))


@pytest.mark.parametrize("function", [nx.pagerank, nx.transitivity])
def test_an_argument_that_does_not_exist_is_a_type_error(function):
    with pytest.raises(TypeError, match=r"\(\) got an unexpected keyword argument 'alpa'"):
        function(graph_of(cnn), alpa=0.5)


@pytest.fixture(scope="module")
def vgg16():
    """Return 15 billion edges, without the weights of the dense layers, which take seconds."""
    return gg.from_keras(keras.applications.VGG16(weights=None, include_top=False), (224, 224, 3))


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (nx.transitivity, "has no transitivity of its own"),
        (nx.dag_longest_path_length, "finds the longest path in edges: weight=None"),
        (
            lambda graph: nx.betweenness_centrality(graph, k=2, weight="magnitude"),
            r"weight='magnitude': gpugraph counts paths in edges",
        ),
        (lambda graph: nx.closeness_centrality(graph, distance="weight"), "distance='weight'"),
    ],
)
@pytest.mark.xdist_group("vgg16")
def test_a_graph_too_large_for_networkx_is_refused_with_what_to_do(vgg16, call, why):
    with pytest.raises(gg.GraphTooLargeError, match=why) as refused:
        call(vgg16)
    assert "TB" in str(refused.value)
    assert "smaller input_shape" in str(refused.value)
    assert re.search(r"needs no such graph for .*\bpagerank\b", str(refused.value))


@pytest.mark.xdist_group("vgg16")
def test_large_graphs_are_measured(vgg16):
    assert nx.is_directed_acyclic_graph(vgg16)
    assert nx.dag_longest_path_length(vgg16, weight=None) == 18
    assert np.asarray(nx.pagerank(vgg16)).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    "change",
    [
        lambda graph: nx.set_node_attributes(graph, 1, "name"),
        lambda graph: nx.relabel_nodes(graph, {0: "a"}, copy=False),
        lambda graph: nx.recursive_simple_cycles(graph),
        lambda graph: nx.set_node_attributes(graph, 1, "name", backend="gpugraph"),
    ],
)
def test_a_call_that_would_change_the_graph_is_refused(change):
    with pytest.raises(FrozenGraphError, match=r"Change what graph\.to_networkx"):
        change(graph_of(cnn))


def test_a_call_that_changes_a_copy_is_not():
    changed = nx.relabel_nodes(graph_of(cnn), {0: "a"})
    assert "a" in changed
    assert 0 not in changed
