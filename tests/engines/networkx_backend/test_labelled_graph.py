"""networkx's own DiGraphs as ours, and back."""

import networkx as nx
import pytest
from hypothesis import given

import gpugraph as gg
from gpugraph.engines.networkx_backend.backend import backend
from gpugraph.engines.networkx_backend.labelled_graph import LabelledGraph, from_networkx
from tests.engines.networkx_backend.graphs import acyclic, diamond, layered


def test_generations_are_populations():
    graph = from_networkx(diamond())
    assert isinstance(graph, LabelledGraph)
    assert [p.size for p in graph.populations.values()] == [2, 1, 1, 1]
    assert graph.labels == ["a", "alone", "b", "c", "d"]
    assert graph.nodes == ["a", "b", "c", "d", "alone"]
    assert graph.n_edges == 5
    assert all(p.kernel is None for p in graph.projections)


def test_an_attribute_becomes_the_weights():
    graph = from_networkx(diamond(), "weight", 7)
    assert sorted(weight for _, _, weight in graph.edge_tuples()) == [4, 7, 7, 7, 7]


@given(graph=acyclic() | acyclic(multigraph=True))
def test_there_and_back(graph):
    there = backend.convert_from_nx(graph, edge_attrs={"weight": 1})
    back = backend.convert_to_nx(there)
    expected = graph.copy()
    for *_, data in expected.edges(data=True):
        data.setdefault("weight", 1)
    assert type(back) is type(graph)
    assert list(back) == list(graph)
    rows = [(u, v, d["weight"]) for u, v, d in expected.edges(data=True)]
    assert sorted(back.edges(data="weight")) == sorted(rows)


@given(graph=acyclic())
def test_there_and_back_without_attributes(graph):
    back = backend.convert_to_nx(backend.convert_from_nx(graph))
    assert set(back.edges) == set(graph.edges)
    assert not any(data for *_, data in back.edges(data=True))


@pytest.mark.parametrize(
    ("graph", "why"),
    [
        (nx.DiGraph([(1, 2), (2, 3), (3, 2)]), "a cycle leads to node [23]"),
        (nx.DiGraph([(1, 2), (2, 2)]), "a cycle leads to node 2"),
        (nx.Graph([(1, 2)]), "an undirected edge is one"),
    ],
)
def test_cycles_are_left_to_networkx(graph, why):
    with pytest.raises(NotImplementedError, match=why):
        from_networkx(graph)


def test_weights_that_are_no_numbers_are_left_to_networkx():
    graph = nx.DiGraph()
    graph.add_edge(1, 2, weight="heavy")
    with pytest.raises(NotImplementedError, match="'weight' must be a number on every edge"):
        from_networkx(graph, "weight")


@pytest.mark.parametrize(
    "options", [{"preserve_edge_attrs": True}, {"edge_attrs": {"a": 1, "b": 1}}]
)
def test_several_attributes_are_left_to_networkx(options):
    with pytest.raises(NotImplementedError, match="one attribute of edges"):
        backend.convert_from_nx(diamond(), **options)


def test_a_part_of_a_labelled_graph_is_a_graph():
    part = from_networkx(layered()).ancestors([130])
    assert isinstance(part, gg.NeuronGraph)
    assert part.n_nodes == 121
