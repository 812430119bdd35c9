"""The cuGraph engine on a GPU, against sweeps and networkx: ``pytest -m gpu``."""

import pickle

import networkx as nx
import numpy as np
import pytest

import gpugraph as gg
from gpugraph import arrays
from gpugraph.engines import cugraph
from tests.algorithms.graphs import (
    graph_of,
    layered,
    of_edges,
    two_branches,
    with_dead_channels,
    without_edges,
)
from tests.models import cnn

pytestmark = pytest.mark.gpu

# A triangle, a tail, a parallel edge, and a node that nothing joins.
EDGES = [(0, 1, 2.0), (0, 2, 1.0), (1, 2, 0.5), (2, 3, 1.0), (2, 3, 0.25), (1, 4, 0.125)]


def drawn():
    return of_edges(EDGES, [1, 1, 1, 1, 2])


GRAPHS = [drawn, with_dead_channels, two_branches, lambda: graph_of(cnn)]


@pytest.fixture(autouse=True)
def _rapids():
    if not pytest.importorskip("cupy").is_available():
        pytest.skip("cupy finds no GPU")
    pytest.importorskip("pylibcugraph")


@pytest.fixture(params=GRAPHS)
def graph(request):
    return request.param()


@pytest.mark.parametrize("weight", ["magnitude", None])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-4)])
@pytest.mark.parametrize("alpha", [0.0, 0.85, 0.95])
def test_pagerank(graph, weight, dtype, tolerance, alpha):
    options = {"alpha": alpha, "weight": weight, "dtype": dtype, "personalization": {0: 1, 3: 2}}
    for given in (options, options | {"personalization": None}):
        got = gg.pagerank(graph, engine="cugraph", **given)
        np.testing.assert_allclose(got, gg.pagerank(graph, device="cpu", **given), tolerance, 1e-12)


@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_katz_ends_with_a_change_of_nothing(graph, normalized, alpha):
    options = {"alpha": alpha, "weight": "weight", "normalized": normalized}
    got = gg.katz_centrality(graph, engine="cugraph", **options)
    np.testing.assert_allclose(got, gg.katz_centrality(graph, device="cpu", **options), 1e-9, 1e-12)


def test_hits():
    graph = with_dead_channels()
    expected = nx.hits(nx.DiGraph(graph.to_scipy(None)), max_iter=10_000, tol=1e-12)
    for got, values in zip(gg.hits(graph, None, engine="cugraph"), expected, strict=True):
        np.testing.assert_allclose(got, [values[i] for i in range(graph.n_nodes)], atol=1e-8)


@pytest.mark.parametrize("k", [None, 1, 3])
@pytest.mark.parametrize("endpoints", [True, False])
@pytest.mark.parametrize("normalized", [True, False])
def test_betweenness(graph, k, endpoints, normalized):
    options = {"k": k, "seed": 0, "endpoints": endpoints, "normalized": normalized}
    got = gg.betweenness_centrality(graph, engine="cugraph", **options)
    expected = gg.betweenness_centrality(graph, device="cpu", **options)
    np.testing.assert_allclose(got, expected, 1e-9, 1e-12)


@pytest.mark.parametrize("k", [None, 3])
@pytest.mark.parametrize("normalized", [True, False])
def test_edge_betweenness(graph, k, normalized):
    options = {"k": k, "seed": 0, "normalized": normalized}
    got = arrays.namespace("cuda").asnumpy(cugraph.edge_betweenness_centrality(graph, **options))
    expected = np.asarray(gg.edge_betweenness_centrality(graph, device="cpu", **options))
    np.testing.assert_allclose(got, expected, 1e-9, 1e-12)


def test_components_cores_and_triangles(graph):
    assert cugraph.weakly_connected_components(graph) == gg.weakly_connected_components(
        graph, device="cpu"
    )
    undirected = nx.Graph(nx.DiGraph(graph.to_scipy(None)))
    for got, expected in (
        (gg.core_number(graph, engine="cugraph"), nx.core_number(undirected)),
        (gg.triangle_count(graph, engine="cugraph"), nx.triangles(undirected)),
    ):
        np.testing.assert_array_equal(got, [expected[i] for i in range(graph.n_nodes)])


def test_shortest_paths(graph):
    multi = graph.to_networkx(multigraph=True)
    steps = nx.single_source_shortest_path_length(multi, 0)
    expected = [steps.get(i, np.inf) for i in range(graph.n_nodes)]
    found = gg.bfs(graph, 0, engine="cugraph")
    np.testing.assert_array_equal(found, expected)
    before = np.asarray(found.predecessors)
    at = np.flatnonzero(before >= 0)
    np.testing.assert_array_equal(np.asarray(found)[before[at]] + 1, np.asarray(found)[at])
    lengths = nx.MultiDiGraph()
    lengths.add_node(0)
    for src, dst, weight in graph.edge_tuples():
        if weight:
            lengths.add_edge(src, dst, weight=1 / abs(weight))
    far = nx.single_source_dijkstra_path_length(lengths, 0)
    expected = [far.get(i, np.inf) for i in range(graph.n_nodes)]
    np.testing.assert_allclose(gg.sssp(graph, 0, "inverse", engine="cugraph"), expected, 1e-9)


def test_a_limit_beyond_int32_is_none(graph):
    assert gg.bfs(graph, 0, depth_limit=2**40, engine="cugraph") == gg.bfs(
        graph, 0, engine="cugraph"
    )


def test_lengths_of_0_come_to_an_end():
    graph = of_edges([(0, 1, 1.0), (1, 2, 1.0)], [1] * 4)
    found = gg.sssp(graph, 0, "negative_log", engine="cugraph")
    np.testing.assert_array_equal(found, [0, 0, 0, np.inf])


@pytest.mark.parametrize("name", ["louvain", "leiden", "ecg"])
@pytest.mark.parametrize("weight", ["magnitude", None])
def test_communities(graph, name, weight):
    found = getattr(gg, name)(graph, weight)
    labels = np.asarray(found)
    parts = [set(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)]
    undirected = nx.Graph(nx.DiGraph(graph.to_scipy(weight)))
    assert found.modularity == pytest.approx(nx.community.modularity(undirected, parts), abs=1e-4)


@pytest.mark.parametrize("name", ["leiden", "ecg"])
@pytest.mark.parametrize("seed", [0, np.int64(7), np.uint8(7)])
def test_seeds_of_any_whole_type(name, seed):
    found = getattr(gg, name)(two_branches(), seed=seed)
    assert -0.5 <= found.modularity <= 1


def test_spectral_modularity():
    found = gg.spectral_modularity(two_branches(), 2, seed=0)
    assert set(np.asarray(found).tolist()) <= {0, 1}


def test_graphs_without_edges():
    graph = without_edges()
    np.testing.assert_allclose(gg.pagerank(graph, engine="cugraph"), 1 / graph.n_nodes)
    np.testing.assert_array_equal(
        cugraph.weakly_connected_components(graph), np.arange(graph.n_nodes)
    )
    np.testing.assert_array_equal(gg.core_number(graph, engine="cugraph"), 0)


def test_values_are_used_as_those_of_the_cpu():
    graph = two_branches()
    values = gg.pagerank(graph, device="cuda")
    assert pickle.loads(pickle.dumps(values)) == values
    assert values.to_pandas()["pagerank"].to_numpy() == pytest.approx(np.asarray(values))
    assert values.top(2)[0].value == max(np.asarray(values))
    assert "pagerank" in repr(values)


def test_others_libraries_take_the_graph():
    graph = layered([2, 3, 2], 0.5)
    expected = np.asarray(gg.pagerank(graph, device="cpu"))
    pytest.importorskip("nx_cugraph")
    ranks = nx.pagerank(graph.to_nx_cugraph(), backend="cugraph")
    np.testing.assert_allclose([ranks[i] for i in range(graph.n_nodes)], expected, 1e-4)
    rapids = pytest.importorskip("cugraph")
    frame = rapids.pagerank(graph.to_cugraph(store_transposed=True)).sort_values("vertex")
    np.testing.assert_allclose(frame["pagerank"].to_numpy(), expected, 1e-4)
    frames = list(graph.to_cudf(rows=5))
    assert [len(frame) for frame in frames] == [5, 5, 2]


def test_a_full_gpu_hands_over_to_the_cpu():
    cupy = arrays.namespace("cuda")
    graph, pool = graph_of(cnn), cupy.get_default_memory_pool()
    expected = gg.pagerank(graph, device="cpu")
    pool.free_all_blocks()
    pool.set_limit(size=pool.total_bytes() + 512)
    try:
        with cupy.cuda.using_allocator(pool.malloc):  # cuDF may have put its own in its place
            with pytest.warns(RuntimeWarning, match="takes the CPU after all"):
                assert gg.pagerank(graph) == expected
            with pytest.raises(gg.GraphTooLargeError, match="GPU ran out of memory in pagerank"):
                gg.pagerank(graph, device="cuda")
    finally:
        pool.set_limit(size=0)


def test_what_cupy_keeps_counts_as_free():
    cupy = arrays.namespace("cuda")
    before = arrays.free_memory(cupy)
    block = cupy.zeros(2**28, np.uint8)
    del block
    assert arrays.free_memory(cupy) >= before - 2**20
