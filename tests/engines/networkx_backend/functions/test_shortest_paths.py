"""Paths and distances by their names in networkx."""

import networkx as nx
import pytest

from tests.algorithms.graphs import graph_of
from tests.engines.networkx_backend.compare import (
    assert_node_is_answered_as_by_networkx,
    assert_node_is_missing_as_in_networkx,
)
from tests.models import cnn, squeeze_excite

LENGTHS = ["single_source_shortest_path_length", "single_target_shortest_path_length"]


@pytest.mark.parametrize("model", [cnn, squeeze_excite])
@pytest.mark.parametrize(
    "name", ["single_source_shortest_path_length", "single_target_shortest_path_length"]
)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_node(model, name, share):
    assert_node_is_answered_as_by_networkx(graph_of(model), name, share)


@pytest.mark.parametrize(
    "name", ["single_source_shortest_path_length", "single_target_shortest_path_length"]
)
def test_a_node_that_is_not_there(name):
    assert_node_is_missing_as_in_networkx(graph_of(cnn), name)


def test_paths_and_distances_between_two_nodes():
    graph = graph_of(cnn)
    theirs = graph.to_networkx()
    for source, target in [(0, 266), (266, 0), (5, 5), (0, 130), (127, 128)]:
        assert nx.has_path(graph, source, target) == nx.has_path(theirs, source, target)
    for distance in range(5):
        found = nx.descendants_at_distance(graph, 30, distance)
        assert found == nx.descendants_at_distance(theirs, 30, distance)
    found = nx.single_source_shortest_path_length(graph, 30, cutoff=2)
    assert found == nx.single_source_shortest_path_length(theirs, 30, cutoff=2)
    with pytest.raises(nx.NodeNotFound):
        nx.has_path(graph, 0, 10**6)
