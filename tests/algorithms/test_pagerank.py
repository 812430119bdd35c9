"""PageRank against networkx, and against the Google matrix solved densely."""

import keras
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import gpugraph as gg
from gpugraph.engines.networkx import digraph
from tests.algorithms.graphs import (
    VIEWS,
    adjacency,
    graph_of,
    layered,
    single_node,
    two_branches,
    with_dead_channels,
    with_nan,
    without_edges,
)
from tests.models import EVERY_KIND, cnn, lenet, several_outputs, shared_layer
from tests.strategies import any_graph, graphs_of_models

UNSIGNED = [view for view in VIEWS if view != "weight"]
views = pytest.mark.parametrize("view", UNSIGNED)


def in_order(values, n):
    return [values[node] for node in range(n)]


def solved(graph, alpha, jump, hang, view):
    """Return the stationary distribution of the surfer, from the whole Google matrix."""
    matrix = adjacency(graph, view)
    out, n = matrix.sum(axis=1), graph.n_nodes
    steps = np.where(out[:, None] > 0, matrix / np.where(out > 0, out, 1)[:, None], hang)
    google = alpha * steps + (1 - alpha) * jump
    rows = np.vstack([np.eye(n) - google.T, np.ones(n)])
    return np.linalg.lstsq(rows, np.append(np.zeros(n), 1), rcond=None)[0]


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_of_models_as_networkx(kind):
    graph = graph_of(kind)
    expected = nx.pagerank(digraph(graph, "magnitude"), tol=1e-13)
    got = gg.pagerank(graph)
    assert_allclose(got, in_order(expected, graph.n_nodes), 1e-6)
    assert_allclose(np.sum(got), 1)


def test_of_lenet_as_power_iteration():
    graph = graph_of(lenet)
    matrix = graph.to_scipy("magnitude").T.astype(np.float64)
    out = matrix.sum(axis=0)
    x = np.full(graph.n_nodes, 1 / graph.n_nodes)
    for _ in range(200):
        sent = 0.85 * x / np.where(out, out, np.inf)
        x = matrix @ sent
        x += (1 - x.sum()) / graph.n_nodes
    assert_allclose(gg.pagerank(graph), x, 1e-5)


@views
@pytest.mark.parametrize("kind", [cnn, several_outputs, shared_layer])
def test_views_are_networkxs_weights(kind, view):
    graph = graph_of(kind)
    expected = nx.pagerank(digraph(graph, view), 0.6, tol=1e-13)
    got = gg.pagerank(graph, 0.6, weight=view)
    assert_allclose(got, in_order(expected, graph.n_nodes), 1e-6)


@views
@given(graph=any_graph(), alpha=st.sampled_from([0, 0.3, 0.85, 0.999]), seed=st.integers(0, 3))
def test_of_any_graph_as_solved_densely(graph, alpha, seed, view):
    rng = np.random.default_rng(seed)
    jump, hang = rng.integers(0, 3, (2, graph.n_nodes)) + (np.arange(graph.n_nodes) == 0)
    jump, hang = jump / jump.sum(), hang / hang.sum()
    uniform = np.full(graph.n_nodes, 1 / graph.n_nodes)
    got = gg.pagerank(graph, alpha, weight=view)
    assert_allclose(got, solved(graph, alpha, uniform, uniform, view), 1e-6, 1e-9)
    got = gg.pagerank(graph, alpha, jump, weight=view)
    assert_allclose(got, solved(graph, alpha, jump, jump, view), 1e-6, 1e-9)
    got = gg.pagerank(graph, alpha, jump, view, hang)
    assert_allclose(got, solved(graph, alpha, jump, hang, view), 1e-6, 1e-9)


@given(graphs_of_models())
@settings(max_examples=8)
def test_of_drawn_models_as_networkx(graph):
    expected = nx.pagerank(digraph(graph, "magnitude"), tol=1e-13)
    assert_allclose(gg.pagerank(graph), in_order(expected, graph.n_nodes), 1e-6)


@pytest.mark.parametrize("kind", [cnn, several_outputs])
@pytest.mark.parametrize("dangling", [None, {"conv": 1}])
def test_a_walk_that_never_jumps(kind, dangling):
    """Where alpha is 1, the limit, which stays as it is in one more step."""
    graph = graph_of(kind)
    if dangling is not None:
        dangling = {next(reversed(graph.populations)): 1, 5: 2}
    x = np.array(gg.pagerank(graph, 1, dangling=dangling))
    limit = gg.pagerank(graph, 1 - 1e-9, dangling=dangling)
    assert_allclose(x, limit, 1e-5, 1e-8)
    matrix = adjacency(graph, "magnitude")
    out = matrix.sum(axis=1)
    again = matrix.T @ (x / np.where(out, out, 1))
    hang = np.full(graph.n_nodes, 1 / graph.n_nodes)
    if dangling is not None:
        hang[:] = 0
        hang[graph.populations[next(reversed(graph.populations))].slice] = 1
        hang[5] = 2
    assert_allclose(again + x[out == 0].sum() * hang / hang.sum(), x, 1e-6, 1e-12)


def test_a_walk_that_never_jumps_where_numbers_are_exact():
    """All rank goes round: from 0 to the other layer and back."""
    got = gg.pagerank(layered([2, 2], 0.5), 1, dangling={0: 1})
    assert_allclose(got, [0.5, 0, 0.25, 0.25], 1e-12)


def test_a_walk_that_only_jumps():
    graph = graph_of(several_outputs)
    jump = np.arange(graph.n_nodes)
    assert_allclose(gg.pagerank(graph, 0, jump), jump / jump.sum(), 1e-12)


FORMS = {
    "ids": {3: 1, 80: 2.5},
    "populations": {"features": 1, "vector": [0, 1, 2, 3, 4]},
    "both": {"pooled": 1, 0: 3, np.int32(155): 2},
    "array": np.arange(156.0),
    "list": [1] * 100 + [0] * 56,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("role", ["personalization", "dangling"])
def test_distributions_take_every_form(role, form):
    graph = graph_of(several_outputs)
    array = np.zeros(156)
    if form in ("array", "list"):
        array[:] = FORMS[form]
    else:
        for key, value in FORMS[form].items():
            array[graph.populations[key].slice if isinstance(key, str) else key] = value
    expected = nx.pagerank(
        digraph(graph, "magnitude"), tol=1e-13, **{role: dict(enumerate(array.tolist()))}
    )
    got = gg.pagerank(graph, **{role: FORMS[form]})
    assert_allclose(got, in_order(expected, 156), 1e-6, 1e-12)
    values = gg.NodeValues(graph, array, "prior")
    assert_allclose(gg.pagerank(graph, **{role: values}), got, 1e-12)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_float32_is_close(kind):
    graph = graph_of(kind)
    single = gg.pagerank(graph, dtype=np.float32)
    assert np.asarray(single).dtype == np.float32
    assert_allclose(single, gg.pagerank(graph), 1e-4)
    single = gg.pagerank(graph, dangling={0: 1}, dtype="float32")
    assert np.asarray(single).dtype == np.float32
    assert_allclose(single, gg.pagerank(graph, dangling={0: 1}), 1e-4)


@pytest.mark.parametrize("view", ["magnitude", None])
@pytest.mark.parametrize(
    "options", [{}, {"personalization": {2: 1, "pooled": 2}}, {"dangling": {0: 1}}]
)
def test_the_networkx_engine(options, view):
    graph = graph_of(several_outputs)
    by_networkx = gg.pagerank(graph, **options, weight=view, engine="networkx")
    assert_allclose(by_networkx, gg.pagerank(graph, **options, weight=view), 1e-9, 1e-14)


@pytest.mark.parametrize("make", [with_dead_channels, two_branches, without_edges, single_node])
def test_dead_and_disconnected_nodes_as_networkx(make):
    graph = make()
    expected = nx.pagerank(digraph(graph, "magnitude"), tol=1e-14)
    assert_allclose(gg.pagerank(graph), in_order(expected, graph.n_nodes), 1e-9)


@pytest.mark.parametrize("least", [0.3, 1e9])
def test_parts_of_a_graph(least):
    graph = graph_of(cnn).threshold(least)
    expected = nx.pagerank(digraph(graph, "magnitude"), tol=1e-14)
    assert_allclose(gg.pagerank(graph), in_order(expected, graph.n_nodes), 1e-9)


def test_parallel_edges_add_up():
    graph = graph_of(shared_layer)
    assert graph.to_scipy(None).nnz < graph.n_edges
    expected = nx.pagerank(digraph(graph, None), tol=1e-14)
    assert_allclose(gg.pagerank(graph, weight=None), in_order(expected, 20), 1e-9)


@pytest.mark.parametrize("weight", [1e-150, 1e150])
def test_weights_of_any_size(weight):
    assert_allclose(gg.pagerank(layered([3, 4, 2], weight)), gg.pagerank(layered([3, 4, 2])), 1e-12)


def test_signed_weights_are_refused_with_advice():
    advice = r"those from 'image' to 'conv' are signed. Choose weight='magnitude'"
    with pytest.raises(gg.SignedWeightsError, match=advice):
        gg.pagerank(graph_of(cnn), weight="weight")


def test_gains_that_turn_signs_are_refused_too():
    """Bicubic interpolation has negative weights, and no kernel."""
    image = keras.Input((3, 3, 1), name="image")
    up = keras.layers.UpSampling2D(2, interpolation="bicubic", name="up")(image)
    graph = gg.from_keras(keras.Model(image, up))
    with pytest.raises(gg.SignedWeightsError, match="'image' to 'up' are signed"):
        gg.pagerank(graph, weight="weight")
    for view in UNSIGNED:
        expected = nx.pagerank(digraph(graph, view), tol=1e-14)
        assert_allclose(gg.pagerank(graph, weight=view), in_order(expected, 45), 1e-6)


def test_unsigned_weights_need_no_view():
    graph = layered([2, 3, 2], 0.5)
    assert gg.pagerank(graph, weight="weight") == gg.pagerank(graph, weight="magnitude")


@pytest.mark.parametrize("values", [[np.nan], [np.inf], [np.inf, np.nan]])
def test_weights_that_are_not_finite_are_named(values):
    graph = with_nan("dense", values)
    with pytest.raises(gg.NonFiniteError, match="weights from 'hidden' to 'dense' hold NaN"):
        gg.pagerank(graph)
    assert np.isfinite(gg.pagerank(graph, weight=None)).all()


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"alpha": 2}, gg.SelectionError, "from 0 to 1, not 2"),
        ({"alpha": -0.1}, gg.SelectionError, "not -0.1"),
        ({"alpha": np.nan}, gg.SelectionError, "not nan"),
        ({"weight": "size"}, gg.SelectionError, "no view 'size'"),
        ({"engine": "igraph"}, gg.SelectionError, "no engine 'igraph'"),
        ({"device": "gpu"}, gg.DeviceError, "Unknown device 'gpu'"),
        ({"dtype": "int32"}, gg.SelectionError, "float64 or float32, not int32"),
        ({"personalization": {"nowhere": 1}}, gg.SelectionError, "no population 'nowhere'"),
        ({"personalization": {20: 1}}, gg.SelectionError, "personalization names node 20"),
        ({"personalization": {-1: 1}}, gg.SelectionError, "names node -1"),
        ({"personalization": {1.5: 1}}, gg.SelectionError, r"names node 1\.5"),
        ({"personalization": {0: -1, 1: 5}}, gg.SelectionError, "personalization must be .* least"),
        ({"personalization": {}}, gg.SelectionError, "some above 0"),
        ({"personalization": np.full(20, np.nan)}, gg.SelectionError, "personalization must be"),
        ({"personalization": {0: np.inf}}, gg.SelectionError, "personalization must be"),
        ({"personalization": [1, 2]}, gg.ShapeError, r"shape \(20,\), not \(2,\)"),
        ({"personalization": {"dense": [1, 2]}}, gg.ShapeError, r"shape \(4,\); got shape \(2,\)"),
        ({"personalization": {0: [1, 2]}}, gg.ShapeError, "node 0 must be one number"),
        ({"personalization": "x"}, gg.SelectionError, "personalization must be a number, a map"),
        ({"dangling": {0: -1}}, gg.SelectionError, "dangling must be"),
    ],
)
def test_wrong_arguments_are_refused_before_any_work(monkeypatch, options, error, match):
    graph = graph_of(shared_layer)
    monkeypatch.setattr(gg.Projection, "apply", None)
    monkeypatch.setattr(gg.Projection, "out_strength", None)
    with pytest.raises(error, match=match):
        gg.pagerank(graph, **options)
