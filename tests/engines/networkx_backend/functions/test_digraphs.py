"""Every function on networkx's own DiGraphs, by their own nodes."""

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpugraph.engines.networkx_backend.backend import backend
from gpugraph.engines.networkx_backend.labelled_graph import from_networkx
from tests.engines.networkx_backend.compare import assert_same
from tests.engines.networkx_backend.graphs import acyclic, diamond

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
