"""Closeness and harmonic centrality against networkx, and their estimates against distances."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.testing import assert_allclose, assert_array_equal

import gpugraph as gg
from gpugraph.algorithms import shortest_paths
from gpugraph.algorithms.shortest_paths import pivots
from tests.algorithms.graphs import (
    graph_of,
    ladder,
    single_node,
    two_branches,
    with_nan,
    without_edges,
)
from tests.models import cnn, several_outputs, shared_layer, squeeze_excite
from tests.strategies import any_graph, graphs_of_models

MAKERS = {
    **{kind.__name__: lambda kind=kind: graph_of(kind) for kind in (several_outputs, cnn)},
    **{kind.__name__: lambda kind=kind: graph_of(kind) for kind in (shared_layer, squeeze_excite)},
    "two_branches": two_branches,
    "single_node": single_node,
    "without_edges": without_edges,
    "short_cuts": lambda: ladder(9, n_parallel=2, jump=3),
    "part": lambda: graph_of(cnn).threshold(0.3),
    "subgraph": lambda: graph_of(several_outputs).subgraph(["image", "vector", "joined", "label"]),
}
improved = pytest.mark.parametrize("wf_improved", [True, False])


def in_order(values, n):
    return [values[node] for node in range(n)]


@improved
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_closeness_is_networkxs(make, wf_improved):
    graph = make()
    expected = nx.closeness_centrality(graph.to_networkx(), wf_improved=wf_improved)
    got = gg.closeness_centrality(graph, wf_improved=wf_improved)
    assert_allclose(got, in_order(expected, graph.n_nodes), 1e-12)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_harmonic_is_networkxs(make):
    graph = make()
    expected = nx.harmonic_centrality(graph.to_networkx())
    assert_allclose(gg.harmonic_centrality(graph), in_order(expected, graph.n_nodes), 1e-12)


@pytest.mark.parametrize("make", [MAKERS["cnn"], MAKERS["short_cuts"]])
def test_harmonic_from_given_sources_is_networkxs(make):
    graph = make()
    sources = [8, 0, 5]
    expected = nx.harmonic_centrality(graph.to_networkx(), sources=sources)
    got = gg.harmonic_centrality(graph, sources=sources)
    assert_allclose(got, in_order(expected, graph.n_nodes), 1e-12)


def assert_both(graph):
    built = graph.to_networkx()
    expected = nx.closeness_centrality(built)
    assert_allclose(gg.closeness_centrality(graph), in_order(expected, graph.n_nodes), 1e-12)
    expected = nx.harmonic_centrality(built)
    assert_allclose(gg.harmonic_centrality(graph), in_order(expected, graph.n_nodes), 1e-12)


@given(any_graph())
def test_of_any_graph(graph):
    assert_both(graph)


@given(graphs_of_models())
@settings(max_examples=8)
def test_of_drawn_models(graph):
    assert_both(graph)


def distances(graph, k, seed):
    """Distances from the drawn nodes to each node that they reach, without themselves."""
    built = graph.to_networkx()
    found = [[] for _ in range(graph.n_nodes)]
    for source in pivots(graph, k, None, seed):
        for node, far in nx.single_source_shortest_path_length(built, source).items():
            if far:
                found[node].append(far)
    return found


@pytest.mark.parametrize("k", [1, 7, 50])
def test_estimates_are_scaled_up(k):
    graph = graph_of(several_outputs)
    n = graph.n_nodes
    found = distances(graph, k, seed=4)
    mean = np.array([len(far) / sum(far) if far else 0 for far in found])
    got = gg.closeness_centrality(graph, k, wf_improved=False, seed=4)
    assert_allclose(got, mean, 1e-12)
    reaching = np.array([len(far) for far in found]) * n / k
    got = gg.closeness_centrality(graph, k, seed=4)
    assert_allclose(got, mean * reaching / (n - 1), 1e-12)
    got = gg.harmonic_centrality(graph, k, seed=4)
    assert_allclose(got, [n / k * sum(1 / f for f in far) for far in found], 1e-12)


def test_all_nodes_drawn_are_all_nodes():
    graph = graph_of(several_outputs)
    n = graph.n_nodes
    assert_allclose(gg.closeness_centrality(graph, n), gg.closeness_centrality(graph), 1e-12)
    assert_allclose(gg.harmonic_centrality(graph, n), gg.harmonic_centrality(graph), 1e-12)


def test_batches_of_sources_change_nothing(monkeypatch):
    graph = graph_of(several_outputs)
    whole = np.array(gg.closeness_centrality(graph)), np.array(gg.harmonic_centrality(graph))
    monkeypatch.setattr(shortest_paths, "BATCH_VALUES", 1000)
    assert_allclose(gg.closeness_centrality(graph), whole[0], 1e-12)
    assert_allclose(gg.harmonic_centrality(graph), whole[1], 1e-12)


def test_weights_are_never_read():
    assert_both(with_nan())


def test_nodes_that_nothing_reaches_have_0():
    graph = graph_of(cnn)
    got = gg.closeness_centrality(graph, 1, seed=0)
    reached = [bool(far) for far in distances(graph, 1, seed=0)]
    assert not all(reached)
    assert_array_equal(np.array(got) > 0, reached)


@pytest.mark.parametrize("measure", [gg.closeness_centrality, gg.harmonic_centrality])
@pytest.mark.parametrize("k", [0, 21, -3])
def test_wrong_k_is_refused(measure, k):
    with pytest.raises(gg.SelectionError, match=f"k must be from 1 to the 20 .* not {k}"):
        measure(graph_of(shared_layer), k=k)


@pytest.mark.parametrize("sources", [[20], [], [1, 1]])
def test_wrong_sources_are_refused(sources):
    with pytest.raises(gg.SelectionError):
        gg.harmonic_centrality(graph_of(shared_layer), sources=sources)


@pytest.mark.parametrize("measure", [gg.closeness_centrality, gg.harmonic_centrality])
def test_wrong_devices_are_refused(measure):
    with pytest.raises(gg.DeviceError, match="Unknown device 'gpu'"):
        measure(graph_of(shared_layer), device="gpu")
