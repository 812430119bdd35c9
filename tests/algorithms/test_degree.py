"""Degrees, strengths and degree centralities against networkx's MultiDiGraph."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.testing import assert_allclose, assert_array_equal

import gpugraph as gg
from tests.algorithms.graphs import (
    VIEWS,
    adjacency,
    graph_of,
    single_node,
    two_branches,
    with_dead_channels,
    without_edges,
)
from tests.models import EVERY_KIND, cnn, several_outputs, shared_layer
from tests.strategies import any_graph, graphs_of_models

CENTRALITIES = ["degree_centrality", "in_degree_centrality", "out_degree_centrality"]
OTHERS = {
    "single_node": single_node,
    "without_edges": without_edges,
    "two_branches": two_branches,
    "dead": with_dead_channels,
    "threshold": lambda: graph_of(cnn).threshold(0.3),
    "empty": lambda: graph_of(cnn).threshold(1e9),
}


def in_order(values, n):
    return [values[node] for node in range(n)]


def assert_degrees(graph):
    built = graph.to_networkx(multigraph=True)
    for name in ("in_degree", "out_degree"):
        got = np.asarray(getattr(gg, name)(graph))
        assert got.dtype == np.int64
        assert_array_equal(got, in_order(getattr(built, name), graph.n_nodes))
    for name in CENTRALITIES:
        expected = in_order(getattr(nx, name)(built), graph.n_nodes)
        assert_allclose(getattr(gg, name)(graph), expected, 1e-12)


def assert_strengths(graph):
    for view in VIEWS:
        matrix = adjacency(graph, view)
        most = abs(matrix).sum()
        assert_allclose(gg.in_strength(graph, view), matrix.sum(axis=0), 1e-5, 1e-6 * most)
        assert_allclose(gg.out_strength(graph, view), matrix.sum(axis=1), 1e-5, 1e-6 * most)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_degrees_of_models(kind):
    assert_degrees(graph_of(kind))


@pytest.mark.parametrize("kind", [cnn, several_outputs, shared_layer])
def test_strengths_of_models(kind):
    assert_strengths(graph_of(kind))


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_of_other_graphs(make):
    assert_degrees(make())
    assert_strengths(make())


@given(any_graph())
def test_of_any_graph(graph):
    assert_degrees(graph)
    assert_strengths(graph)


@given(graphs_of_models())
@settings(max_examples=8)
def test_of_drawn_models(graph):
    assert_degrees(graph)
    assert_strengths(graph)


def test_parallel_edges_count_each():
    graph = graph_of(shared_layer)
    assert np.sum(gg.in_degree(graph)) == graph.n_edges > graph.to_scipy(None).nnz
    assert np.max(gg.degree_centrality(graph)) == max(
        nx.degree_centrality(graph.to_networkx(multigraph=True)).values()
    )


@pytest.mark.parametrize("measure", [gg.in_strength, gg.out_strength])
def test_strengths_are_signed_by_default(measure):
    graph = graph_of(cnn)
    assert (np.asarray(measure(graph)) < 0).any()
    assert (np.asarray(measure(graph, "negative")) >= 0).all()


@pytest.mark.parametrize("measure", [gg.in_strength, gg.out_strength])
def test_wrong_views_are_refused(measure):
    for graph in (graph_of(cnn), without_edges()):
        with pytest.raises(gg.SelectionError, match="no view 'size'"):
            measure(graph, "size")


def test_names_are_those_of_the_functions():
    for name in ["in_degree", "out_degree", "in_strength", "out_strength", *CENTRALITIES]:
        assert getattr(gg, name)(graph_of(shared_layer)).name == name
