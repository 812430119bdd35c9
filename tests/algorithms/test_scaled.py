"""Numbers beyond floats: values times powers of two, against Python's fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import gpugraph as gg
from gpugraph.algorithms.scaled import MOST, NOTHING, Scaled, node_values, pull
from tests.algorithms.graphs import layered, of_edges

floats = st.floats(allow_nan=False, allow_infinity=False, width=32).filter(
    lambda x: x == 0 or abs(x) > 1e-30
)
rows = st.lists(st.lists(floats, min_size=3, max_size=3), min_size=1, max_size=3)
exponents = st.integers(-5000, 5000)


def numbers(scaled):
    """What the values stand for, exactly."""
    return [
        [Fraction(value) * Fraction(2) ** (0 if value == 0 else exponent) for value in row]
        for row, (exponent,) in zip(scaled.values.tolist(), scaled.exponent.tolist(), strict=True)
    ]


@given(rows, exponents)
def test_rescaling_keeps_the_numbers(values, exponent):
    values = np.array(values)
    before = Scaled(values.copy(), np.full((len(values), 1), exponent, np.int32))
    after = before.rescaled()
    assert numbers(after) == numbers(before)
    assert after.exponent.dtype == np.int32
    largest = abs(after.values).max(axis=1)
    assert ((largest == 0) | ((largest >= 2.0 ** -(MOST + 1)) & (largest < 2.0**MOST))).all()
    assert (after.exponent[largest == 0] == NOTHING).all()
    assert_array_equal(before.values, values)


@given(rows, exponents, st.integers(0, 300))
def test_values_at_a_larger_exponent_are_the_same_numbers(values, exponent, more):
    before = Scaled(np.array(values), np.full((len(values), 1), exponent, np.int32)).rescaled()
    to = np.maximum(before.exponent, exponent) + more
    assert numbers(Scaled(before.at(to), to)) == numbers(before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_stay(dtype):
    scaled = Scaled.of(np.array([[1e-30, 1e30]], dtype))
    assert scaled.values.dtype == scaled.at(scaled.exponent + 3).dtype == dtype


def test_ordinary_values_are_not_touched():
    values = np.array([[1.0, -7.0], [0.0, 2.0**-20]])
    scaled = Scaled.of(values)
    assert scaled.values is values
    assert_array_equal(scaled.exponent, [[0], [0]])


def test_rows_are_scaled_apart():
    scaled = Scaled.of(np.array([[1e300, 1.0], [1e-300, 0.0], [5.0, 1.0], [0.0, 0.0]]))
    assert_array_equal(scaled.exponent, [[997], [-996], [0], [NOTHING]])
    assert_array_equal(numbers(scaled)[1], [Fraction(1e-300), 0])


def test_no_nodes_and_no_rows():
    for shape in ((0, 3), (2, 0)):
        assert Scaled.of(np.zeros(shape)).values.shape == shape


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_not_finite_stays_so(wrong):
    scaled = Scaled.of(np.array([[1.0, wrong]]))
    assert not np.isfinite(scaled.values).all()


@given(st.lists(st.tuples(floats, exponents), min_size=1, max_size=4), floats)
def test_what_is_pulled_together_is_the_sum(sent, start):
    """Values of any size from several sources, against fractions; the largest decide."""
    n = len(sent)
    graph = of_edges([(i, n, 2.0) for i in range(n)])
    incoming = [
        (p, Scaled(np.array([[value]]), np.array([[exponent]], np.int32)).rescaled())
        for p, (value, exponent) in zip(graph.projections, sent, strict=True)
    ]
    population = graph.populations[f"p{n}"]
    got = pull(population, incoming, "weight", np.array([[start]]))
    parts = [2 * Fraction(value) * Fraction(2) ** exponent for value, exponent in sent]
    parts.append(Fraction(start))
    largest = max(map(abs, parts))
    ((found,),) = numbers(got)
    assert abs(found - sum(parts)) <= largest * Fraction(n + 1, 2**52)


def test_zeros_do_not_set_the_scale():
    """A source of zeros alone has no exponent, whatever it had before."""
    graph = of_edges([(0, 2, 1.0), (1, 2, 1.0)])
    zeros = Scaled(np.zeros((1, 1)), np.array([[4000]], np.int32)).rescaled()
    ones = Scaled(np.ones((1, 1)), np.array([[-4000]], np.int32))
    incoming = list(zip(graph.projections, [zeros, ones], strict=True))
    got = pull(graph.populations["p2"], incoming, None, np.zeros((1, 1)))
    assert numbers(got) == [[Fraction(2) ** -4000]]
    nothing = pull(graph.populations["p2"], incoming[:1], None, np.zeros((1, 1)))
    assert (nothing.values, nothing.exponent) == (0, NOTHING)


def test_values_in_range_are_plain():
    graph = layered([2, 2, 1])
    array = np.array([1.0, 3.0, 0.5, 0.0, 0.0])
    got = node_values(graph, array, {"p0": 100, "p1": -200, "p2": NOTHING * 2}, "x")
    assert got.exponents is None
    assert_array_equal(got, [2.0**100, 3 * 2.0**100, 2.0**-201, 0, 0])


@pytest.mark.parametrize("exponent", [1000, -1000, 10**6, -(10**6)])
def test_values_out_of_range_keep_exponents(exponent):
    graph = layered([2, 2, 1])
    array = np.array([1.0, 3.0, 0.5, 0.0, 0.0])
    got = node_values(graph, array, {"p0": exponent, "p1": 3, "p2": NOTHING * 2}, "x")
    assert got.exponents == {"p0": exponent, "p1": 3, "p2": NOTHING * 2}
    assert_array_equal(got["p1"], [4, 0])
    assert_array_equal(got["p2"], [0])
    logs = got.log10()
    assert_allclose(logs["p0"], exponent * np.log10(2) + np.log10([1, 3]))
    assert_array_equal(logs["p2"], [-np.inf])


@pytest.mark.parametrize(("dtype", "largest"), [(np.float32, 2.0**96), (np.float64, 2.0**990)])
def test_range_is_the_types_own(dtype, largest):
    graph = layered([1, 1])
    for value, is_plain in ((largest / 4, True), (largest * 4, False)):
        exponent = int(np.log2(value))
        got = node_values(graph, np.ones(2, dtype), {"p0": exponent, "p1": 0}, "x")
        assert (got.exponents is None) == is_plain
        assert got[0] == value
        assert isinstance(got, gg.NodeValues)
