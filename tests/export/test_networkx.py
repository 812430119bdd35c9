"""The networkx graph, attribute by attribute."""

import gc

import networkx as nx
import numpy as np
import pytest

import gpugraph as gg
from gpugraph import arrays
from tests.export.graphs import edge_set, everything
from tests.models import cnn


@pytest.fixture(scope="module")
def graph():
    return everything()


def test_parallel_edges_are_summed(graph):
    built = graph.to_networkx()
    assert type(built) is nx.DiGraph
    expected = {}
    for src, dst, kind, weight in edge_set(graph):
        expected.setdefault((src, dst), [kind, 0.0])[1] += weight
    got = {(u, v): [d["kind"], d["weight"]] for u, v, d in built.edges(data=True)}
    assert got.keys() == expected.keys()
    assert all(got[e][0] == expected[e][0] for e in got)
    np.testing.assert_allclose([got[e][1] for e in got], [expected[e][1] for e in got], rtol=1e-6)
    twice = graph.node_id("twice", (1, 2, 0))
    assert built.in_degree(twice) == 1
    assert built.in_degree(twice, weight="weight") == 2.0


def test_parallel_edges_are_kept_on_request(graph):
    built = graph.to_networkx(multigraph=True)
    assert type(built) is nx.MultiDiGraph
    assert built.number_of_edges() == graph.n_edges
    edges = [(u, v, d["kind"], np.float32(d["weight"])) for u, v, d in built.edges(data=True)]
    assert sorted(edges) == edge_set(graph)


def test_both_adjacencies_agree(graph):
    built = graph.to_networkx()
    assert all(built.pred[v][u] is built.succ[u][v] for u, v in built.edges)
    assert sum(map(len, built.pred.values())) == sum(map(len, built.succ.values()))
    assert nx.is_directed_acyclic_graph(built)


def test_nodes_say_where_they_are(graph):
    node = graph.node_id("prelu", (2, 1, 0))
    attributes = graph.to_networkx().nodes[node]
    alpha = graph.populations["prelu"].attributes["alpha"][2, 1, 0]
    assert attributes == {
        "population": "prelu",
        "layer": "PReLU",
        "row": 2,
        "column": 1,
        "channel": 0,
        "bias": 0.0,
        "alpha": pytest.approx(float(alpha)),
        "activation": "prelu",
        "subset": 3,
    }
    assert [type(v) for v in attributes.values()] == [
        str,
        str,
        int,
        int,
        int,
        float,
        float,
        str,
        int,
    ]


def test_biases_are_the_layers(graph):
    built = graph.to_networkx()
    population = graph.populations["dense"]
    assert [built.nodes[i]["bias"] for i in population.ids] == population.bias.tolist()


def test_multipartite_layout_works_as_it_is(graph):
    built = graph.to_networkx()
    positions = nx.multipartite_layout(built)
    columns = {d["subset"]: positions[n][0] for n, d in built.nodes(data=True)}
    assert len(columns) == 1 + max(columns)
    assert sorted(columns.values()) == [columns[s] for s in sorted(columns)]


@pytest.mark.parametrize("multigraph", [False, True])
def test_parameter_and_tap_on_request(multigraph):
    graph = gg.from_keras(cnn())
    built = graph.to_networkx(multigraph=multigraph, parameters=True)
    for p in graph.projections:
        edges = p.edges()
        rows = zip(edges.src.tolist(), edges.dst.tolist(), edges.parameter, edges.tap, strict=True)
        for src, dst, parameter, tap in rows:
            data = built.get_edge_data(src, dst, 0) if multigraph else built.get_edge_data(src, dst)
            assert (data["parameter"], data["tap"]) == (parameter, tap)


def test_add_weighted_edges_from_takes_edge_tuples(graph):
    built = nx.MultiDiGraph()
    built.add_weighted_edges_from(graph.edge_tuples())
    assert built.number_of_edges() == graph.n_edges


def test_garbage_collection_is_on_again(graph):
    assert gc.isenabled()
    graph.to_networkx()
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("form", "options"),
    [("to_networkx", {}), ("to_scipy", {}), ("materialise", {"device": "cpu"})],
)
def test_too_large_a_graph_is_refused_with_what_would_fit(graph, monkeypatch, form, options):
    monkeypatch.setattr(arrays, "free_memory", lambda _: 5000)
    with pytest.raises(
        gg.GraphTooLargeError, match=r"needs about .* only 5 kB .*input_shape.*edges"
    ):
        getattr(graph, form)(**options)


def test_parallel_edges_within_a_projection_are_summed():
    source = gg.Population("a", (1,), 0, "InputLayer")
    target = gg.Population("b", (1,), 1, "Twice", depth=1)
    axis = gg.pairs([0, 0], [0, 0], [0, 1], 1, 1, 2).place(1, 1, 1)
    twice = gg.Projection(source, target, (axis,), np.array([1.0, 2.0], np.float32), "weight")
    graph = gg.NeuronGraph("twice", {"a": source, "b": target}, [twice])
    assert graph.to_networkx().edges[0, 1]["weight"] == 3.0
    assert graph.to_scipy()[0, 1] == 3.0
