"""Distances and numbers of shortest paths, against powers of the adjacency matrix."""

from random import Random

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings

import gpugraph as gg
from gpugraph.algorithms import shortest_paths
from gpugraph.algorithms.shortest_paths import batches, count_shortest_paths, depths, pivots
from tests.algorithms.graphs import adjacency, graph_of, ladder, layered
from tests.models import cnn, shared_layer
from tests.strategies import any_graph, graphs_of_models


def counted(graph, sources):
    """Return distance (-1: none) and number of paths from each source to each node."""
    found = np.full((len(sources), graph.n_nodes), -1), np.zeros((len(sources), graph.n_nodes))
    starts = depths(graph, sources)

    def visit(population, classes):
        for steps, paths in classes.items():
            values = np.ldexp(paths.values, paths.exponent)
            rows, nodes = np.nonzero(values)
            assert (found[1][rows, population.offset + nodes] == 0).all()  # in one class alone
            far = population.depth - starts - steps
            found[0][rows, population.offset + nodes] = far[rows]
            found[1][rows, population.offset + nodes] = values[rows, nodes]

    count_shortest_paths(graph, sources, visit, np)
    return found


def expected(graph, sources):
    """The first power of the adjacency matrix with an entry tells both."""
    matrix = adjacency(graph)
    distance = np.full((len(sources), graph.n_nodes), -1)
    paths = np.zeros((len(sources), graph.n_nodes))
    walks = np.eye(graph.n_nodes)[list(sources)]
    for steps in range(graph.n_nodes):
        first = (walks > 0) & (distance < 0)
        distance[first], paths[first] = steps, walks[first]
        walks = walks @ matrix
        if not walks.any():
            break
    return distance, paths


def assert_counts(graph, sources):
    for got, right in zip(counted(graph, sources), expected(graph, sources), strict=True):
        np.testing.assert_array_equal(got, right)


@given(any_graph())
def test_counts_of_any_graph(graph):
    assert_counts(graph, range(graph.n_nodes))


@given(graphs_of_models())
@settings(max_examples=8)
def test_counts_of_drawn_models(graph):
    assert_counts(graph, range(graph.n_nodes))


@pytest.mark.parametrize("kind", [cnn, shared_layer])
def test_counts_of_models(kind):
    graph = graph_of(kind)
    assert_counts(graph, range(0, graph.n_nodes, 20))


def test_short_cuts_make_classes():
    graph = ladder(6, n_parallel=3, jump=2)
    assert_counts(graph, range(graph.n_nodes))
    seen = {}
    count_shortest_paths(graph, [0], lambda p, classes: seen.setdefault(p.name, classes), np)
    assert {name: list(classes) for name, classes in seen.items()} == {
        f"p{i}": [i // 2] for i in range(7)
    }


def test_populations_out_of_reach_are_not_visited():
    graph = layered([2, 2, 2, 2])
    seen = []
    count_shortest_paths(graph, [4, 5], lambda population, _: seen.append(population.name), np)
    assert seen == ["p2", "p3"]


def test_counts_beyond_floats_keep_their_exponent():
    last = {}
    count_shortest_paths(
        layered([100] * 170), [3], lambda p, classes: last.update({p.name: classes[0]}), np
    )
    paths = last["p169"]
    log10 = np.log10(paths.values[0]) + paths.exponent[0, 0] * np.log10(2)
    np.testing.assert_allclose(log10, 2 * 168, rtol=1e-12)


@pytest.mark.parametrize("batch_values", [1, 1000, 10**9])
def test_batches_hold_every_source_once(monkeypatch, batch_values):
    monkeypatch.setattr(shortest_paths, "BATCH_VALUES", batch_values)
    graph = graph_of(cnn)
    sources = Random(0).sample(range(graph.n_nodes), 40)
    parts = batches(graph, sources)
    assert sorted(sources) == [node for part in parts for node in part]
    assert max(map(len, parts)) == min(40, max(1, batch_values // graph.n_nodes))


@pytest.mark.parametrize("seed", [0, 7, Random(3), np.random.RandomState(1)])
def test_pivots_are_those_that_networkx_draws(seed):
    graph = graph_of(cnn)
    again = Random(3) if isinstance(seed, Random) else seed
    if isinstance(seed, np.random.RandomState):
        again = np.random.RandomState(1)
    drawn = nx.utils.create_py_random_state(again).sample(range(graph.n_nodes), 5)
    drawn = list(drawn)
    assert pivots(graph, 5, None, seed) == drawn


def test_pivots_by_default_are_all_nodes():
    assert pivots(graph_of(shared_layer), None, None, None) == list(range(20))


def test_pivots_given():
    chosen = pivots(graph_of(shared_layer), None, (np.int32(n) for n in (4, 2)), None)
    assert chosen == [4, 2]
    assert {type(node) for node in chosen} == {int}


@pytest.mark.parametrize(
    ("k", "sources", "match"),
    [
        (0, None, "k must be from 1 to the 20 nodes there are, not 0"),
        (21, None, "not 21"),
        (1.0, None, r"not 1\.0"),
        (1, [1], "not both"),
        (None, [], "at least one"),
        (None, ["x"], "node id"),
        (None, [1.0], "node id"),
        (None, [20], "no node 20"),
        (None, [1, 1], "once"),
    ],
)
def test_wrong_pivots_are_refused(k, sources, match):
    with pytest.raises(gg.SelectionError, match=match):
        pivots(graph_of(shared_layer), k, sources, None)
