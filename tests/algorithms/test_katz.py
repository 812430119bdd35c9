"""Katz centrality against networkx and dense solutions, and far beyond floats."""

from fractions import Fraction
from math import log10

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
    with_dead_channels,
    with_nan,
    without_edges,
)
from tests.models import EVERY_KIND, cnn, lenet, several_outputs, shared_layer
from tests.strategies import any_graph, graphs_of_models

# Strengths of the models stay below 20: alpha is small enough for networkx to converge.
ALPHA = 0.01
views = pytest.mark.parametrize("view", VIEWS)


def in_order(values, n):
    return [values[node] for node in range(n)]


def solved(graph, alpha, beta, view):
    """Solve ``x = alpha A^T x + beta`` densely."""
    return np.linalg.solve(np.eye(graph.n_nodes) - alpha * adjacency(graph, view).T, beta)


def scaled(x):
    return x / (np.linalg.norm(x) or 1)


@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_of_models_as_networkx(kind, normalized):
    graph = graph_of(kind)
    options = {"alpha": ALPHA, "normalized": normalized}
    expected = nx.katz_centrality(digraph(graph, None), **options, tol=1e-14, weight="weight")
    got = gg.katz_centrality(graph, **options)
    assert_allclose(got, in_order(expected, graph.n_nodes), 1e-9)


@views
@pytest.mark.parametrize("kind", [cnn, several_outputs, shared_layer])
def test_views_are_networkxs_weights(kind, view):
    graph = graph_of(kind)
    expected = nx.katz_centrality(digraph(graph, view), ALPHA, tol=1e-14, weight="weight")
    got = gg.katz_centrality(graph, ALPHA, weight=view)
    assert_allclose(got, in_order(expected, graph.n_nodes), 1e-6)


def test_of_lenet_as_the_matrix_has_it():
    graph = graph_of(lenet)
    matrix, x = graph.to_scipy("magnitude").T.astype(np.float64), np.ones(graph.n_nodes)
    for _ in graph.populations:
        x = 0.5 * (matrix @ x) + 1
    got = gg.katz_centrality(graph, 0.5, normalized=False, weight="magnitude")
    assert_allclose(got, x, 1e-6)


@views
@given(graph=any_graph(), alpha=st.sampled_from([0.3, -0.7, 1, 0]))
def test_of_any_graph_as_solved_densely(graph, alpha, view):
    beta = np.linspace(-1, 2, graph.n_nodes)
    expected = solved(graph, alpha, beta, view)
    got = gg.katz_centrality(graph, alpha, beta, normalized=False, weight=view)
    assert_allclose(got, expected, 1e-6, 1e-6 * abs(expected).max())
    got = gg.katz_centrality(graph, alpha, beta, weight=view)
    assert_allclose(got, scaled(expected), 1e-6, 1e-6)


@given(graph=graphs_of_models())
@settings(max_examples=8)
def test_of_drawn_models_as_solved_densely(graph):
    expected = solved(graph, 0.4, np.ones(graph.n_nodes), "magnitude")
    got = gg.katz_centrality(graph, 0.4, weight="magnitude")
    assert_allclose(got, scaled(expected), 1e-5, 1e-7)


@pytest.mark.parametrize("form", ["ids", "populations", "array", "values", "number"])
def test_beta_takes_every_form(form):
    graph = graph_of(several_outputs)
    beta = np.zeros(graph.n_nodes)
    given = {"features": 2.0, "vector": [1, 2, 3, 4, 5.0], 7: 3}
    beta[graph.populations["features"].slice] = 2
    beta[graph.populations["vector"].slice] = [1, 2, 3, 4, 5]
    beta[7] = 3
    forms = {
        "ids": {np.int64(node): value for node, value in enumerate(beta)},
        "populations": given,
        "array": beta,
        "values": gg.NodeValues(graph, beta, "beta"),
        "number": 2,
    }
    if form == "number":
        beta = np.full(graph.n_nodes, 2.0)
    before = beta.copy()
    expected = solved(graph, 0.2, beta, None)
    got = gg.katz_centrality(graph, 0.2, forms[form], normalized=False)
    assert_allclose(got, expected, 1e-12)
    assert (before == beta).all()


def test_one_number_per_node_of_networkx():
    graph = graph_of(several_outputs)
    beta = {node: 1 + node % 3 for node in range(graph.n_nodes)}
    expected = nx.katz_centrality(digraph(graph, None), ALPHA, beta, tol=1e-14)
    got = gg.katz_centrality(graph, ALPHA, beta)
    assert_allclose(got, in_order(expected, graph.n_nodes), 1e-9)


@pytest.mark.parametrize("kind", [cnn, shared_layer])
@pytest.mark.parametrize("view", [None, "weight", "magnitude"])
def test_the_networkx_engine(kind, view):
    graph = graph_of(kind)
    options = {"alpha": ALPHA, "beta": {0: 1, 3: 2}, "weight": view}
    by_networkx = gg.katz_centrality(graph, **options, engine="networkx")
    assert_allclose(by_networkx, gg.katz_centrality(graph, **options), 1e-6, 1e-12)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_float32_is_close(kind):
    graph = graph_of(kind)
    single = gg.katz_centrality(graph, 0.1, weight="magnitude", dtype=np.float32)
    assert np.asarray(single).dtype == np.float32
    assert_allclose(single, gg.katz_centrality(graph, 0.1, weight="magnitude"), 1e-4)


def test_dead_channels_get_beta():
    graph = with_dead_channels()
    got = gg.katz_centrality(graph, 0.5, 3, normalized=False, weight="magnitude")
    assert_allclose(got["conv"][..., 0], 3)
    assert (got["conv"][..., 1] > 3).all()


@pytest.mark.parametrize(("make", "n"), [(single_node, 1), (without_edges, 4)])
def test_without_edges_all_are_alike(make, n):
    assert_allclose(gg.katz_centrality(make()), np.full(n, n**-0.5))


def test_nothing_to_start_with_is_nothing():
    assert not np.asarray(gg.katz_centrality(graph_of(cnn), beta=0)).any()


@pytest.mark.parametrize("alpha", [1e200, 1e-200, 1e308, -1e150, 5e-324])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_any_alpha_will_do(alpha, dtype):
    """x = beta + 3 alpha x of the layer before, as Python's fractions have it."""
    graph = layered([3] * 12)
    got = gg.katz_centrality(graph, alpha, normalized=False, dtype=dtype)
    exact = [Fraction(1)]
    for _ in range(11):
        exact.append(1 + 3 * Fraction(alpha) * exact[-1])
    logs = got.log10()
    for i, value in enumerate(exact):
        if value > 0:
            expected = log10(value.numerator) - log10(value.denominator)
            assert_allclose(logs[f"p{i}"], expected, 1e-6, 1e-6)
        else:
            assert np.isnan(logs[f"p{i}"]).all()


def test_what_outgrows_floats_is_read_as_logarithms():
    got = gg.katz_centrality(layered([3] * 12), 1e100, normalized=False)
    assert got.exponents is not None
    assert_allclose(got["p0"], 1)
    assert got[4] == pytest.approx(3e100)
    for read in (lambda: got["p11"], lambda: got[35], lambda: np.asarray(got), lambda: got.top(1)):
        with pytest.raises(gg.RangeError, match=r"10\^1105 .*'p11'.*log10\(\)|read log10\(\)"):
            read()
    assert [node.node for node in got.log10().top(2)] == [33, 34]


def test_what_vanishes_beside_the_largest_is_read_as_logarithms():
    got = gg.katz_centrality(layered([3] * 12), 1e100)
    assert_allclose(got["p11"], 3**-0.5)
    assert [ranked.node for ranked in got.top(4)] == [33, 34, 35, 30]
    with pytest.raises(gg.RangeError, match=r"10\^-1105 in population 'p0'"):
        got["p0"]
    assert_allclose(got.log10()["p0"], -1100 - 11 * log10(3) - log10(3) / 2)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_normalised_result_within_range_is_plain(dtype):
    graph = layered([3] * 12)
    got = gg.katz_centrality(graph, 1e3, dtype=dtype)
    assert got.exponents is None or dtype == np.float32
    assert_allclose(np.square(got).sum(), 1, 1e-6)
    assert_allclose(got, scaled(solved(graph, 1e3, np.ones(36), None)), 1e-6)


@pytest.mark.parametrize("values", [[np.nan], [np.inf], [np.inf, -np.inf]])
def test_weights_that_are_not_finite_are_named(values):
    graph = with_nan("hidden", values)
    with pytest.raises(gg.NonFiniteError, match="'hidden': weights from 'x' to 'hidden' hold NaN"):
        gg.katz_centrality(graph, weight="magnitude")
    with pytest.raises(gg.NonFiniteError, match="'hidden': weights from 'x' to 'hidden' hold NaN"):
        gg.katz_centrality(graph, weight="weight")
    assert_allclose(gg.katz_centrality(graph), gg.katz_centrality(graph, engine="networkx"), 1e-9)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"weight": "size"}, gg.SelectionError, "no view 'size'"),
        ({"engine": "igraph"}, gg.SelectionError, "no engine 'igraph'"),
        ({"device": "gpu"}, gg.DeviceError, "Unknown device 'gpu'"),
        ({"dtype": np.float16}, gg.SelectionError, "float64 or float32, not float16"),
        ({"dtype": int}, gg.SelectionError, "not int64"),
        ({"alpha": np.nan}, gg.SelectionError, "not nan"),
        ({"beta": np.inf}, gg.SelectionError, "finite"),
        ({"beta": {0: np.nan}}, gg.SelectionError, "finite"),
        ({"beta": {"nowhere": 1}}, gg.SelectionError, "no population 'nowhere'"),
        ({"beta": {20: 1}}, gg.SelectionError, "beta names node 20"),
        ({"beta": [1, 2]}, gg.ShapeError, r"shape \(20,\), not \(2,\)"),
        ({"beta": "x"}, gg.SelectionError, "beta must be a number, a mapping"),
    ],
)
def test_wrong_arguments_are_refused_before_any_work(monkeypatch, options, error, match):
    graph = graph_of(shared_layer)
    monkeypatch.setattr(gg.Projection, "apply", None)
    with pytest.raises(error, match=match):
        gg.katz_centrality(graph, **options)
