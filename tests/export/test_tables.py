"""Parquet and CSV hold the same tables."""

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from gpugraph.export import csv, parquet
from tests.export.graphs import edge_set, everything


@pytest.fixture(scope="module")
def graph():
    return everything()


def read_parquet(folder):
    return pq.read_table(folder / "nodes.parquet"), pq.read_table(folder / "edges")


def read_csv(path):
    def read(path):
        options = pyarrow.csv.ConvertOptions(strings_can_be_null=False)
        return pyarrow.csv.read_csv(path, convert_options=options)

    return read(csv.node_file(path)), read(path)


def written(graph, tmp_path, name, **options):
    if name == "net.parquet":
        graph.write_parquet(tmp_path / name, **options)
        return read_parquet(tmp_path / name)
    graph.write_csv(tmp_path / name, **options)
    return read_csv(tmp_path / name)


FORMATS = pytest.mark.parametrize("name", ["net.parquet", "net.csv", "net.csv.gz"])


@FORMATS
def test_edges_read_back(graph, tmp_path, name):
    _, edges = written(graph, tmp_path, name)
    assert edges.schema.names == ["src", "dst", "weight", "kind"]
    rows = zip(
        *(edges[c].to_pylist() for c in ("src", "dst", "kind")),
        edges["weight"].to_numpy().astype(np.float32),
        strict=True,
    )
    assert sorted(rows) == edge_set(graph)


@FORMATS
def test_nodes_read_back(graph, tmp_path, name):
    nodes, _ = written(graph, tmp_path, name)
    assert nodes["id"].to_pylist() == list(range(graph.n_nodes))
    expected = graph.to_networkx().nodes
    for row in nodes.to_pylist():
        attributes = {k: v for k, v in row.items() if k != "id" and v is not None}
        known = expected[row["id"]]
        assert attributes.keys() == known.keys()
        for key, value in attributes.items():
            same = (
                np.float32(value) == np.float32(known[key])
                if key in ("bias", "alpha")
                else value == known[key]
            )
            assert same, (row["id"], key)


@FORMATS
def test_parameter_and_tap_on_request(graph, tmp_path, name):
    _, edges = written(graph, tmp_path, name, parameters=True)
    made = list(graph.edges(device="cpu"))
    assert edges["parameter"].to_pylist() == np.concatenate([e.parameter for e in made]).tolist()
    assert edges["tap"].to_pylist() == np.concatenate([e.tap for e in made]).tolist()


def test_types_are_narrow(graph, tmp_path):
    nodes, edges = written(graph, tmp_path, "net.parquet")
    assert edges.schema.field("src").type == pa.int32()
    assert edges.schema.field("weight").type == pa.float32()
    assert nodes.schema.field("subset").type == pa.int32()


def test_parts_have_bounded_size(graph, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "PART_EDGES", 300)
    monkeypatch.setattr(parquet, "ROW_GROUP_EDGES", 100)
    graph.write_parquet(tmp_path / "net.parquet")
    parts = sorted((tmp_path / "net.parquet" / "edges").iterdir())
    assert [p.name for p in parts] == [f"part-{i:05}.parquet" for i in range(len(parts))]
    assert len(parts) > 3
    assert all(0 < pq.read_metadata(p).num_rows <= 300 for p in parts)
    assert sum(pq.read_metadata(p).num_rows for p in parts) == graph.n_edges
    whole = pa.concat_tables(pq.read_table(p) for p in parts)
    src = np.concatenate([e.src for e in graph.edges(device="cpu")])
    assert whole["src"].to_pylist() == src.tolist()


def test_a_graph_without_edges_keeps_its_columns(graph, tmp_path):
    lonely = graph.subgraph(["image"])
    assert lonely.n_edges == 0
    for name in ("net.parquet", "net.csv"):
        nodes, edges = written(lonely, tmp_path, name)
        assert (len(nodes), len(edges)) == (lonely.n_nodes, 0)
        assert edges.schema.names == ["src", "dst", "weight", "kind"]


def test_gz_is_gzip(graph, tmp_path):
    graph.write_csv(tmp_path / "net.csv.gz")
    graph.write_csv(tmp_path / "net.csv")
    assert (
        gzip.decompress((tmp_path / "net.csv.gz").read_bytes())
        == (tmp_path / "net.csv").read_bytes()
    )
