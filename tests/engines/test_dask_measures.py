"""Measures by all GPUs of a cluster, against gpugraph's own.

Two workers, threads of this process, make partitions and hold them; RAPIDS is stood in for, and
computes with networkx from what arrives. ``pytest -m gpu`` asks the real one, on a card.
"""

import sys

import networkx as nx
import numpy as np
import pandas as pd
import pytest

import gpugraph as gg
from gpugraph import arrays, doctor
from gpugraph.cuda_libraries import load_cugraph
from gpugraph.edge_maker import EdgeMaker
from gpugraph.engines import dask as by_gpus
from gpugraph.engines.dask import measures
from tests.algorithms.graphs import graph_of, of_edges, two_branches, with_dead_channels, with_nan
from tests.contracts import dask_fakes, fakes
from tests.export.graphs import everything
from tests.models import cnn

distributed = pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.xdist_group("dask"),
    pytest.mark.usefixtures("_look_for_cupy_anew"),
]

MEASURES = [
    by_gpus.pagerank,
    by_gpus.katz_centrality,
    by_gpus.weakly_connected_components,
    by_gpus.louvain,
]


@pytest.fixture(scope="module")
def two_threads():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
    ) as cluster:
        yield cluster


@pytest.fixture
def cluster(two_threads, monkeypatch):
    """Two workers in a process whose CuPy and RAPIDS are stand-ins; for their calls see `calls`."""
    for name, module in dask_fakes.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("gpugraph.kernels.edges.EdgeKernel", EdgeMaker)
    return two_threads


@pytest.fixture
def communication(cluster):
    return sys.modules["cugraph.dask.comms.comms"]


@pytest.fixture(scope="module")
def graph():
    return everything()


def drawn():
    """Return a triangle, a tail, parallel edges, and nodes that nothing joins."""
    edges = [(0, 1, 2.0), (0, 2, 1.0), (1, 2, 0.5), (2, 3, 1.0), (2, 3, 0.25), (1, 4, 0.125)]
    return of_edges(edges, [1, 1, 1, 1, 2, 3])


def one_edge():
    return of_edges([(0, 1, 2.0)], [1, 3])


GRAPHS = [drawn, one_edge, two_branches, with_dead_channels, everything, lambda: graph_of(cnn)]


@pytest.mark.parametrize("build", GRAPHS)
@pytest.mark.parametrize("weight", ["magnitude", "positive", "negative", None])
def test_pagerank_is_ours(cluster, build, weight):
    graph = build()
    got = by_gpus.pagerank(graph, tol=1e-12, weight=weight, cluster=cluster)
    np.testing.assert_allclose(got, gg.pagerank(graph, weight=weight, device="cpu"), rtol=1e-5)
    assert got.name == "pagerank"


@pytest.mark.parametrize("build", GRAPHS)
@pytest.mark.parametrize("options", [{}, {"alpha": 0.7, "beta": 2.5, "weight": "magnitude"}])
def test_katz_is_ours(cluster, build, options):
    graph = build()
    got = by_gpus.katz_centrality(graph, cluster=cluster, **options)
    expected = gg.katz_centrality(graph, device="cpu", **options)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize("build", GRAPHS)
def test_components_are_ours(cluster, build):
    graph = build()
    got = by_gpus.weakly_connected_components(graph, cluster=cluster)
    expected = gg.weakly_connected_components(graph, device="cpu")
    np.testing.assert_array_equal(got, expected)
    assert np.asarray(got).dtype == np.asarray(expected).dtype


@pytest.mark.parametrize("build", GRAPHS)
def test_louvain_has_the_modularity_that_it_says(cluster, build):
    graph = build()
    check_louvain(graph, by_gpus.louvain(graph, cluster=cluster), 1e-5)


def check_louvain(graph, found, tolerance):
    labels = np.asarray(found)
    assert set(labels.tolist()) == set(range(labels.max() + 1))
    magnitudes = graph.to_scipy("magnitude")
    undirected = nx.from_scipy_sparse_array(magnitudes + magnitudes.T)
    parts = [set(np.flatnonzero(labels == label).tolist()) for label in range(labels.max() + 1)]
    modularity = nx.community.modularity(undirected, parts)
    assert found.modularity == pytest.approx(modularity, abs=tolerance)
    alone = [node for node, degree in undirected.degree if not degree]
    assert [len(parts[labels[node]]) for node in alone] == [1] * len(alone)


def test_resolution_reaches_cugraph(cluster):
    graph = graph_of(cnn)
    coarse, fine = (by_gpus.louvain(graph, resolution=r, cluster=cluster) for r in (0.2, 5.0))
    assert np.max(coarse) < np.max(fine)


@pytest.mark.parametrize("directed", [True, False])
def test_edges_that_int32_cannot_number_have_int64_ids(cluster, monkeypatch, directed):
    """cuGraph numbers edges, and every one's opposite where it adds them, in the type of ids."""
    monkeypatch.setattr(measures, "LONGEST_COLUMN", 10)
    seen = []
    made = dask_fakes.MultiGraph.frame

    def note(built, column, values, dtype):
        seen.append(built.ids)
        return made(built, column, values, dtype)

    monkeypatch.setattr(dask_fakes.MultiGraph, "frame", note)
    graph = drawn()  # of 6 edges, 12 with their opposites
    (by_gpus.pagerank if directed else by_gpus.louvain)(graph, cluster=cluster)
    assert seen == [np.int32 if directed else np.int64]


@pytest.mark.parametrize("columns", [("src", "dst", "weight"), ("dst", "kind", "parameter", "tap")])
def test_cudf_partitions_are_pandas_ones(cluster, graph, columns):
    with distributed.Client(cluster) as client:
        got, expected = (
            graph.to_dask(500, backend=backend, columns=columns, cluster=client).compute()
            for backend in ("cudf", "pandas")
        )
    pd.testing.assert_frame_equal(got, expected)


def test_the_cluster_is_one_that_dask_is_connected_to(cluster):
    with distributed.Client(cluster):
        got = by_gpus.pagerank(drawn(), tol=1e-12)
    np.testing.assert_allclose(got, gg.pagerank(drawn(), device="cpu"), rtol=1e-5)


# Communication among workers


def test_communication_ends_with_what_began_it(cluster, communication):
    for _ in range(2):
        by_gpus.pagerank(drawn(), cluster=cluster)
        assert not communication.is_initialized()
    assert communication.begun == 2


def test_communication_that_the_user_began_goes_on(cluster, communication):
    with distributed.Client(cluster) as client:
        communication.initialize(p2p=True)
        by_gpus.pagerank(drawn(), cluster=client)
        assert communication.is_initialized()
    assert communication.begun == 1


def test_communication_ends_after_an_error(cluster, communication, monkeypatch):
    def fail(*args, **kwargs):
        raise MemoryError("std::bad_alloc: out_of_memory: CUDA error")

    monkeypatch.setattr(sys.modules["cugraph.dask"], "louvain", fail)
    with pytest.raises(gg.GraphTooLargeError, match=r"ran out of memory in Louvain by cuGraph"):
        by_gpus.louvain(drawn(), cluster=cluster)
    assert not communication.is_initialized()


# Errors


def test_ranks_that_do_not_converge_are_named(cluster, monkeypatch):
    monkeypatch.setattr(measures, "MOST_ITERATIONS", 1)
    with pytest.raises(gg.ConvergenceError, match=r"converge in 1 iterations.*gpugraph\.pagerank"):
        by_gpus.pagerank(drawn(), tol=1e-12, cluster=cluster)


@pytest.mark.parametrize("measure", [MEASURES[0], MEASURES[3]])
def test_weights_that_are_no_numbers_are_named(cluster, measure):
    with pytest.raises(gg.NonFiniteError, match="from 'hidden' to 'dense' hold NaN"):
        measure(with_nan(), cluster=cluster)


def test_components_do_not_mind_weights_that_are_no_numbers(cluster):
    got = by_gpus.weakly_connected_components(with_nan(), cluster=cluster)
    np.testing.assert_array_equal(got, 0)


@pytest.mark.parametrize("options", [{"alpha": 0}, {"alpha": 1.5}, {"beta": 0.0}, {"beta": -1.0}])
def test_katz_refuses_what_cugraph_would_not_do(cluster, options):
    with pytest.raises(gg.SelectionError, match=r"gpugraph\.katz_centrality takes any"):
        by_gpus.katz_centrality(drawn(), cluster=cluster, **options)


def test_pagerank_refuses_what_is_no_probability(cluster):
    with pytest.raises(gg.SelectionError, match=r"from 0 to 1, not 1\.5"):
        by_gpus.pagerank(drawn(), 1.5, cluster=cluster)


@pytest.mark.parametrize("measure", MEASURES)
def test_without_a_cluster_it_is_asked_for(cluster, measure):
    with pytest.raises(gg.DeviceError, match=r"needs a cluster: pass cluster="):
        measure(drawn())


def test_a_worker_without_a_gpu_is_named(cluster, monkeypatch):
    problem = doctor.Problem("there is no NVIDIA driver", "Install it.")
    with distributed.Client(cluster) as client:
        lacking = sorted(client.nthreads())[1]
        run = client.run

        def run_where_one_lacks_a_gpu(function):
            return {worker: problem if worker == lacking else None for worker in run(function)}

        monkeypatch.setattr(client, "run", run_where_one_lacks_a_gpu)
        with pytest.raises(gg.DeviceError, match=rf"on {lacking} there is no NVIDIA driver"):
            by_gpus.pagerank(drawn(), cluster=client)


def test_workers_load_cugraphs_libraries_before_they_talk(cluster, communication, monkeypatch):
    with distributed.Client(cluster) as client:
        run, ran = client.run, []

        def noting_run(function):
            ran.append((function, communication.is_initialized()))
            return run(function)

        monkeypatch.setattr(client, "run", noting_run)
        by_gpus.pagerank(drawn(), cluster=client)
    assert (load_cugraph, False) in ran


def test_a_cluster_without_workers_is_named(cluster, monkeypatch):
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as empty,
        pytest.raises(gg.DeviceError, match=r"has none yet\. Start one per GPU with 'dask cuda"),
    ):
        by_gpus.pagerank(drawn(), cluster=empty)


def test_parts_longer_than_cudfs_columns_are_refused(cluster, monkeypatch):
    monkeypatch.setattr(measures, "LONGEST_COLUMN", 1)
    with pytest.raises(gg.GraphTooLargeError, match="6 edges: 2 in each of 2 parts per GPU"):
        by_gpus.pagerank(drawn(), cluster=cluster)


@pytest.mark.parametrize("name", ["cugraph", "dask_cudf"])
def test_what_is_not_installed_is_named(cluster, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(gg.MissingDependencyError, match=r"needs cu.*pip install"):
        by_gpus.pagerank(drawn(), cluster=cluster)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_missing_gpu_is_named(graph, measure):
    if arrays.namespace() is not np:
        pytest.skip("there is a GPU")
    with pytest.raises(gg.DeviceError, match=r"needs a GPU here, too, but .*gpugraph doctor"):
        measure(graph)


@pytest.mark.parametrize("measure", [MEASURES[0], MEASURES[1], MEASURES[3]])
def test_signed_weights_are_refused(graph, measure):
    with pytest.raises(gg.SignedWeightsError, match="needs weights of at least 0"):
        measure(graph, weight="weight")


@pytest.mark.parametrize("measure", MEASURES)
def test_a_graph_without_edges_is_refused(graph, measure):
    with pytest.raises(gg.UndefinedMeasureError, match="needs edges"):
        measure(graph.subgraph(["image"]))


# On a card


@pytest.fixture(scope="module")
def cards():
    if arrays.namespace() is np:
        pytest.skip("cupy finds no GPU")
    dask_cuda = pytest.importorskip("dask_cuda")
    pytest.importorskip("cugraph")
    options = {"n_workers": 1, "dashboard_address": ":0"}
    fakes.bound("dask_cuda.LocalCUDACluster", (), options)
    with dask_cuda.LocalCUDACluster(**options) as cluster:
        yield cluster


@pytest.mark.gpu
@pytest.mark.parametrize("columns", [("src", "dst", "weight"), ("dst", "kind", "parameter", "tap")])
def test_cudf_partitions_on_a_card(cards, graph, columns):
    got = graph.to_dask(500, backend="cudf", columns=columns, cluster=cards).compute()
    expected = graph.to_dask(500, columns=columns, cluster=cards).compute()
    for name in columns:
        ours, theirs = got[name].to_pandas().to_numpy(), expected[name].to_numpy()
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(got.index.to_pandas(), expected.index)


@pytest.mark.gpu
@pytest.mark.parametrize("weight", ["magnitude", "positive", None])
def test_pagerank_on_a_card(cards, graph, weight):
    got = by_gpus.pagerank(graph, tol=1e-9, weight=weight, cluster=cards)
    np.testing.assert_allclose(got, gg.pagerank(graph, weight=weight), rtol=1e-3, atol=1e-7)


@pytest.mark.gpu
def test_katz_on_a_card(cards, graph):
    got = by_gpus.katz_centrality(graph, cluster=cards)
    np.testing.assert_allclose(got, gg.katz_centrality(graph), rtol=1e-3)


@pytest.mark.gpu
def test_components_on_a_card(cards, graph):
    got = by_gpus.weakly_connected_components(graph, cluster=cards)
    np.testing.assert_array_equal(got, gg.weakly_connected_components(graph))


@pytest.mark.gpu
def test_louvain_on_a_card(cards, graph):
    found = by_gpus.louvain(graph, cluster=cards)
    check_louvain(graph, found, 1e-3)
    assert found.modularity > 0.1
