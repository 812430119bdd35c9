"""PageRank by its name in networkx; of HITS see the graphs of networkx's and its own tests."""

import networkx as nx
import numpy as np
import pytest

import gpugraph as gg
from gpugraph.engines.networkx import digraph
from tests.algorithms.graphs import graph_of
from tests.engines.networkx_backend.compare import assert_same
from tests.models import EVERY_KIND, cnn


@pytest.mark.parametrize("model", EVERY_KIND)
def test_pagerank(model):
    graph = graph_of(model)
    found = nx.pagerank(graph)
    assert isinstance(found, gg.NodeValues)
    assert found == gg.pagerank(graph)
    assert_same(found, nx.pagerank(digraph(graph, "magnitude"), tol=1e-14, max_iter=1000))


@pytest.mark.parametrize("options", [{"weight": None}, {"weight": "positive"}, {"alpha": 0.5}])
def test_pagerank_takes_arguments_by_networkxs_names(options):
    graph = graph_of(cnn)
    assert nx.pagerank(graph, max_iter=1, tol=1.0, nstart={}, **options) == gg.pagerank(
        graph, **options
    )


def test_pagerank_takes_personalization_by_position_and_by_population():
    graph = graph_of(cnn)
    found = nx.pagerank(graph, 0.9, {"image": 1, 200: 0.5}, dangling={"dense": 1})
    assert found == gg.pagerank(graph, 0.9, {"image": 1, 200: 0.5}, dangling={"dense": 1})


def test_further_arguments_reach_gpugraph():
    values = nx.pagerank(graph_of(cnn), dtype="float32", device="cpu")
    assert np.asarray(values).dtype == np.float32


def test_a_view_that_does_not_exist_is_refused_and_not_taken_for_an_attribute():
    with pytest.raises(gg.SelectionError, match="no view 'magnitud'"):
        nx.pagerank(graph_of(cnn), weight="magnitud")
