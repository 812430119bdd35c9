"""One number per node: by population, by id, flat, ranked, as tables and as files."""

import pickle
import sys
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

import gpugraph as gg
from gpugraph import node_values
from gpugraph.export import files, tables
from gpugraph.node_values import NodeValues, RankedNode
from tests.algorithms.graphs import graph_of, layered, single_node, two_branches
from tests.models import several_outputs


def values_of(graph, dtype=np.float64, exponents=None):
    return NodeValues(graph, np.arange(graph.n_nodes).astype(dtype), "rank", exponents)


@pytest.fixture
def values():
    return values_of(graph_of(several_outputs))


@pytest.fixture
def large():
    """Values of which one population is in the range of floats, one above it, one below."""
    exponents = {"p0": 10, "p1": 2000, "p2": -2000}
    return NodeValues(layered([2, 2, 1]), np.array([1.0, 3, 5, 0, 7]), "large", exponents)


# By population, by node, flat


def test_by_population_in_its_shape(values):
    assert_array_equal(values["image"], np.arange(72).reshape(6, 6, 2))
    assert_array_equal(values["vector"].shape, (5,))
    assert values["label"].ravel()[-1] == values[values.graph.node_id("label", 3)]


def test_by_node(values):
    for key in (17, np.int32(17), np.int64(17), np.uint8(17), np.array(17)):
        assert values[key] == 17
        assert type(values[key]) is float


@pytest.mark.parametrize(
    ("dtype", "kind"), [(np.int64, int), (bool, bool), (np.float32, float), (np.int8, int)]
)
def test_numbers_are_pythons_own(dtype, kind):
    values = values_of(two_branches(), dtype)
    assert type(values[1]) is kind
    assert {type(value) for value in dict(values).values()} == {kind}


def test_parts_are_flat(values):
    node = values.graph.node_id("features", (1, 1, 0))
    part = values.graph.ancestors(node)
    assert values_of(part)["image"].shape == (part.populations["image"].size,)
    assert values_of(part)["features"].tolist() == [part.n_nodes - 1]


@pytest.mark.parametrize(
    ("key", "match"),
    [
        (-1, "no node -1"),
        (156, "no node 156: ids are 0 to 155"),
        (1.0, r"no node 1\.0"),
        (None, "no node None"),
        ((0, 1), "no node"),
        (slice(3), "no node"),
        ("nowhere", "no population 'nowhere'"),
    ],
)
def test_wrong_keys_are_key_errors(values, key, match):
    with pytest.raises(gg.SelectionError, match=match):
        values[key]
    with pytest.raises(KeyError):
        values[key]
    assert key not in values
    assert values.get(key, "none") == "none"


def test_it_is_a_mapping_from_ids(values):
    assert isinstance(values, Mapping)
    assert len(values) == 156
    assert list(values) == list(values.keys()) == list(range(156))
    assert list(values.values()) == list(range(156))
    assert list(values.items())[3] == (3, 3.0)
    assert dict(values) == {node: float(node) for node in range(156)}
    assert 155 in values
    assert np.int64(0) in values
    assert "vector" in values
    assert values.get(3) == 3


def test_equality(values):
    same = values_of(values.graph)
    assert values == same
    assert values == dict(values)
    assert dict(values) == values
    assert values != values_of(two_branches())
    other = NodeValues(values.graph, np.arange(156.0) + (np.arange(156) == 7), "rank")
    assert values != other
    assert values != {**dict(values), 3: 4.0}
    assert values != 3
    with pytest.raises(TypeError, match="unhashable"):
        hash(values)


def test_equality_beyond_floats(large):
    again = NodeValues(large.graph, large.array.copy(), "again", large.exponents)
    assert large == again
    assert large != NodeValues(large.graph, large.array + 1, "other", large.exponents)


def test_of_the_wrong_shape_are_refused():
    with pytest.raises(gg.ShapeError, match=r"'one' has 1 nodes: .* shape \(2,\)"):
        NodeValues(single_node(), np.zeros(2), "x")
    with pytest.raises(gg.ShapeError, match=r"\(1, 1\)"):
        NodeValues(single_node(), np.zeros((1, 1)), "x")


def test_repr(values):
    assert repr(values) == "NodeValues('rank' of 156 nodes of 'several')"


def test_as_an_array(values):
    assert np.asarray(values) is values.array
    assert np.shares_memory(np.asarray(values, copy=False), values.array)
    assert not np.shares_memory(np.array(values), values.array)
    assert not np.shares_memory(np.array(values, copy=True), values.array)
    assert np.asarray(values, np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="copy"):
        np.asarray(values, np.float32, copy=False)
    assert_allclose(np.log1p(values).sum(), np.log1p(np.arange(156)).sum())


def test_pickles(values, large):
    for before in (values, large):
        after = pickle.loads(pickle.dumps(before))
        assert after == before
        assert (after.name, after.exponents) == (before.name, before.exponents)


# Beyond the range of floats


def test_populations_in_range_are_read_where_others_are_not(large):
    assert_array_equal(large["p0"], [1024, 3072])
    assert (large[0], large[1]) == (1024, 3072)
    for key, power in (("p1", 603), (2, 603), (3, 603), ("p2", -601), (4, -601)):
        with pytest.raises(gg.RangeError, match=rf"'large' go to about 10\^{power} in .*log10\(\)"):
            large[key]
    for read in (np.asarray, dict, NodeValues.to_arrow):
        with pytest.raises(gg.RangeError):
            read(large)
    assert 2 in large
    assert len(large) == 5


def test_logarithms(large):
    logs = large.log10()
    assert (logs.name, logs.exponents) == ("log10_large", None)
    expected = [np.log10(1024), np.log10(3072), np.log10(5) + 2000 * np.log10(2), -np.inf]
    assert_allclose(logs, [*expected, np.log10(7) - 2000 * np.log10(2)])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, bool])
def test_logarithms_of_plain_values(dtype):
    logs = values_of(layered([2, 3]), dtype).log10()
    expected = np.log10([np.nan, 1, *([1] * 3 if dtype is bool else [2, 3, 4])])
    assert_allclose(logs, np.nan_to_num(expected, nan=-np.inf), 1e-12)


def test_logarithms_below_zero_are_no_numbers():
    logs = NodeValues(layered([2, 1]), np.array([-1.0, 0, 10]), "x").log10()
    assert_array_equal(logs, [np.nan, -np.inf, 1])


def test_single_precision_is_read_in_double():
    graph = layered([1, 1])
    values = NodeValues(graph, np.ones(2, np.float32), "x", {"p0": 200, "p1": -200})
    assert_array_equal(values, [2.0**200, 2.0**-200])
    assert values.to_arrow()["x"].to_pylist() == [2.0**200, 2.0**-200]


# Rankings


def slow_top(array, k):
    """Sort all: NaN last, then the largest, then the smallest id."""
    order = sorted(range(len(array)), key=lambda i: (np.isnan(array[i]), -array[i].item(), i))
    return order[:k]


arrays = hnp.arrays(st.sampled_from([np.float64, np.float32, np.int64, bool]), st.integers(1, 40))
few = st.sampled_from([0.0, 1.0, -1.0, 2.5, np.nan, np.inf, -np.inf])


@pytest.mark.parametrize("block", [1, 4, 2**18])
@given(
    array=st.one_of(hnp.arrays(np.float64, st.integers(1, 40), elements=few), arrays),
    k=st.integers(0, 45),
)
def test_top_against_sorting(block, array, k):
    graph = layered([len(array)])
    before, node_values.BLOCK_VALUES = node_values.BLOCK_VALUES, block
    try:
        got = NodeValues(graph, array, "x").top(k)
    finally:
        node_values.BLOCK_VALUES = before
    assert [ranked.node for ranked in got] == slow_top(array, k)
    assert_array_equal([ranked.value for ranked in got], array[slow_top(array, k)])


def test_top_says_where_nodes_stand(values):
    first, *_ = values.top(1)
    assert first == RankedNode(155, "label", (3,), 155.0)
    assert str(first) == "label[3] 155"
    nodes = [values.graph.node_id(r.population, r.index) for r in values.top(100)]
    assert nodes == [r.node for r in values.top(100)] == list(range(155, 55, -1))
    assert len(values.top()) == 10


def test_top_of_none_and_of_more_than_there_are(values):
    assert values.top(0) == []
    assert len(values.top(1000)) == 156
    assert len(values.top(np.int64(3))) == 3


@pytest.mark.parametrize("k", [-1, 2.5, "3"])
def test_wrong_k_is_refused(values, k):
    with pytest.raises(gg.SelectionError, match=f"k must be .* not {k!r}"):
        values.top(k)


def test_top_beyond_floats(large):
    with pytest.raises(gg.RangeError, match=r"log10\(\)"):
        large.top(1)
    assert [ranked.node for ranked in large.log10().top(5)] == [2, 1, 0, 4, 3]


def test_top_is_in_range_where_only_small_values_are_not():
    graph = layered([2, 2, 1])
    exponents = {"p0": 0, "p1": -2000, "p2": 3}
    values = NodeValues(graph, np.array([1.0, -3, 5, 0, 7]), "x", exponents)
    assert [(r.node, r.value) for r in values.top(2)] == [(4, 56), (0, 1)]
    with pytest.raises(gg.RangeError):
        values.top(3)


# Tables


def test_as_a_table(values):
    table = values.to_arrow()
    assert table.column_names == [
        *("id", "population", "layer", "row", "column", "channel", "rank"),
    ]
    assert table["id"].to_pylist() == list(values)
    assert table["rank"].to_pylist() == list(values.values())
    assert table["rank"].type == pa.float64()
    for row in (table.slice(7, 1).to_pylist()[0], table.slice(150, 1).to_pylist()[0]):
        index = [row[name] for name in ("row", "column", "channel") if row[name] is not None]
        assert values.graph.node_id(row["population"], index) == row["id"]
        layer = values.graph.populations[row["population"]].layer
        assert row["layer"] == layer


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, bool])
def test_tables_keep_the_type(dtype, tmp_path):
    values = values_of(two_branches(), dtype)
    assert values.to_arrow()["rank"].type == pa.from_numpy_dtype(np.dtype(dtype))
    values.write_parquet(tmp_path / "x.parquet")
    assert pq.read_table(tmp_path / "x.parquet")["rank"].to_numpy().dtype == np.dtype(dtype)


def test_tables_of_parts_tell_places_in_the_whole(values):
    graph = values.graph
    part = graph.ancestors(graph.node_id("features", (3, 3, 2)))
    for row in values_of(part).to_arrow().to_pylist()[:18]:
        assert part.node_id("image", [row["row"], row["column"], row["channel"]]) == row["id"]


@pytest.mark.parametrize("chunk_nodes", [1, 50, 2**18])
def test_tables_are_made_in_batches(values, monkeypatch, chunk_nodes):
    whole = values.to_arrow()
    monkeypatch.setattr(tables, "CHUNK_NODES", chunk_nodes)
    assert values.to_arrow() == whole
    assert max(len(b) for b in tables.value_batches(values)) == min(chunk_nodes, 72)


def test_as_a_dataframe(values):
    pandas = pytest.importorskip("pandas")
    frame = values.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.index.name == "id"
    assert_array_equal(frame["rank"].to_numpy(), np.asarray(values))
    best = frame["rank"].nlargest(1).index[0]
    assert frame.loc[best, "population"] == "label"


def test_without_pandas_it_says_what_is_missing(values, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(gg.MissingDependencyError, match=r"needs pandas.*to_arrow\(\)"):
        values.to_pandas()


# Files


def test_files_hold_the_table(values, tmp_path):
    path = tmp_path / "rank.parquet"
    values.write_parquet(path)
    assert pq.read_table(path).to_pylist() == values.to_arrow().to_pylist()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_existing_files_are_kept_unless_asked(values, tmp_path):
    path = tmp_path / "rank.parquet"
    path.write_text("precious")
    with pytest.raises(gg.OutputError, match="exists already"):
        values.write_parquet(path)
    assert path.read_text() == "precious"
    values.write_parquet(str(path), overwrite=True)
    assert len(pq.read_table(path)) == 156


def test_files_are_whole_or_not_there(values, tmp_path, monkeypatch):
    def broken(values):
        yield next(batches)
        raise OSError(28, "No space left on device")

    batches = tables.value_batches(values)
    monkeypatch.setattr("gpugraph.export.parquet.value_batches", broken)
    path = tmp_path / "rank.parquet"
    with pytest.raises(gg.OutputError, match="disk is full"):
        values.write_parquet(path)
    assert list(tmp_path.iterdir()) == []
    path.write_text("precious")
    batches = tables.value_batches(values)
    with pytest.raises(gg.OutputError, match="what stood there is untouched"):
        values.write_parquet(path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "precious"


def test_values_out_of_range_leave_no_file(large, tmp_path):
    with pytest.raises(gg.RangeError):
        large.write_parquet(tmp_path / "large.parquet")
    assert list(tmp_path.iterdir()) == []
    large.log10().write_parquet(tmp_path / "large.parquet")
    assert pq.read_table(tmp_path / "large.parquet")["log10_large"].null_count == 0


def test_a_disk_without_room_is_found_before_any_work(values, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(gg.OutputError, match="at least 156 B"):
        values.write_parquet(tmp_path / "rank.parquet")
    assert list(tmp_path.iterdir()) == []
