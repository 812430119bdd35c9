from itertools import product
from math import prod

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gpugraph.layers.index_map import index_axes

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, max_side=4)


def edges_of(axes):
    """Return the (source, target) pairs of an outer product of axes, as a sorted list."""
    ends = [
        [(s * a.src_stride, d * a.dst_stride) for s, d in zip(a.src, a.dst, strict=True)]
        for a in axes
    ]
    return sorted((sum(s for s, _ in pair), sum(d for _, d in pair)) for pair in product(*ends))


def expected_of(origin):
    return sorted((s, d) for d, s in enumerate(origin.ravel().tolist()) if s >= 0)


@given(data=st.data())
def test_any_index_map(data):
    shape, target = data.draw(SHAPES), data.draw(SHAPES)
    origin = data.draw(hnp.arrays(np.int64, target, elements=st.integers(-1, prod(shape) - 1)))
    origin.flat[0] = max(origin.flat[0], 0)
    assert edges_of(index_axes(origin, shape)) == expected_of(origin)


@given(data=st.data())
def test_maps_of_one_dimension_each_take_an_axis_each(data):
    shape = data.draw(SHAPES)
    sizes = [data.draw(st.integers(1, 5)) for _ in shape]
    maps = [
        data.draw(hnp.arrays(np.int64, size, elements=st.integers(-1, n - 1)))
        for size, n in zip(sizes, shape, strict=True)
    ]
    for positions in maps:
        positions[0] = max(positions[0], 0)
    order = data.draw(st.permutations(range(len(shape))))
    grids = np.meshgrid(*maps, indexing="ij")
    inside = np.all([grid >= 0 for grid in grids], axis=0)
    flat = np.ravel_multi_index([np.maximum(grid, 0) for grid in grids], shape)
    origin = np.where(inside, flat, -1).transpose(order)
    axes = index_axes(origin, shape)
    assert edges_of(axes) == expected_of(origin)
    assert sum(len(axis) for axis in axes) <= sum(sizes) + len(shape)
    # Positions lie within the source, each of them in one place: views of it do not overlap.
    steps = [range(axis.n_src) for axis in axes]
    places = [
        sum(i * axis.src_stride for i, axis in zip(at, axes, strict=True)) for at in product(*steps)
    ]
    seen = [axis for axis in axes if axis.src_stride]
    assert max(places) < prod(shape)
    assert len(set(places)) == prod(axis.n_src for axis in seen)


def test_a_position_that_stands_still_takes_an_axis_of_one_pair():
    origin = np.arange(24).reshape(2, 3, 4)[:, 1, 3]
    axes = index_axes(origin, (2, 3, 4))
    assert [len(axis) for axis in axes] == [2, 1, 1]
    assert edges_of(axes) == [(7, 0), (19, 1)]


def test_a_source_without_a_dimension_is_one_position():
    assert edges_of(index_axes(np.array([-1, 0, 0]), ())) == [(0, 1), (0, 2)]
