"""cuGraph on a cluster of one GPU against gpugraph's own measures: ``pytest -m gpu``."""

import networkx as nx
import numpy as np
import pytest

import gpugraph as gg
from gpugraph.engines import dask as by_gpus
from tests.export.graphs import everything


@pytest.fixture(scope="module")
def cluster():
    if gg.arrays.namespace() is np:
        pytest.skip("cupy finds no GPU")
    dask_cuda = pytest.importorskip("dask_cuda")
    pytest.importorskip("cugraph")
    with dask_cuda.LocalCUDACluster(n_workers=1, dashboard_address=None) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def graph():
    return everything()


@pytest.mark.gpu
@pytest.mark.parametrize("columns", [("src", "dst", "weight"), ("dst", "kind", "parameter", "tap")])
def test_cudf_partitions_are_pandas_ones(cluster, graph, columns):
    got = graph.to_dask(500, backend="cudf", columns=columns, cluster=cluster).compute()
    expected = graph.to_dask(500, columns=columns, cluster=cluster).compute()
    for name in columns:
        ours, theirs = got[name].to_pandas().to_numpy(), expected[name].to_numpy()
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(got.index.to_pandas(), expected.index)


@pytest.mark.gpu
@pytest.mark.parametrize("weight", ["magnitude", "positive", None])
def test_pagerank_is_ours(cluster, graph, weight):
    got = by_gpus.pagerank(graph, tol=1e-9, weight=weight, cluster=cluster)
    np.testing.assert_allclose(got, gg.pagerank(graph, weight=weight), rtol=1e-3, atol=1e-7)


@pytest.mark.gpu
def test_katz_is_ours(cluster, graph):
    got = by_gpus.katz_centrality(graph, cluster=cluster)
    np.testing.assert_allclose(got, gg.katz_centrality(graph), rtol=1e-3)


@pytest.mark.gpu
def test_components_are_ours(cluster, graph):
    got = by_gpus.weakly_connected_components(graph, cluster=cluster)
    np.testing.assert_array_equal(got, gg.weakly_connected_components(graph))


@pytest.mark.gpu
def test_louvain_has_the_modularity_that_it_says(cluster, graph):
    found = by_gpus.louvain(graph, cluster=cluster)
    labels = np.asarray(found)
    magnitudes = nx.from_scipy_sparse_array(
        graph.to_scipy("magnitude") + graph.to_scipy("magnitude").T
    )
    parts = [set(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)]
    modularity = nx.community.modularity(magnitudes, parts)
    assert found.modularity == pytest.approx(modularity, abs=1e-3)
    assert modularity > 0.1


MEASURES = [
    by_gpus.pagerank,
    by_gpus.katz_centrality,
    by_gpus.weakly_connected_components,
    by_gpus.louvain,
]


@pytest.mark.parametrize("measure", MEASURES)
def test_a_missing_gpu_is_named(graph, measure):
    if gg.arrays.namespace() is not np:
        pytest.skip("there is a GPU")
    with pytest.raises(gg.DeviceError, match="device='cuda' was asked for"):
        measure(graph)


@pytest.mark.parametrize("measure", [MEASURES[0], MEASURES[1], MEASURES[3]])
def test_signed_weights_are_refused(graph, measure):
    with pytest.raises(gg.SignedWeightsError, match="needs weights of at least 0"):
        measure(graph, weight="weight")


@pytest.mark.parametrize("measure", MEASURES)
def test_a_graph_without_edges_is_refused(graph, measure):
    with pytest.raises(gg.UndefinedMeasureError, match="needs edges"):
        measure(graph.subgraph(["image"]))
