"""Weakly connected components against networkx."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.testing import assert_array_equal

import gpugraph as gg
from tests.algorithms.graphs import (
    graph_of,
    of_edges,
    single_node,
    two_branches,
    with_nan,
    without_edges,
)
from tests.models import EVERY_KIND, cnn, several_outputs
from tests.strategies import any_graph, graphs_of_models


def assert_components(graph):
    """Every node must have the smallest id of its component."""
    expected = np.zeros(graph.n_nodes, int)
    for nodes in nx.weakly_connected_components(graph.to_networkx()):
        expected[list(nodes)] = min(nodes)
    got = np.asarray(gg.weakly_connected_components(graph))
    assert got.dtype == np.int64
    assert_array_equal(got, expected)
    return len(np.unique(got))


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_of_models(kind):
    assert_components(graph_of(kind))


@given(any_graph())
def test_of_any_graph(graph):
    assert_components(graph)


@given(graphs_of_models())
@settings(max_examples=8)
def test_of_drawn_models(graph):
    assert_components(graph)


@pytest.mark.parametrize(("make", "n"), [(two_branches, 2), (without_edges, 4), (single_node, 1)])
def test_of_graphs_in_pieces(make, n):
    assert assert_components(make()) == n


@pytest.mark.parametrize("least", [0.3, 0.4])
@pytest.mark.parametrize("kind", [cnn, several_outputs])
def test_of_parts_by_weight(kind, least):
    assert assert_components(graph_of(kind).threshold(least)) > 1


def test_of_parts_by_population():
    part = graph_of(several_outputs).subgraph(["image", "features", "vector", "joined"])
    assert assert_components(part) >= 2


@pytest.mark.parametrize("seed", range(5))
def test_long_detours_are_followed(seed):
    """Paths up and down through nodes in no order, which labels cross only step by step."""
    rng = np.random.default_rng(seed)
    low, high = rng.permutation(60).tolist(), (60 + rng.permutation(60)).tolist()
    steps = [(a, b, 1.0) for a, b in zip(low[1:], high, strict=False) if rng.random() < 0.9]
    joins = [(a, b, 1.0) for a, b in zip(low, high, strict=True)]
    assert assert_components(of_edges([*joins, *steps])) == 60 - len(steps)


def test_long_detours_take_few_rounds(monkeypatch):
    """Not one per turn of the path: labels are followed to their end."""
    rng = np.random.default_rng(2)
    low, high = rng.permutation(200).tolist(), (200 + rng.permutation(200)).tolist()
    path = [(a, b, 1.0) for lows in (low, low[1:]) for a, b in zip(lows, high, strict=False)]
    graph, calls, apply = of_edges(path, [200, 200]), [], gg.Projection.apply

    def counted(*args, **options):
        calls.append(args)
        return apply(*args, **options)

    monkeypatch.setattr(gg.Projection, "apply", counted)
    assert assert_components(graph) == 1
    assert len(calls) <= 2 * 10  # one forward, one backward in a round


def test_weights_are_never_read():
    assert assert_components(with_nan()) == 1


def test_wrong_devices_are_refused():
    with pytest.raises(gg.DeviceError, match="Unknown device 'gpu'"):
        gg.weakly_connected_components(graph_of(cnn), device="gpu")
