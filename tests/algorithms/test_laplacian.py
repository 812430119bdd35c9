"""The normalised Laplacian's smallest eigenvalues against numpy's of the dense matrix."""

from itertools import islice

import keras
import numpy as np
import pytest
from hypothesis import assume, given
from keras import layers
from numpy.testing import assert_allclose

import gpugraph as gg
from gpugraph.algorithms import eigenpairs, laplacian
from tests.algorithms.graphs import (
    adjacency,
    graph_of,
    layered,
    of_edges,
    single_node,
    two_branches,
    with_dead_channels,
    with_nan,
    without_edges,
)
from tests.models import EVERY_KIND, cnn, lenet, shared_layer
from tests.strategies import graphs_of_models


def dense(graph, view):
    """Return the normalised Laplacian, rows and columns of nodes without strength 0."""
    matrix = adjacency(graph, view)
    matrix += matrix.T
    strength = matrix.sum(axis=0)
    factor = np.divide(1, np.sqrt(strength), out=np.zeros(len(matrix)), where=strength > 0)
    return np.diag(1.0 * (strength > 0)) - factor[:, None] * matrix * factor


def eigenvalues(graph, view):
    """Return all eigenvalues, those of nodes without strength left out."""
    matrix = dense(graph, view)
    active = matrix.diagonal() > 0
    return np.linalg.eigvalsh(matrix[active][:, active])


@pytest.fixture
def _without_dense_matrices(monkeypatch):
    monkeypatch.setattr(laplacian, "DENSE", 0)


@pytest.mark.parametrize("most", [0, 2000])
@pytest.mark.parametrize("view", ["magnitude", "positive", None])
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_smallest_eigenpairs_of_models(kind, view, most, monkeypatch):
    monkeypatch.setattr(laplacian, "DENSE", most)
    graph = graph_of(kind)
    found = laplacian.Laplacian(graph, view, np, "It")
    values, vectors = found.smallest(3, 1e-6)
    expected = eigenvalues(graph, view)[1:]
    assert_allclose(values, expected[:3], rtol=1e-6, atol=1e-9)
    products = vectors @ dense(graph, view)
    quotients = (products * vectors).sum(axis=1)
    residuals = products - quotients[:, None] * vectors
    assert (np.linalg.norm(residuals, axis=1) <= 1.1e-6 * quotients + 1e-9).all()
    assert_allclose(vectors @ vectors.T, np.eye(3), atol=1e-9)
    assert_allclose(vectors @ found.trivial, 0, atol=1e-9)


@pytest.mark.usefixtures("_without_dense_matrices")
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_spectral_gap_of_models(kind):
    graph = graph_of(kind)
    assert_allclose(gg.spectral_gap(graph), eigenvalues(graph, "magnitude")[1], rtol=1e-3)


@given(graph=graphs_of_models())
def test_smallest_eigenvalue_of_drawn_models(graph):
    expected = eigenvalues(graph, "magnitude")
    assume(len(expected))
    found = laplacian.Laplacian(graph, "magnitude", np, "It")
    values, _ = found.smallest(1, 1e-6)
    assert_allclose(values[0], expected[1], rtol=1e-5, atol=1e-9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(laplacian, "DENSE", 0)
        assert_allclose(found.smallest(1, 1e-6)[0], values, rtol=1e-5, atol=1e-9)
    assert_allclose(gg.spectral_gap(graph), abs(values[0]), rtol=1e-5, atol=1e-9)


@pytest.mark.usefixtures("_without_dense_matrices")
@pytest.mark.parametrize("between", [layers.Identity, layers.ReLU, layers.Maximum])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_symmetry_and_equal_parts_hide_no_eigenvalue(between, k):
    """Rows and columns are alike, and so are channels."""
    image = keras.Input((3, 3, 1))
    twice = layers.Concatenate()([image, image])
    passed = between()([twice, twice] if between is layers.Maximum else twice)
    largest = layers.MaxPooling2D(2, 1, "same")(passed)
    graph = gg.from_keras(keras.Model(image, layers.Add()([twice, largest])))
    values, _ = laplacian.Laplacian(graph, "magnitude", np, "It").smallest(k, 1e-6)
    expected = eigenvalues(graph, "magnitude")[1 : k + 1]
    assert_allclose(values, expected, rtol=1e-5, atol=1e-9)


def test_spectral_gap_of_lenet_as_scipys():
    from scipy.sparse.linalg import eigsh

    graph = graph_of(lenet)
    matrix = graph.to_scipy("magnitude").astype(np.float64)
    matrix = matrix + matrix.T
    factor = matrix.sum(axis=0) ** -0.5
    scaled = matrix.multiply(factor).multiply(factor[:, None]).tocsr()
    expected = 1 - eigsh(scaled, 2, which="LA", return_eigenvectors=False).min()
    assert_allclose(gg.spectral_gap(graph, tol=1e-5), expected, rtol=1e-6)


@pytest.mark.usefixtures("_without_dense_matrices")
@pytest.mark.parametrize("sizes", [[1, 1], [3, 2, 2], [1, 4, 1], [2] * 12])
def test_spectral_gap_of_layers(sizes):
    graph = layered(sizes)
    assert_allclose(gg.spectral_gap(graph, tol=1e-9), eigenvalues(graph, "magnitude")[1], 1e-9)


def test_the_gap_of_a_graph_in_parts_is_0():
    graph = of_edges([(0, 2, 1.0), (1, 3, 1.0), (0, 3, 0.0)], [2, 2])
    assert gg.spectral_gap(graph) == 0.0
    assert gg.spectral_gap(graph, None) > 0
    assert gg.spectral_gap(two_branches()) == 0.0


def test_nodes_without_strength_are_left_out():
    assert_allclose(gg.spectral_gap(of_edges([(0, 1, 2.0)], [1, 3])), 2)
    graph = with_dead_channels()
    assert_allclose(gg.spectral_gap(graph), eigenvalues(graph, "magnitude")[1], rtol=1e-3)


def test_parallel_edges_add_up():
    once = of_edges([(0, 1, 1.0), (1, 2, 3.0), (0, 2, 1.0)])
    twice = of_edges([(0, 1, 1.0), (1, 2, 1.0), (1, 2, 2.0), (0, 2, 1.0)])
    assert_allclose(gg.spectral_gap(twice), gg.spectral_gap(once), rtol=1e-3)


@pytest.mark.usefixtures("_without_dense_matrices")
def test_what_is_alike_in_a_whole_layer_does_not_hide_two_halves():
    """Places, one per layer here, have an exact eigenvector, but not that of the halves."""
    edges = [
        (30 * layer + i, 30 * layer + 30 + j, 1.0 if (i < 15) == (j < 15) else 0.001)
        for layer in range(3)
        for i in range(30)
        for j in range(30)
    ]
    graph = of_edges(edges, [30] * 4)
    assert_allclose(gg.spectral_gap(graph), eigenvalues(graph, "magnitude")[1], rtol=1e-3)


@pytest.mark.usefixtures("_without_dense_matrices")
def test_a_graph_given_an_input():
    graph = graph_of(cnn).given(np.random.default_rng(0).random((1, 8, 8, 2)))
    expected = eigenvalues(graph, "magnitude")[1]
    assert_allclose(gg.spectral_gap(graph, tol=1e-6), expected, rtol=1e-5)


@pytest.mark.parametrize("measure", [gg.spectral_gap, gg.normalized_cut])
def test_bad_weights(measure):
    with pytest.raises(gg.SignedWeightsError, match="magnitude"):
        measure(graph_of(EVERY_KIND[0]), weight="weight")
    with pytest.raises(gg.NonFiniteError, match="NaN"):
        measure(with_nan())
    with pytest.raises(gg.UndefinedMeasureError, match="no edge weighs more than 0"):
        measure(layered([3, 3], 0.0))


@pytest.mark.parametrize("graph", [without_edges(), single_node()])
@pytest.mark.parametrize("measure", [gg.spectral_gap, gg.normalized_cut])
def test_no_edges(measure, graph):
    with pytest.raises(gg.UndefinedMeasureError, match="Choose another view"):
        measure(graph)


def test_a_tolerance_out_of_reach():
    graph = graph_of(shared_layer)
    found = laplacian.Laplacian(graph, "magnitude", np, "It")
    with pytest.raises(gg.ConvergenceError, match="It did not come within a tolerance of 1e-09"):
        eigenpairs.smallest(
            found.multiply,
            islice(found._random(), 1),
            1,
            tol=1e-9,
            what="It",
            precondition=lambda residual: residual.copy(),
            known=found.trivial,
            max_products=5,
        )


def test_graphs_beyond_memory_are_refused(monkeypatch):
    monkeypatch.setattr(laplacian, "DENSE", 0)
    monkeypatch.setattr("gpugraph.arrays.free_memory", lambda xp: 10_000)
    with pytest.raises(gg.GraphTooLargeError, match="spectral gap of 'cnn'"):
        gg.spectral_gap(graph_of(EVERY_KIND[0]))


@pytest.mark.usefixtures("_without_dense_matrices")
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_small_basis_where_memory_is_short(kind, monkeypatch):
    graph = graph_of(kind)
    sizes, make = [], eigenpairs._Basis
    monkeypatch.setattr(eigenpairs, "_Basis", lambda *args: sizes.append(args[1]) or make(*args))
    monkeypatch.setattr(eigenpairs, "free_memory", lambda xp: 0)
    values, _ = laplacian.Laplacian(graph, "magnitude", np, "It").smallest(2, 1e-6)
    assert sizes == [8]
    assert_allclose(values, eigenvalues(graph, "magnitude")[1:3], rtol=1e-6, atol=1e-9)
