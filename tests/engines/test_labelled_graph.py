"""networkx's own DiGraphs in gpugraph: converted, measured, and back."""

import logging
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpugraph as gg
from gpugraph.engines import networkx_backend
from gpugraph.engines.labelled_graph import LabelledGraph, from_networkx
from gpugraph.engines.networkx_backend import backend
from tests.engines.test_networkx_backend import assert_same


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


# Measures of networkx's graphs

MEASURES = [
    ("pagerank", {}),
    ("pagerank", {"weight": None, "alpha": 0.5}),
    ("pagerank", {"personalization": {"n0": 2, "n1": 1, "elsewhere": 1}, "dangling": {"n0": 1}}),
    ("katz_centrality", {}),
    ("katz_centrality", {"weight": "weight", "normalized": False, "beta": 0.5}),
    ("betweenness_centrality", {}),
    ("betweenness_centrality", {"endpoints": True, "normalized": False}),
    ("betweenness_centrality", {"k": 1, "seed": 5, "endpoints": True}),
    ("edge_betweenness_centrality", {}),
    ("edge_betweenness_centrality", {"k": 1, "seed": 5}),
    ("closeness_centrality", {}),
    ("closeness_centrality", {"wf_improved": False}),
    ("harmonic_centrality", {}),
    ("harmonic_centrality", {"nbunch": ["n0"]}),
    ("harmonic_centrality", {"sources": ["n0", "elsewhere"]}),
    ("degree_centrality", {}),
    ("in_degree_centrality", {}),
    ("out_degree_centrality", {}),
]


@pytest.mark.parametrize(("name", "options"), MEASURES)
@given(graph=acyclic())
def test_measures_are_networkxs(name, options, graph):
    function = getattr(nx, name)
    ours = function(graph, backend="gpugraph", **options)
    exact = {"tol": 1e-13, "max_iter": 1000} if name in ("pagerank", "katz_centrality") else {}
    theirs = function(graph, backend="networkx", **options, **exact)
    assert isinstance(ours, dict)
    assert_same(ours, theirs, 1e-8)
    if name not in ("edge_betweenness_centrality", "harmonic_centrality"):
        assert list(ours) == list(theirs)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pagerank", {}),
        ("closeness_centrality", {}),
        ("harmonic_centrality", {}),
        ("degree_centrality", {}),
    ],
)
@given(graph=acyclic(multigraph=True))
def test_measures_of_multigraphs_are_networkxs(name, options, graph):
    function = getattr(nx, name)
    exact = {"tol": 1e-13} if name == "pagerank" else {}
    ours = function(graph, backend="gpugraph", **options)
    assert_same(ours, function(graph, backend="networkx", **options, **exact), 1e-8)


@given(graph=acyclic() | acyclic(multigraph=True), data=st.data())
def test_reach_is_networkxs(graph, data):
    node = data.draw(st.sampled_from(sorted(graph)))
    for name in ("ancestors", "descendants", "single_source_shortest_path_length"):
        function = getattr(nx, name)
        assert function(graph, node, backend="gpugraph") == function(graph, node)
    ours = nx.topological_generations(graph, backend="gpugraph")
    assert [sorted(g) for g in ours] == [sorted(g) for g in nx.topological_generations(graph)]
    ours = nx.weakly_connected_components(graph, backend="gpugraph")
    theirs = nx.weakly_connected_components(graph)
    assert sorted(map(sorted, ours)) == sorted(map(sorted, theirs))


def test_the_same_nodes_are_drawn():
    graph = nx.gnp_random_graph(40, 0.2, seed=1, directed=True)
    graph = nx.DiGraph((v, u) for u, v in graph.edges if u < v)  # against the order of the nodes
    for function in (nx.betweenness_centrality, nx.edge_betweenness_centrality):
        ours = function(graph, k=4, seed=11, backend="gpugraph")
        assert_same(ours, function(graph, k=4, seed=11))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pagerank", {}),
        ("katz_centrality", {}),
        ("betweenness_centrality", {}),
        ("edge_betweenness_centrality", {}),
        ("closeness_centrality", {}),
        ("harmonic_centrality", {}),
        ("degree_centrality", {}),
        ("dag_longest_path_length", 0),
        ("number_weakly_connected_components", 0),
        ("is_empty", True),
    ],
)
def test_an_empty_graph(name, expected):
    assert getattr(nx, name)(nx.DiGraph(), backend="gpugraph") == expected


@pytest.mark.parametrize("name", ["is_weakly_connected", "is_strongly_connected"])
def test_an_empty_graph_is_neither_connected_nor_not(name):
    with pytest.raises(nx.NetworkXPointlessConcept):
        getattr(nx, name)(nx.DiGraph(), backend="gpugraph")


def test_beta_must_name_every_node():
    with pytest.raises(nx.NetworkXError, match="a value for every node"):
        nx.katz_centrality(diamond(), beta={"a": 1}, backend="gpugraph")
    beta = {"a": 1, "b": 2, "c": 3, "d": 4, "alone": 5}
    ours = nx.katz_centrality(diamond(), beta=beta, backend="gpugraph")
    assert_same(ours, nx.katz_centrality(diamond(), beta=beta, tol=1e-13))


# What is left to networkx


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda g: nx.pagerank(nx.DiGraph([(1, 2), (2, 1)]), **g), "a cycle leads to node"),
        (lambda g: nx.pagerank(weighing(-1), **g), "are signed"),
        (lambda g: nx.pagerank(diamond(), alpha=1.5, **g), "alpha is a probability"),
    ],
)
def test_where_gpugraph_was_asked_for_it_says_why_not(call, why):
    with pytest.raises(NotImplementedError) as refused:
        call({"backend": "gpugraph"})
    assert why in str(refused.value.__cause__)


def weighing(weight):
    graph = diamond()
    nx.set_edge_attributes(graph, weight, "weight")
    return graph


@pytest.mark.parametrize(
    ("name", "args", "why"),
    [
        ("pagerank", (nx.Graph([(1, 2)]),), "an undirected edge is a cycle"),
        ("pagerank", (), "there is no graph"),
        ("pagerank", (nx.DiGraph(), 1, 2, 3, 4, 5, 6, 7, 8), "too many positional arguments"),
        ("path_graph", (3,), "there is no graph"),
        ("transitivity", (nx.DiGraph(),), "has no answer of its own"),
        ("betweenness_centrality", (nx.MultiDiGraph(),), "parallel edges"),
        ("closeness_centrality", (nx.DiGraph(), None, "length"), "distance='length': gpugraph"),
    ],
)
def test_what_cannot_run_has_a_reason(name, args, why):
    assert why in backend.can_run(name, args, {})


def test_the_longest_path_is_counted_where_all_edges_weigh_1():
    assert nx.dag_longest_path_length(nx.DiGraph(diamond().edges), backend="gpugraph") == 3
    with pytest.raises(NotImplementedError):
        nx.dag_longest_path_length(diamond(), backend="gpugraph")
    assert nx.dag_longest_path_length(diamond(), weight=None, backend="gpugraph") == 3
    found = nx.dag_longest_path_length(diamond(), weight=None, default_weight=2, backend="gpugraph")
    assert found == 6


def test_an_attribute_that_was_not_converted_is_not_made_up():
    graph = from_networkx(diamond(), "weight")
    with pytest.raises(NotImplementedError, match="attribute 'weight', not 'length'"):
        backend.pagerank(graph, weight="length")


def layered(n_layers=3, width=60):
    """Return a graph of full layers: few generations, many edges."""
    nodes = np.arange(n_layers * width).reshape(n_layers, width).tolist()
    graph = nx.DiGraph()
    for before, after in pairwise(nodes):
        graph.add_edges_from((u, v) for u in before for v in after)
    return graph


@pytest.mark.parametrize(
    ("name", "graph", "why"),
    [
        ("pagerank", diamond(), "fewer than 1,000 edges"),
        ("pagerank", nx.path_graph(1500, create_using=nx.DiGraph), "has 1,500 generations"),
        ("pagerank", nx.gnp_random_graph(60, 0.5, directed=True), "a cycle leads to"),
        ("is_empty", layered(), "networkx is done before"),
        ("pagerank", layered(), True),
    ],
)
def test_what_is_worth_converting(monkeypatch, name, graph, why):
    monkeypatch.setattr(networkx_backend, "WORTH_CONVERTING_EDGES", 1000)
    found = backend.should_run(name, (graph,), {})
    assert found is True if why is True else why in found


def test_a_priority_takes_what_is_worth_it_and_leaves_the_rest(monkeypatch, caplog):
    monkeypatch.setattr(networkx_backend, "WORTH_CONVERTING_EDGES", 1000)
    caplog.set_level(logging.DEBUG, "networkx.utils.backends")
    small, large = diamond(), layered()
    cyclic = nx.gnp_random_graph(60, 0.5, seed=1, directed=True)
    with nx.config(backend_priority=["gpugraph"]):
        for graph in (small, large, cyclic, cyclic.to_undirected()):
            ranks = nx.pagerank(graph)
            assert sum(ranks.values()) == pytest.approx(1)
        assert nx.transitivity(large) == 0
        assert isinstance(nx.path_graph(3), nx.Graph)
    used = [r for r in caplog.messages if r.startswith("Using backend 'gpugraph'")]
    assert len(used) == 1


def test_a_part_of_a_labelled_graph_is_a_graph():
    part = from_networkx(layered()).ancestors([130])
    assert isinstance(part, gg.NeuronGraph)
    assert part.n_nodes == 121
