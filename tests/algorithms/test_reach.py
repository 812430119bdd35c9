"""Receptive and projective fields against networkx."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpugraph as gg
from tests.algorithms.graphs import (
    graph_of,
    single_node,
    two_branches,
    with_dead_channels,
    with_nan,
    without_edges,
)
from tests.models import EVERY_KIND, cnn, several_outputs
from tests.strategies import any_graph, graphs_of_models

WAYS = {gg.ancestors: nx.ancestors, gg.descendants: nx.descendants}
ways = pytest.mark.parametrize("way", WAYS)


def assert_reach(way, graph, nodes):
    built = graph.to_networkx()
    expected = set().union(*(WAYS[way](built, node) for node in nodes)) - set(nodes)
    got = np.asarray(way(graph, nodes if len(nodes) != 1 else nodes[0]))
    assert got.dtype == bool
    assert set(np.flatnonzero(got).tolist()) == expected
    return expected


@ways
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_of_models(kind, way):
    graph = graph_of(kind)
    ends = graph.outputs[0] if way is gg.ancestors else graph.inputs[0]
    for node in (ends.offset, ends.offset + ends.size - 1, graph.n_nodes // 2):
        assert_reach(way, graph, [node])
    assert assert_reach(way, graph, [ends.offset])


@ways
@given(graph=any_graph(), data=st.data())
def test_of_any_graph(graph, data, way):
    nodes = st.integers(0, graph.n_nodes - 1)
    assert_reach(way, graph, data.draw(st.lists(nodes, min_size=1, max_size=3)))


@ways
@given(graph=graphs_of_models(), data=st.data())
@settings(max_examples=5)
def test_of_drawn_models(graph, data, way):
    nodes = st.integers(0, graph.n_nodes - 1)
    assert_reach(way, graph, data.draw(st.lists(nodes, min_size=1, max_size=3)))


@ways
@pytest.mark.parametrize("make", [single_node, without_edges, two_branches, with_nan])
def test_of_other_graphs(make, way):
    graph = make()
    for node in (0, graph.n_nodes - 1):
        assert_reach(way, graph, [node])


@ways
@pytest.mark.parametrize("name", ["image", "vector", "joined", "label"])
def test_of_a_population(name, way):
    graph = graph_of(several_outputs)
    nodes = list(graph.populations[name].ids)
    assert way(graph, name) == way(graph, nodes)
    assert_reach(way, graph, nodes)


@ways
def test_nodes_take_every_form(way):
    graph = graph_of(several_outputs)
    expected = way(graph, [3, 80])
    assert way(graph, np.array([80, 3])) == expected
    assert way(graph, (node for node in (3, 80, 3))) == expected
    assert way(graph, {80, 3}) == expected
    assert way(graph, np.int16(80)) == way(graph, 80)


def test_weights_of_zero_are_edges():
    graph = with_dead_channels()
    dead = graph.node_id("conv", (0, 0, 1))
    assert not graph.out_strength("magnitude")[dead]
    assert gg.descendants(graph, dead)["dense"].all()


@ways
@pytest.mark.parametrize(
    ("nodes", "match"),
    [
        (-1, "no node -1"),
        (267, "no node 267: ids are 0 to 266"),
        ([0, 400], "no node 400"),
        ([], "Give node ids"),
        ([0.5], "Give node ids"),
        (["conv"], "Give node ids"),
        ("nowhere", "no population 'nowhere'"),
        ("flatten", "passes on population 'pool'"),
        ([10**30], "no node 1000"),
    ],
)
def test_wrong_nodes_are_refused(way, nodes, match):
    with pytest.raises(gg.SelectionError, match=match):
        way(graph_of(cnn), nodes)
