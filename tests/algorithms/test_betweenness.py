"""Betweenness against networkx, and with parallel edges against Brandes on a multigraph."""

from functools import cache

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given, settings
from numpy.testing import assert_allclose, assert_array_equal

import gpugraph as gg
from gpugraph import arrays
from gpugraph.algorithms import shortest_paths
from tests.algorithms.graphs import (
    edge_columns,
    graph_of,
    has_parallel_edges,
    ladder,
    layered,
    of_edges,
    single_node,
    two_branches,
    with_nan,
    without_edges,
)
from tests.models import (
    auxiliary,
    cnn,
    nested_twice,
    one_size_convolutional,
    several_outputs,
    shared_layer,
    siamese,
    squeeze_excite,
    u_net,
)
from tests.reference import dependencies
from tests.strategies import any_graph, graphs_of_models

SIMPLE = [
    cnn,
    one_size_convolutional,
    siamese,
    several_outputs,
    u_net,
    squeeze_excite,
    auxiliary,
    nested_twice,
]
both = pytest.mark.parametrize("normalized", [True, False])


@cache
def built_of(kind):
    return graph_of(kind).to_networkx()


def in_order(values, n):
    return [values[node] for node in range(n)]


def assert_edges_equal(got, expected, rtol=1e-9):
    """Compare with what networkx gives by edge, where no edge has a parallel one."""
    found = dict(got.items())
    assert found.keys() == expected.keys()
    assert_allclose([found[edge] for edge in expected], list(expected.values()), rtol, 1e-15)


def sums(graph, sources):
    """Sum the reference's dependencies: of nodes between ends, of nodes with ends, of edges."""
    src, dst, _ = edge_columns(graph)
    edges = list(zip(src.tolist(), dst.tolist(), strict=True))
    nodes, ends, along = np.zeros(graph.n_nodes), np.zeros(graph.n_nodes), np.zeros(len(edges))
    for source in sources:
        through, share = dependencies(graph.n_nodes, edges, source)
        through = np.array(through, np.float64)
        nodes += np.maximum(through - (through > 0), 0)
        ends += through
        ends[source] += (through > 0).sum()
        along += np.array(share, np.float64)
    return nodes, ends, along


@both
@pytest.mark.parametrize("endpoints", [False, True])
@pytest.mark.parametrize("kind", SIMPLE)
def test_sampled_nodes_are_networkxs(kind, endpoints, normalized):
    graph, options = graph_of(kind), {"endpoints": endpoints, "normalized": normalized}
    expected = nx.betweenness_centrality(built_of(kind), k=5, seed=3, **options)
    got = gg.betweenness_centrality(graph, k=5, seed=3, **options)
    assert_allclose(got, in_order(expected, graph.n_nodes), 1e-9, 1e-15)


@both
@pytest.mark.parametrize("endpoints", [False, True])
@pytest.mark.parametrize("make", [lambda: graph_of(several_outputs), two_branches])
def test_all_nodes_are_networkxs(make, endpoints, normalized):
    graph, options = make(), {"endpoints": endpoints, "normalized": normalized}
    expected = nx.betweenness_centrality(graph.to_networkx(), **options)
    got = gg.betweenness_centrality(graph, **options)
    assert_allclose(got, in_order(expected, graph.n_nodes), 1e-9, 1e-15)


@both
@pytest.mark.parametrize("kind", SIMPLE)
def test_sampled_edges_are_networkxs(kind, normalized):
    graph, options = graph_of(kind), {"k": 4, "seed": 5, "normalized": normalized}
    expected = nx.edge_betweenness_centrality(built_of(kind), **options)
    assert_edges_equal(gg.edge_betweenness_centrality(graph, **options), expected)


@both
def test_all_edges_are_networkxs(normalized):
    graph = graph_of(several_outputs)
    expected = nx.edge_betweenness_centrality(graph.to_networkx(), normalized=normalized)
    assert_edges_equal(gg.edge_betweenness_centrality(graph, normalized=normalized), expected)


@given(graphs_of_models())
@settings(max_examples=8)
def test_of_drawn_models_as_networkx(graph):
    assume(not has_parallel_edges(graph))
    built = graph.to_networkx()
    nodes = nx.betweenness_centrality(built)
    assert_allclose(gg.betweenness_centrality(graph), in_order(nodes, len(built)), 1e-9, 1e-15)
    edges = nx.edge_betweenness_centrality(built)
    assert_edges_equal(gg.edge_betweenness_centrality(graph), edges)


def assert_brandes(graph, sources):
    nodes, ends, along = sums(graph, sources)
    plain = {"normalized": False, "sources": sources}
    got = gg.betweenness_centrality(graph, endpoints=True, **plain)
    n, k = graph.n_nodes, len(sources)
    assert_allclose(got, ends * (n / k if n > 1 else 1), 1e-9, 1e-12)
    got = np.array(gg.betweenness_centrality(graph, **plain))
    if n > 2:
        scale = np.full(n, (n - 1) / k)
        scale[list(sources)] = (n - 1) / (k - 1) if k > 1 else np.nan
        nodes *= scale
    assert_allclose(got, nodes, 1e-9, 1e-12)
    got = gg.edge_betweenness_centrality(graph, **plain)
    assert_allclose(got, along * (n / k if n > 1 else 1), 1e-9, 1e-12)


@given(any_graph())
@settings(max_examples=40)
def test_of_any_graph_as_brandes_on_a_multigraph(graph):
    assert_brandes(graph, list(range(graph.n_nodes)))


@given(graphs_of_models())
@settings(max_examples=5)
def test_of_drawn_models_with_parallel_edges_as_brandes(graph):
    assert_brandes(graph, list(range(0, graph.n_nodes, 4)))


def test_parallel_edges_are_separate_paths():
    graph = graph_of(shared_layer)
    assert has_parallel_edges(graph)
    assert_brandes(graph, list(range(graph.n_nodes)))


def test_parallel_edges_share_what_leads_between_nodes():
    # Three of the four paths from 0 to 3 lead over 2.
    graph = of_edges([(0, 1, 1), (0, 2, 1), (0, 2, 1), (0, 2, 1), (1, 3, 1), (2, 3, 1)])
    assert_allclose(gg.betweenness_centrality(graph, normalized=False), [0, 0.25, 0.75, 0])
    edges = gg.edge_betweenness_centrality(graph, normalized=False)
    assert [p.n_edges for p in graph.projections] == [1, 3, 1, 1]
    assert_allclose(edges, [1.25, *[1.75 / 3] * 3, 1.25, 1.75])


@pytest.mark.parametrize("kind", [cnn, several_outputs])
def test_given_sources_are_those_taken(kind):
    graph = graph_of(kind)
    sources = [graph.n_nodes // 2, 0, 3]
    assert_brandes(graph, sources)
    as_array = gg.betweenness_centrality(graph, sources=np.array(sources))
    assert as_array == gg.betweenness_centrality(graph, sources=iter(sources))


def test_more_paths_than_a_float_counts():
    """30**260 paths lead through every layer; a node's share is the pairs around it by 30."""
    widths = [30] * 260
    graph = layered(widths)
    got = gg.betweenness_centrality(graph, sources=[0, 1], normalized=False, endpoints=True)
    behind = 30 * (259 - np.arange(1, 260))
    through = np.array(got).reshape(260, 30) * 2 / graph.n_nodes
    assert_allclose(through[1:], np.repeat(2 * (1 + behind / 30), 30).reshape(259, 30), 1e-9)
    edges = gg.edge_betweenness_centrality(graph, sources=[7], normalized=False)
    for i in (0, 1, 130, 258):
        values = edges[graph.projections[i]].reshape(30, 30) / graph.n_nodes
        share = (30 + behind[i]) / (30 if i == 0 else 900)
        assert_allclose(values[7] if i == 0 else values, share, 1e-9)
    assert not edges[graph.projections[0]].reshape(30, 30)[np.arange(30) != 7].any()


def test_more_paths_than_a_float_counts_with_short_cuts():
    assert_brandes(ladder(190, n_parallel=64, jump=189), [0, 60])


def chain(first, start, n_parallel):
    """Edges from a start over nodes ``first``, ``first + 1`` ..., so many to each."""
    ends = [start, *range(first, first + len(n_parallel))]
    steps = zip(ends, ends[1:], n_parallel, strict=False)
    return [(src, dst, 1.0) for src, dst, n in steps for _ in range(n)]


def test_many_paths_that_others_cut_short_do_not_drown_few():
    """2**1140 paths lead to a node that a short cut reaches, 2**540 and 1 to those beside it."""
    many, some, one = chain(1, 0, [64] * 190), chain(191, 0, [64] * 90 + [1] * 100), [1] * 191
    few = chain(381, 0, one)  # ends in 571
    t1, t2, u1, u2 = range(572, 576)
    joins = [(190, t1), (0, t1), (380, t2), (t2, u1), (571, u2)]
    graph = of_edges([*many, *some, *few, *((*ends, 1.0) for ends in joins)], [1] * 572 + [2, 2])
    got = gg.betweenness_centrality(graph, sources=[0], normalized=False, endpoints=True)
    assert_allclose([got[node] / graph.n_nodes for node in (571, t1, t2, u1, u2)], [2, 1, 2, 1, 1])


@pytest.mark.parametrize("batch_values", [1, 200, 10_000])
def test_batches_of_sources_change_nothing(monkeypatch, batch_values):
    graph = graph_of(several_outputs)
    nodes, edges = gg.betweenness_centrality(graph), gg.edge_betweenness_centrality(graph)
    monkeypatch.setattr(shortest_paths, "BATCH_VALUES", batch_values)
    assert_allclose(gg.betweenness_centrality(graph), nodes, 1e-12, 1e-18)
    assert_allclose(gg.edge_betweenness_centrality(graph), edges, 1e-12, 1e-18)


def test_a_single_source_knows_nothing_of_itself():
    graph = graph_of(several_outputs)
    got = np.array(gg.betweenness_centrality(graph, k=1, seed=2))
    expected = nx.betweenness_centrality(graph.to_networkx(), k=1, seed=2)
    assert np.isnan(got).sum() == 1
    assert_allclose(got, in_order(expected, graph.n_nodes), 1e-9)


@both
@pytest.mark.parametrize("endpoints", [False, True])
@pytest.mark.parametrize("k", [None, 3])
def test_the_networkx_engine(k, endpoints, normalized):
    graph = graph_of(several_outputs)
    options = {"k": k, "seed": 1, "endpoints": endpoints, "normalized": normalized}
    by_networkx = gg.betweenness_centrality(graph, **options, engine="networkx")
    assert_allclose(by_networkx, gg.betweenness_centrality(graph, **options), 1e-9, 1e-15)


def test_the_networkx_engine_takes_given_sources():
    graph = graph_of(several_outputs)
    by_networkx = gg.betweenness_centrality(graph, sources=[9, 4], engine="networkx")
    assert_allclose(by_networkx, gg.betweenness_centrality(graph, sources=[4, 9]), 1e-9, 1e-15)


@pytest.mark.parametrize("make", [single_node, without_edges])
@both
@pytest.mark.parametrize("endpoints", [False, True])
def test_graphs_without_edges(make, endpoints, normalized):
    graph = make()
    got = gg.betweenness_centrality(graph, normalized=normalized, endpoints=endpoints)
    built = nx.betweenness_centrality(
        graph.to_networkx(), normalized=normalized, endpoints=endpoints
    )
    assert_array_equal(got, in_order(built, graph.n_nodes))
    assert len(np.array(gg.edge_betweenness_centrality(graph))) == 0


def test_weights_are_never_read():
    graph = with_nan()
    expected = nx.betweenness_centrality(graph.to_networkx())
    assert_allclose(gg.betweenness_centrality(graph), in_order(expected, graph.n_nodes))
    assert np.isfinite(gg.edge_betweenness_centrality(graph)).all()


def test_parts_of_a_graph():
    graph = graph_of(cnn).threshold(0.3)
    expected = nx.betweenness_centrality(graph.to_networkx(), k=9, seed=0)
    got = gg.betweenness_centrality(graph, k=9, seed=0)
    assert np.array(got).any()
    assert_allclose(got, in_order(expected, graph.n_nodes), 1e-9, 1e-15)


@pytest.mark.parametrize("measure", [gg.betweenness_centrality, gg.edge_betweenness_centrality])
@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"k": 0}, "from 1 to the 156 nodes"),
        ({"k": 157}, "not 157"),
        ({"k": 2.5}, "not 2.5"),
        ({"sources": []}, "at least one"),
        ({"sources": [3, 156]}, "no node 156"),
        ({"sources": [-1]}, "no node -1"),
        ({"sources": [3, 4, 3]}, "each source once"),
        ({"sources": "conv"}, "node id"),
        ({"sources": [1], "k": 1}, "not both"),
    ],
)
def test_wrong_sources_are_refused(measure, options, match):
    with pytest.raises(gg.SelectionError, match=match):
        measure(graph_of(several_outputs), **options)


def test_wrong_engines_and_devices_are_refused():
    graph = graph_of(several_outputs)
    with pytest.raises(gg.SelectionError, match="no engine 'igraph'"):
        gg.betweenness_centrality(graph, engine="igraph")
    with pytest.raises(gg.DeviceError, match="Unknown device 'gpu'"):
        gg.betweenness_centrality(graph, device="gpu")
    with pytest.raises(gg.DeviceError, match="Unknown device 'gpu'"):
        gg.edge_betweenness_centrality(graph, device="gpu")


def test_edges_that_would_not_fit_are_refused(monkeypatch):
    monkeypatch.setattr(arrays, "free_memory", lambda xp=np: 100_000)
    with pytest.raises(gg.GraphTooLargeError, match=r"Edge betweenness from 156 sources.*k="):
        gg.edge_betweenness_centrality(graph_of(several_outputs))
