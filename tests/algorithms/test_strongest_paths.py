import math

import keras
import numpy as np
import pytest

import gpugraph as gg
from gpugraph.algorithms import strongest_paths as paths
from gpugraph.algorithms.strongest_paths import strongest_paths
from gpugraph.graph import NeuronGraph


def tiny_graph(seed=0):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((3, 3, 1), name="pixels"),
            layers.Conv2D(2, 2, name="conv"),
            layers.MaxPooling2D(2, strides=1, padding="same", name="pool"),
            layers.Flatten(),
            layers.Dense(2, name="out"),
        ]
    )
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal(w.shape) for w in model.get_weights()]
    weights[2][::3] = 0
    model.set_weights(weights)
    return gg.from_keras(model)


def branching_graph():
    x = keras.Input((3,), name="x")
    early = keras.layers.Dense(2, name="early")(x)
    twice = keras.layers.Add(name="twice")([early, early])
    late = keras.layers.Dense(2, name="late")(keras.layers.Concatenate(name="both")([x, twice]))
    return gg.from_keras(keras.Model(x, [early, late]))


def all_paths(graph, ends, weight="magnitude"):
    """Every path by depth-first search: (node ids, product)."""
    factor = {"magnitude": abs, "positive": lambda w: w, "negative": lambda w: -w}[weight]
    out = {}
    for src, dst, w in graph.edge_tuples():
        out.setdefault(src, []).append((dst, w))
    found = []

    def walk(nodes, weights):
        if nodes[-1] in ends:
            found.append((nodes, math.prod(weights)))
        for dst, w in out.get(nodes[-1], []):
            if factor(w) > 0:
                walk([*nodes, dst], [*weights, w])

    for name in graph.topology.inputs:
        for node in graph.populations[name].ids:
            walk([node], [])
    return sorted(found, key=lambda path: -abs(path[1]))


def ids(graph, path):
    return [graph.node_id(name, index) for name, index in path.nodes]


def output_ids(graph, *names):
    return {i for name in names for i in graph.populations[name].ids}


@pytest.mark.parametrize("k", [1, 7, 40, 100_000])
@pytest.mark.parametrize("weight", ["magnitude", "positive", "negative"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_strongest_paths_are_those_of_brute_force(k, weight, seed):
    graph = tiny_graph(seed)
    expected = all_paths(graph, output_ids(graph, "out"), weight)
    got = strongest_paths(graph, k, weight)
    assert len(got) == min(k, len(expected))
    np.testing.assert_allclose(
        [abs(path.product) for path in got], [abs(p) for _, p in expected[:k]], rtol=1e-12
    )
    by_nodes = {tuple(nodes): product for nodes, product in expected}
    for path in got:
        assert path.product == pytest.approx(by_nodes[tuple(ids(graph, path))], rel=1e-12)
    assert len({tuple(ids(graph, path)) for path in got}) == len(got)


@pytest.mark.parametrize("k", [1, 5, 1000])
def test_paths_end_at_every_output_and_parallel_edges_count_apart(k):
    graph = branching_graph()
    expected = all_paths(graph, output_ids(graph, "early", "late"))
    got = strongest_paths(graph, k)
    np.testing.assert_allclose(
        [abs(path.product) for path in got], [abs(p) for _, p in expected[:k]], rtol=1e-12
    )


def test_small_chunks_change_nothing(monkeypatch):
    graph = tiny_graph()
    whole = strongest_paths(graph, 20)
    monkeypatch.setattr(paths, "CHUNK_EDGES", 5)
    assert strongest_paths(graph, 20) == whole


def test_equal_paths_come_in_the_same_order_every_time():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, kernel_initializer="ones")])
    graph = gg.from_keras(model)
    first = strongest_paths(graph, 5)
    assert first == strongest_paths(graph, 5)
    assert first == strongest_paths(graph, 12)[:5]


def test_into_restricts_where_paths_end():
    graph = tiny_graph()
    node = graph.node_id("out", 1)
    got = strongest_paths(graph, 3, into=[node])
    expected = all_paths(graph, {node})[:3]
    assert [path.nodes[-1] for path in got] == [("out", (1,))] * 3
    assert [abs(path.product) for path in got] == pytest.approx([abs(p) for _, p in expected])


def test_a_part_of_a_graph_goes_from_its_first_to_its_last_populations():
    whole = tiny_graph()
    part = NeuronGraph("part", whole.populations, whole.projections)
    assert strongest_paths(part, 4) == strongest_paths(whole, 4)


def test_products_below_the_range_of_floats_are_still_ranked():
    layers = [keras.layers.Dense(2, name=f"d{i}", use_bias=False) for i in range(40)]
    model = keras.Sequential([keras.Input((2,), name="x"), *layers])
    for layer in layers:
        layer.set_weights([np.array([[1e-12, 1e-13], [1e-13, 1e-13]])])
    (best,) = strongest_paths(gg.from_keras(model), 1)
    assert [index for _, index in best.nodes] == [(0,)] * 41
    assert best.product == 0.0  # 1e-480


def test_a_graph_whose_weights_are_all_zero_has_no_path():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, kernel_initializer="zeros")])
    assert strongest_paths(gg.from_keras(model)) == []


def test_path_as_text():
    path = paths.NodePath((("x", (0, 1)), ("y", (2,))), (-0.5,))
    assert str(path) == "x[0, 1] -> y[2], product -0.5"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k must be a whole number of at least 1, not 0"),
        ({"weight": "weight"}, "not 'weight'"),
        ({"into": [10**6]}, "There is no node 1000000"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(gg.SelectionError, match=message):
        strongest_paths(tiny_graph(), **options)


def test_what_does_not_fit_in_memory_is_refused(monkeypatch):
    monkeypatch.setattr("gpugraph.arrays.free_memory", lambda xp: 10_000)
    with pytest.raises(gg.GraphTooLargeError, match="Ask for fewer paths"):
        strongest_paths(tiny_graph(), k=1000)
