"""Layer statistics against numpy on materialised edges, and scipy's spanning trees."""

import json
import sys
from dataclasses import fields, replace

import keras
import numpy as np
import pytest
from hypothesis import given
from keras import layers
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

import gpugraph as gg
from gpugraph.axes import fan_in, fan_out, one_to_one
from gpugraph.graph import NeuronGraph
from gpugraph.population import Population
from gpugraph.projection import Projection
from tests.algorithms.graphs import (
    edge_columns,
    graph_of,
    ladder,
    layered,
    of_edges,
    single_node,
    two_branches,
    with_dead_channels,
    with_nan,
    without_edges,
)
from tests.models import EVERY_KIND, cnn, lenet, randomise, several_outputs, shared_layer
from tests.strategies import any_graph

PERSISTENCE = ("neural_persistence", "normalized_neural_persistence")


def image_given(kind):
    graph = graph_of(kind)
    rng = np.random.default_rng(1)
    inputs = [rng.normal(size=(1, *population.shape)) for population in graph.inputs]
    return graph.given(inputs if len(inputs) > 1 else inputs[0])


OTHERS = {
    "parallel": lambda: ladder(4, 3, jump=2),
    "parallel listed": lambda: of_edges([(0, 2, 1.0), (0, 2, -1.0), (1, 2, 0.5)], [2, 1]),
    "layered": lambda: layered([3, 4, 2], -0.5),
    "dead": with_dead_channels,
    "two_branches": two_branches,
    "without_edges": without_edges,
    "single_node": single_node,
    "given": lambda: image_given(cnn),
    "given with short cuts": lambda: image_given(several_outputs),
    "given shared": lambda: image_given(shared_layer),
    "threshold": lambda: graph_of(cnn).threshold(0.3),
    "strongest": lambda: graph_of(cnn).strongest(5),
    "empty": lambda: graph_of(cnn).threshold(1e9),
    "subgraph": lambda: graph_of(several_outputs).subgraph(["features", "pooled", "joined"]),
    "receptive field": lambda: graph_of(cnn).ancestors([graph_of(cnn).n_nodes - 1]),
    "half of one given": lambda: image_given(cnn).threshold(0.2),
    "one window": lambda: gg.from_keras(
        randomise(keras.Sequential([keras.Input((3, 4, 2)), layers.Conv2D(5, (3, 4))]))
    ),
    "one wide window": lambda: gg.from_keras(
        randomise(keras.Sequential([keras.Input((3, 1)), layers.Conv1D(2, 5, padding="same")]))
    ),
}


def expected_of(columns):
    """Return what numpy makes of one projection's edges (local ids)."""
    src, dst, weight = columns
    found = {"n_edges": len(weight)}
    if not len(weight):
        return found
    found |= {"weight_mean": weight.mean(), "weight_variance": weight.var()}
    for name, ends in (("in", dst), ("out", src)):
        parts = [weight[ends == node] for node in np.unique(ends)]
        strengths = np.array([part.sum() for part in parts])
        found |= {
            f"{name}_strength_mean": strengths.mean(),
            f"{name}_strength_std": strengths.std(),
            f"{name}_strength_min": strengths.min(),
            f"{name}_strength_max": strengths.max(),
        }
        shares = [abs(part) / abs(part).sum() for part in parts if part.any()]
        disparities = [(share**2).sum() for share in shares]
        found[f"{name}_disparity"] = np.mean(disparities) if disparities else None
    return found


def local_edges(p):
    edges = p.edges()
    weight = edges.weight.astype(np.float64)
    return edges.src - p.source.offset, edges.dst - p.target.offset, weight


def is_dense(p):
    """Tell whether each source is joined to each target once, by a weight of its own."""
    if p.is_listed or p.kernel is None or p.n_edges != p.source.size * p.target.size:
        return False
    if any(a.gain is not None or (a.tap != a.tap[0] + np.arange(len(a))).any() for a in p.axes):
        return False
    edges = p.edges()
    ends = set(zip(edges.src.tolist(), edges.dst.tolist(), strict=True))
    return len(ends) == len(np.unique(p.parameter(0, p.n_edges))) == p.n_edges


def tree_weights(p):
    """Weights of scipy's maximum spanning tree: the minimum one of 2 - |w| / max |w|."""
    src, dst, weight = local_edges(p)
    magnitude = abs(weight)
    largest = magnitude.max() or 1.0
    n = p.source.size + p.target.size
    costs = coo_array((2 - magnitude / largest, (src, dst + p.source.size)), (n, n))
    return (2 - minimum_spanning_tree(costs.tocsr()).data) * largest


def assert_statistics(graph):
    rows = gg.layer_statistics(graph).rows
    assert [(r.source, r.target, r.kind) for r in rows] == [
        (p.source.name, p.target.name, p.kind) for p in graph.projections
    ]
    src, dst, weight = edge_columns(graph)
    strength = np.zeros(graph.n_nodes)
    np.add.at(strength, dst, weight.astype(np.float64))
    np.add.at(strength, src, weight.astype(np.float64))
    trees = [tree_weights(p) if is_dense(p) else None for p in graph.projections]
    largest = max((t.max() for t in trees if t is not None), default=1.0) or 1.0
    for row, p, tree in zip(rows, graph.projections, trees, strict=True):
        expected = expected_of(local_edges(p))
        expected["fluctuation"] = strength[p.target.slice].std()
        if tree is not None:
            assert len(tree) == p.source.size + p.target.size - 1
            size = np.linalg.norm(1 - tree / largest)
            expected["neural_persistence"] = size
            expected["normalized_neural_persistence"] = size / np.sqrt(len(tree))
        scale = 1e-6 * float(abs(local_edges(p)[2]).sum())
        for field in fields(row)[3:]:
            got, wanted = getattr(row, field.name), expected.get(field.name)
            if wanted is None:
                assert got is None, field.name
            else:
                assert got == pytest.approx(wanted, 1e-5, scale), field.name
    return rows


@pytest.mark.parametrize("kind", [*EVERY_KIND, lenet])
def test_of_models(kind):
    rows = assert_statistics(graph_of(kind))
    if kind is lenet:
        dense = [r.target for r in rows if r.neural_persistence is not None]
        assert dense == ["c5", "f6", "output"]


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_of_other_graphs(make):
    assert_statistics(make())


@given(any_graph())
def test_of_any_graph(graph):
    assert_statistics(graph)


def test_a_shared_weight_counts_once_per_edge():
    image = keras.Input((4, 1), name="image")
    model = keras.Model(image, layers.Conv1D(1, 3, padding="same", name="conv")(image))
    model.set_weights([np.array([1.0, 2.0, 4.0]).reshape(3, 1, 1), np.zeros(1)])
    (row,) = gg.layer_statistics(gg.from_keras(model)).rows
    edges = np.array([2, 4, 1, 2, 4, 1, 2, 4, 1, 2])
    assert row.n_edges == 10
    assert row.weight_mean == pytest.approx(edges.mean())
    assert row.weight_variance == pytest.approx(edges.var())


def test_equal_weights_have_no_variance_at_all():
    graph = layered([3, 5], np.float32(1 / 3))
    (row,) = gg.layer_statistics(graph).rows
    assert row.weight_variance == 0
    assert row.in_disparity == pytest.approx(1 / 3)
    assert row.out_disparity == pytest.approx(1 / 5)
    assert row.neural_persistence == 0


def test_persistence_by_hand():
    kernel = np.array([1.0, -0.5, 0.25, 0.75])
    graph = layered([2, 2])
    (p,) = graph.projections
    graph = NeuronGraph("hand", graph.populations, [replace(p, kernel=kernel)])
    (row,) = gg.layer_statistics(graph).rows  # the tree: 1, 3/4, 1/2
    assert row.neural_persistence == pytest.approx(np.hypot(0.25, 0.5))
    assert row.normalized_neural_persistence == pytest.approx(np.hypot(0.25, 0.5) / np.sqrt(3))
    (row,) = gg.layer_statistics(graph, persistence=False).rows
    assert row.neural_persistence is row.normalized_neural_persistence is None


def test_layers_are_measured_by_the_largest_weight_of_all():
    graph = layered([2, 3, 2])
    first, second = graph.projections
    halved = replace(second, kernel=second.kernel / 2)
    rows = gg.layer_statistics(NeuronGraph("two", graph.populations, [first, halved])).rows
    assert [row.normalized_neural_persistence for row in rows] == [0, pytest.approx(0.5)]


def test_weights_of_zero_persist_to_the_end():
    (row,) = gg.layer_statistics(layered([2, 3], 0.0)).rows
    assert row.normalized_neural_persistence == 1
    assert row.in_disparity is row.out_disparity is None
    assert row.in_strength_max == row.weight_variance == 0


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("factors", [(), ("source_factor",), ("target_factor",), "both"])
def test_dense_over_several_axes_in_any_order(turned, factors):
    """As EinsumDense lays them: two dimensions of the source, two of the target."""
    rng = np.random.default_rng(0)
    source, target = Population("a", (2, 3), 0, "A"), Population("b", (5, 2), 6, "B")
    axes = [
        fan_out(2).place(0, 1, 15),
        fan_in(3).place(1, 0, 1),
        one_to_one(1).place(1, 1, 1),
        fan_out(5).place(0, 2, 3),
        fan_in(2).place(3, 0, 30),
    ]
    names = ("source_factor", "target_factor") if factors == "both" else factors
    sizes = {"source_factor": 6, "target_factor": 10}
    given = {name: rng.normal(size=sizes[name]).astype(np.float32) for name in names}
    kernel = rng.normal(size=60).astype(np.float32)
    p = Projection(source, target, tuple(axes), kernel, "weight", **given)
    if turned:
        p = replace(p.transposed, source=replace(p.target, offset=0))
        p = replace(p, target=replace(p.target, offset=p.source.size))
    populations = {"a": p.source, "b": p.target} if turned else {"a": source, "b": target}
    populations = {q.name: q for q in populations.values()}
    (row,) = assert_statistics(NeuronGraph("several", populations, [p]))
    assert row.neural_persistence is not None


def test_large_kernels_are_squared_in_blocks(monkeypatch):
    monkeypatch.setattr("gpugraph.algorithms.layer_statistics.BLOCK_WEIGHTS", 7)
    assert_statistics(graph_of(cnn))
    assert_statistics(image_given(cnn))


def test_small_weights_have_a_variance():
    graph = layered([2, 2])
    (p,) = graph.projections
    kernel = np.array([1, -2, 3, 4], np.float32) * np.float32(1e-30)
    (row,) = gg.layer_statistics(
        NeuronGraph("tiny", graph.populations, [replace(p, kernel=kernel)])
    ).rows
    assert row.weight_variance == pytest.approx(kernel.astype(np.float64).var())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_nan_in_its_rows_alone(value):
    first, second = gg.layer_statistics(with_nan(values=(value,))).rows
    numbers = [getattr(second, f.name) for f in fields(second)[4:]]
    assert np.isnan(numbers).all()
    assert np.isnan(first.fluctuation)  # strength out of `hidden`
    others = [getattr(first, f.name) for f in fields(first)[4:] if f.name != "fluctuation"]
    assert np.isfinite(others).all()
    assert first.normalized_neural_persistence < 1


def test_tables():
    statistics = gg.layer_statistics(graph_of(cnn))
    table = statistics.to_arrow()
    assert table.column_names == [f.name for f in fields(gg.ProjectionStatistics)]
    assert table["target"].to_pylist() == ["conv", "pool", "dense"]
    assert table["neural_persistence"].null_count == 2
    assert table.to_pylist() == [vars(row) for row in statistics.rows]
    lines = str(statistics).splitlines()
    assert lines[0] == "cnn"
    assert lines[2].split()[:4] == ["source", "target", "kind", "edges"]
    assert [line.split()[1] for line in lines[3:]] == ["conv", "pool", "dense"]
    assert json.loads(json.dumps(statistics.to_dict()))["projections"][0]["target"] == "conv"


def test_no_rows_have_tables_too():
    statistics = gg.layer_statistics(single_node())
    assert statistics.rows == ()
    assert statistics.to_arrow().num_rows == 0
    assert str(statistics).startswith("one\n\nsource")


def test_nan_is_none_in_json():
    document = gg.layer_statistics(with_nan()).to_dict()
    assert document["projections"][1]["weight_mean"] is None


def test_as_a_frame():
    pandas = pytest.importorskip("pandas")
    statistics = gg.layer_statistics(graph_of(cnn))
    frame = statistics.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["n_edges"]) == [row.n_edges for row in statistics.rows]


def test_without_pandas_it_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(gg.MissingDependencyError, match="pip install pandas"):
        gg.layer_statistics(graph_of(cnn)).to_pandas()
