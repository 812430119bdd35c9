"""Lengths of longest paths against networkx's topological generations."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.testing import assert_array_equal

import gpugraph as gg
from tests.algorithms.graphs import (
    graph_of,
    ladder,
    single_node,
    two_branches,
    with_nan,
    without_edges,
)
from tests.models import EVERY_KIND, cnn
from tests.strategies import any_graph, graphs_of_models


def assert_longest(graph):
    built = graph.to_networkx()
    expected = np.zeros(graph.n_nodes, int)
    for length, nodes in enumerate(nx.topological_generations(built)):
        expected[nodes] = length
    got = np.asarray(gg.longest_path_length(graph))
    assert got.dtype == np.int64
    assert_array_equal(got, expected)
    assert got.max() == nx.dag_longest_path_length(built, weight=None)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_of_models(kind):
    assert_longest(graph_of(kind))


@given(any_graph())
def test_of_any_graph(graph):
    assert_longest(graph)


@given(graphs_of_models())
@settings(max_examples=8)
def test_of_drawn_models(graph):
    assert_longest(graph)


@pytest.mark.parametrize(
    "make",
    [
        single_node,
        without_edges,
        two_branches,
        with_nan,
        lambda: ladder(9, n_parallel=2, jump=3),
        lambda: graph_of(cnn).threshold(0.35),
    ],
)
def test_of_graphs_in_pieces(make):
    assert_longest(make())


def test_wrong_devices_are_refused():
    with pytest.raises(gg.DeviceError, match="Unknown device 'gpu'"):
        gg.longest_path_length(graph_of(cnn), device="gpu")
