"""Shortest paths against networkx on the edges as they are made, and the nodes before each."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import gpugraph as gg
from gpugraph.algorithms.distances import hops
from tests.algorithms.graphs import (
    edge_columns,
    graph_of,
    ladder,
    layered,
    of_edges,
    single_node,
    two_branches,
    with_dead_channels,
    with_nan,
    without_edges,
)
from tests.models import cnn, lenet, several_outputs, shared_layer, squeeze_excite
from tests.strategies import any_graph, graphs_of_models

MAKERS = {
    **{kind.__name__: lambda kind=kind: graph_of(kind) for kind in (several_outputs, cnn)},
    **{kind.__name__: lambda kind=kind: graph_of(kind) for kind in (shared_layer, squeeze_excite)},
    "two_branches": two_branches,
    "single_node": single_node,
    "without_edges": without_edges,
    "dead_channels": with_dead_channels,
    "short_cuts": lambda: ladder(9, n_parallel=2, jump=3),
    "part": lambda: graph_of(cnn).threshold(0.3),
    "flow": lambda: _flow(graph_of(cnn)),
}
graphs = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
VIEW = {
    "magnitude": np.abs,
    "positive": lambda w: np.maximum(w, 0),
    "negative": lambda w: np.maximum(-w, 0),
    None: np.ones_like,
}
RULE = {
    "weight": lambda w: w,
    "inverse": lambda w: 1 / w,
    "negative_log": lambda w: -np.log(w),
}


def _flow(graph):
    shape = graph.populations[graph.topology.inputs[0]].shape
    return graph.given(np.random.default_rng(0).standard_normal((1, *shape)))


def measured(graph, weight, length):
    """Return a DiGraph whose edges have lengths; of parallel ones the shortest."""
    built = nx.DiGraph()
    built.add_nodes_from(range(graph.n_nodes))
    src, dst, w = edge_columns(graph)
    seen = VIEW[weight](w.astype(np.float64))
    if length != "weight":
        leads_on = seen > 0
        src, dst, seen = src[leads_on], dst[leads_on], seen[leads_on]
    for s, d, long in zip(src.tolist(), dst.tolist(), RULE[length](seen).tolist(), strict=True):
        if not built.has_edge(s, d) or built[s][d]["length"] > long:
            built.add_edge(s, d, length=long)
    return built


def expected_of(lengths, n):
    return [lengths.get(node, np.inf) for node in range(n)]


def assert_leads_there(built, found, sources, attribute):
    """Hold that every way goes by its predecessor, in no more than its length."""
    distances, before = np.asarray(found), np.asarray(found.predecessors)
    assert found.predecessors.name == "predecessor"
    reached = np.isfinite(distances)
    reached[sources] = False
    assert_array_equal(before >= 0, reached)
    for node in np.flatnonzero(reached).tolist():
        step = built[int(before[node])][node].get(attribute, 1)
        assert distances[before[node]] + step == pytest.approx(distances[node], rel=1e-9)


@graphs
@pytest.mark.parametrize("pick", [0, 0.4, 0.999])
def test_bfs_is_networkxs(make, pick):
    graph = make()
    source = int(pick * graph.n_nodes)
    built = measured(graph, None, "weight")
    found = gg.bfs(graph, source)
    expected = nx.single_source_shortest_path_length(built, source)
    assert_array_equal(found, expected_of(expected, graph.n_nodes))
    assert found.name == "distance"
    assert_leads_there(built, found, [source], "none")


def test_bfs_from_several_nodes_and_from_a_population():
    graph = graph_of(several_outputs)
    image = graph.populations["image"]
    built = measured(graph, None, "weight")
    for sources in ([3, 0, 40], list(image.ids)):
        lengths = nx.multi_source_dijkstra_path_length(built, set(sources), weight=None)
        found = gg.bfs(graph, sources)
        assert_array_equal(found, expected_of(lengths, graph.n_nodes))
        assert_leads_there(built, found, sources, "none")
    assert gg.bfs(graph, "image") == gg.bfs(graph, image.ids)


def test_bfs_looks_no_further_than_its_limit():
    graph = ladder(5, 1)
    found = gg.bfs(graph, 1, depth_limit=2)
    assert_array_equal(found, [np.inf, 0, 1, 2, np.inf, np.inf])
    assert_array_equal(found.predecessors, [-1, -1, 1, 2, -1, -1])


def test_hops_against_the_edges():
    graph = graph_of(squeeze_excite)
    last = graph.n_nodes - 1
    start = np.arange(graph.n_nodes) == last
    reverse = measured(graph, None, "weight").reverse()
    expected = nx.single_source_shortest_path_length(reverse, last)
    assert_array_equal(hops(graph, start, backward=True), expected_of(expected, graph.n_nodes))


@graphs
@pytest.mark.parametrize("weight", VIEW)
@pytest.mark.parametrize("length", ["weight", "inverse"])
def test_sssp_is_dijkstras(make, weight, length):
    graph = make()
    built = measured(graph, weight, length)
    for source in {0, graph.n_nodes // 3}:
        found = gg.sssp(graph, source, length, weight)
        lengths = nx.single_source_dijkstra_path_length(built, source, weight="length")
        assert_allclose(found, expected_of(lengths, graph.n_nodes), rtol=1e-6)
        assert_leads_there(built, found, [source], "length")


def probabilities(seed=0):
    """Return a graph with parallel edges, short cuts and weights from 0 to 1."""
    rng = np.random.default_rng(seed)
    edges = [
        (s, d, float(w))
        for s in range(9)
        for d in range(s + 1, 10)
        for w in rng.choice([0, 1e-320, 0.1, 0.5, 1], size=2)
    ]
    return of_edges(edges)


@pytest.mark.parametrize("seed", range(5))
def test_the_path_of_the_largest_product(seed):
    graph = probabilities(seed)
    found = gg.sssp(graph, 0, "negative_log")
    products = np.zeros(10)
    products[0] = 1
    src, dst, w = edge_columns(graph)
    w = np.where(w < np.finfo(np.float64).tiny, 0, w)
    for at in np.argsort(dst, kind="stable"):
        products[dst[at]] = max(products[dst[at]], products[src[at]] * w[at])
    with np.errstate(divide="ignore"):
        assert_allclose(found, -np.log(products), atol=1e-12)
    assert_allclose(
        gg.sssp(graph.threshold(1e-300), 0, "negative_log"), found, atol=1e-12
    )  # listed edges


@given(graph=any_graph(signed=False) | graphs_of_models(), data=st.data())
def test_random_graphs(graph, data):
    source = data.draw(st.integers(0, graph.n_nodes - 1)) if graph.n_nodes else None
    if source is None:
        return
    length = data.draw(st.sampled_from(["weight", "inverse"]))
    built = measured(graph, "magnitude", length)
    lengths = nx.single_source_dijkstra_path_length(built, source, weight="length")
    found = gg.sssp(graph, source, length)
    assert_allclose(found, expected_of(lengths, graph.n_nodes), rtol=1e-6)
    assert_leads_there(built, found, [source], "length")


def test_float32():
    graph = graph_of(lenet)
    found = gg.sssp(graph, 100, "inverse", dtype=np.float32)
    assert found.array.dtype == np.float32
    assert_allclose(found, gg.sssp(graph, 100, "inverse"), rtol=1e-5)


def test_edges_of_no_length():
    graph = of_edges([(0, 1, 0.0), (1, 2, 0.0), (0, 2, 1.0)])
    found = gg.sssp(graph, 0, "weight")
    assert_array_equal(found, [0, 0, 0])
    assert_array_equal(found.predecessors, [-1, 0, 1])
    assert_array_equal(gg.sssp(graph, 0, "inverse"), [0, np.inf, 1])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda g: gg.bfs(g, 99), gg.SelectionError, "no node 99"),
        (lambda g: gg.bfs(g, 0, depth_limit=0), gg.SelectionError, "depth_limit.*at least 1"),
        (lambda g: gg.bfs(g, 0, engine="networkx"), gg.SelectionError, "not from 'networkx'"),
        (lambda g: gg.sssp(g, 99, "weight"), gg.SelectionError, "no node 99"),
        (lambda g: gg.sssp(g, 0, "log"), gg.SelectionError, "no rule 'log' for lengths"),
        (lambda g: gg.sssp(g, 0, "weight", "weight"), gg.SignedWeightsError, "weight='magnitude'"),
        (lambda g: gg.sssp(g, 0, "weight", dtype=int), gg.SelectionError, "float64 or float32"),
        (
            lambda g: gg.sssp(g, 0, "weight", engine="igraph"),
            gg.SelectionError,
            "not from 'igraph'",
        ),
        (lambda g: gg.sssp(g, 0, "negative_log"), gg.SelectionError, "at most 1.*largest is 2"),
    ],
)
def test_what_there_is_not(call, error, message):
    graph = of_edges([(0, 1, -2.0), (1, 2, 0.5)])
    with pytest.raises(error, match=message):
        call(graph)


def test_weights_that_are_no_numbers():
    with pytest.raises(gg.NonFiniteError, match="NaN or infinity"):
        gg.sssp(with_nan(), 0, "inverse")


def test_a_wide_layer_is_not_made_edge_by_edge(monkeypatch):
    graph = layered([300, 300], 0.5)
    monkeypatch.setattr("gpugraph.projection.chunks", None)
    assert_array_equal(gg.sssp(graph, 7, "inverse")["p1"], np.full(300, 2.0))
