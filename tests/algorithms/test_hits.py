import numpy as np
import pytest
from numpy.testing import assert_allclose

import gpugraph as gg
from gpugraph.algorithms import hits as hits_module
from gpugraph.algorithms import singular_values as lanczos
from tests.algorithms.graphs import adjacency, graph_of, layered, of_edges
from tests.models import EVERY_KIND, lenet


@pytest.fixture(params=[2**20, 0], ids=["dense", "lanczos"])
def _method(request, monkeypatch):
    """Decompose small blocks as a whole, and by Lanczos too."""
    monkeypatch.setattr(hits_module, "DENSE", request.param)
    monkeypatch.setattr(lanczos, "DENSE", request.param)


@pytest.mark.usefixtures("_method")
@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("view", ["magnitude", "positive", None])
def test_leading_singular_vectors(kind, view):
    graph = graph_of(kind)
    hubs, authorities = (np.asarray(v) for v in gg.hits(graph, view, normalized=False))
    matrix = adjacency(graph, view)
    largest = np.linalg.norm(matrix, 2)
    assert_allclose(np.linalg.norm(authorities), 1)
    assert_allclose(hubs, matrix @ authorities, atol=1e-6 * largest)
    assert_allclose(matrix.T @ hubs, largest**2 * authorities, atol=1e-5 * largest**2)
    assert (hubs >= 0).all()
    assert (authorities >= 0).all()


@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("kind", [EVERY_KIND[0], lenet])
def test_equals_networkx(kind, normalized):
    graph = graph_of(kind)
    found = gg.hits(graph, normalized=normalized)
    expected = gg.hits(graph, normalized=normalized, engine="networkx")
    for ours, theirs in zip(found, expected, strict=True):
        theirs = np.asarray(theirs)
        sign = np.sign(theirs.sum())  # networkx leaves it open
        assert_allclose(np.asarray(ours), sign * theirs, atol=1e-7 * abs(theirs).max())


def test_blocks_that_share_no_node_on_one_side_are_searched_apart():
    # p0 -> p1 weighs less than p2 -> p3, though its bound is larger.
    edges = [(0, 2, 3.0), (1, 3, 3.0), (0, 3, 0.01), (4, 6, 2.5), (5, 6, 2.5)]
    graph = of_edges(edges, [2, 2, 2, 1])
    hubs, authorities = gg.hits(graph)
    assert_allclose(np.asarray(hubs), [0, 0, 0, 0, 0.5, 0.5, 0])
    assert_allclose(np.asarray(authorities), [0, 0, 0, 0, 0, 0, 1])


def test_parallel_edges_add_up():
    graph = of_edges([(0, 1, 1.0), (0, 1, 1.0), (2, 3, 1.5)])
    hubs, _ = gg.hits(graph)
    assert_allclose(np.asarray(hubs), [1, 0, 0, 0])


def test_signed_weights_are_refused():
    with pytest.raises(gg.SignedWeightsError, match="magnitude"):
        gg.hits(graph_of(EVERY_KIND[0]), "weight")


@pytest.mark.parametrize("graph", [layered([3, 2], 0.0), of_edges([(0, 1, 0.0)])])
def test_undefined_where_no_weight_is_above_0(graph):
    with pytest.raises(gg.UndefinedMeasureError, match="no edge weighs more than 0"):
        gg.hits(graph)


def test_nan_is_refused():
    with pytest.raises(gg.NonFiniteError, match="HITS"):
        gg.hits(layered([3, 2], np.nan))


def test_engine_and_view_are_checked():
    with pytest.raises(gg.SelectionError, match="engine"):
        gg.hits(layered([2, 2]), engine="igraph")
    with pytest.raises(gg.SelectionError, match="no view"):
        gg.hits(layered([2, 2]), "size")
