import networkx as nx
import numpy as np
import pytest
from numpy.testing import assert_allclose

import gpugraph as gg
from gpugraph.engines.networkx import digraph
from tests.algorithms.graphs import adjacency, graph_of, layered, of_edges
from tests.models import EVERY_KIND


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("view", ["magnitude", None])
def test_leading_eigenvector_of_the_undirected_graph(kind, view):
    graph = graph_of(kind)
    found = np.asarray(gg.eigenvector_centrality(graph, view, directed=False))
    matrix = adjacency(graph, view)
    matrix += matrix.T
    largest = np.linalg.eigvalsh(matrix)[-1]
    assert_allclose(matrix @ found, largest * found, atol=1e-5 * largest)
    assert_allclose(np.linalg.norm(found), 1)
    assert (found >= 0).all()


def test_equals_networkx():
    graph = graph_of(EVERY_KIND[0])
    undirected = digraph(graph, "magnitude").to_undirected()
    expected = nx.eigenvector_centrality_numpy(undirected, weight="weight")
    found = np.asarray(gg.eigenvector_centrality(graph, directed=False))
    assert_allclose(found, [expected[node] for node in range(graph.n_nodes)], atol=1e-6)


def test_undefined_on_the_directed_graph():
    with pytest.raises(gg.UndefinedMeasureError, match=r"katz_centrality.*directed=False"):
        gg.eigenvector_centrality(layered([2, 2]))


@pytest.mark.parametrize("graph", [layered([2, 2], 0.0), layered([9, 9], 0.0), layered([3])])
def test_undefined_without_weights(graph):
    with pytest.raises(gg.UndefinedMeasureError, match="no edge weighs more than 0"):
        gg.eigenvector_centrality(graph, directed=False)


def test_the_part_of_the_largest_eigenvalue():
    graph = of_edges([(0, 1, 1.0), (2, 3, 2.0), (2, 4, 2.0)])
    found = np.asarray(gg.eigenvector_centrality(graph, directed=False))
    assert_allclose(found, [0, 0, np.sqrt(1 / 2), 0.5, 0.5], atol=1e-7)


def test_two_nodes():
    found = gg.eigenvector_centrality(layered([1, 1], 3.0), directed=False)
    assert_allclose(np.asarray(found), np.sqrt([0.5, 0.5]))


def test_signed_weights_and_nan_are_refused():
    with pytest.raises(gg.SignedWeightsError, match="magnitude"):
        gg.eigenvector_centrality(graph_of(EVERY_KIND[0]), "weight", directed=False)
    with pytest.raises(gg.NonFiniteError, match="NaN"):
        gg.eigenvector_centrality(layered([5, 5], np.nan), directed=False)
