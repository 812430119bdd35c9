"""Numbers per edge, held per node: against the edges one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import gpugraph as gg
from gpugraph import arrays, edge_values
from gpugraph.edge_values import EdgeValues, Term
from gpugraph.views import weight_view
from tests.algorithms.graphs import VIEWS, graph_of, layered, without_edges
from tests.models import cnn, several_outputs, shared_layer
from tests.strategies import any_graph

views = pytest.mark.parametrize("view", VIEWS)


def random_values(graph, view, n_rows=2, seed=0):
    """Values of every edge from random numbers of its ends, one term of two rows and one of one."""
    rng = np.random.default_rng(seed)
    terms = [
        [
            Term(rng.random((n_rows, p.source.size)) - 0.5, rng.random((n_rows, p.target.size)), 3),
            Term(rng.random((1, p.source.size)), rng.random((1, p.target.size))),
        ]
        for p in graph.projections
    ]
    return EdgeValues(graph, terms, view, "random"), terms


def one_by_one(projection, terms, view):
    """Values of a projection's edges, from what the class says."""
    src, dst, weight = projection.edges()
    src, dst = src - projection.source.offset, dst - projection.target.offset
    total = np.zeros(len(src))
    for term in terms:
        products = term.source[:, src] * term.target[:, dst]
        total += products.sum(axis=0) * 2.0**term.exponent
    return total if view is None else total * weight_view(weight.astype(np.float64), view)


@views
@given(graph=any_graph(), seed=st.integers(0, 5))
def test_values_of_any_graph(graph, seed, view):
    values, terms = random_values(graph, view, seed=seed)
    assert len(values) == graph.n_edges
    parts = [one_by_one(p, t, view) for p, t in zip(graph.projections, terms, strict=True)]
    for projection, expected in zip(graph.projections, parts, strict=True):
        assert_allclose(values[projection], expected, 1e-6, 1e-7)
        if projection.kernel is not None:
            parameters = projection.parameter(0, projection.n_edges)
            sums = np.bincount(parameters, expected, projection.kernel.size)
            got = values.per_parameter(projection)
            assert got.dtype == np.float64
            assert_allclose(got, sums, 1e-6, 1e-6)
    flat = np.concatenate([np.zeros(0), *parts])
    assert_allclose(np.asarray(values), flat, 1e-6, 1e-7)


@views
@pytest.mark.parametrize("kind", [cnn, several_outputs, shared_layer])
def test_values_of_models(kind, view):
    graph = graph_of(kind)
    values, terms = random_values(graph, view)
    for projection, term in zip(graph.projections, terms, strict=True):
        expected = one_by_one(projection, term, view)
        assert_allclose(values[projection], expected, 1e-6, 1e-7)
        if projection.kernel is not None:
            parameters = projection.parameter(0, projection.n_edges)
            sums = np.bincount(parameters, expected, projection.kernel.size)
            assert_allclose(values.per_parameter(projection), sums, 1e-5, 1e-5)


@pytest.mark.parametrize("chunk_edges", [1, 7, 2**18])
def test_ranges_are_slices(monkeypatch, chunk_edges):
    monkeypatch.setattr(edge_values, "CHUNK_EDGES", chunk_edges)
    graph = layered([3, 4])
    (projection,) = graph.projections
    values, terms = random_values(graph, None)
    whole = one_by_one(projection, terms[0], None)
    for start, stop in [(0, 12), (2, 7), (5, 5), (7, 2), (-4, 12), (3, -1), (0, 99), (99, 100)]:
        assert_allclose(values.range(projection, start, stop), whole[start:stop], 1e-12)


def test_items_are_edges_in_their_order():
    graph = graph_of(shared_layer)
    values, _ = random_values(graph, "weight")
    items = list(values.items())
    assert [edge for edge, _ in items] == [(s, d) for s, d, _ in graph.edge_tuples()]
    assert_array_equal([value for _, value in items], np.asarray(values))
    assert {type(value) for _, value in items} == {float}


def test_as_an_array():
    graph = graph_of(shared_layer)
    values, _ = random_values(graph, None)
    assert np.asarray(values).dtype == np.float64
    assert np.asarray(values, np.float32).dtype == np.float32
    assert np.array(values, copy=True).shape == (graph.n_edges,)
    with pytest.raises(ValueError, match="made anew"):
        np.asarray(values, copy=False)
    none, _ = random_values(without_edges(), None)
    assert np.asarray(none).shape == (0,)
    assert list(none.items()) == []


def test_as_an_array_only_where_it_fits(monkeypatch):
    values, _ = random_values(graph_of(cnn), None)
    monkeypatch.setattr(arrays, "free_memory", lambda xp=np: 8 * 2160)
    with pytest.raises(gg.GraphTooLargeError, match=r"'random' of 2,160 edges.*values\[proj"):
        np.asarray(values)
    assert len(values[values.graph.projections[0]]) > 0


def test_repr():
    values, _ = random_values(graph_of(cnn), None)
    assert repr(values) == "EdgeValues('random' of 2,160 edges of 'cnn')"


def test_projections_without_weights_have_none_to_add_up_for():
    graph = graph_of(cnn)
    values, _ = random_values(graph, None)
    (pool,) = graph.projections_into["pool"]
    with pytest.raises(gg.SelectionError, match="from 'conv' to 'pool' have no trained weights"):
        values.per_parameter(pool)


@pytest.mark.parametrize("read", ["__getitem__", "per_parameter"])
def test_projections_of_other_graphs_are_refused(read):
    values, _ = random_values(graph_of(cnn), None)
    with pytest.raises(gg.SelectionError, match=r"projections of 'cnn' \(graph.projections\)"):
        getattr(values, read)(layered([2, 2]).projections[0])


def single(source, target, exponent, weight=None, kernel=1.0):
    """Return the values of one edge."""
    graph = layered([1, 1], kernel)
    term = Term(np.array([[source]]), np.array([[target]]), exponent)
    return EdgeValues(graph, [[term]], weight, "single"), graph.projections[0]


@pytest.mark.parametrize("exponent", [1100, -1100, 2**30, -(2**31)])
def test_values_beyond_floats_are_refused(exponent):
    values, projection = single(1.5, 2.0, exponent)
    for read in (values.__getitem__, values.per_parameter):
        with pytest.raises(gg.RangeError, match=r"'single' goes to about 10\^-?[0-9]+ there"):
            read(projection)


@pytest.mark.parametrize(("exponent", "kernel"), [(1050, 2.0**-100), (-1080, 2.0**100)])
def test_weights_may_bring_values_back_into_range(exponent, kernel):
    values, projection = single(1.5, 2.0, exponent, "weight", kernel)
    expected = [3 * 2.0 ** (exponent + round(np.log2(kernel)))]
    assert_allclose(values[projection], expected, 1e-12)
    assert_allclose(values.per_parameter(projection), expected, 1e-12)


@pytest.mark.parametrize("kernel", [2.0**100, -(2.0**100)])
def test_weights_may_take_values_out_of_range(kernel):
    values, projection = single(1.5, 2.0, 950, "weight", kernel)
    for read in (values.__getitem__, values.per_parameter):
        with pytest.raises(gg.RangeError, match=r"10\^317"):
            read(projection)


@pytest.mark.parametrize("exponent", [2**30, -(2**31), 5000])
def test_zeros_are_in_any_range(exponent):
    values, projection = single(0.0, 2.0, exponent)
    assert_array_equal(values[projection], [0])
    assert_array_equal(values.per_parameter(projection), [0])


@pytest.mark.parametrize("read", [lambda v: v[0], lambda v: v[0, 130], list, dict])
def test_what_is_no_projection_is_shown_the_way_to_the_edges(read):
    values, _ = random_values(graph_of(cnn), None)
    with pytest.raises(gg.SelectionError, match=r"items\(\) yields \(\(src, dst\), value\)"):
        read(values)


class OnAFullGpu:
    """An array on a GPU that has no memory left for what copying it to the host takes there."""

    def __init__(self, error):
        self.error = error

    def get(self):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [MemoryError("Out of memory allocating 8 bytes."), RuntimeError("cudaErrorMemoryAllocation")],
    ids=["cupy", "cuda"],
)
@pytest.mark.parametrize(
    "read",
    [
        np.asarray,
        lambda values: values[values.graph.projections[0]],
        lambda values: values.per_parameter(values.graph.projections[0]),
        lambda values: next(values.items()),
    ],
    ids=["all", "projection", "per_parameter", "items"],
)
def test_a_gpu_without_memory_to_read_them_is_named(error, read):
    graph = layered([3, 4])
    full = OnAFullGpu(error)
    values = EdgeValues(graph, [[Term(full, full)]], None, "flow")
    message = r"GPU ran out of memory in reading 'flow'.*compute 'flow' again with device='cpu'"
    with pytest.raises(gg.GraphTooLargeError, match=message) as caught:
        read(values)
    assert caught.value.device == "cuda"
