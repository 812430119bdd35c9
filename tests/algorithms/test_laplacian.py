import numpy as np
import pytest
from numpy.testing import assert_allclose

import gpugraph as gg
from gpugraph.algorithms import laplacian
from tests.algorithms.graphs import adjacency, graph_of, layered, of_edges
from tests.models import EVERY_KIND, lenet


def eigenvalues(graph, view):
    """Return those of the dense normalised Laplacian, nodes without strength left out."""
    matrix = adjacency(graph, view)
    matrix += matrix.T
    strength = matrix.sum(axis=0)
    matrix = matrix[strength > 0][:, strength > 0]
    factor = strength[strength > 0] ** -0.5
    return np.linalg.eigvalsh(np.eye(len(matrix)) - factor[:, None] * matrix * factor)


@pytest.fixture(params=["dense", "lobpcg"])
def _method(request, monkeypatch):
    if request.param == "lobpcg":
        monkeypatch.setattr(laplacian, "DENSE", 60)  # fewer nodes than LOBPCG takes


@pytest.mark.usefixtures("_method")
@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("view", ["magnitude", None])
def test_smallest_eigenvalues(kind, view):
    graph = graph_of(kind)
    found = laplacian.Laplacian(graph, view, np, "It")
    values, vectors = found.smallest(3, 1e-4)
    expected = eigenvalues(graph, view)[1:]
    if view is not None:  # where all weights are alike, eigenvalues occur several times
        assert_allclose(values, expected[:3], rtol=1e-4, atol=1e-9)
    assert_allclose(values[0], expected[0], rtol=1e-4, atol=1e-9)
    assert (abs(values[:, None] - expected).min(axis=1) < 1e-4 * values).all()
    assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    assert_allclose(vectors @ found.trivial, 0, atol=1e-6)


@pytest.mark.usefixtures("_method")
@pytest.mark.parametrize("kind", [EVERY_KIND[0], EVERY_KIND[2], EVERY_KIND[6]])
def test_spectral_gap(kind):
    graph = graph_of(kind)
    expected = eigenvalues(graph, "magnitude")[1]
    assert_allclose(gg.spectral_gap(graph), expected, rtol=1e-3)


def test_gap_of_a_model_that_networkx_can_hold():
    graph = graph_of(lenet)
    assert 0 < gg.spectral_gap(graph) < 0.1


def test_the_gap_of_a_graph_in_parts_is_0():
    graph = of_edges([(0, 2, 1.0), (1, 3, 1.0), (0, 3, 0.0)], [2, 2])
    assert gg.spectral_gap(graph) == 0.0
    assert gg.spectral_gap(graph, None) > 0


def test_nodes_without_strength_are_left_out():
    assert_allclose(gg.spectral_gap(of_edges([(0, 1, 2.0)], [1, 3])), 2)


def test_what_layers_as_wholes_cannot_see_is_found(monkeypatch):
    """Two halves of every layer: no function that is constant on layers tells them apart."""
    monkeypatch.setattr(laplacian, "DENSE", 0)
    edges = []
    for layer in range(3):
        for i in range(30):
            for j in range(30):
                weight = 1.0 if (i < 15) == (j < 15) else 0.001
                edges.append((layer * 30 + i, layer * 30 + 30 + j, weight))
    graph = of_edges(edges, [30] * 4)
    assert_allclose(gg.spectral_gap(graph), eigenvalues(graph, "magnitude")[1], rtol=1e-3)


@pytest.mark.parametrize("measure", [gg.spectral_gap, gg.normalized_cut])
def test_bad_weights(measure):
    with pytest.raises(gg.SignedWeightsError, match="magnitude"):
        measure(graph_of(EVERY_KIND[0]), weight="weight")
    with pytest.raises(gg.NonFiniteError, match="NaN"):
        measure(layered([3, 3], np.nan))
    with pytest.raises(gg.UndefinedMeasureError, match="no edge weighs more than 0"):
        measure(layered([3, 3], 0.0))


def test_a_tolerance_out_of_reach(monkeypatch):
    monkeypatch.setattr(laplacian, "DENSE", 0)
    monkeypatch.setattr(laplacian, "ROUND", 1)
    monkeypatch.setattr(laplacian, "MOST_ROUNDS", 1)
    with pytest.raises(gg.ConvergenceError, match="Pass a larger tol"):
        gg.spectral_gap(graph_of(EVERY_KIND[2]), tol=1e-9)
