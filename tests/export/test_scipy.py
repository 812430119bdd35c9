"""The sparse matrix, against one that scipy builds from the edges."""

import keras
import numpy as np
import pytest
from keras import layers
from scipy import sparse

import gpugraph as gg
import gpugraph.export.scipy
from tests.export.graphs import everything

VIEWS = {
    "weight": lambda w: w,
    "magnitude": np.abs,
    "positive": lambda w: np.maximum(w, 0),
    "negative": lambda w: np.maximum(-w, 0),
    None: np.ones_like,
}


@pytest.fixture(scope="module")
def graph():
    return everything()


@pytest.mark.parametrize("view", VIEWS)
def test_equals_scipys_own(graph, view):
    src, dst, weight = graph.materialise("cpu")
    shape = (graph.n_nodes, graph.n_nodes)
    expected = sparse.coo_array((VIEWS[view](weight), (src, dst)), shape=shape).tocsr()
    got = graph.to_scipy(view)
    assert got.shape == shape
    assert got.dtype == np.float32
    np.testing.assert_allclose(got.toarray(), expected.toarray(), rtol=1e-6)


def test_is_canonical(graph):
    matrix = graph.to_scipy()
    copy = sparse.csr_array((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)
    assert copy.has_canonical_format  # looked up in the arrays, not taken from us
    assert matrix.nnz < graph.n_edges  # the two edges of Add([x, x]) are one entry


def test_npz_reads_back(graph, tmp_path):
    graph.write_npz(tmp_path / "net.npz")
    read = sparse.load_npz(tmp_path / "net.npz")
    assert (read != graph.to_scipy()).nnz == 0


@pytest.mark.parametrize("smallest_block", [1, 2**9, 2**30])
def test_every_way_gives_the_same_matrix(smallest_block, monkeypatch):
    """Rows written in order, rows put in order by scipy, and the choice between them."""
    image = keras.Input((9, 8, 4))
    x = layers.Conv2D(6, 3, padding="same", strides=2, groups=2)(image)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x)
    x = layers.Conv2DTranspose(3, 3, strides=2)(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.AveragePooling2D(2, padding="same")(x)
    x = layers.Permute((3, 1, 2))(x)
    x = layers.Dense(4)(x)
    model = keras.Model(image, layers.Dense(4)(layers.Flatten()(x)))
    graph = gg.from_keras(model)
    monkeypatch.setattr(gpugraph.export.scipy, "SMALLEST_BLOCK", smallest_block)
    src, dst, weight = graph.materialise("cpu")
    shape = (graph.n_nodes, graph.n_nodes)
    expected = sparse.coo_array((weight, (src, dst)), shape=shape).tocsr()
    got = graph.to_scipy()
    np.testing.assert_array_equal(got.indptr, expected.indptr)
    np.testing.assert_array_equal(got.indices, expected.indices)
    np.testing.assert_array_equal(got.data, expected.data)
