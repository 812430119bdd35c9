"""Ancestors, generations and the longest path by their names in networkx."""

import networkx as nx
import pytest

from tests.algorithms.graphs import graph_of
from tests.engines.networkx_backend.compare import (
    assert_answered_as_by_networkx,
    assert_node_is_answered_as_by_networkx,
    assert_node_is_missing_as_in_networkx,
)
from tests.models import cnn, shared_layer, squeeze_excite, u_net


@pytest.mark.parametrize("model", [cnn, squeeze_excite, u_net, shared_layer])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dag_longest_path_length", {"weight": None}),
        ("is_directed_acyclic_graph", {}),
        ("topological_generations", {}),
    ],
)
def test_a_whole_graph(model, name, options):
    assert_answered_as_by_networkx(graph_of(model), name, **options)


@pytest.mark.parametrize("model", [cnn, squeeze_excite])
@pytest.mark.parametrize("name", ["ancestors", "descendants"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_node(model, name, share):
    assert_node_is_answered_as_by_networkx(graph_of(model), name, share)


@pytest.mark.parametrize("name", ["ancestors", "descendants"])
def test_a_node_that_is_not_there(name):
    assert_node_is_missing_as_in_networkx(graph_of(cnn), name)


def test_a_topological_sort_is_one():
    graph = graph_of(u_net)
    place = {node: i for i, node in enumerate(nx.topological_sort(graph))}
    assert len(place) == graph.n_nodes
    assert all(place[src] < place[dst] for src, dst, _ in graph.edge_tuples())


def test_there_is_no_cycle():
    graph = graph_of(cnn)
    assert nx.algorithms.dag.has_cycle(graph) is nx.algorithms.dag.has_cycle(graph.to_networkx())
