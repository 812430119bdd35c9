"""The dispatch: what the backend can run, what is worth converting, and what is asked of it."""

import logging

import networkx as nx
import pytest

import gpugraph as gg
from gpugraph.engines.networkx_backend import backend as dispatch
from gpugraph.engines.networkx_backend.backend import backend
from tests.algorithms.graphs import graph_of
from tests.engines.networkx_backend.compare import assert_same
from tests.engines.networkx_backend.graphs import diamond, layered, weighing
from tests.models import cnn


def test_counts_by_networkxs_names():
    graph = graph_of(cnn)
    assert nx.number_of_nodes(graph) == graph.n_nodes
    assert nx.number_of_edges(graph) == graph.n_edges
    assert nx.density(graph) == nx.density(graph.to_networkx())
    assert nx.is_directed(graph)


def test_the_backend_can_be_networkx():
    graph = graph_of(cnn)
    found = nx.pagerank(graph, weight=None, backend="networkx")
    assert isinstance(found, dict)
    assert_same(found, gg.pagerank(graph, weight=None), 1e-3)


def test_nothing_needs_to_be_configured():
    assert not nx.config.fallback_to_nx
    assert not nx.config.backend_priority.algos


def test_a_call_with_a_graph_of_networkxs_beside_ours_is_left_to_networkx():
    graph = graph_of(cnn)
    assert "give graph.to_networkx()" in backend.can_run("compose", (graph, nx.DiGraph()), {})
    with pytest.raises(TypeError, match="Unable to convert inputs"):
        nx.compose(graph, nx.DiGraph())


def test_the_backend_has_what_networkx_has_and_nothing_else():
    assert hasattr(backend, "pagerank")
    assert hasattr(backend, "transitivity")
    assert not hasattr(backend, "no_such_function")


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda g: nx.pagerank(nx.DiGraph([(1, 2), (2, 1)]), **g), "a cycle leads to node"),
        (lambda g: nx.pagerank(weighing(-1), **g), "are signed"),
        (lambda g: nx.pagerank(diamond(), alpha=1.5, **g), "alpha must be a number from 0 to 1"),
    ],
)
def test_where_gpugraph_was_asked_for_it_says_why_not(call, why):
    with pytest.raises(NotImplementedError) as refused:
        call({"backend": "gpugraph"})
    assert why in str(refused.value.__cause__)


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
    monkeypatch.setattr(dispatch, "WORTH_CONVERTING_EDGES", 1000)
    found = backend.should_run(name, (graph,), {})
    assert found is True if why is True else why in found


def test_a_priority_takes_what_is_worth_it_and_leaves_the_rest(monkeypatch, caplog):
    monkeypatch.setattr(dispatch, "WORTH_CONVERTING_EDGES", 1000)
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
