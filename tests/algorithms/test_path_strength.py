"""Path strengths against exact sums over paths, and SynFlow's score against Keras."""

from fractions import Fraction
from math import log10

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from keras import layers
from numpy.testing import assert_allclose

import gpugraph as gg
from tests.algorithms.graphs import (
    VIEWS,
    adjacency,
    edge_columns,
    graph_of,
    ladder,
    layered,
    of_edges,
    two_branches,
    with_dead_channels,
    with_nan,
    without_edges,
)
from tests.models import EVERY_KIND, cnn, lenet, randomise, several_outputs, u_net
from tests.reference import path_sums
from tests.strategies import any_graph, graphs_of_models

VIEWED = {
    "weight": lambda w: w,
    "magnitude": abs,
    "positive": lambda w: max(w, 0),
    "negative": lambda w: max(-w, 0),
    None: lambda w: 1,
}
views = pytest.mark.parametrize("view", VIEWS)


def ends(graph):
    """Node ids where paths start, and where they end."""
    return [[i for p in ps for i in p.ids] for ps in (graph.inputs, graph.outputs)]


def exact(graph, view):
    """Sum products over all paths in fractions: through every node, along every edge."""
    columns = (column.tolist() for column in edge_columns(graph))
    edges = [(s, d, VIEWED[view](Fraction(w))) for s, d, w in zip(*columns, strict=True)]
    return path_sums(graph.n_nodes, edges, *ends(graph))


def by_powers(graph, view):
    """Sum products over all paths by powers of the adjacency matrix: through every node."""
    matrix, (starts, stops) = adjacency(graph, view), ends(graph)
    parts = []
    for turned, nodes in ((matrix, starts), (matrix.T, stops)):
        step = np.zeros(graph.n_nodes)
        step[nodes] = 1
        total = step
        for _ in range(graph.n_nodes):
            step = step @ turned
            total = total + step
            if not step.any():
                break
        parts.append(total)
    return parts[0] * parts[1]


def assert_close(got, expected, rtol=1e-9):
    expected = np.array(expected, np.float64)
    largest = abs(expected).max(initial=0)
    assert_allclose(got, expected, rtol, rtol * largest)


@views
@given(graph=any_graph())
@settings(max_examples=15)
def test_of_any_graph_as_summed_exactly(graph, view):
    nodes, edges = exact(graph, view)
    assert_close(gg.path_strength(graph, view), nodes)
    assert_close(gg.edge_path_strength(graph, view), edges)


@given(graph=graphs_of_models())
@settings(max_examples=8)
def test_of_drawn_models_as_summed_exactly(graph):
    for view in ("magnitude", "weight"):
        nodes, edges = exact(graph, view)
        assert_close(gg.path_strength(graph, view), nodes, 1e-5)
        assert_close(gg.edge_path_strength(graph, view), edges, 1e-5)


@views
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_of_models_as_powers_of_the_matrix(kind, view):
    graph = graph_of(kind)
    assert_close(gg.path_strength(graph, view), by_powers(graph, view), 1e-5)


@views
@given(graph=any_graph())
@settings(max_examples=15)
def test_edges_of_each_weight_add_up(graph, view):
    """What single edges have, put together by their parameter."""
    values = gg.edge_path_strength(graph, view)
    for projection in graph.projections:
        if projection.kernel is not None:
            parameters = projection.parameter(0, projection.n_edges)
            expected = np.bincount(parameters, values[projection], projection.kernel.size)
            assert_close(values.per_parameter(projection), expected)


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("view", ["magnitude", "weight", "positive"])
def test_edges_of_each_weight_of_models_add_up(kind, view):
    graph = graph_of(kind)
    values = gg.edge_path_strength(graph, view)
    nodes = np.asarray(gg.path_strength(graph, view))
    src, dst, _ = edge_columns(graph)
    flat = np.asarray(values)
    starts, stops = (np.zeros(graph.n_nodes, bool) for _ in range(2))
    starts[ends(graph)[0]], stops[ends(graph)[1]] = True, True
    into = np.bincount(dst, flat, graph.n_nodes)
    assert_close(into[~starts], nodes[~starts], 1e-5)
    assert_close(np.bincount(src, flat, graph.n_nodes)[~stops], nodes[~stops], 1e-5)
    for projection in graph.projections:
        if projection.kernel is not None:
            parameters = projection.parameter(0, projection.n_edges)
            expected = np.bincount(parameters, values[projection], projection.kernel.size)
            assert_close(values.per_parameter(projection), expected, 1e-5)


def linear_model(seed=0):
    """Return convolutions, a short cut and dense layers, with weights of any sign."""
    image = keras.Input((4, 4, 1), name="image")
    x = layers.Conv2D(2, 2, padding="same", use_bias=False, name="first")(image)
    y = layers.Conv2D(2, 3, padding="same", use_bias=False, name="second")(x)
    x = layers.AveragePooling2D(2, name="pool")(layers.Add(name="sum")([x, y]))
    x = layers.Dense(3, use_bias=False, name="dense")(layers.Flatten()(x))
    model = keras.Model(image, layers.Dense(2, use_bias=False, name="out")(x))
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(-1, 1, w.shape) for w in model.get_weights()])
    return model


@pytest.mark.parametrize("layer", ["first", "second", "dense", "out"])
def test_per_parameter_is_synflows_score(layer):
    """``w * d(sum of outputs) / dw`` of the network of |w| that is fed ones.

    The sum is linear in each weight, so the derivative is the difference that it makes.
    """
    model = linear_model()
    graph = gg.from_keras(model)
    (projection,) = graph.projections_into[layer]
    scores = gg.edge_path_strength(graph).per_parameter(projection)
    model.set_weights([abs(w) for w in model.get_weights()])
    ones = np.ones((1, 4, 4, 1))
    kernel = model.get_layer(layer).kernel
    before = np.array(keras.ops.convert_to_numpy(kernel))
    whole = float(np.sum(model(ones)))
    for i in range(0, before.size, 3):
        without = before.copy()
        without.flat[i] = 0
        kernel.assign(without)
        assert_allclose(scores[i], whole - float(np.sum(model(ones))), 1e-3, 1e-4 * whole)


def test_nodes_of_each_layer_share_the_whole():
    """In a chain of layers every path leads through each of them: sums agree."""
    graph = graph_of(lenet)
    values = gg.path_strength(graph)
    sums = [values[name].sum() for name in graph.populations]
    assert_allclose(sums, sums[0], 1e-5)
    matrix = graph.to_scipy("magnitude").T.astype(np.float64)
    x = np.zeros(graph.n_nodes)
    x[graph.inputs[0].slice] = 1
    for _ in range(len(graph.populations) - 1):
        x = matrix @ x
    assert_allclose(sums[0], x.sum(), 1e-5)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_float32_is_close(kind):
    graph = graph_of(kind)
    single = gg.path_strength(graph, dtype=np.float32)
    assert single.array.dtype == np.float32
    expected = np.asarray(gg.path_strength(graph))
    assert_allclose(single, expected, 1e-4, 1e-7 * expected.max())
    edges = gg.edge_path_strength(graph, dtype="float32")
    expected = np.asarray(gg.edge_path_strength(graph))
    assert_allclose(edges, expected, 1e-4, 1e-7 * expected.max())


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weight", [1e30, 1e-30])
def test_products_beyond_floats_keep_their_exponents(weight, dtype):
    """80 layers of equal weights: through each node of a layer lead the same products."""
    graph = layered([3] * 80, weight)
    got = gg.path_strength(graph, dtype=dtype)
    whole = Fraction(3) ** 80 * Fraction(weight) ** 79 / 3
    expected = log10(whole.numerator) - log10(whole.denominator)
    assert_allclose(got.log10(), np.full(240, expected), 1e-6)
    for read in (lambda: got["p40"], lambda: got[0], lambda: np.asarray(got), lambda: got.top(1)):
        with pytest.raises(gg.RangeError, match=rf"10\^{expected:.0f} .*log10\(\)"):
            read()
    edges = gg.edge_path_strength(graph, dtype=dtype)
    for read in (edges.__array__, lambda: edges.per_parameter(graph.projections[3])):
        with pytest.raises(gg.RangeError, match=rf"10\^{expected - log10(3):.0f}"):
            read()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_cancels_on_the_way_is_in_range(dtype):
    """Weights of 1e30 up and 1e-30 down: every product is an ordinary number."""
    graph = layered([2] * 41)
    for i, projection in enumerate(graph.projections):
        projection.kernel[...] = 1e30 if i < 20 else 1e-30
    got = gg.path_strength(graph, dtype=dtype)
    assert got.exponents is None
    assert_allclose(got, np.full(82, 2.0**40), 1e-4)
    edges = gg.edge_path_strength(graph, dtype=dtype)
    assert_allclose(edges, np.full(160, 2.0**39), 1e-4)
    assert_allclose(edges.per_parameter(graph.projections[20]), np.full(4, 2.0**39), 1e-4)


def test_float32_holds_what_is_near_its_range():
    """No spurious overflow where the sum over nodes, or a product of two ways, is large."""
    graph = layered([200, 200, 200, 200], 2.0**28)
    got = gg.path_strength(graph, dtype=np.float32)
    assert_allclose(got, np.full(800, 200.0**3 * 2.0**84), 1e-5)
    got = gg.path_strength(layered([2] * 5, 2.0**-29), dtype=np.float32)
    assert_allclose(got, np.full(10, 2.0 ** (4 - 4 * 29)), 1e-5)


def test_parallel_edges_make_separate_paths():
    graph = of_edges([(0, 1, 2.0), (0, 1, 3.0), (1, 2, 5.0)])
    assert_allclose(gg.path_strength(graph), [25, 25, 25])
    assert_allclose(gg.edge_path_strength(graph), [10, 15, 25])


def test_signs_are_kept_where_asked_for():
    graph = of_edges([(0, 1, -2.0), (1, 2, 3.0), (0, 2, 1.0)])
    assert_allclose(gg.path_strength(graph, "weight"), [-5, -6, -5])
    assert_allclose(gg.path_strength(graph), [7, 6, 7])
    assert_allclose(gg.path_strength(graph, "positive"), [1, 0, 1])
    assert_allclose(gg.path_strength(graph, "negative"), [0, 0, 0])


def test_gains_that_turn_signs():
    """Bicubic interpolation has negative weights, and no kernel."""
    image = keras.Input((3, 3, 1), name="image")
    up = layers.UpSampling2D(2, interpolation="bicubic", name="up")(image)
    model = keras.Model(image, layers.Conv2D(1, 2, name="conv")(up))
    graph = gg.from_keras(randomise(model))
    for view in VIEWS:
        assert_close(gg.path_strength(graph, view), by_powers(graph, view), 1e-5)


@pytest.mark.parametrize("make", [two_branches, with_dead_channels, without_edges])
def test_of_other_graphs(make):
    graph = make()
    nodes, edges = exact(graph, "magnitude")
    assert_close(gg.path_strength(graph), nodes, 1e-5)
    assert_close(gg.edge_path_strength(graph), edges, 1e-5)


@pytest.mark.parametrize("least", [0.3, 1e9])
def test_parts_of_a_graph(least):
    graph = graph_of(cnn).threshold(least)
    assert_close(gg.path_strength(graph), by_powers(graph, "magnitude"), 1e-5)


def test_between_two_populations():
    graph = graph_of(u_net).between("down1", "up1")
    assert [p.name for p in graph.inputs] == ["down1"]
    assert [p.name for p in graph.outputs] == ["up1"]
    assert_close(gg.path_strength(graph), by_powers(graph, "magnitude"), 1e-5)


def test_an_output_amid_the_graph_ends_paths_too():
    graph = graph_of(several_outputs)
    assert "features" in {p.name for p in graph.outputs}
    cut = gg.path_strength(graph)["features"]
    rest = gg.path_strength(graph.subgraph(["features", "mask", "pooled", "joined", "label"]))
    reach = graph.in_strength("magnitude")[graph.populations["features"].slice].reshape(4, 4, 3)
    assert_allclose(cut, reach * rest["features"], 1e-5)


@pytest.mark.parametrize("measure", [gg.path_strength, gg.edge_path_strength])
@pytest.mark.parametrize("values", [[np.nan], [np.inf], [np.inf, -np.inf]])
@pytest.mark.parametrize("layer", ["hidden", "dense"])
@pytest.mark.parametrize("view", ["magnitude", "weight"])
def test_weights_that_are_not_finite_are_named(measure, layer, values, view):
    source = {"hidden": "x", "dense": "hidden"}[layer]
    graph = with_nan(layer, values)
    with pytest.raises(gg.NonFiniteError, match=f"from '{source}' to '{layer}' hold NaN or inf"):
        measure(graph, view)
    assert np.isfinite(measure(graph, None)).all()


@pytest.mark.parametrize("measure", [gg.path_strength, gg.edge_path_strength])
@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"weight": "size"}, gg.SelectionError, "no view 'size'"),
        ({"dtype": np.int64}, gg.SelectionError, "float64 or float32, not int64"),
        ({"device": "gpu"}, gg.DeviceError, "Unknown device 'gpu'"),
    ],
)
def test_wrong_arguments_are_refused(measure, options, error, match):
    for graph in (graph_of(cnn), ladder(3, 1), without_edges()):
        with pytest.raises(error, match=match):
            measure(graph, **options)
