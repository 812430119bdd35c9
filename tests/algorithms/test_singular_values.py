"""Singular values against numpy's of the dense matrix."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers
from numpy.testing import assert_allclose

import gpugraph as gg
from gpugraph.algorithms import singular_values as lanczos
from tests.algorithms.graphs import graph_of, layered, with_nan
from tests.models import EVERY_KIND, cnn, lenet, randomise
from tests.products.test_contraction import VIEWS, dense
from tests.strategies import any_projection

views = pytest.mark.parametrize("view", VIEWS)


def expected(projection, view, k):
    return np.linalg.svd(dense(projection, view), compute_uv=False)[:k]


@pytest.fixture
def _by_lanczos(monkeypatch):
    monkeypatch.setattr(lanczos, "DENSE", 0)


@given(any_projection(), st.sampled_from(VIEWS), st.integers(1, 5))
def test_any_projection(projection, view, k):
    found = gg.singular_values(projection, k, view)
    wanted = expected(projection, view, k)
    assert found.shape == wanted.shape
    assert_allclose(found, wanted, atol=1e-5 * max(wanted.max(initial=0), 1))


@pytest.mark.usefixtures("_by_lanczos")
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", [*EVERY_KIND, lenet])
def test_models_by_lanczos(kind, turned):
    for projection in graph_of(kind).projections:
        if max(projection.source.size, projection.target.size) > 1000:
            continue
        way = projection.transposed if turned else projection
        assert_allclose(gg.singular_values(way, 3), expected(projection, "weight", 3), rtol=1e-5)


@views
@pytest.mark.parametrize("most", [0, 2**10, 2**20])
@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(5, 1),
        layers.Conv2D(4, 1, strides=2),
        layers.Conv2D(4, 3, groups=2, padding="same"),
        layers.Conv2DTranspose(3, 2, strides=2),
        layers.DepthwiseConv2D(3, padding="same"),
        layers.Dense(5),
        layers.EinsumDense("abcd,bde->abce", output_shape=(6, 7, 3)),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(3, strides=2, padding="same"),
        layers.AveragePooling2D(3, padding="same"),
        layers.GlobalAveragePooling2D(),
        layers.UpSampling2D(2, interpolation="bilinear"),
        layers.UpSampling2D(2, interpolation="bicubic"),
        layers.ZeroPadding2D(1),
        layers.Permute((3, 1, 2)),
        layers.Rescaling(-0.5),
    ],
)
def test_values_that_occur_at_every_position(layer, most, view, monkeypatch):
    monkeypatch.setattr(lanczos, "DENSE", most)
    x = keras.Input((6, 7, 4))
    model = randomise(keras.Model(x, layer(x)))
    (projection,) = gg.from_keras(model).projections
    found, wanted = gg.singular_values(projection, 8, view), expected(projection, view, 8)
    assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("_by_lanczos")
def test_a_vector_that_equal_values_have_nothing_of():
    (projection,) = layered([40, 30]).projections
    signs = np.where(np.arange(40) % 2, 1.0, -1.0)
    projection.kernel[...] = np.outer(signs, np.ones(30)).reshape(-1)
    assert_allclose(gg.singular_values(projection, 2), [np.sqrt(1200), 0], atol=1e-5)


@views
def test_a_projection_given_an_input(view):
    graph = graph_of(cnn).given(np.random.default_rng(0).random((1, 8, 8, 2)))
    for projection in graph.projections:
        found = gg.singular_values(projection, 4, view)
        assert_allclose(found, expected(projection, view, 4), rtol=1e-5, atol=1e-6)


@views
def test_edges_picked_one_by_one(view):
    for projection in graph_of(cnn).threshold(0.2).projections:
        found = gg.singular_values(projection, 4, view)
        assert_allclose(found, expected(projection, view, 4), rtol=1e-5, atol=1e-6)


def test_fewer_than_asked_for():
    (projection,) = layered([3, 2]).projections
    assert_allclose(gg.singular_values(projection, 9), [np.sqrt(6), 0], atol=1e-7)
    (single,) = layered([1, 1], -2.0).projections
    assert gg.singular_values(single).tolist() == [2.0]


def test_bad_input():
    (projection,) = layered([3, 2]).projections
    with pytest.raises(gg.SelectionError, match="at least 1"):
        gg.singular_values(projection, 0)
    with pytest.raises(gg.SelectionError, match="no view"):
        gg.singular_values(projection, 1, "size")


def test_nan_is_refused():
    with pytest.raises(gg.NonFiniteError, match="'hidden' -> 'dense'"):
        gg.singular_values(with_nan().projections[-1])
    with pytest.raises(gg.NonFiniteError, match="'p0' -> 'p1'"):
        gg.singular_values(layered([1, 1], np.nan).projections[0])


@pytest.mark.usefixtures("_by_lanczos")
def test_nan_is_refused_by_lanczos_too():
    (broken,) = layered([30, 20], np.nan).projections
    with pytest.raises(gg.NonFiniteError, match="NaN"):
        gg.singular_values(broken, 1)


@pytest.mark.usefixtures("_by_lanczos")
def test_a_tolerance_out_of_reach(monkeypatch):
    from scipy.sparse import linalg

    def give_up(*args, **kwargs):
        raise linalg.ArpackNoConvergence("no", np.zeros(0), np.zeros(0))

    monkeypatch.setattr(linalg, "eigsh", give_up)
    with pytest.raises(gg.ConvergenceError, match="Pass a larger tol"):
        gg.singular_values(layered([30, 20]).projections[0], 1)
