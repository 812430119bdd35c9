import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

import gpugraph as gg
from tests.operations import (
    assert_affine,
    assert_computes,
    assert_refused,
    kinds,
    reached,
)

SHAPE = (2, 4, 3)
WEIGHTS = np.array([1.0, 2.0, -0.5, 3.0], np.float32)
STATISTICS = {
    "All": ops.all,
    "Any": ops.any,
    "CountNonzero": ops.count_nonzero,
    "Logsumexp": ops.logsumexp,
    "Median": ops.median,
    "Nanmax": ops.nanmax,
    "Nanmean": ops.nanmean,
    "Nanmedian": ops.nanmedian,
    "Nanmin": ops.nanmin,
    "Nanpercentile": lambda x, axis: ops.nanpercentile(x, 30.0, axis=axis),
    "Nanprod": ops.nanprod,
    "Nanquantile": lambda x, axis: ops.nanquantile(x, 0.3, axis=axis),
    "Nanstd": ops.nanstd,
    "Nansum": ops.nansum,
    "Nanvar": ops.nanvar,
    "Norm": ops.norm,
    "Percentile": lambda x, axis: ops.percentile(x, 30, axis=axis),
    "Ptp": ops.ptp,
    "Quantile": lambda x, axis: ops.quantile(x, 0.3, axis=axis),
    "Std": ops.std,
    "Var": ops.var,
}


def along(name, axis=1):
    return lambda x: STATISTICS[name](x, axis=axis)


ROWS = {
    **{f"ops.{name}": (along(name), SHAPE) for name in STATISTICS},
    "ops.Amax": (lambda x: ops.amax(x, axis=1), SHAPE),
    "ops.Amin": (lambda x: ops.amin(x, axis=1), SHAPE),
    "ops.Average": (lambda x: ops.average(x, axis=2, weights=WEIGHTS), SHAPE),
    "ops.Cumprod": (lambda x: ops.cumprod(x, axis=2), SHAPE),
    "ops.Cumsum": (lambda x: ops.cumsum(x, axis=2), SHAPE),
    "ops.Diff": (lambda x: ops.diff(x, n=2, axis=2), SHAPE),
    "ops.Max": (lambda x: ops.max(x, axis=1), SHAPE),
    "ops.Mean": (lambda x: ops.mean(x, axis=1), SHAPE),
    "ops.Min": (lambda x: ops.min(x, axis=1), SHAPE),
    "ops.Moments": (lambda x: ops.moments(x, axes=[1]), SHAPE),
    "ops.Nancumprod": (lambda x: ops.nancumprod(x, axis=2), SHAPE),
    "ops.Nancumsum": (lambda x: ops.nancumsum(x, axis=2), SHAPE),
    "ops.Prod": (lambda x: ops.prod(x, axis=1), SHAPE),
    "ops.Sum": (lambda x: ops.sum(x, axis=1), SHAPE),
    "ops.Trapezoid": (lambda x: ops.trapezoid(x, axis=2), SHAPE),
}


@st.composite
def reductions(draw):
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple))
    rank = len(shape) + 1
    axes = draw(st.lists(st.integers(1, rank - 1), min_size=1, unique=True))
    axes = [axis - rank if draw(st.booleans()) else axis for axis in axes]
    axis = axes[0] if len(axes) == 1 and draw(st.booleans()) else tuple(axes)
    return shape, axis, draw(st.booleans())


@given(reductions(), st.sampled_from([ops.sum, ops.mean]))
def test_random_sums_and_means(reduction, function):
    shape, axis, keepdims = reduction
    graph = assert_affine(lambda x: function(x, axis=axis, keepdims=keepdims), shape)
    assert graph.n_edges == np.prod(shape)
    assert kinds(graph) == {"copy" if function is ops.sum else "mean"}


@given(reductions(), st.sampled_from([ops.max, ops.min, ops.prod, ops.amax, ops.amin]))
def test_random_extremes_and_products(reduction, function):
    shape, axis, keepdims = reduction
    graph = assert_computes(lambda x: function(x, axis=axis, keepdims=keepdims), shape)
    assert graph.n_edges == np.prod(shape)
    assert kinds(graph) == {"copy" if function is ops.prod else "choice"}


@given(reductions(), st.sampled_from([ops.var, ops.std, ops.any, ops.median]))
def test_random_statistics(reduction, function):
    shape, axis, keepdims = reduction
    graph = assert_computes(lambda x: function(x, axis=axis, keepdims=keepdims), shape)
    assert graph.n_edges == np.prod(shape)
    assert kinds(graph) == {"dynamic"}


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("axis", [1, -1])
def test_every_value_along_the_axis_takes_part_in_a_statistic(name, axis):
    graph = assert_computes(along(name, axis), SHAPE)
    expected = np.zeros((graph.n_nodes,) * 2, bool)
    positions = np.arange(24).reshape(SHAPE)
    results = np.delete(SHAPE, 0 if axis == 1 else 2)
    for i in range(2):
        for j in range(4):
            for k in range(3):
                to = (j, k) if axis == 1 else (i, j)
                expected[positions[i, j, k], 24 + np.ravel_multi_index(to, results)] = True
    np.testing.assert_array_equal(reached(graph), expected)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.average(x, axis=2, weights=WEIGHTS),
        lambda x: ops.average(x, axis=-1),
        lambda x: ops.cumsum(x, axis=-1),
        lambda x: ops.cumsum(x, axis=1),
        lambda x: ops.diff(x),
        lambda x: ops.diff(x, n=3, axis=2),
        lambda x: ops.trapezoid(x, dx=0.5),
        lambda x: ops.trapezoid(x, x=np.array([0.0, 1.0, 3.5], np.float32)),
        lambda x: ops.moments(x, axes=[1, 2])[0],
        lambda x: ops.moments(x, axes=[-1], keepdims=True)[0],
    ],
)
def test_weighted_sums(function):
    assert_affine(function, SHAPE)


@pytest.mark.parametrize("function", [ops.cumsum, ops.cumprod, ops.nancumsum, ops.nancumprod])
def test_running_totals_reach_back(function):
    graph = assert_computes(lambda x: function(x, axis=1), (5, 2))
    assert graph.n_edges == 2 * (1 + 2 + 3 + 4 + 5)
    matrix = reached(graph)[:10, 10:].reshape(5, 2, 5, 2)
    for src in range(5):
        for dst in range(5):
            np.testing.assert_array_equal(matrix[src, :, dst], np.eye(2, dtype=bool) & (src <= dst))


def test_moments_are_two_populations():
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, ops.moments(inputs, axes=[1, 3], keepdims=True))
    graph = gg.from_keras(model)
    assert graph.verify().passed
    assert [p.kind for p in graph.projections] == ["mean", "dynamic"]
    assert graph.n_edges == 48


def test_the_norm_of_a_matrix():
    graph = assert_computes(lambda x: ops.norm(x, ord="nuc", axis=(1, 3)), SHAPE)
    assert graph.n_edges == 24


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x: ops.sum(x), "without an axis it joins the samples of the batch"),
        (lambda x: ops.norm(x), "without an axis it joins the samples of the batch"),
        (lambda x: ops.mean(x, axis=0), "the batch's"),
        (lambda x: ops.max(x, axis=(1, -4)), "the batch's"),
        (lambda x: ops.std(x, axis=(0, 1)), "the batch's"),
        (lambda x: ops.moments(x, axes=[0, 1]), "the batch's"),
        (lambda x: ops.cumsum(x, axis=0), "the batch's"),
        (lambda x: ops.diff(x, axis=0), "the batch's"),
        (lambda x: ops.max(x, axis=1, initial=0.5), "its `initial` takes part"),
        (lambda x: ops.prod(x, axis=1, dtype="int32"), "cuts values to int32"),
        (lambda x: ops.average(x, axis=2, weights=x[0, 0, :, 0]), "batch"),
        (lambda x: ops.quantile(x, [0.1, 0.9], axis=1), "its batch axis is another"),
        (lambda x: ops.trapezoid(x, x=np.ones((1, 2, 4, 3))), "sample points differ"),
        (lambda x: ops.average(x, axis=2, weights=np.zeros(4)), "NaN or infinity"),
    ],
)
def test_what_joins_samples_or_has_no_nodes_is_refused(function, why):
    assert_refused(function, SHAPE, why=why)


def test_averages_weighted_by_the_inputs_are_refused():
    x, weights = keras.Input((4,), batch_size=4), keras.Input((), batch_size=4)
    model = keras.Model([x, weights], ops.average(x, axis=1, weights=weights))
    with pytest.raises(gg.UnsupportedLayerError, match="no constants along the axis"):
        gg.from_keras(model)
