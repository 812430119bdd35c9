"""Sums over the edges of each weight, against the edges one by one."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given

from gpugraph.products.correlate import correlate
from tests.strategies import any_projection
from tests.test_projection import PROJECTIONS

WEIGHED = ["dense", "einsum", "conv", "strided", "first", "groups", "causal", "volume"]
WEIGHED += ["transposed", "depthwise", "separable", "normalised"]
WEIGHED += ["listed", "listed_with_gain", "tied"]


def expected(projection, x, y, view):
    """Add up every edge's product into its parameter."""
    src, dst, _ = projection.edges()
    src, dst = src - projection.source.offset, dst - projection.target.offset
    parameters = projection.parameter(0, projection.n_edges)
    gains = np.ones(1)
    for axis in projection.axes:
        gain = np.ones(len(axis)) if axis.gain is None else axis.gain
        gains = np.multiply.outer(gains, gain).ravel()
    gains = {"weight": gains, None: np.ones_like(gains)}.get(view, abs(gains))
    values = (x[:, src] * y[:, dst]).sum(axis=0) * gains
    return np.bincount(parameters, values, projection.kernel.size)


def assert_correlates(projection, view, dtype=np.float64):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (2, projection.source.size)).astype(dtype)
    y = rng.uniform(-1, 1, (2, projection.target.size)).astype(dtype)
    right = expected(projection, x.astype(np.float64), y.astype(np.float64), view)
    for ours, theirs in ((x, y), (np.asfortranarray(x), np.asfortranarray(y))):
        got = correlate(projection, ours, theirs, view)
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, right, 1e-9, 1e-12 * projection.n_edges)


@pytest.mark.parametrize("view", ["weight", "magnitude", None])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", WEIGHED)
def test_of_layers(name, dtype, view):
    assert_correlates(PROJECTIONS[name](), view, dtype)


@pytest.mark.parametrize("view", ["weight", "magnitude", None])
@given(projection=any_projection())
def test_of_any_projection(projection, view):
    assume(projection.kernel is not None)
    assert_correlates(projection, view)


@given(projection=any_projection())
def test_of_any_projection_turned_round(projection):
    assume(projection.kernel is not None)
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (1, projection.source.size))
    y = rng.uniform(-1, 1, (1, projection.target.size))
    plain = replace(projection, source_factor=None, target_factor=None)
    np.testing.assert_allclose(
        correlate(plain.transposed, y, x, "weight"), correlate(plain, x, y, "weight"), 1e-9, 1e-12
    )
