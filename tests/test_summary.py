import json

import keras
import numpy as np
import pytest

import gpugraph as gg
from gpugraph.graph import NeuronGraph
from gpugraph.summary import HEADER, summarise


@pytest.fixture(scope="module")
def graph():
    layers = keras.layers
    x = keras.Input((6, 6, 2), name="image")
    y = layers.Conv2D(3, 3, padding="same", activation="relu", name="conv")(x)
    y = layers.MaxPooling2D(name="pool")(y)
    y = layers.Add(name="twice")([y, y])
    y = layers.Dense(4, name="head")(layers.Flatten(name="flat")(y))
    return gg.from_keras(keras.Model(x, y, name="small"))


def test_rows_count_what_the_edges_show(graph):
    into = np.zeros(graph.n_nodes, np.int64)
    for _, dst, _ in graph.edges():
        np.add.at(into, dst, 1)
    rows = graph.summary().rows
    assert [row.name for row in rows] == list(graph.populations)
    for row in rows:
        population = graph.populations[row.name]
        assert row.nodes == population.size
        assert row.shape == population.shape
        assert row.edges == into[population.slice].sum()


def test_totals(graph):
    summary = summarise(graph)
    assert summary.n_nodes == sum(row.nodes for row in summary.rows) == graph.n_nodes
    assert summary.n_edges == sum(row.edges for row in summary.rows) == graph.n_edges
    assert summary.n_parameters == graph.topology.n_parameters
    assert summary.edge_bytes == 12
    assert summary.columns_bytes == 12 * graph.n_edges
    assert summary.free_memory > 0


def test_kinds_and_activation(graph):
    rows = {row.name: row for row in graph.summary().rows}
    assert rows["image"].kinds == ()
    assert rows["conv"].kinds == ("weight",)
    assert rows["conv"].activation == "relu"
    assert rows["pool"].kinds == ("choice",)
    assert rows["twice"].kinds == ("copy",)


def test_text_is_an_aligned_table(graph):
    lines = str(graph.summary()).splitlines()
    assert lines[0] == "small"
    start = next(i for i, line in enumerate(lines) if line.startswith(HEADER[0]))
    table = lines[start : start + len(graph.populations) + 2]
    end = table[0].index("edges in") + len("edges in")
    numbers = [line[:end].split()[-1] for line in table[1:]]
    edges = [row.edges for row in graph.summary().rows]
    assert numbers == [f"{n:,}" for n in [*edges, sum(edges)]]
    assert "Parameters of the model" in lines[-3]
    assert "GraphML" in lines[-1]


def test_dict_survives_json(graph):
    document = graph.summary().to_dict()
    assert json.loads(json.dumps(document)) == document
    assert document["n_edges"] == graph.n_edges
    assert document["populations"][1] == {
        "name": "conv",
        "layer": "Conv2D",
        "shape": [6, 6, 3],
        "nodes": 108,
        "edges": 1536,
        "kinds": ["weight"],
        "activation": "relu",
    }


def test_a_part_of_a_graph_has_no_parameters_of_its_own(graph):
    part = NeuronGraph("part", graph.populations, graph.projections)
    summary = summarise(part)
    assert summary.n_parameters is None
    assert "Parameters" not in str(summary)


def test_no_edge_is_made(graph, monkeypatch):
    monkeypatch.setattr("gpugraph.edge_maker.EdgeMaker.make", None)
    assert summarise(graph).n_edges == graph.n_edges
