from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers
from numpy.testing import assert_array_equal

import gpugraph as gg
from gpugraph import edge_maker as making
from gpugraph.population import Population
from tests.jacobian import single
from tests.strategies import any_projection

# Longest row, shortest row, cached weights: as shipped, and so small that every path is taken.
LIMITS = [(2**16, 2**9, 2**23), (64, 16, 2**23), (64, 16, 100), (8, 2, 1), (1, 1, 0)]

LAYERS = {
    "dense": (layers.Dense(5), (3, 4)),
    "in_order": (layers.Conv2D(4, 3, strides=2), (7, 7, 3)),
    "groups": (layers.Conv1D(6, 3, groups=3, padding="same"), (5, 6)),
    "first": (layers.Conv2D(3, 2, data_format="channels_first"), (2, 4, 5)),
    "transposed": (layers.Conv2DTranspose(3, 2, strides=2), (3, 3, 2)),
    "depthwise": (layers.DepthwiseConv2D(3, depth_multiplier=2), (4, 5, 2)),
    "gains": (layers.AveragePooling2D(3, strides=1, padding="same"), (4, 5, 3)),
    "copies": (layers.Permute((3, 1, 2)), (3, 4, 5)),
    "scalar": (layers.GlobalAveragePooling2D(), (4, 5, 3)),
}


@contextmanager
def limited(row_edges, short_row, cached_weights):
    """Make rows of other lengths (hypothesis does not mix with function-scoped fixtures)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "ROW_EDGES", row_edges)
        patch.setattr(making, "SHORT_ROW", short_row)
        patch.setattr(making, "CACHED_WEIGHTS", cached_weights)
        yield


def by_loops(projection):
    """Every edge as the class describes it, one at a time: the last axis fastest."""
    rows = []
    for at in np.ndindex(*(len(axis) for axis in projection.axes)):
        src, dst, tap, gain = projection.source.offset, projection.target.offset, 0, 1.0
        for axis, i in zip(projection.axes, at, strict=True):
            src += axis.src[i] * axis.src_stride
            dst += axis.dst[i] * axis.dst_stride
            tap += axis.tap[i] * axis.tap_stride
            gain *= 1.0 if axis.gain is None else axis.gain[i]
        weight = gain if projection.kernel is None else projection.kernel[tap] * gain
        if projection.source_factor is not None:
            weight *= projection.source_factor[src - projection.source.offset]
        if projection.target_factor is not None:
            weight *= projection.target_factor[dst - projection.target.offset]
        rows.append((src, dst, weight, -1 if projection.kernel is None else tap))
    return np.array(rows).reshape(-1, 4).T


def assert_is(edges, expected):
    src, dst, weight, parameter = expected
    assert_array_equal(edges.src, src)
    assert_array_equal(edges.dst, dst)
    np.testing.assert_allclose(edges.weight, weight, rtol=1e-6)
    assert_array_equal(edges.parameter, parameter)


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_edges_against_loops(name, limits):
    (projection,) = gg.from_keras(single(*LAYERS[name])).projections
    with limited(*limits):
        assert_is(projection.edges(), by_loops(projection))


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@given(projection=any_projection())
def test_edges_of_any_projection_against_loops(projection, limits):
    with limited(*limits):
        assert_is(projection.edges(), by_loops(projection))


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("name", LAYERS)
@given(data=st.data())
def test_any_range_is_the_slice_of_the_whole(name, limits, data):
    (projection,) = gg.from_keras(single(*LAYERS[name])).projections
    n = projection.n_edges
    whole, tap = [*projection.edges(), projection.parameter(0, n)], projection.tap(0, n)
    start = data.draw(st.integers(0, n))
    stop = data.draw(st.integers(start, n))
    with limited(*limits):
        part = projection.edges(start, stop)
        assert len(part) == stop - start
        assert_is(part, [column[start:stop] for column in whole])
        assert_array_equal(part.tap, tap[start:stop])


def test_a_range_may_end_beyond_the_last_edge():
    (projection,) = gg.from_keras(single(layers.Dense(4), (3,))).projections
    assert len(projection.edges(10, 99)) == 2
    assert len(projection.edges(99, 200)) == 0


def test_edges_unpack_as_three_columns():
    (projection,) = gg.from_keras(single(layers.Dense(2), (1,))).projections
    src, dst, weight = projection.edges()
    assert src.tolist() == [0, 0]
    assert dst.tolist() == [1, 2]
    assert_array_equal(weight, projection.kernel)
    assert projection.edges().kind == "weight"


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_ids_are_of_the_type_asked_for(dtype):
    (projection,) = gg.from_keras(single(layers.Conv1D(2, 3), (9, 2))).projections
    src, dst, weight = projection.edges(dtype=np.dtype(dtype))
    assert (src.dtype, dst.dtype, weight.dtype) == (dtype, dtype, np.float32)


@pytest.mark.parametrize("offset", [2**31 - 5, 2**31 - 4, 2**40])
def test_ids_beyond_int32(offset):
    source, target = Population("a", (2,), offset, "A"), Population("b", (2,), offset + 2, "B")
    axes = (gg.one_to_one(2).place(1, 1),)
    edges = gg.Projection(source, target, axes, None, "copy").edges()
    assert edges.src.dtype == (np.int32 if offset + 4 < 2**31 else np.int64)
    assert edges.src.tolist() == [offset, offset + 1]
    assert edges.dst.tolist() == [offset + 2, offset + 3]


def test_float64_kernels_give_float64_weights():
    (projection,) = gg.from_keras(single(layers.Dense(2, dtype="float64"), (3,))).projections
    weight = projection.edges().weight
    assert weight.dtype == np.float64
    assert_array_equal(weight, projection.kernel)


def test_edges_can_be_written_to_given_columns():
    (projection,) = gg.from_keras(single(layers.Dense(2), (3,))).projections
    out = [np.empty(4, np.int64), np.empty(4, np.int64), np.empty(4, np.float32)]
    projection.edges(1, 5, dtype=np.dtype(np.int64), out=out)
    for column, expected in zip(out, projection.edges(1, 5), strict=True):
        assert_array_equal(column, expected)


@pytest.mark.parametrize("chunk_edges", [1, 7, 64, 10**6])
def test_chunks_put_together_are_the_whole(chunk_edges):
    graph = gg.from_keras(single(layers.SeparableConv2D(3, 2), (4, 4, 2)))
    whole = [np.concatenate(c) for c in zip(*[p.edges() for p in graph.projections], strict=True)]
    chunks = list(graph.edges(chunk_edges=chunk_edges, device="cpu"))  # all are kept
    assert max(map(len, chunks)) <= chunk_edges
    assert sum(map(len, chunks)) == graph.n_edges
    for column, expected in zip(zip(*chunks, strict=True), whole, strict=True):
        assert_array_equal(np.concatenate(column), expected)


def test_a_kept_column_is_not_written_again():
    graph = gg.from_keras(single(layers.Dense(50), (50,)))
    kept = [edges.dst[::2] for edges in graph.edges(chunk_edges=100, device="cpu")]
    expected = graph.projections[0].edges().dst.reshape(-1, 100)[:, ::2]
    assert_array_equal(np.stack(kept), expected)


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_weights_in_a_column_of_another_precision(name, limits):
    (projection,) = gg.from_keras(single(*LAYERS[name])).projections
    n = projection.n_edges
    out = [np.empty(n, dtype) for dtype in (np.int32, np.int32, np.float64)]
    with limited(*limits):
        projection.edges(out=out)
    np.testing.assert_allclose(out[2], projection.edges().weight, rtol=1e-6)
