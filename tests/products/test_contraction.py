from unittest import mock

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

import gpugraph as gg
from gpugraph import views
from gpugraph.population import Population
from gpugraph.products import contraction, strength
from tests.models import randomise
from tests.strategies import any_projection

VIEWS = ["weight", "magnitude", "positive", "negative"]


def dense(projection, weight):
    """Return the projection's matrix by making its edges."""
    src, dst, w = projection.edges()
    w = w.astype(np.float64)
    view = {"weight": w, "magnitude": abs(w), "positive": w.clip(0), "negative": (-w).clip(0)}
    matrix = np.zeros((projection.source.size, projection.target.size))
    ends = (src - projection.source.offset, dst - projection.target.offset)
    np.add.at(matrix, ends, view[weight])
    return matrix


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    """Cut everything into blocks that tests reach."""
    monkeypatch.setattr(contraction, "LARGE_KERNEL", 0)
    monkeypatch.setattr(contraction, "BLOCK_WEIGHTS", 3)
    monkeypatch.setattr(strength, "BLOCK_WEIGHTS", 3)
    monkeypatch.setattr(views, "BLOCK_WEIGHTS", 3)
    monkeypatch.setattr(contraction, "GATHERED_BYTES", 40)
    monkeypatch.setattr(contraction, "SUMMED_VALUES", 4)


@given(
    any_projection(),
    st.sampled_from(VIEWS),
    st.sampled_from([0, 1000]),
    st.sampled_from([0, 10**6]),
    st.booleans(),
)
def test_blocks_and_cores_change_nothing(projection, weight, few_weights, own_sums, backward):
    x = np.random.default_rng(0).standard_normal((2, projection.source.size))
    expected = dense(projection, weight)
    if backward:
        x = np.random.default_rng(0).standard_normal((2, projection.target.size))
        projection, expected = projection.transposed, expected.T
    with (
        mock.patch.object(contraction, "FEW_WEIGHTS", few_weights),
        mock.patch.object(contraction, "OWN_SUMS", own_sums),
    ):
        got = projection.apply(x, weight)
    np.testing.assert_allclose(got, x @ expected, atol=1e-5)
    np.testing.assert_allclose(projection.in_strength(weight), expected.sum(0), atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Conv2D(4, 3, strides=2, padding="same"), (7, 6, 3)),
        (layers.Conv2D(4, 2, dilation_rate=2), (7, 6, 3)),
        (layers.Conv2D(4, 3, groups=2), (5, 5, 4)),
        (layers.Conv2DTranspose(3, 4, strides=3, padding="same"), (4, 3, 2)),
        (layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), (5, 4, 3)),
        (layers.Conv3D(2, 2, strides=2), (4, 4, 4, 2)),
        (layers.Dense(7), (3, 5)),
        (layers.BatchNormalization(), (4, 3)),
    ],
    ids=lambda value: getattr(value, "name", None),
)
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_layers_in_blocks(layer, shape, backward, rows):
    graph = gg.from_keras(randomise(keras.Sequential([keras.Input(shape), layer])))
    (projection,) = graph.projections
    assert projection.pieces is not None
    matrix = dense(projection, "weight")
    if backward:
        projection, matrix = projection.transposed, matrix.T
        assert projection.pieces is not None
    x = np.random.default_rng(0).standard_normal((rows, projection.source.size))
    np.testing.assert_allclose(projection.apply(x), x @ matrix, atol=1e-5)


def test_sums_are_added_to_what_is_there():
    graph = gg.from_keras(keras.Sequential([keras.Input((6, 6, 2)), layers.Conv2D(3, 3)]))
    (projection,) = graph.projections
    everything = np.ones((2, graph.n_nodes))
    x = np.random.default_rng(0).standard_normal((2, projection.source.size))
    out = projection.apply(x, out=everything[:, projection.target.slice])
    np.testing.assert_allclose(out, 1 + projection.apply(x), atol=1e-6)
    assert np.shares_memory(out, everything)
    assert (everything[:, projection.source.slice] == 1).all()


def test_taps_without_a_common_step_keep_their_own_weights():
    axis = gg.pairs([0, 1, 2], [0, 0, 0], [0, 2, 5], 3, 1, 6).place(1, 1, 1)
    ends = Population("a", (3,), 0, "A"), Population("b", (1,), 3, "B")
    projection = gg.Projection(*ends, (axis,), np.arange(1.0, 7), "weight")
    np.testing.assert_array_equal(projection.apply(np.eye(3)), [[1], [3], [6]])


@pytest.mark.parametrize("last", ["window", "fan_out"])
def test_one_source_for_a_fan_out_without_weights_of_its_own(last):
    """Cut among its targets, of which each reads the same source."""
    window, fan_out = gg.window(6, 4, 3), gg.fan_out(5)
    axes = (window.place(1, 5, 1), fan_out.place(0, 1))
    if last == "window":
        axes = (fan_out.place(0, 4), window.place(1, 1, 1))
    ends = Population("a", (6,), 0, "A"), Population("b", (20,), 6, "B")
    projection = gg.Projection(*ends, axes, np.arange(1.0, 4), "weight")
    expected = dense(projection, "weight")
    np.testing.assert_allclose(projection.apply(np.eye(6)), expected)
