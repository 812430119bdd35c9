"""The same code on CuPy gives what it gives on numpy: ``pytest -m gpu`` on a CUDA machine."""

import os
from dataclasses import replace

import numpy as np
import pytest

import gpugraph as gg
from tests.algorithms.graphs import layered, of_edges
from tests.export.graphs import everything

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def cupy():
    module = pytest.importorskip("cupy")
    if not module.is_available():
        assert "EMU_HOME" not in os.environ, "the emulated GPU is not found"
        pytest.skip("cupy finds no GPU")
    return module


@pytest.fixture(scope="module", params=["weights", "given"])
def graph(request):
    graph = everything()
    if request.param == "weights":
        return graph
    shape = (1, *graph.populations["image"].shape)
    return graph.given(np.random.default_rng(0).standard_normal(shape))


@pytest.mark.parametrize("chunk_edges", [7, 1000, None])
def test_edges_equal_numpys(cupy, graph, chunk_edges):
    on_gpu = list(graph.edges(chunk_edges=chunk_edges, device="cuda"))
    assert all(isinstance(column, cupy.ndarray) for chunk in on_gpu for column in chunk)
    for name in ("src", "dst", "weight", "parameter", "tap"):
        got = np.concatenate([cupy.asnumpy(getattr(chunk, name)) for chunk in on_gpu])
        expected = np.concatenate([getattr(c, name) for c in graph.edges(device="cpu")])
        np.testing.assert_array_equal(got, expected)


def test_materialise_equals_numpys(cupy, graph):
    for got, expected in zip(graph.materialise("cuda"), graph.materialise("cpu"), strict=True):
        np.testing.assert_array_equal(cupy.asnumpy(got), expected)


@pytest.mark.parametrize("reduce", ["sum", "max", "min", "product"])
@pytest.mark.parametrize("part", [False, True])
def test_joined_values_equal_numpys(cupy, graph, reduce, part):
    rng = np.random.default_rng(0)
    for projection in (graph.threshold(0.2) if part else graph).projections:
        x = rng.uniform(0.5, 1.5, (2, projection.source.size))
        for view in ("weight", None):
            got = cupy.asnumpy(projection.apply(cupy.asarray(x), view, reduce))
            np.testing.assert_allclose(got, projection.apply(x, view, reduce), 1e-9, 1e-12)


@pytest.mark.parametrize("view", ["weight", "magnitude", "positive", "negative", None])
def test_products_equal_numpys(cupy, graph, view):
    rng = np.random.default_rng(0)
    for projection in graph.projections:
        x = rng.standard_normal((2, projection.source.size))
        y = rng.standard_normal((2, projection.target.size))
        forward = projection.apply(cupy.asarray(x), view)
        back = projection.apply_transposed(cupy.asarray(y), view)
        np.testing.assert_allclose(cupy.asnumpy(forward), projection.apply(x, view), rtol=1e-10)
        expected = projection.apply_transposed(y, view)
        np.testing.assert_allclose(cupy.asnumpy(back), expected, rtol=1e-10)


def test_the_linear_operator_equals_numpys(cupy, graph):
    x = np.random.default_rng(0).standard_normal(graph.n_nodes)
    got = graph.as_linear_operator(device="cuda") @ cupy.asarray(x)
    expected = graph.as_linear_operator(device="cpu") @ x
    np.testing.assert_allclose(cupy.asnumpy(got), expected, rtol=1e-10)


def test_auto_takes_the_gpu(cupy, graph):
    assert isinstance(next(graph.edges()).src, cupy.ndarray)


def test_too_large_a_graph_is_refused_before_it_is_made(cupy):
    graph = gg.from_keras("keras.applications:VGG16")
    with pytest.raises(gg.GraphTooLargeError, match="GPU memory"):
        graph.materialise("cuda")


MEASURES = {
    "pagerank": lambda graph, **on: gg.pagerank(graph, dangling={0: 1}, **on),
    "pagerank32": lambda graph, **on: gg.pagerank(graph, dtype=np.float32, **on),
    "katz": lambda graph, **on: gg.katz_centrality(graph, weight="weight", **on),
    "betweenness": lambda graph, **on: gg.betweenness_centrality(graph, k=9, seed=0, **on),
    "closeness": lambda graph, **on: gg.closeness_centrality(graph, k=9, seed=0, **on),
    "harmonic": lambda graph, **on: gg.harmonic_centrality(graph, k=9, seed=0, **on),
    "path_strength": lambda graph, **on: gg.path_strength(graph, **on),
    "path_count": lambda graph, **on: gg.path_count(graph, **on),
    "longest_path": lambda graph, **on: gg.longest_path_length(graph, **on),
    "components": lambda graph, **on: gg.weakly_connected_components(graph, **on),
    "bfs": lambda graph, **on: gg.bfs(graph, [0, 5], **on),
    "sssp": lambda graph, **on: gg.sssp(graph, 5, "inverse", **on),
    "sssp32": lambda graph, **on: gg.sssp(graph, 5, "weight", None, np.float32, **on),
    "eigenvector": lambda graph, **on: gg.eigenvector_centrality(graph, directed=False, **on),
    "hubs": lambda graph, **on: gg.hits(graph, **on)[0],
    "authorities": lambda graph, **on: gg.hits(graph, **on)[1],
}


@pytest.mark.parametrize("part", [False, True])
@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_measures_equal_numpys(cupy, graph, measure, part):
    graph = graph.threshold(0.2) if part else graph
    got, expected = measure(graph, device="cuda"), measure(graph, device="cpu")
    assert isinstance(got.array, cupy.ndarray)
    tolerance = 1e-4 if got.array.dtype == np.float32 else 1e-7
    absolute = 1e-5 if "vector" in got.name else 1e-12
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), tolerance, absolute)
    assert got[3] == np.asarray(got)[3]
    np.testing.assert_array_equal(got["dense"], np.asarray(got)[-4:])
    assert len(got.top(5)) == got.to_arrow().slice(0, 5).num_rows


@pytest.mark.parametrize("rule", ["inverse", "weight", "negative_log"])
def test_predecessors_lead_back(cupy, graph, rule):
    view = None if rule == "negative_log" else "magnitude"
    found = gg.sssp(graph, 5, rule, view, device="cuda")
    before = np.asarray(gg.sssp(graph, 5, rule, view, device="cpu").predecessors)
    np.testing.assert_array_equal(np.asarray(found.predecessors) >= 0, before >= 0)


@pytest.mark.parametrize(
    "measure",
    [gg.edge_path_strength, lambda g, **on: gg.edge_betweenness_centrality(g, k=5, seed=0, **on)],
)
def test_measures_of_edges_equal_numpys(cupy, graph, measure):
    got, expected = measure(graph, device="cuda"), measure(graph, device="cpu")
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), 1e-9, 1e-15)
    projection = graph.projections[0]
    expected = expected.per_parameter(projection)
    np.testing.assert_allclose(got.per_parameter(projection), expected, 1e-9, 1e-15)


def test_numbers_beyond_floats_equal_numpys(cupy):
    graph = layered([3] * 80, 1e30)
    for measure in (gg.path_strength, gg.path_count):
        got, expected = measure(graph, device="cuda"), measure(graph, device="cpu")
        np.testing.assert_allclose(got.log10(), expected.log10(), 1e-12)


def test_labels_beyond_float32_equal_numpys(cupy):
    n = 2**24 + 2
    graph = of_edges([(n - 1, n, 1.0), (n - 1, n + 1, 1.0), (n - 2, n + 2, 1.0)], [n, 3])
    got, expected = (gg.weakly_connected_components(graph, device=d) for d in ("cuda", "cpu"))
    np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("scale", [1e-6, 1, 1e6])
def test_singular_values_equal_numpys(cupy, k, scale):
    rng = np.random.default_rng(0)
    graph = layered([1100, 1200])
    projection = replace(graph.projections[0], kernel=scale * rng.random(1100 * 1200))
    got, expected = (gg.singular_values(projection, k, device=d) for d in ("cuda", "cpu"))
    np.testing.assert_allclose(got, expected, 1e-7)


def test_cuts_equal_numpys(cupy, graph):
    gap, expected = (gg.spectral_gap(graph, device=d) for d in ("cuda", "cpu"))
    np.testing.assert_allclose(gap, expected, 1e-6)
    got, expected = (gg.normalized_cut(graph, 3, device=d) for d in ("cuda", "cpu"))
    np.testing.assert_allclose(got.cut, expected.cut, 1e-6)
    np.testing.assert_allclose(got.eigenvalues, expected.eigenvalues, 1e-6)
