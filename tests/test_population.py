import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpugraph as gg
from gpugraph.population import strides

shapes = st.lists(st.integers(1, 4), max_size=5).map(tuple)


def population(shape=(2, 3), offset=10, **options):
    return gg.Population("p", tuple(shape), offset, "Made", **options)


@given(shapes, st.integers(0, 2**40))
def test_ids_are_in_c_order(shape, offset):
    p = population(shape, offset)
    ids = np.arange(p.size).reshape(shape) + offset
    for index in np.ndindex(*shape):
        assert p.node_id(index) == ids[index]
        assert p.index(int(ids[index])) == index
    assert list(p.ids) == ids.reshape(-1).tolist()
    assert (p.slice.start, p.slice.stop) == (p.ids.start, p.ids.stop)


@given(shapes.filter(bool))
def test_negative_indices_count_from_the_end(shape):
    p = population(shape)
    for index in np.ndindex(*shape):
        negative = [i - n for i, n in zip(index, shape, strict=True)]
        assert p.node_id(negative) == p.node_id(index)


@pytest.mark.parametrize("index", [(2, 0), (0, 3), (-3, 0), (0, -4), (), (0,), (0, 0, 0), 0])
def test_an_index_out_of_range_is_refused(index):
    with pytest.raises(gg.SelectionError, match=r"'p' has shape \(2, 3\): no node at index \("):
        population().node_id(index)


@pytest.mark.parametrize("index", [None, "ab", (0.5, 0), (0, "1"), (None, 0)])
def test_an_index_that_is_no_number_is_refused(index):
    with pytest.raises(gg.SelectionError, match=r"'p' has shape \(2, 3\): no node at index \("):
        population().node_id(index)


def test_repr_holds_no_arrays():
    p = population((5,), bias=np.zeros(5), attributes={"alpha": np.ones(5)}, members=np.arange(5))
    assert repr(p) == (
        "Population(name='p', shape=(5,), offset=10, layer='Made', depth=0, "
        "activation=Activation(name='linear', axes=()), reduce='sum', channels_first=False)"
    )


@pytest.mark.parametrize("index", [3, np.int64(3), (3,), [3], np.array([3])])
def test_an_index_along_one_dimension_may_be_a_number(index):
    node_id = population((5,), 7).node_id(index)
    assert node_id == 10
    assert isinstance(node_id, int)


def test_a_scalar_is_one_node():
    p = population((), 4)
    assert (p.size, p.node_id(()), p.index(4), p.positions(), p.axis_names) == (1, 4, (), (), ())


@pytest.mark.parametrize(
    ("rank", "channels_first", "names"),
    [
        (1, False, ("channel",)),
        (2, False, ("row", "channel")),
        (2, True, ("channel", "row")),
        (3, False, ("row", "column", "channel")),
        (3, True, ("channel", "row", "column")),
        (4, False, ("plane", "row", "column", "channel")),
        (4, True, ("channel", "plane", "row", "column")),
        (5, False, ("axis0", "plane", "row", "column", "channel")),
        (6, False, ("axis0", "axis1", "plane", "row", "column", "channel")),
        (6, True, ("channel", "axis0", "axis1", "plane", "row", "column")),
    ],
)
def test_axis_names(rank, channels_first, names):
    assert population([2] * rank, channels_first=channels_first).axis_names == names


@pytest.mark.parametrize(("start", "stop"), [(0, None), (2, 5), (5, 99), (3, 3), (6, 6)])
def test_positions_are_the_indices_of_a_range(start, stop):
    rows, columns = population((2, 3)).positions(start, stop)
    expected = list(np.ndindex(2, 3))[start:stop]
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == expected


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 1), (2, 3)])
def test_values_broadcast_to_one_per_node(shape):
    array = np.arange(np.prod(shape)).reshape(shape)
    expected = np.broadcast_to(array, (2, 3)).reshape(-1)
    np.testing.assert_array_equal(population().values(array), expected)


# A part of a tensor


def part():
    return population((2, 3), members=np.array([1, 3, 4]))


def test_a_part_numbers_only_its_members():
    p = part()
    assert (p.size, list(p.ids)) == (3, [10, 11, 12])
    assert [p.index(i) for i in p.ids] == [(0, 1), (1, 0), (1, 1)]
    assert [p.node_id(p.index(i)) for i in p.ids] == list(p.ids)
    assert p.node_id((-1, -2)) == 12


@pytest.mark.parametrize("index", [(0, 0), (0, 2), (1, 2), (-1, -1)])
def test_a_part_refuses_what_it_leaves_out(index):
    with pytest.raises(gg.SelectionError, match=r"'p' is not part of this subgraph"):
        part().node_id(index)


def test_a_part_has_positions_and_values_of_its_members():
    rows, columns = part().positions(1, 3)
    assert (rows.tolist(), columns.tolist()) == ([1, 1], [0, 1])
    assert part().values(np.arange(3)).tolist() == [1, 0, 1]


# Tensors


def test_a_tensor_is_the_same_nodes_in_another_shape():
    p = population((2, 3))
    tensor = gg.Tensor(p, (2, 3)).reshape((3, 1, 2))
    assert tensor.population is p
    assert (tensor.shape, tensor.strides) == ((3, 1, 2), (2, 2, 1))


@pytest.mark.parametrize("shape", [(5,), (2, 3, 2), ()])
def test_a_tensor_of_another_size_is_refused(shape):
    with pytest.raises(gg.ShapeError, match=r"\(2, 3\) cannot be seen as .*: sizes differ"):
        gg.Tensor(population(), (2, 3)).reshape(shape)


@given(shapes)
def test_strides_are_those_of_c_order(shape):
    array = np.zeros(shape, np.int8)
    expected = tuple(n if size else 0 for n, size in zip(array.strides, shape, strict=True))
    # numpy gives a dimension of one position any stride.
    for stride, n, size in zip(strides(shape), expected, shape, strict=True):
        assert size == 1 or stride == n
