import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import gpugraph as gg
from gpugraph.algorithms import singular_values as lanczos
from tests.algorithms.graphs import graph_of, layered
from tests.models import EVERY_KIND, lenet
from tests.strategies import any_projection
from tests.test_contraction import VIEWS, dense


@given(any_projection(), st.sampled_from(VIEWS), st.integers(1, 5))
def test_any_projection(projection, view, k):
    expected = np.linalg.svd(dense(projection, view), compute_uv=False)[:k]
    found = gg.singular_values(projection, k, view)
    assert_allclose(found, expected, atol=1e-5 * max(expected.max(initial=0), 1))


@pytest.mark.parametrize("kind", [*EVERY_KIND, lenet])
@pytest.mark.parametrize("turned", [False, True])
def test_by_lanczos(kind, turned, monkeypatch):
    monkeypatch.setattr(lanczos, "DENSE", 0)
    for projection in graph_of(kind).projections:
        if max(projection.source.size, projection.target.size) > 1000:
            continue
        expected = np.linalg.svd(dense(projection, "weight"), compute_uv=False)[:3]
        way = projection.transposed if turned else projection
        assert_allclose(gg.singular_values(way, 3), expected, rtol=1e-5)


def test_fewer_than_asked_for():
    (projection,) = layered([3, 2]).projections
    assert_allclose(gg.singular_values(projection, 9), [np.sqrt(6), 0], atol=1e-7)


def test_bad_input():
    (projection,) = layered([3, 2]).projections
    with pytest.raises(gg.SelectionError, match="at least 1"):
        gg.singular_values(projection, 0)
    with pytest.raises(gg.SelectionError, match="no view"):
        gg.singular_values(projection, 1, "size")
    (broken,) = layered([3, 2], np.nan).projections
    with pytest.raises(gg.NonFiniteError, match="'p0' -> 'p1'"):
        gg.singular_values(broken)


def test_nan_is_refused_by_lanczos_too(monkeypatch):
    monkeypatch.setattr(lanczos, "DENSE", 0)
    (broken,) = layered([30, 20], np.nan).projections
    with pytest.raises(gg.NonFiniteError, match="NaN"):
        gg.singular_values(broken, 1)
