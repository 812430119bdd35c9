import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpugraph as gg
from gpugraph.axes import fan_in, fan_out, one_to_one, pairs, window
from tests.reference import window_pairs
from tests.strategies import any_axis

COLUMNS = ("src", "dst", "tap")


def triples(axis):
    return list(zip(axis.src.tolist(), axis.dst.tolist(), axis.tap.tolist(), strict=True))


@given(
    n=st.integers(1, 12),
    size=st.integers(1, 5),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
    padding=st.sampled_from(["valid", "same", "causal"]),
)
def test_window_against_loops(n, size, stride, dilation, padding):
    expected = list(window_pairs(n, size, stride, dilation, padding))
    n_dst = 1 + max((output for _, output, _ in expected), default=-1)
    reach = (size - 1) * dilation + 1
    before = {"valid": 0, "causal": reach - 1}
    before["same"] = max((-(-n // stride) - 1) * stride + reach - n, 0) // 2
    axis = window(n, n_dst, size, stride, dilation, before[padding])
    assert triples(axis) == sorted(expected)
    assert (axis.n_src, axis.n_dst, axis.n_tap) == (n, n_dst, size)


def test_window_that_starts_inside_crops():
    assert triples(window(5, 3, before=-1)) == [(1, 0, 0), (2, 1, 0), (3, 2, 0)]


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        (fan_in(3), [(0, 0, 0), (1, 0, 1), (2, 0, 2)]),
        (fan_out(3), [(0, 0, 0), (0, 1, 1), (0, 2, 2)]),
        (one_to_one(3), [(0, 0, 0), (1, 1, 1), (2, 2, 2)]),
    ],
)
def test_plain_axes(axis, expected):
    assert triples(axis) == expected


@given(any_axis())
def test_pairs_are_sorted_and_in_range(axis):
    assert triples(axis) == sorted(triples(axis))
    for column in COLUMNS:
        values = getattr(axis, column)
        assert values.size == 0 or 0 <= values.min() <= values.max() < getattr(axis, f"n_{column}")


@given(any_axis())
def test_transposed_turns_every_pair_round(axis):
    turned = [(dst, src, tap) for src, dst, tap in triples(axis.place(2, 3, 5))]
    transposed = axis.place(2, 3, 5).transposed
    assert sorted(triples(transposed)) == sorted(turned)
    assert (transposed.src_stride, transposed.dst_stride, transposed.tap_stride) == (3, 2, 5)
    order = list(zip(transposed.src.tolist(), transposed.dst.tolist(), strict=True))
    assert order == sorted(order)


@given(any_axis())
def test_transposed_twice_is_the_identity(axis):
    twice = axis.place(2, 3, 5).transposed.transposed
    assert twice.kind == axis.kind
    assert (twice.n_src, twice.n_dst, twice.n_tap) == (axis.n_src, axis.n_dst, axis.n_tap)
    assert (twice.src_stride, twice.dst_stride, twice.tap_stride) == (2, 3, 5)
    assert triples(twice) == triples(axis)
    if axis.gain is not None:
        assert twice.gain.tolist() == axis.gain.tolist()


@given(any_axis())
def test_runs_partition_the_pairs(axis):
    covered = [i for run in axis.runs for i in range(len(axis))[run.pairs]]
    assert covered == list(range(len(axis)))
    assert sorted(triples(axis.by_tap)) == triples(axis)


@given(any_axis())
def test_slices_of_runs_reach_the_pairs(axis):
    for run in axis.runs:
        src = np.arange(axis.n_src)[run.src]
        dst = np.arange(axis.n_dst)[run.dst]
        n = len(axis.by_tap.src[run.pairs])
        assert {len(src), len(dst)} <= {1, n}
        assert np.broadcast_to(src, n).tolist() == axis.by_tap.src[run.pairs].tolist()
        assert np.broadcast_to(dst, n).tolist() == axis.by_tap.dst[run.pairs].tolist()
        assert set(axis.by_tap.tap[run.pairs].tolist()) == {run.tap}


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_window_has_one_run_per_tap(stride):
    axis = window(30, 30 // stride, size=3, stride=stride, before=1)
    assert [run.tap for run in axis.runs] == [0, 1, 2]


@pytest.mark.parametrize("times", [1, 2, 5])
def test_copies_have_one_run_per_copy(times):
    dst = np.arange(10 * times)
    axis = pairs(dst // times, dst, dst % times, 10, 10 * times, times)
    assert len(axis.runs) == times


@given(any_axis(), st.data())
def test_take_keeps_the_chosen_pairs(axis, data):
    n = len(axis)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
    chosen = axis.take(mask)
    assert triples(chosen) == [t for t, keep in zip(triples(axis), mask, strict=True) if keep]
    assert chosen.n_src == axis.n_src


@pytest.mark.parametrize(
    ("src", "dst", "tap", "what"),
    [
        ([0, 3], [0, 0], [0, 0], r"source position 0\.\.3 of 3"),
        ([0], [2], [0], r"target position 2\.\.2 of 2"),
        ([0], [0], [-1], r"tap position -1\.\.-1 of 1"),
    ],
)
def test_pairs_out_of_range_are_refused(src, dst, tap, what):
    with pytest.raises(gg.ShapeError, match=what):
        pairs(src, dst, tap, n_src=3, n_dst=2, n_tap=1)


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("before", [-1, 0, 2])
@pytest.mark.parametrize("turned", [False, True])
def test_windows_fall_into_parts_on_grids(size, stride, dilation, before, turned):
    axis = window(11, 4, size, stride, dilation, before)
    axis = axis.transposed if turned else axis
    assert len(axis)
    found = []
    for part in axis.parts:
        dst, tap = np.arange(axis.n_dst)[part.dst], np.arange(axis.n_tap)[part.tap]
        assert (len(dst), len(tap)) == (part.axis.n_dst, part.axis.n_tap)
        positions = part.axis.grid.positions(len(dst), len(tap))
        for i, j in np.argwhere((positions >= 0) & (positions < axis.n_src)):
            found.append((positions[i, j], dst[i], tap[j]))
    assert sorted(found) == sorted(zip(axis.src, axis.dst, axis.tap, strict=True))


def test_pairs_that_follow_no_rule_have_no_parts():
    src = np.random.default_rng(0).permutation(20)
    assert pairs(src, np.arange(20), np.zeros(20), 20, 20, 1).parts is None


@given(any_axis())
def test_a_grid_has_exactly_the_pairs(axis):
    if axis.grid is None:
        return
    positions = axis.grid.positions(axis.n_dst, axis.n_tap)
    assert positions.shape == (axis.n_dst, axis.n_tap)
    inside = np.argwhere((positions >= 0) & (positions < axis.n_src)).tolist()
    assert sorted((positions[dst, tap], dst, tap) for dst, tap in inside) == triples(axis)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("before", [-1, 0, 2])
def test_the_grid_of_a_window_are_its_steps(stride, dilation, before):
    assert window(15, 4, 3, stride, dilation, before).grid == (stride, dilation, -before)


@pytest.mark.parametrize(
    "change",
    [
        lambda src, dst, tap: (src[1:], dst[1:], tap[1:]),
        lambda src, dst, tap: ([*src, src[0]], [*dst, dst[0]], [*tap, tap[0]]),
        lambda src, dst, tap: ([src[0] + 1, *src[1:]], dst, tap),
        lambda src, dst, tap: (src, dst, [1 - tap[0], *tap[1:]]),
        lambda src, dst, tap: ([], [], []),
    ],
    ids=["missing", "twice", "shifted", "other tap", "none"],
)
def test_pairs_that_follow_no_rule_have_no_grid(change):
    regular = window(6, 5, 2)
    columns = (getattr(regular, name).tolist() for name in COLUMNS)
    assert regular.grid is not None
    assert pairs(*change(*columns), 6, 5, 2).grid is None
