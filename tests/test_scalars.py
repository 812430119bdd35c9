"""Numbers that are wrong in any way end in the same clear error, wherever they are given."""

import numpy as np
import pytest

import gpugraph as gg
from gpugraph.scalars import real, whole
from tests.algorithms.graphs import graph_of
from tests.models import cnn


@pytest.mark.parametrize("value", [0.5, 1, True, np.float32(0.25), np.int64(1), np.array(0.5)])
def test_numbers_are_taken(value):
    number = real(value, "alpha", 0, 1)
    assert type(number) is float
    assert number == value


@pytest.mark.parametrize("value", ["0.5", None, 1j, [0.5], np.array([0.5]), object(), np.nan, 1.5,
                                   -0.1, 10**400, [1, [2]]])  # fmt: skip
def test_what_is_no_number_in_range_is_refused(value):
    with pytest.raises(gg.SelectionError, match="alpha must be a number from 0 to 1, not "):
        real(value, "alpha", 0, 1)


def test_ranges_may_be_open():
    assert real(np.inf, "x", 0) == np.inf
    assert real(-1e9, "x") == -1e9
    with pytest.raises(gg.SelectionError, match=r"x must be a number of at least 0, not -1\."):
        real(-1, "x", 0)
    with pytest.raises(gg.SelectionError, match=r"x must be a number, not 'x'\."):
        real("x", "x")


@pytest.mark.parametrize("value", [1, 5, True, np.int64(3), np.uint8(3), np.array(2)])
def test_whole_numbers_are_taken(value):
    number = whole(value, "k", 1)
    assert type(number) is int
    assert number == value


@pytest.mark.parametrize("value", ["1", None, 1.0, 1j, [1], np.array([1]), np.array(1.0), np.nan,
                                   0, -1])  # fmt: skip
def test_what_is_no_whole_number_in_range_is_refused(value):
    with pytest.raises(gg.SelectionError, match="k must be a whole number of at least 1, not "):
        whole(value, "k", 1)


GIVEN = {
    "alpha of pagerank": lambda g, x: gg.pagerank(g, alpha=x),
    "alpha of katz": lambda g, x: gg.katz_centrality(g, alpha=x),
    "k of betweenness": lambda g, x: gg.betweenness_centrality(g, k=x),
    "seed of betweenness": lambda g, x: gg.betweenness_centrality(g, k=2, seed=x),
    "k of edge betweenness": lambda g, x: gg.edge_betweenness_centrality(g, k=x),
    "k of closeness": lambda g, x: gg.closeness_centrality(g, k=x),
    "tol of hits": lambda g, x: gg.hits(g, tol=x),
    "tol of eigenvector": lambda g, x: gg.eigenvector_centrality(g, directed=False, tol=x),
    "k of singular values": lambda g, x: gg.singular_values(g.projections[0], k=x),
    "tol of singular values": lambda g, x: gg.singular_values(g.projections[0], tol=x),
    "k of paths": lambda g, x: gg.strongest_paths(g, x),
    "threshold": lambda g, x: g.threshold(x),
    "k of strongest": lambda g, x: g.strongest(x),
    "k of top": lambda g, x: gg.out_degree(g).top(x),
    "seed of shuffled": lambda g, x: g.shuffled(x),
    "seed of verify": lambda g, x: g.verify(seed=x),
    "tolerance of verify": lambda g, x: g.verify(tolerance=x),
    "chunk_edges": lambda g, x: g.edges(chunk_edges=x),
    "node": lambda g, x: g.ancestors(x),
    "dtype": lambda g, x: gg.pagerank(g, dtype=x),
}


@pytest.mark.parametrize("wrong", ["x", [[1], 2], np.nan, 1j, ..., -1, -0.5], ids=repr)
@pytest.mark.parametrize("call", GIVEN.values(), ids=GIVEN)
def test_wrong_numbers_end_in_our_error_everywhere(call, wrong):
    if call in (GIVEN["alpha of katz"], GIVEN["seed of betweenness"]) and wrong in (-1, -0.5):
        wrong = "x"  # negative numbers are right there
    with pytest.raises((gg.SelectionError, gg.ShapeError)):
        call(graph_of(cnn), wrong)


def test_a_seed_of_numpys_draws_what_the_int_draws():
    graph = graph_of(cnn)
    drawn = [np.asarray(gg.closeness_centrality(graph, k=3, seed=s)) for s in (7, np.int64(7))]
    np.testing.assert_array_equal(*drawn)
