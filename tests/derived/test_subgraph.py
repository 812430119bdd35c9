"""Parts of a graph, against networkx on the whole one."""

import keras
import networkx as nx
import numpy as np
import pytest
from keras import layers

import gpugraph as gg
from gpugraph import arrays
from gpugraph.derived import subgraph
from tests.models import randomise, several_outputs


@pytest.fixture(scope="module")
def graph():
    """Return a residual network with strides, both paddings and both poolings."""
    image = keras.Input((13, 12, 2), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="a")(image)
    x = layers.Add(name="add")([x, layers.Conv2D(4, 1, name="b")(x)])
    x = layers.AveragePooling2D(2, padding="same", name="mean")(x)
    x = layers.Conv2D(3, 3, strides=2, name="c")(x)
    x = layers.MaxPooling2D(2, strides=1, name="max")(x)
    x = layers.Dense(5, name="dense")(layers.Flatten(name="flatten")(x))
    return gg.from_keras(randomise(keras.Model(image, x)))


@pytest.fixture(scope="module")
def whole(graph):
    return graph.to_networkx(parameters=True)


def place(attributes):
    """Name a node by where it is: ids differ between a graph and its parts."""
    return tuple(attributes.get(k) for k in ("population", "row", "column", "channel"))


def assert_same(part, expected):
    """Compare a part with a networkx graph of the whole's ids."""
    built = part.to_networkx(parameters=True)
    assert (part.n_nodes, part.n_edges) == (len(expected), expected.number_of_edges())
    nodes = {place(d): d for _, d in expected.nodes(data=True)}
    assert {place(d): d for _, d in built.nodes(data=True)} == nodes
    for attribute in ("weight", "kind", "parameter", "tap"):
        got, wanted = (
            {(place(g.nodes[u]), place(g.nodes[v])): d[attribute] for u, v, d in g.edges(data=True)}
            for g in (built, expected)
        )
        assert got == wanted


NODES = [
    ("image", (0, 0, 0)),
    ("image", (6, 5, 1)),
    ("a", (4, 4, 1)),
    ("add", (12, 11, 3)),
    ("c", (0, 1, 2)),
    ("max", (0, 0, 0)),
    ("dense", (3,)),
]


@pytest.mark.parametrize(("name", "index"), NODES)
def test_ancestors(graph, whole, name, index):
    node = graph.node_id(name, index)
    assert_same(graph.ancestors(node), whole.subgraph(nx.ancestors(whole, node) | {node}))


@pytest.mark.parametrize(("name", "index"), NODES)
def test_descendants(graph, whole, name, index):
    node = graph.node_id(name, index)
    assert_same(graph.descendants(node), whole.subgraph(nx.descendants(whole, node) | {node}))


def test_ancestors_of_several_nodes_and_of_a_population(graph, whole):
    nodes = [graph.node_id("c", (0, 0, 0)), graph.node_id("a", (9, 9, 0))]
    reached = set(nodes).union(*(nx.ancestors(whole, n) for n in nodes))
    assert_same(graph.ancestors(nodes), whole.subgraph(reached))
    ids = graph.populations["c"].ids
    reached = set(ids).union(*(nx.ancestors(whole, n) for n in ids))
    assert_same(graph.ancestors("c"), whole.subgraph(reached))


def test_a_part_of_a_part(graph, whole):
    first, last = graph.node_id("a", (6, 5, 1)), graph.node_id("max", (1, 0, 2))
    below = graph.descendants(first)
    part = below.ancestors(below.node_id("max", (1, 0, 2)))
    between = nx.descendants(whole, first) & nx.ancestors(whole, last) | {first, last}
    assert_same(part, whole.subgraph(between))


@pytest.mark.parametrize("least", [0.0, 0.2, 0.5, 1.0, 5.0])
def test_threshold(graph, whole, least):
    weak = [(u, v) for u, v, w in whole.edges(data="weight") if abs(np.float32(w)) < least]
    expected = whole.copy()
    expected.remove_edges_from(weak)
    assert_same(graph.threshold(least), expected)


@pytest.mark.parametrize("k", [1, 7, 100, 10**6])
def test_strongest(graph, whole, k):
    expected = nx.create_empty_copy(whole)
    for name in graph.populations:
        into = []  # in the order of edges, so that a stable sort keeps the first of equals
        for edges in graph.edges(name, device="cpu"):
            into += zip(*(column.tolist() for column in edges), strict=True)
        for u, v, _ in sorted(into, key=lambda e: -abs(e[2]))[:k]:
            expected.add_edge(u, v, **whole.edges[u, v])
    assert_same(graph.strongest(k), expected)


def test_subgraph_by_population(graph, whole):
    names = {"a", "b", "mean"}
    nodes = [n for n, d in whole.nodes(data=True) if d["population"] in names]
    assert_same(graph.subgraph(names), whole.subgraph(nodes))
    assert list(graph.subgraph(["mean", "a"]).populations) == ["a", "mean"]


def test_between_keeps_every_way(graph, whole):
    nodes = [n for n, d in whole.nodes(data=True) if d["population"] in ("a", "b", "add", "mean")]
    assert_same(graph.between("a", "mean"), whole.subgraph(nodes))


@pytest.mark.parametrize("part", ["threshold", "strongest", "ancestors", "descendants"])
@pytest.mark.parametrize("view", ["weight", "magnitude", "positive", "negative", None])
def test_readings_of_a_part_agree_with_its_edges(graph, part, view):
    argument = {"threshold": 0.3, "strongest": 40}.get(part, graph.node_id("c", (1, 1, 1)))
    part = getattr(graph, part)(argument)
    matrix = part.to_scipy(view)
    x = np.random.default_rng(0).standard_normal(part.n_nodes)
    operator = part.as_linear_operator(view, device="cpu")
    np.testing.assert_allclose(operator @ x, matrix.T @ x, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(operator.rmatvec(x), matrix @ x, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(part.in_strength(view), matrix.sum(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(part.out_strength(view), matrix.sum(axis=1), rtol=1e-5, atol=1e-6)


def test_node_look_up_in_a_part(graph):
    part = graph.ancestors(graph.node_id("c", (1, 1, 1)))
    for i in range(part.n_nodes):
        name, index = part.node(i)
        assert part.node_id(name, index) == i
    with pytest.raises(gg.SelectionError, match="not part of this subgraph"):
        part.node_id("c", (0, 0, 0))


@pytest.mark.parametrize("ending", ["graphml", "csv", "parquet", "npz"])
def test_parts_take_every_export(graph, tmp_path, ending):
    part = graph.ancestors(graph.node_id("c", (1, 1, 1))).threshold(0.1)
    seen = []
    getattr(part, f"write_{ending}")(tmp_path / f"part.{ending}", progress=seen.append)
    assert (tmp_path / f"part.{ending}").exists()
    assert sum(seen) == part.n_edges


def test_a_part_summarises_itself(graph):
    part = graph.strongest(3)
    assert f"{part.n_edges:,}" in str(part.summary())


def test_a_part_does_not_evaluate(graph):
    with pytest.raises(gg.ModelError, match="whole model"):
        graph.subgraph(["a"]).evaluate(np.zeros((1, 13, 12, 2)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: g.subgraph([]), "at least one population"),
        (lambda g: g.subgraph(["nowhere"]), "no population 'nowhere'"),
        (lambda g: g.subgraph(["flatten"]), "passes on population 'max'"),
        (lambda g: g.between("c", "a"), "No edges lead from population 'c' to 'a'"),
        (lambda g: g.between("c", "x"), "no population 'x'"),
        (lambda g: g.threshold(-1), "at least 0"),
        (lambda g: g.threshold(float("nan")), "at least 0"),
        (lambda g: g.strongest(0), "at least 1"),
        (lambda g: g.ancestors([]), "Give node ids"),
        (lambda g: g.ancestors(10**9), "no node 1000000000"),
        (lambda g: g.descendants([-1]), "no node -1"),
        (lambda g: g.descendants([0.5]), "Give node ids"),
    ],
)
def test_what_is_not_there_is_named(graph, call, message):
    with pytest.raises(gg.SelectionError, match=message):
        call(graph)


def test_too_large_a_part_is_refused(graph, monkeypatch):
    monkeypatch.setattr(subgraph, "free_memory", lambda: 10_000)
    with pytest.raises(gg.GraphTooLargeError, match="were picked, more than fit"):
        graph.threshold(0.1)
    monkeypatch.setattr(arrays, "free_memory", lambda *_: 10_000)
    with pytest.raises(gg.GraphTooLargeError, match=r"The part of 'image' -> 'a' .* needs"):
        graph.ancestors(graph.node_id("dense", 0))


def test_numpys_ids_are_ids(graph):
    node = graph.node_id("c", (1, 1, 1))
    assert graph.ancestors(np.int64(node)).n_edges == graph.ancestors(node).n_edges


def test_strongest_leaves_nan_out():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    model.layers[0].kernel.assign([[np.nan, np.nan], [np.nan, 1.0], [np.nan, np.nan]])
    graph = gg.from_keras(model, allow_nonfinite=True)
    assert graph.strongest(2).materialise("cpu").weight.tolist() == [1.0]


def test_a_projection_that_stays_whole_takes_no_memory(graph, monkeypatch):
    monkeypatch.setattr(subgraph, "free_memory", lambda: 0)
    monkeypatch.setattr(subgraph, "CHUNK_EDGES", 50)
    for part in (graph.threshold(0.0), graph.strongest(10**6)):
        assert [p.axes for p in part.projections] == [p.axes for p in graph.projections]


@pytest.mark.parametrize("chunk_edges", [1, 50, 1000])
def test_chunks_do_not_change_what_is_picked(graph, monkeypatch, chunk_edges):
    expected = [graph.threshold(0.3), graph.strongest(40)]
    monkeypatch.setattr(subgraph, "CHUNK_EDGES", chunk_edges)
    for part, whole in zip([graph.threshold(0.3), graph.strongest(40)], expected, strict=True):
        for mine, theirs in zip(part.materialise("cpu"), whole.materialise("cpu"), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_an_output_amid_the_graph_stays_an_output_of_its_parts():
    graph = gg.from_keras(several_outputs())
    for part in (graph.threshold(0.0), graph.subgraph(["features", "pooled", "joined"])):
        assert "features" in {p.name for p in part.outputs}
    assert {p.name for p in graph.threshold(0.0).inputs} == {"image", "vector"}
