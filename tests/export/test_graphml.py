"""GraphML reads back as the graph it was, in networkx and in igraph."""

import gzip
import re
from xml.etree import ElementTree

import igraph
import networkx as nx
import numpy as np
import pytest

import gpugraph as gg
from gpugraph.export import graphml
from tests.export.graphs import edge_set, everything
from tests.models import cnn

NAMESPACE = "{http://graphml.graphdrawing.org/xmlns}"


@pytest.fixture(scope="module")
def graph():
    return everything()


@pytest.fixture(params=["net.graphml", "net.graphml.gz"])
def written(request, graph, tmp_path):
    graph.write_graphml(tmp_path / request.param)
    return tmp_path / request.param


def as_float32(attributes):
    """Round what was read as double to the float32 that was written."""
    return {k: np.float32(v) if isinstance(v, float) else v for k, v in attributes.items()}


def test_networkx_reads_back_the_same_graph(graph, written):
    read = nx.read_graphml(written, node_type=int, force_multigraph=True)
    expected = graph.to_networkx(multigraph=True)
    assert {n: as_float32(d) for n, d in read.nodes(data=True)} == {
        n: as_float32(d) for n, d in expected.nodes(data=True)
    }
    edges = [(u, v, d["kind"], np.float32(d["weight"])) for u, v, d in read.edges(data=True)]
    assert sorted(edges) == edge_set(graph)


def test_igraph_reads_back_the_same_graph(graph, tmp_path):
    graph.write_graphml(tmp_path / "net.graphml")
    read = igraph.Graph.Read_GraphML(str(tmp_path / "net.graphml"))
    assert read.is_directed()
    edges = zip(read.get_edgelist(), read.es["kind"], read.es["weight"], strict=True)
    assert sorted((*e, kind, np.float32(weight)) for e, kind, weight in edges) == edge_set(graph)
    names = [graph.node(i)[0] for i in range(graph.n_nodes)]
    assert read.vs["population"] == names


def test_keys_have_types_and_come_first(written):
    text = written.read_bytes()
    root = ElementTree.fromstring(gzip.decompress(text) if written.suffix == ".gz" else text)
    keys = {
        k.get("attr.name"): (k.get("for"), k.get("attr.type")) for k in root.iter(NAMESPACE + "key")
    }
    assert keys == {
        "population": ("node", "string"),
        "layer": ("node", "string"),
        "row": ("node", "int"),
        "column": ("node", "int"),
        "channel": ("node", "int"),
        "bias": ("node", "double"),
        "activation": ("node", "string"),
        "subset": ("node", "int"),
        "alpha": ("node", "double"),
        "weight": ("edge", "float"),
        "kind": ("edge", "string"),
    }
    assert [child.tag for child in root] == [NAMESPACE + "key"] * len(keys) + [NAMESPACE + "graph"]
    declared = {k.get("id") for k in root.iter(NAMESPACE + "key")}
    assert {d.get("key") for d in root.iter(NAMESPACE + "data")} == declared


def test_parameter_and_tap_on_request(graph, tmp_path):
    graph.write_graphml(tmp_path / "net.graphml", parameters=True)
    read = nx.read_graphml(tmp_path / "net.graphml", node_type=int, force_multigraph=True)
    got = sorted((u, v, d["parameter"], d["tap"]) for u, v, d in read.edges(data=True))
    expected = sorted(
        row
        for e in graph.edges(device="cpu")
        for row in zip(*(c.tolist() for c in (e.src, e.dst, e.parameter, e.tap)), strict=True)
    )
    assert got == expected


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_chunks_change_nothing(graph, tmp_path, monkeypatch, chunk):
    graph.write_graphml(tmp_path / "whole.graphml")
    monkeypatch.setattr(graphml, "CHUNK_EDGES", chunk)
    graph.write_graphml(tmp_path / "chunks.graphml")
    whole, chunks = (
        b" ".join((tmp_path / f"{name}.graphml").read_bytes().split())
        for name in ("whole", "chunks")
    )
    assert whole.replace(b" ", b"") == chunks.replace(b" ", b"")


def test_what_xml_cannot_hold_is_replaced(tmp_path):
    graph = gg.from_keras(cnn())
    graph.name = "bell\x07 <&>"
    graph.write_graphml(tmp_path / "net.graphml")
    root = ElementTree.parse(tmp_path / "net.graphml").getroot()
    assert root.find(NAMESPACE + "graph").get("id") == "bell\ufffd <&>"


def test_nonfinite_weights_read_back(tmp_path):
    model = cnn()
    kernel = model.get_layer("dense").kernel
    kernel.assign(np.broadcast_to([np.nan, np.inf, -np.inf, 0.5], kernel.shape))
    graph = gg.from_keras(model, allow_nonfinite=True)
    path = tmp_path / "net.graphml"
    graph.write_graphml(path)
    expected = graph.materialise("cpu").weight
    read = nx.read_graphml(path, node_type=int)
    by_networkx = [d["weight"] for *_, d in sorted(read.edges(data=True))]
    order = np.lexsort(graph.materialise("cpu")[1::-1])
    np.testing.assert_array_equal(np.float32(by_networkx), expected[order])
    by_igraph = igraph.Graph.Read_GraphML(str(path)).es["weight"]
    np.testing.assert_array_equal(np.float32(by_igraph), expected)


def test_nonfinite_weights_are_xml_schemas(tmp_path):
    """The grammar of XML Schema's float and double, section 3.2.4.1."""
    model = cnn()
    kernel = model.get_layer("dense").kernel
    kernel.assign(np.broadcast_to([np.nan, np.inf, -np.inf, 1e-9], kernel.shape))
    gg.from_keras(model, allow_nonfinite=True).write_graphml(tmp_path / "net.graphml")
    root = ElementTree.parse(tmp_path / "net.graphml").getroot()
    weights = {data.text.strip() for data in root.iter(NAMESPACE + "data")
               if data.get("key") == "w:"}  # fmt: skip
    number = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([Ee][+-]?\d+)?|NaN|-?INF")
    assert [text for text in weights if not number.fullmatch(text)] == []
    assert {"NaN", "INF", "-INF"} < weights
