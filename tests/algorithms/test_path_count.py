"""Numbers of paths against networkx, exact sums, and Python's unbounded integers."""

from dataclasses import replace
from math import log10

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.testing import assert_allclose, assert_array_equal

import gpugraph as gg
from tests.algorithms.graphs import (
    edge_columns,
    graph_of,
    ladder,
    layered,
    single_node,
    two_branches,
    with_nan,
    without_edges,
)
from tests.algorithms.test_path_strength import by_powers, ends
from tests.models import EVERY_KIND, shared_layer
from tests.reference import path_sums
from tests.strategies import any_graph, graphs_of_models


def exact(graph):
    """Count paths through every node in Python's integers."""
    src, dst, _ = (column.tolist() for column in edge_columns(graph))
    edges = [(s, d, 1) for s, d in zip(src, dst, strict=True)]
    return path_sums(graph.n_nodes, edges, *ends(graph))[0]


def assert_counts(graph):
    assert_array_equal(gg.path_count(graph), np.array(exact(graph), np.float64))


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_of_models(kind):
    graph = graph_of(kind)
    assert_array_equal(gg.path_count(graph), by_powers(graph, None))


@given(any_graph())
def test_of_any_graph(graph):
    assert_counts(graph)


@given(graphs_of_models())
@settings(max_examples=8)
def test_of_drawn_models(graph):
    assert_counts(graph)


def test_of_every_single_path():
    """Each path as networkx lists it, parallel edges apart."""
    graph = graph_of(shared_layer)
    built = graph.to_networkx(multigraph=True)
    starts, stops = ends(graph)
    expected = np.zeros(graph.n_nodes)
    for start in starts:
        for path in nx.all_simple_edge_paths(built, start, stops):
            expected[[start, *(edge[1] for edge in path)]] += 1
    # networkx ends no path amid another; here nothing follows the outputs.
    assert not any(built.out_degree(node) for node in stops)
    assert_array_equal(gg.path_count(graph), expected)


@pytest.mark.parametrize("make", [single_node, without_edges, two_branches, with_nan])
def test_of_other_graphs(make):
    assert_counts(make())


def test_counts_beyond_floats_as_pythons_integers():
    graph = ladder(230, n_parallel=40, jump=3)
    got = gg.path_count(graph)
    expected = [log10(n.numerator) for n in exact(graph)]
    assert max(expected) > 360
    assert_allclose(got.log10(), expected, 1e-12)
    with pytest.raises(gg.RangeError, match=r"'path_count' go to about 10\^368 .*log10"):
        got[230]


def test_counts_of_one_layer_are_in_range_where_others_are_not():
    """A branch of its own, whose paths are few."""
    left, right = ladder(230, n_parallel=40), layered([3, 2])
    moved = {
        p.name: replace(p, name=f"right{p.name}", offset=p.offset + left.n_nodes)
        for p in right.populations.values()
    }
    (projection,) = right.projections
    projection = replace(projection, source=moved["p0"], target=moved["p1"])
    populations = {**left.populations, **{p.name: p for p in moved.values()}}
    got = gg.path_count(gg.NeuronGraph("both", populations, [*left.projections, projection]))
    assert_array_equal(got["rightp0"], [2, 2, 2])
    assert got[left.n_nodes + 4] == 3
    with pytest.raises(gg.RangeError):
        np.asarray(got)


def test_the_largest_counts_in_range_are_plain():
    graph = layered([10] * 280)
    assert_allclose(gg.path_count(graph), np.full(2800, 10.0**279), 1e-12)


def test_wrong_devices_are_refused():
    with pytest.raises(gg.DeviceError, match="Unknown device 'gpu'"):
        gg.path_count(single_node(), device="gpu")
