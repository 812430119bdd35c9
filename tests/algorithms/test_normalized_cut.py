import numpy as np
import pytest
from numpy.testing import assert_allclose

import gpugraph as gg
from tests.algorithms.graphs import adjacency, graph_of, layered, of_edges
from tests.models import EVERY_KIND


def n_cut(graph, view, labels):
    """Return the n-cut by its definition, on the dense matrix."""
    matrix = adjacency(graph, view)
    matrix += matrix.T
    groups = [labels == label for label in np.unique(labels[labels >= 0])]
    return sum(matrix[group][:, ~group].sum() / matrix[group].sum() for group in groups)


def blocks(strong=5.0, weak=0.01):
    """Return two chains of three layers of four nodes, hardly joined."""
    edges = []
    for layer in range(2):
        for i in range(8):
            for j in range(8):
                same = (i < 4) == (j < 4)
                edges.append((layer * 8 + i, layer * 8 + 8 + j, strong if same else weak))
    return of_edges(edges, [8, 8, 8])


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("n_clusters", [2, 4])
def test_the_cut_is_that_of_the_labels(kind, n_clusters):
    graph = graph_of(kind)
    found = gg.normalized_cut(graph, n_clusters, seed=1)
    labels = np.asarray(found.labels)
    assert set(labels[labels >= 0]) == set(range(n_clusters))
    assert_allclose(found.cut, n_cut(graph, "magnitude", labels), rtol=1e-6)
    matrix = adjacency(graph, "magnitude")
    strength = matrix.sum(0) + matrix.sum(1)
    assert ((labels == -1) == (strength == 0)).all()
    # A cut is never below the sum of the smallest eigenvalues (von Luxburg 2007, section 5).
    assert found.cut >= sum(found.eigenvalues) * (1 - 0.02)
    volumes = [strength[labels == label].sum() for label in range(n_clusters)]
    assert volumes == sorted(volumes, reverse=True)


def test_groups_that_are_there_are_found():
    found = gg.normalized_cut(blocks(), 2)
    labels = np.asarray(found.labels).reshape(3, 2, 4)
    assert (labels == labels[0, :, :1]).all()
    assert labels[0, 0, 0] != labels[0, 1, 0]
    assert found.cut < 0.01


def test_parts_without_edges_between_them_cost_nothing():
    found = gg.normalized_cut(blocks(weak=0.0), 2)
    assert_allclose(found.cut, 0, atol=1e-9)
    assert_allclose(found.eigenvalues, [0], atol=1e-9)


def test_a_seed_gives_the_same_labels():
    graph = graph_of(EVERY_KIND[0])
    first, again = (gg.normalized_cut(graph, 3, seed=5) for _ in range(2))
    assert first.labels == again.labels


def test_nodes_without_strength_are_in_no_group():
    graph = of_edges([(0, 2, 1.0), (0, 3, 1.0), (1, 2, 0.0), (1, 4, 0.0)], [2, 3])
    labels = np.asarray(gg.normalized_cut(graph, 2).labels)
    assert labels[[1, 4]].tolist() == [-1, -1]
    assert set(labels[[0, 2, 3]]) == {0, 1}


def test_bad_input():
    graph = graph_of(EVERY_KIND[0])
    for n_clusters in (0, 1, graph.n_nodes + 1):
        with pytest.raises(gg.SelectionError, match="n_clusters must be from 2 to the"):
            gg.normalized_cut(graph, n_clusters)
    for option in ({"n_clusters": 2.0}, {"seed": -1}, {"tol": "little"}):
        with pytest.raises(gg.SelectionError, match=f"{next(iter(option))} must be a"):
            gg.normalized_cut(graph, **option)
    with pytest.raises(gg.SelectionError, match="tol must be a number of at least 0"):
        gg.spectral_gap(graph, tol=-1)
    with pytest.raises(gg.SignedWeightsError, match="magnitude"):
        gg.normalized_cut(graph, 2, "weight")
    with pytest.raises(gg.NonFiniteError, match="NaN"):
        gg.normalized_cut(layered([3, 3], np.nan), 2)
    with pytest.raises(gg.UndefinedMeasureError, match="no edge weighs more than 0"):
        gg.normalized_cut(layered([3, 3], 0.0), 2)
