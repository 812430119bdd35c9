"""The sparse matrix, against one that scipy builds from the edges."""

import numpy as np
import pytest
from scipy import sparse

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
