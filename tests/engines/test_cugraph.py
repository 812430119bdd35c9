"""The cuGraph engine against stand-ins for RAPIDS that bind calls to the real signatures.

They compute with networkx from what the engine hands them: wrong columns, orientation, ids or
order of results show. Nothing here has run on a GPU.
"""

import sys

import networkx as nx
import numpy as np
import pytest

import gpugraph as gg
from gpugraph.algorithms.shortest_paths import pivots
from gpugraph.engines import cugraph, cugraph_export, cugraph_graph
from tests.algorithms.graphs import (
    graph_of,
    ladder,
    layered,
    of_edges,
    two_branches,
    with_dead_channels,
    with_nan,
    without_edges,
)
from tests.contracts import fakes
from tests.models import cnn

pytestmark = pytest.mark.usefixtures("_look_for_cupy_anew")

# A triangle, a tail, a parallel edge, and a node that nothing joins.
EDGES = [(0, 1, 2.0), (0, 2, 1.0), (1, 2, 0.5), (2, 3, 1.0), (2, 3, 0.25), (1, 4, 0.125)]


def drawn():
    return of_edges(EDGES, [1, 1, 1, 1, 2])


def test_the_contract_binds_as_the_real_functions_do():
    with pytest.raises(TypeError, match=r"pylibcugraph\.core_number: .*unexpected.* 'degrees'"):
        fakes.bound("pylibcugraph.core_number", (1, 2, 3, 4), {"degrees": 3})


GRAPHS = [drawn, with_dead_channels, two_branches, lambda: graph_of(cnn)]


@pytest.mark.parametrize("build", GRAPHS)
@pytest.mark.parametrize("weight", ["magnitude", "positive", None])
def test_pagerank(rapids, build, weight):
    graph = build()
    expected = gg.pagerank(graph, weight=weight, device="cpu")
    got = gg.pagerank(graph, weight=weight, engine="cugraph")
    np.testing.assert_allclose(got, expected, rtol=1e-8)
    assert got.name == "pagerank"


def test_pagerank_with_personalization(rapids):
    graph = drawn()
    start = {1: 3.0, 4: 1.0}
    got = gg.pagerank(graph, personalization=start, engine="cugraph")
    expected = gg.pagerank(graph, personalization=start, device="cpu")
    np.testing.assert_allclose(got, expected, rtol=1e-8)


def test_pagerank_takes_float32(rapids):
    gg.pagerank(drawn(), dtype=np.float32, weight=None, engine="cugraph")
    assert rapids.last("SGGraph")["weight_array"] is None
    assert rapids.last("pagerank")["epsilon"] == 1e-6


def test_pagerank_refuses_dangling(rapids):
    with pytest.raises(gg.SelectionError, match=r"dangling.*engine='sweep'"):
        gg.pagerank(drawn(), dangling={0: 1}, engine="cugraph")


def test_pagerank_that_does_not_converge(rapids, monkeypatch):
    monkeypatch.setattr(fakes._Answers, "pagerank", lambda built, given: (None, None, False))
    with pytest.raises(gg.ConvergenceError, match=r"1000 iterations.*engine='sweep'"):
        gg.pagerank(drawn(), alpha=0.999, engine="cugraph")


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.85, 0.99])
def test_pagerank_takes_no_more_rounds_than_could_help(rapids, alpha):
    graph = with_dead_channels()
    rounds = cugraph._rounds(alpha, 1e-300)  # rounding keeps it from coming that close
    assert 2 * alpha ** (rounds - 1) < 1e-300 or rounds == 1000
    got = gg.pagerank(graph, alpha=alpha, engine="cugraph")
    np.testing.assert_allclose(got, gg.pagerank(graph, alpha=alpha, device="cpu"), rtol=1e-8)


def test_pagerank_whose_last_digits_never_rest(rapids, monkeypatch):
    real = fakes._Answers.pagerank

    def restless(built, given):
        return *real(built, given | {"epsilon": 0.0})[:2], False

    monkeypatch.setattr(fakes._Answers, "pagerank", restless)
    graph = with_dead_channels()
    expected = gg.pagerank(graph, device="cpu")
    for dtype, tolerance in ((np.float64, 1e-11), (np.float32, 1e-5)):
        got = gg.pagerank(graph, dtype=dtype, engine="cugraph")
        np.testing.assert_allclose(got, expected, rtol=tolerance)


@pytest.mark.parametrize("build", GRAPHS)
@pytest.mark.parametrize("normalized", [True, False])
def test_katz(rapids, build, normalized):
    graph = build()
    options = {"alpha": 0.3, "beta": 0.7, "weight": "weight", "normalized": normalized}
    expected = gg.katz_centrality(graph, device="cpu", **options)
    got = gg.katz_centrality(graph, engine="cugraph", **options)
    np.testing.assert_allclose(got, expected, rtol=1e-8)


@pytest.mark.parametrize("options", [{"beta": {0: 1.0}}, {"alpha": -0.1}, {"alpha": 2.0}])
def test_katz_refuses_what_cugraph_would_not_do(rapids, options):
    with pytest.raises(gg.SelectionError, match="engine='sweep'"):
        gg.katz_centrality(drawn(), engine="cugraph", **options)


def test_katz_beyond_the_range_of_its_squares(rapids):
    with pytest.raises(gg.RangeError, match=r"Katz.*squares.*engine='sweep'"):
        gg.katz_centrality(layered([3, 3], 1e160), 1.0, weight="weight", engine="cugraph")


def test_hits(rapids):
    graph = with_dead_channels()
    hubs, authorities = gg.hits(graph, None, engine="cugraph")
    matrix = graph.to_scipy(None).toarray()
    expected = nx.hits(nx.DiGraph(matrix), max_iter=10_000, tol=1e-12)
    for got, values in zip((hubs, authorities), expected, strict=True):
        np.testing.assert_allclose(got, [values[i] for i in range(graph.n_nodes)], atol=1e-9)


@pytest.mark.parametrize("options", [{"weight": "magnitude"}, {"normalized": False}])
def test_hits_refuses_what_cugraph_would_not_do(rapids, options):
    with pytest.raises(gg.SelectionError, match="weight=None and normalized=True"):
        cugraph.hits(drawn(), **options)


def test_hits_needs_edges(rapids):
    with pytest.raises(gg.UndefinedMeasureError, match="no edges"):
        cugraph.hits(without_edges())


@pytest.mark.parametrize("build", [with_dead_channels, two_branches])
@pytest.mark.parametrize("endpoints", [True, False])
def test_betweenness(rapids, build, endpoints):
    graph = build()
    got = gg.betweenness_centrality(graph, endpoints=endpoints, engine="cugraph")
    expected = gg.betweenness_centrality(graph, endpoints=endpoints, device="cpu")
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-15)
    assert rapids.last("betweenness_centrality")["k"] is None


@pytest.mark.parametrize("k", [1, 3, 5, 6])
@pytest.mark.parametrize("endpoints", [True, False])
@pytest.mark.parametrize("normalized", [True, False])
def test_betweenness_from_the_same_sources_as_the_sweeps(rapids, k, endpoints, normalized):
    graph = of_edges([(0, 1, 1.0), (0, 2, 1.0), (1, 3, 1.0), (2, 3, 1.0), (3, 4, 1.0)], [1] * 6)
    options = {"k": k, "seed": 1, "endpoints": endpoints, "normalized": normalized}
    if k == 5 and not endpoints:
        with pytest.raises(gg.SelectionError, match="all nodes but one for all"):
            gg.betweenness_centrality(graph, engine="cugraph", **options)
        return
    got = gg.betweenness_centrality(graph, engine="cugraph", **options)
    nodes = pivots(graph, k, None, 1)
    np.testing.assert_array_equal(rapids.last("betweenness_centrality")["k"], nodes)
    np.testing.assert_allclose(got, gg.betweenness_centrality(graph, device="cpu", **options))


def test_betweenness_of_two_nodes_is_left_to_the_sweeps(rapids):
    with pytest.raises(gg.SelectionError, match="graphs of 2 nodes"):
        gg.betweenness_centrality(layered([1, 1]), engine="cugraph")


def test_paths_beyond_int32_are_counted_in_int64(rapids):
    gg.betweenness_centrality(ladder(33, 2), engine="cugraph")
    assert rapids.last("SGGraph")["src_or_offset_array"].dtype == np.int64
    gg.betweenness_centrality(ladder(20, 2), engine="cugraph")
    assert rapids.last("SGGraph")["src_or_offset_array"].dtype == np.int32


def test_paths_beyond_int64_are_refused(rapids):
    with pytest.raises(gg.RangeError, match=r"10\^\d+ paths.*engine='sweep'"):
        gg.betweenness_centrality(ladder(70, 2), engine="cugraph")


@pytest.mark.parametrize("k", [None, 4])
@pytest.mark.parametrize("normalized", [True, False])
def test_edge_betweenness_is_in_the_order_of_the_edges(rapids, k, normalized):
    graph = with_dead_channels()
    options = {"k": k, "seed": 0, "normalized": normalized}
    expected = np.asarray(gg.edge_betweenness_centrality(graph, device="cpu", **options))
    got = cugraph.edge_betweenness_centrality(graph, **options)
    np.testing.assert_allclose(got, expected, rtol=1e-9)


@pytest.mark.parametrize("build", [*GRAPHS, without_edges])
def test_weak_components(rapids, build):
    graph = build()
    expected = gg.weakly_connected_components(graph, device="cpu")
    assert cugraph.weakly_connected_components(graph) == expected


def test_bfs(rapids):
    found = gg.bfs(drawn(), 0, engine="cugraph")
    np.testing.assert_array_equal(found, [0, 1, 1, 2, 2, np.inf])
    np.testing.assert_array_equal(found.predecessors, [-1, 0, 0, 2, 1, -1])
    assert gg.bfs(drawn(), 0, depth_limit=1, engine="cugraph")[3] == np.inf
    np.testing.assert_array_equal(gg.bfs(drawn(), 0, depth_limit=2**40, engine="cugraph"), found)
    np.testing.assert_array_equal(
        gg.bfs(drawn(), [3, 4], engine="cugraph"), [np.inf] * 3 + [0, 0, np.inf]
    )


def test_bfs_refuses_what_is_not_there(rapids):
    with pytest.raises(gg.SelectionError, match="no node 99"):
        gg.bfs(drawn(), 99, engine="cugraph")
    with pytest.raises(gg.SelectionError, match="depth_limit"):
        gg.bfs(drawn(), 0, depth_limit=0, engine="cugraph")


def test_sssp_by_inverse_weights(rapids):
    found = gg.sssp(drawn(), 0, "inverse", engine="cugraph")
    np.testing.assert_allclose(found, [0, 0.5, 1, 2, 8.5, np.inf])
    np.testing.assert_array_equal(found.predecessors, [-1, 0, 0, 2, 1, -1])


def test_sssp_by_weights(rapids):
    np.testing.assert_allclose(
        gg.sssp(drawn(), 0, "weight", engine="cugraph"), [0, 2, 1, 1.25, 2.125, np.inf]
    )


def test_sssp_by_negative_logarithms_finds_the_strongest_path(rapids):
    graph = of_edges([(0, 1, 0.5), (1, 2, 0.5), (0, 2, 0.125), (2, 3, 1.0), (1, 4, 0.0)])
    found = np.exp(-np.asarray(gg.sssp(graph, 0, "negative_log", engine="cugraph")))
    np.testing.assert_allclose(found, [1, 0.5, 0.25, 0.25, 0])
    with pytest.raises(gg.SelectionError, match=r"at most 1.*largest is 2"):
        gg.sssp(drawn(), 0, "negative_log", engine="cugraph")


def test_sssp_along_lengths_of_0(rapids):
    graph = of_edges([(0, 1, 1.0), (1, 2, 1.0)], [1] * 4)
    for rule, weight in (("negative_log", "magnitude"), ("negative_log", None)):
        found = gg.sssp(graph, 0, rule, weight, engine="cugraph")
        np.testing.assert_array_equal(found, [0, 0, 0, np.inf])
        np.testing.assert_array_equal(found.predecessors, [-1, 0, 1, -1])
    zeros = of_edges([(0, 1, 0.0), (1, 2, 0.0)], [1] * 4)
    np.testing.assert_array_equal(gg.sssp(zeros, 0, "weight", engine="cugraph"), [0, 0, 0, np.inf])


def test_sssp_leaves_out_lengths_beyond_floats(rapids):
    graph = of_edges([(0, 1, 1e-310), (0, 2, 0.5)], [1] * 3)
    np.testing.assert_array_equal(gg.sssp(graph, 0, "inverse", engine="cugraph"), [0, np.inf, 2])


@pytest.mark.parametrize(("weight", "dtype"), [(2e-38, np.float32), (1e-307, np.float64)])
def test_sssp_refuses_lengths_whose_sum_is_beyond_floats(rapids, weight, dtype):
    graph = of_edges([(i, i + 1, weight) for i in range(20)], [1] * 21)
    with pytest.raises(gg.RangeError, match="sum of all lengths"):
        gg.sssp(graph, 0, "inverse", dtype=dtype, engine="cugraph")
    assert gg.sssp(graph, 0, "negative_log", dtype=dtype, engine="cugraph")[20] < np.inf


def test_sssp_wants_a_rule_and_a_node(rapids):
    with pytest.raises(gg.SelectionError, match=r"rule 'length'.*'inverse', 'negative_log'"):
        gg.sssp(drawn(), 0, "length", engine="cugraph")
    with pytest.raises(TypeError, match="length"):
        gg.sssp(drawn(), 0, engine="cugraph")
    with pytest.raises(gg.SelectionError, match="no node 99"):
        gg.sssp(drawn(), 99, "inverse", engine="cugraph")
    with pytest.raises(gg.SelectionError, match="float64 or float32, not float16"):
        gg.sssp(drawn(), 0, "inverse", dtype=np.float16, engine="cugraph")


def test_cores_and_triangles(rapids):
    np.testing.assert_array_equal(gg.core_number(drawn(), engine="cugraph"), [2, 2, 2, 1, 1, 0])
    np.testing.assert_array_equal(gg.k_core(drawn(), 2, engine="cugraph"), [1, 1, 1, 0, 0, 0])
    np.testing.assert_array_equal(gg.triangle_count(drawn(), engine="cugraph"), [1, 1, 1, 0, 0, 0])
    assert rapids.last("SGGraph")["drop_multi_edges"]


@pytest.mark.parametrize("name", ["louvain", "leiden", "ecg"])
def test_communities(rapids, name):
    graph = two_branches()
    found = getattr(gg, name)(graph, resolution=1.0)
    labels = np.asarray(found)
    parts = [set(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)]
    undirected = nx.Graph(nx.DiGraph(graph.to_scipy("magnitude")))
    assert found.modularity == pytest.approx(nx.community.modularity(undirected, parts), rel=1e-5)
    assert found.name == name


def test_parallel_edges_add_up_in_communities(rapids):
    gg.louvain(drawn(), engine="cugraph")
    given = rapids.last("SGGraph")
    edges = zip(given["src_or_offset_array"], given["dst_or_index_array"], strict=True)
    weights = dict(zip([tuple(map(int, e)) for e in edges], given["weight_array"], strict=True))
    assert weights[2, 3] == 1.25
    assert len(weights) == 5


@pytest.mark.parametrize("name", ["leiden", "ecg"])
@pytest.mark.parametrize("seed", [7, np.int64(7), np.uint8(7)])
def test_a_seed_is_passed_on(rapids, name, seed):
    getattr(gg, name)(two_branches(), seed=seed)
    assert rapids.last(name)["random_state"] == 7


@pytest.mark.parametrize("name", ["leiden", "ecg", "spectral_modularity"])
@pytest.mark.parametrize("seed", [-1, 1.5, "seven"])
def test_a_seed_is_a_whole_number(rapids, name, seed):
    options = {"n_clusters": 2} if name == "spectral_modularity" else {}
    with pytest.raises(gg.SelectionError, match="seed must be a whole number"):
        getattr(gg, name)(two_branches(), seed=seed, **options)


def test_spectral_modularity(rapids):
    found = gg.spectral_modularity(two_branches(), 3, n_eigenvectors=3, seed=np.int64(0))
    np.testing.assert_array_equal(found, np.arange(len(found)) % 3)


@pytest.mark.parametrize(
    ("n_clusters", "n_eigenvectors", "message"),
    [
        (1, 1, "n_clusters must be a whole number of at least 2"),
        (2.5, 2, "n_clusters must be a whole number"),
        (2, 0, "n_eigenvectors must be a whole number of at least 1"),
        (2, 3, "n_eigenvectors up to n_clusters, not 2 and 3"),
        (6, 2, "fewer n_clusters than the 6 nodes"),
    ],
)
def test_spectral_modularity_refuses_clusters_that_there_cannot_be(
    rapids, n_clusters, n_eigenvectors, message
):
    with pytest.raises(gg.SelectionError, match=message):
        gg.spectral_modularity(drawn(), n_clusters, n_eigenvectors=n_eigenvectors)
    assert rapids.calls == []


@pytest.mark.parametrize(
    "call",
    [
        lambda g: gg.pagerank(g, weight="weight", engine="cugraph"),
        lambda g: gg.louvain(g, "weight", engine="cugraph"),
        lambda g: gg.leiden(g, "weight"),
        lambda g: gg.ecg(g, "weight"),
        lambda g: gg.spectral_modularity(g, 2, "weight"),
        lambda g: gg.sssp(g, 0, "weight", "weight", engine="cugraph"),
    ],
)
def test_signed_weights_never_reach_cugraph(rapids, call):
    with pytest.raises(gg.SignedWeightsError, match="weight='magnitude'"):
        call(two_branches())
    assert rapids.calls == []


@pytest.mark.parametrize("name", ["louvain", "leiden", "ecg"])
def test_communities_need_weights(rapids, name):
    for graph, view in ((without_edges(), None), (layered([2, 2]), "negative")):
        with pytest.raises(gg.UndefinedMeasureError, match="no edge weighs more than 0"):
            getattr(gg, name)(graph, view)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("louvain", {"resolution": 0}),
        ("louvain", {"max_level": 0}),
        ("leiden", {"max_level": 2.5}),
        ("ecg", {"max_level": 2.5}),
        ("leiden", {"theta": -1}),
        ("ecg", {"ensemble_size": 0}),
        ("ecg", {"ensemble_size": 2.5}),
        ("ecg", {"resolution": 2}),
        ("ecg", {"threshold": 0}),
        ("ecg", {"min_weight": -1}),
    ],
)
def test_numbers_that_cugraph_would_refuse(rapids, name, options):
    with pytest.raises(gg.SelectionError, match=f"{next(iter(options))}"):
        getattr(gg, name)(two_branches(), **options)
    assert rapids.calls == []


@pytest.mark.parametrize(
    "call",
    [
        lambda g: gg.pagerank(g, weight="weight", engine="cugraph"),
        lambda g: gg.louvain(g, "weight", engine="cugraph"),
        lambda g: gg.leiden(g, "weight"),
        lambda g: gg.ecg(g, "weight"),
        lambda g: gg.spectral_modularity(g, 2, "weight"),
        lambda g: gg.sssp(g, 0, "inverse", "weight", engine="cugraph"),
    ],
)
def test_signed_view_of_weights_that_are_not_negative(rapids, call):
    call(layered([2, 3, 2], 0.5))
    assert rapids.calls


def test_weights_that_are_no_numbers_are_refused(rapids):
    with pytest.raises(gg.NonFiniteError, match="NaN or infinity"):
        gg.pagerank(with_nan(), engine="cugraph")


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: layered([3, 2]), False),
        (lambda: graph_of(cnn), False),
        (with_dead_channels, False),
        (drawn, True),
        (lambda: ladder(2, 2), True),
    ],
)
def test_parallel_edges_are_known_without_making_edges(build, expected):
    assert cugraph_graph.may_have_parallel_edges(build()) == expected


# What does not fit


def test_too_large_a_graph_is_refused_with_what_would_fit(monkeypatch):
    fakes.install(monkeypatch, free=10_000)
    message = r"only 10 kB of GPU memory.*About \d+ edges would fit.*makes no edges"
    with pytest.raises(gg.GraphTooLargeError, match=message):
        gg.pagerank(layered([30, 30]), engine="cugraph")


def test_cugraph_finds_cupys_cache_given_back(monkeypatch):
    library = fakes.install(monkeypatch, cached=10**8)
    pool = sys.modules["cupy"].get_default_memory_pool()
    kept, real = [], library.SGGraph

    def build(**given):
        kept.append(pool.kept)
        pool.kept = 10**8  # as the columns leave it
        return real(**given)

    monkeypatch.setattr(library, "SGGraph", build, raising=False)
    rank = fakes._Answers.pagerank
    monkeypatch.setattr(
        fakes._Answers, "pagerank", lambda *given: kept.append(pool.kept) or rank(*given)
    )
    gg.pagerank(drawn(), engine="cugraph")
    assert kept == [0, 0]


def test_a_gpu_without_memory_for_cugraph(rapids, monkeypatch):
    def fail():
        raise RuntimeError("cudaErrorMemoryAllocation: out of memory")

    monkeypatch.setattr(sys.modules["cupy"].cuda.runtime, "memGetInfo", fail)
    for call in (
        lambda g: gg.louvain(g, engine="cugraph"),
        gg.NeuronGraph.to_cugraph,
        gg.NeuronGraph.to_nx_cugraph,
    ):
        with pytest.raises(gg.GraphTooLargeError, match=r"ran out of memory.*Free what else"):
            call(drawn())


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("std::bad_alloc"),
        RuntimeError("CUGRAPH_UNKNOWN_ERROR std::bad_alloc: out_of_memory: CUDA error"),
    ],
)
def test_a_gpu_that_runs_out_of_memory(rapids, monkeypatch, error):
    def fail(built, given):
        raise error

    monkeypatch.setattr(fakes._Answers, "louvain", fail)
    with pytest.raises(gg.GraphTooLargeError, match=r"GPU ran out of memory in Louvain.*subgraph"):
        gg.louvain(two_branches(), engine="cugraph")


def test_what_does_not_converge_in_cugraph(rapids, monkeypatch):
    def fail(built, given):
        raise RuntimeError("HITS failed to converge.")

    monkeypatch.setattr(fakes._Answers, "hits", fail)
    with pytest.raises(gg.ConvergenceError, match="HITS by cuGraph did not converge"):
        cugraph.hits(drawn())


def test_other_errors_of_cugraphs_are_passed_on(rapids, monkeypatch):
    def fail(built, given):
        raise RuntimeError("an illegal memory access was encountered")

    monkeypatch.setattr(fakes._Answers, "louvain", fail)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        gg.louvain(two_branches(), engine="cugraph")


def test_more_edges_than_int32_make_int64_ids(rapids, monkeypatch):
    monkeypatch.setattr(cugraph_graph, "MOST_INT32_EDGES", 5)
    gg.pagerank(drawn(), engine="cugraph")
    given = rapids.last("SGGraph")
    assert given["src_or_offset_array"].dtype == given["vertices_array"].dtype == np.int64


def test_spectral_modularity_refuses_more_than_int32(rapids):
    graph = drawn()
    graph.__dict__["n_edges"] = 2**30
    with pytest.raises(gg.GraphTooLargeError, match=r"fewer than 2\*\*30 edges"):
        gg.spectral_modularity(graph, 2)


@pytest.mark.parametrize(
    ("call", "what", "instead"),
    [
        (lambda g: gg.louvain(g, engine="cugraph"), "Louvain", "gpugraph.louvain"),
        (gg.leiden, "Leiden", "gpugraph.louvain"),
        (lambda g: gg.pagerank(g, engine="cugraph"), "PageRank by cuGraph", "the default engine"),
        (lambda g: g.to_cudf(), "to_cudf", r"to_dask\(\)"),
        (lambda g: g.to_cugraph(), "to_cugraph", r"to_networkx\(\)"),
        (lambda g: g.to_nx_cugraph(), "to_nx_cugraph", r"to_scipy\(\)"),
    ],
    ids=["louvain", "leiden", "pagerank", "to_cudf", "to_cugraph", "to_nx_cugraph"],
)
def test_no_gpu(monkeypatch, call, what, instead):
    monkeypatch.setitem(sys.modules, "cupy", None)
    message = rf"^{what} needs a GPU, but .*CuPy is not installed\. .*doctor.*; or .*{instead}"
    with pytest.raises(gg.DeviceError, match=message):
        call(drawn())


@pytest.mark.parametrize(
    ("name", "is_cugraphs"),
    [("cudf", False), ("pylibcugraph", True), ("cugraph", True), ("nx_cugraph", True)],
)
def test_cugraphs_libraries_are_loaded_before_its_modules(rapids, monkeypatch, name, is_cugraphs):
    loaded = []
    monkeypatch.setattr(cugraph_graph, "load_cugraph", lambda: loaded.append(name))
    assert cugraph_graph.import_library(name, "Louvain") is sys.modules[name]
    assert loaded == [name] * is_cugraphs


def test_cupy_without_cugraph(rapids, monkeypatch):
    monkeypatch.setitem(sys.modules, "pylibcugraph", None)
    message = r"Louvain needs pylibcugraph.*pip install 'gpugraph\[cuda1[23]\]'"
    with pytest.raises(gg.MissingDependencyError, match=message):
        gg.louvain(drawn(), engine="cugraph")


@pytest.mark.parametrize(
    ("library", "call"),
    [
        ("cudf", lambda g: g.to_cudf()),
        ("cudf", lambda g: g.to_cugraph()),
        ("cugraph", lambda g: g.to_cugraph()),
        ("nx_cugraph", lambda g: g.to_nx_cugraph()),
    ],
)
def test_a_library_that_is_missing(rapids, monkeypatch, library, call):
    monkeypatch.setitem(sys.modules, library, None)
    message = rf"needs {library}, which.*pip install 'gpugraph\[cuda1[23]\]'"
    with pytest.raises(gg.MissingDependencyError, match=message):
        call(drawn())


def test_a_library_that_refuses_the_driver(rapids, monkeypatch):
    def refuse(name):
        raise Exception("Please update your NVIDIA GPU driver.")  # as cuDF's own class is

    monkeypatch.setattr("importlib.import_module", refuse)
    with pytest.raises(gg.MissingDependencyError, match="Please update your NVIDIA GPU driver"):
        drawn().to_cudf()


def test_a_measure_that_is_not_cugraphs():
    from gpugraph.engines.choice import is_networkx

    with pytest.raises(gg.SelectionError, match="not from cuGraph"):
        is_networkx("cugraph")
    with pytest.raises(gg.SelectionError, match="no engine 'cuda'"):
        is_networkx("cuda")


# For others' use


@pytest.mark.parametrize("rows", [1, 4, 6, 100])
@pytest.mark.parametrize("weight", ["weight", "negative", None])
def test_to_cudf_in_frames(rapids, rows, weight):
    graph = two_branches()
    frames = list(graph.to_cudf(weight, rows))
    assert all(len(frame["src"]) <= rows for frame in frames)
    assert list(frames[0]) == ["src", "dst", "weight"]
    src, dst, weights = (
        np.concatenate([frame[name] for frame in frames]) for name in ("src", "dst", "weight")
    )
    whole = graph.materialise("cpu")
    np.testing.assert_array_equal(src, whole.src)
    np.testing.assert_array_equal(dst, whole.dst)
    expected = {
        "weight": whole.weight,
        "negative": np.maximum(-whole.weight, 0),
        None: np.ones(len(src)),
    }
    np.testing.assert_array_equal(weights, expected[weight])


@pytest.mark.parametrize("rows", [0, 2**31])
def test_frames_beyond_cudfs_limit_are_refused_at_once(rapids, rows):
    with pytest.raises(gg.SelectionError, match="from 1 to 2,147,483,647"):
        two_branches().to_cudf(rows=rows)


def test_to_cugraph(rapids):
    graph = two_branches()
    built = graph.to_cugraph("magnitude", store_transposed=True)
    assert type(built).__name__ == "Graph"
    assert built.made == {"directed": True}
    assert not built.given["renumber"]
    assert built.given["store_transposed"]
    np.testing.assert_array_equal(built.given["vertices"], np.arange(graph.n_nodes))
    frame, whole = built.given["input_df"], graph.materialise("cpu")
    np.testing.assert_array_equal(frame["dst"], whole.dst)
    np.testing.assert_array_equal(frame["weight"], np.abs(whole.weight))


def test_to_cugraph_keeps_parallel_edges(rapids):
    built = drawn().to_cugraph()
    assert type(built).__name__ == "MultiGraph"
    assert len(built.given["input_df"]["src"]) == 6


def test_to_cugraph_refuses_more_than_a_frame_holds(rapids, monkeypatch):
    monkeypatch.setattr(cugraph_export, "MOST_GRAPH_ROWS", 5)
    with pytest.raises(gg.GraphTooLargeError, match=r"takes up to 5 edges.*engine='cugraph'"):
        drawn().to_cugraph()


def test_to_nx_cugraph_sums_parallel_edges(rapids):
    given = drawn().to_nx_cugraph()
    assert given["N"] == 6
    assert given["src_indices"].dtype == np.int32
    np.testing.assert_array_equal(given["src_indices"], [0, 0, 1, 1, 2])
    np.testing.assert_array_equal(given["dst_indices"], [1, 2, 2, 4, 3])
    np.testing.assert_array_equal(given["edge_values"]["weight"], [2, 1, 0.5, 0.125, 1.25])


def test_to_nx_cugraph_refuses_ids_past_int32(rapids, monkeypatch):
    monkeypatch.setattr(cugraph_export, "MOST_ROWS", 5)
    with pytest.raises(gg.GraphTooLargeError, match=r"int32.*backend='gpugraph'"):
        drawn().to_nx_cugraph()
