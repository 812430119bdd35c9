"""The graphs of channels and of layers, against nested loops over every edge."""

from __future__ import annotations

import pickle
from collections import defaultdict
from dataclasses import replace
from functools import cache, lru_cache
from itertools import product
from math import prod, sqrt

import keras
import networkx as nx
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers
from numpy.testing import assert_allclose, assert_array_equal

import gpugraph as gg
from gpugraph import registry
from gpugraph.axes import fan_in
from gpugraph.derived import norms
from gpugraph.layers.moving import move
from gpugraph.population import Population, strides
from gpugraph.projection import Projection
from tests.algorithms.graphs import graph_of
from tests.layers.test_every_layer import ROWS, model_of
from tests.models import EVERY_KIND, cnn, needs_float64, several_outputs, siamese, u_net
from tests.strategies import any_axis, any_graph, any_projection, small_models

NORMS = {
    "l1": lambda weights: sum(map(abs, weights)),
    "l2": lambda weights: sqrt(sum(w * w for w in weights)),
    "max": lambda weights: max(map(abs, weights)),
    "sum": sum,
}
# The reference walks over every edge in Python.
MOST_EDGES = 20_000


def channel_of(population, flat, by):
    """Return the merged node of a flat position, by its index in the population's shape."""
    if by == "layer" or not population.shape:
        return 0
    index = np.unravel_index(flat, population.shape)
    return int(index[0] if population.channels_first else index[-1])


@lru_cache(maxsize=100)  # norms of one graph are tested one after another
def taps_by_loops(projection, by):
    """Return ``{(source, target): {tap: [weight of each edge]}}``, edge by edge.

    A tap is what an edge reads along every axis: of the kernel, of a window, and of a pooling
    over everything; along others all places are alike.
    """
    taps = defaultdict(lambda: defaultdict(list))
    is_pooling = projection.kind in ("choice", "mean", "dynamic")
    for indices in product(*(range(len(axis)) for axis in projection.axes)):
        src = dst = parameter = 0
        weight, tap = 1.0, []
        for axis, i in zip(projection.axes, indices, strict=True):
            src += int(axis.src[i]) * axis.src_stride
            dst += int(axis.dst[i]) * axis.dst_stride
            parameter += int(axis.tap[i]) * axis.tap_stride
            weight *= 1.0 if axis.gain is None else float(axis.gain[i])
            counts = axis.tap_stride or axis.kind == "window"
            counts = counts or (axis.kind == "fan_in" and is_pooling)
            tap.append(int(axis.tap[i]) if counts else None)
        if projection.kernel is not None:
            weight *= float(projection.kernel[parameter])
        for factor, at in ((projection.source_factor, src), (projection.target_factor, dst)):
            weight *= 1.0 if factor is None else float(factor[at])
        ends = (
            channel_of(projection.source, src, by),
            channel_of(projection.target, dst, by),
        )
        taps[ends][tuple(tap)].append(weight)
    return taps


def edges_between(graph, projection):
    """Return ``{(source, target): [weights]}`` of a quotient's projection, by merged node."""
    found = defaultdict(list)
    for edges in projection.chunks(1000, graph.index_dtype):
        columns = (edges.src - projection.source.offset, edges.dst - projection.target.offset)
        for src, dst, weight in zip(*columns, edges.weight, strict=True):
            found[int(src), int(dst)].append(float(weight))
    return found


def assert_is_quotient(graph, by, norm):
    """Compare a quotient with nested loops, projection by projection; return it."""
    merged = graph.quotient(by, norm)
    whole = [p for p in graph.projections if p.n_edges]
    assert len(merged.projections) == len(whole)
    assert list(merged.populations) == list(graph.populations)
    for before, after in zip(whole, merged.projections, strict=True):
        assert (after.source.name, after.target.name) == (before.source.name, before.target.name)
        assert (after.kind, after.weight_dtype) == (before.kind, before.weight_dtype)
        found = edges_between(merged, after)
        taps = taps_by_loops(before, by)
        assert set(found) == set(taps)
        # No layer has a kernel, and a window besides that does not read its taps.
        is_odd = before.kernel is not None and any(
            axis.kind in ("window", "fan_in") and not axis.tap_stride for axis in before.axes
        )
        if norm is None and not is_odd:  # parallel edges are told apart
            edges = after.edges()
            assert len(set(zip(edges.src, edges.dst, edges.tap, strict=True))) == len(edges)
        for ends, by_tap in taps.items():
            weights = [sum(edges) / len(edges) for edges in by_tap.values()]
            expected = sorted(weights) if norm is None else [NORMS[norm](weights)]
            assert_allclose(sorted(found[ends]), expected, rtol=1e-4, atol=1e-6)
    return merged


every_norm = pytest.mark.parametrize("norm", [*NORMS, None], ids=str)
by_both = pytest.mark.parametrize("by", ["channel", "layer"])


@cache
def graph_of_row(name):
    return gg.from_keras(model_of(*ROWS[name]))


def structure(name):
    """Return what a row's edges follow from: rows of one converter differ by shape, or as moves."""
    converter = registry._CONVERTERS[name]
    shapes = (tuple(getattr(shape, "shape", shape)) for shape in ROWS[name][1:])
    return name if converter is move else (converter, *shapes)


@pytest.mark.parametrize(("by", "norm"), [("channel", None), ("layer", "l2")])
@pytest.mark.parametrize("name", {structure(name): name for name in ROWS}.values())
def test_every_structure(name, by, norm):
    graph = graph_of_row(name)
    if graph.n_edges > MOST_EDGES:
        pytest.skip("too many edges for nested loops")
    if is_whole(graph):
        assert_is_quotient(graph, by, norm)
    else:
        with pytest.raises(gg.SelectionError, match="as probing finds them"):
            graph.quotient(by, norm)


@every_norm
@by_both
@pytest.mark.parametrize("build", EVERY_KIND, ids=lambda build: build.__name__)
def test_models(build, by, norm):
    graph = graph_of(build)
    merged = assert_is_quotient(graph, by, norm)
    assert merged.name == f"{graph.name} by {by}"
    assert merged.topology is None


@settings(max_examples=40)
@given(small_models(), st.sampled_from(["channel", "layer"]), st.sampled_from([*NORMS, None]))
def test_any_model(model, by, norm):
    assert_is_quotient(gg.from_keras(model), by, norm)


def is_whole(graph):
    return not any(p.is_listed for p in graph.projections)


@settings(max_examples=150, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    any_graph().filter(is_whole),
    st.sampled_from(["channel", "layer"]),
    st.sampled_from([*NORMS, None]),
)
def test_any_graph(graph, by, norm):
    assert_is_quotient(graph, by, norm)


@st.composite
def any_shaped_graph(draw):
    """Draw one projection between populations whose shapes have nothing to do with its axes."""
    projection = draw(any_projection())

    def reshaped(population, offset):
        n = population.size
        channels = draw(st.sampled_from([k for k in range(1, n + 1) if n % k == 0]))
        first = draw(st.booleans())
        shape = (channels, n // channels) if first else (n // channels, channels)
        return replace(population, shape=shape, offset=offset, channels_first=first)

    source = reshaped(projection.source, 0)
    target = reshaped(projection.target, source.size)
    kind = draw(st.sampled_from(["weight", "choice", "copy"]))
    between = replace(projection, source=source, target=target, kind=kind)
    return gg.NeuronGraph("shaped", {p.name: p for p in (source, target)}, [between])


@settings(max_examples=200)
@given(any_shaped_graph(), st.sampled_from(["channel", "layer"]), st.sampled_from([*NORMS, None]))
def test_channels_that_lie_across_the_axes(graph, by, norm):
    assert_is_quotient(graph, by, norm)


@st.composite
def any_strided_graph(draw):
    """Draw one projection whose axes step anyhow: with gaps, across and onto each other."""
    parts = draw(st.lists(any_axis(), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    taps = strides([axis.n_tap for axis in parts])
    steps = st.tuples(st.integers(0, 9), st.integers(0, 9), st.booleans())
    drawn = [draw(steps) for _ in parts]
    placed = tuple(
        axis.place(src, dst, tap if is_tapped else 0)
        for axis, (src, dst, is_tapped), tap in zip(parts, drawn, taps, strict=True)
    )
    populations = []
    for end in ("src", "dst"):
        last = sum((getattr(a, f"n_{end}") - 1) * getattr(a, f"{end}_stride") for a in placed)
        channels, first = draw(st.integers(1, 8)), draw(st.booleans())
        positions = last // channels + 1
        shape = (channels, positions) if first else (positions, channels)
        offset = sum(p.size for p in populations)
        populations.append(Population(end, shape, offset, "Layer", channels_first=first))
    kernel = rng.uniform(-1, 1, prod(axis.n_tap for axis in parts)).astype(np.float32)
    kind = draw(st.sampled_from(["weight", "choice", "copy"]))
    between = Projection(*populations, placed, kernel if draw(st.booleans()) else None, kind)
    return gg.NeuronGraph("strided", {p.name: p for p in populations}, [between])


@settings(max_examples=200)
@given(any_strided_graph(), st.sampled_from(["channel", "layer"]), st.sampled_from([*NORMS, None]))
def test_axes_that_step_anyhow(graph, by, norm):
    assert_is_quotient(graph, by, norm)


@pytest.mark.parametrize("norm", ["sum", None])
@pytest.mark.parametrize(
    ("shape", "first", "steps"),
    [
        ((2, 6), False, (2, 5)),  # up to 7 of 6
        ((2, 5), False, (2, 3)),  # 5 of 5, which is channel 0 again
        ((2, 3), False, (1, 1)),  # channel 1 by either axis
        ((2, 2), True, (1, 1)),  # of channel 0 each, but channel 1 together
    ],
)
@pytest.mark.parametrize("kind", ["weight", "choice"])
def test_channels_that_are_no_digits(shape, first, steps, kind, norm):
    """Two axes that each add their step or nothing, but whose sums carry or meet."""
    source = Population("a", shape, 0, "Layer", channels_first=first)
    target = Population("b", (1,), source.size, "Layer")
    axes = [fan_in(2).place(step, 0, tap) for step, tap in zip(steps, (1, 2), strict=True)]
    kernel = np.array([1, 2, 4, 8], np.float32) if kind == "weight" else None
    between = Projection(source, target, tuple(axes), kernel, kind)
    graph = gg.NeuronGraph("meeting", {"a": source, "b": target}, [between])
    assert_is_quotient(graph, "channel", norm)


@every_norm
def test_taps_are_what_the_edges_export(norm):
    """Group the columns of all edges by channel, and by parameter and tap within it."""
    graph = graph_of(u_net)
    merged = graph.quotient("channel", norm)
    trained = [i for i, p in enumerate(graph.projections) if p.kind == "weight"]
    assert len(trained) == 5
    for i in trained:
        projection = graph.projections[i]
        taps = defaultdict(dict)
        for edges in projection.chunks(1000, graph.index_dtype):
            columns = (edges.src, edges.dst, edges.parameter, edges.tap, edges.weight)
            for src, dst, parameter, tap, weight in zip(
                *(c.tolist() for c in columns), strict=True
            ):
                ends = graph.node(src)[1][-1], graph.node(dst)[1][-1]
                taps[ends][parameter, tap] = weight
        found = edges_between(merged, merged.projections[i])
        assert set(found) == set(taps)
        for ends, by_tap in taps.items():
            weights = list(by_tap.values())
            expected = sorted(weights) if norm is None else [NORMS[norm](weights)]
            assert_allclose(sorted(found[ends]), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_parameter_graph_has_an_edge_per_parameter(padding):
    model = keras.Sequential(
        [
            keras.Input((5, 6, 4)),
            layers.Conv2D(6, (3, 2), groups=2, padding=padding, name="conv"),
            layers.DepthwiseConv2D(2, name="depthwise"),
            layers.Flatten(name="flatten"),
            layers.Dense(3, name="dense"),
        ]
    )
    graph = gg.from_keras(model)
    merged = graph.quotient("channel", None)
    for before, after in zip(graph.projections, merged.projections, strict=True):
        assert after.kernel is before.kernel
        edges = after.edges()
        assert_array_equal(np.sort(edges.parameter), np.arange(before.kernel.size))
        assert_array_equal(edges.weight, before.kernel[edges.parameter])
        # No two edges of the same ends have the same tap.
        assert len(set(zip(edges.src, edges.dst, edges.tap, strict=True))) == len(edges)
    conv, _, dense = merged.projections
    assert set(conv.edges().tap) == set(range(6))
    positions = graph.populations["depthwise"].size // 6
    # Units and channels are nodes; the tap says at which position the weight reads.
    edges = dense.edges()
    assert_array_equal(edges.tap, edges.parameter // 3 // 6)
    assert set(edges.tap) == set(range(positions))


def test_taps_that_no_edge_uses_do_not_count():
    layer = layers.Conv2D(1, 3, padding="same")
    graph = gg.from_keras(model_of(layer, (1, 1, 1)))
    (edges,) = graph.quotient("channel", "sum").edges(device="cpu")
    assert_array_equal(edges.weight, graph.projections[0].kernel[4])


@every_norm
def test_kernels_of_which_only_the_middle_is_used(norm):
    """Taps 1 and 2 of 4: the norm begins to read there."""
    graph = gg.from_keras(model_of(layers.Conv1D(2, 4, strides=2, padding="same"), (2, 3)))
    assert sorted(set(graph.projections[0].edges().tap)) == [1, 2]
    assert_is_quotient(graph, "channel", norm)


@pytest.mark.parametrize(("by", "n"), [("channel", 2), ("layer", 1)])
@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        ("l1", {"max": 4, "global_max": 16, "mean": 1, "global_mean": 1}),
        ("sum", {"max": 4, "global_max": 16, "mean": 1, "global_mean": 1}),
        ("l2", {"max": 2, "global_max": 4, "mean": 1 / 2, "global_mean": 1 / 4}),
        ("max", {"max": 1, "global_max": 1, "mean": 1 / 4, "global_mean": 1 / 16}),
    ],
)
def test_places_of_a_pooling_window_are_taps(norm, expected, by, n):
    for p in poolings().quotient(by, norm).projections:
        assert_allclose(p.edges().weight, [(expected | COPIES)[p.target.name]] * n, rtol=1e-6)


COPIES = {"copy": 1, "padded": 1}


@cache
def poolings():
    image = keras.Input((4, 4, 2))
    ends = [
        layers.MaxPooling2D(2, name="max")(image),
        layers.GlobalMaxPooling2D(name="global_max")(image),
        layers.AveragePooling2D(2, name="mean")(image),
        layers.GlobalAveragePooling2D(name="global_mean")(image),
        layers.ReLU(name="copy")(image),
        layers.ZeroPadding2D(1, name="padded")(image),
    ]
    return gg.from_keras(keras.Model(image, ends))


def test_averages_at_borders_are_averaged():
    model = model_of(layers.AveragePooling1D(2, strides=1, padding="same"), (3, 1))
    (edges,) = gg.from_keras(model).quotient("channel", None).edges(device="cpu")
    # Two windows hold two inputs, the last one only the first of its taps.
    assert_allclose(edges.weight, [(1 / 2 + 1 / 2 + 1) / 3, 1 / 2])


def test_broadcasting_is_one_copy():
    x, gate = keras.Input((4, 4, 2)), keras.Input((1, 1, 2))
    graph = gg.from_keras(keras.Model([x, gate], layers.Multiply()([x, gate])))
    for edges in graph.quotient("channel", "l1").edges(device="cpu"):
        assert_array_equal(edges.weight, [1, 1])


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("build", EVERY_KIND, ids=lambda build: build.__name__)
def test_layers_are_the_layers_of_the_channels(build, norm):
    graph = graph_of(build)
    _, _, direct = graph.quotient("layer", norm).materialise("cpu")
    _, _, by_way = graph.quotient("channel", norm).quotient("layer", norm).materialise("cpu")
    assert_allclose(by_way, direct, rtol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
@by_both
def test_large_kernels_are_reduced_in_blocks(by, norm, monkeypatch):
    graph = graph_of(cnn)
    expected = graph.quotient(by, norm).materialise("cpu").weight
    monkeypatch.setattr(norms, "BLOCK_WEIGHTS", 7)
    monkeypatch.setattr(norms, "n_cores", lambda: 3)
    found = graph.quotient(by, norm).materialise("cpu").weight
    assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("reshaped", [False, True], ids=["norms", "pairs"])
def test_what_does_not_fit_in_memory_is_refused(reshaped, monkeypatch):
    x = keras.Input((4, 3))
    y = layers.Conv1D(2, 2)(layers.Reshape((6, 2))(x) if reshaped else x)
    graph = gg.from_keras(keras.Model(x, y))
    monkeypatch.setattr("gpugraph.arrays.free_memory", lambda xp=np: 20)
    with pytest.raises(gg.GraphTooLargeError, match="channels"):
        graph.quotient("channel")


def test_sums_of_many_small_weights_lose_nothing():
    graph = gg.from_keras(model_of(layers.Dense(1, use_bias=False), (2**18 * 3,)))
    kernel = graph.projections[0].kernel
    (edges,) = graph.quotient("layer", "l1").edges(device="cpu")
    assert_allclose(edges.weight, np.abs(kernel.astype(np.float64)).sum(), rtol=1e-7)


def with_kernel(values, shape, filters=2):
    """Return the graph of a 1x2 convolution whose kernel is given."""
    model = model_of(layers.Conv1D(filters, 2, use_bias=False, name="conv"), shape)
    model.layers[1].kernel.assign(np.asarray(values, np.float32).reshape(2, 1, filters))
    return gg.from_keras(model, allow_nonfinite=True)


@pytest.mark.parametrize("norm", NORMS)
def test_weights_that_are_no_numbers_stay_in_their_channel(norm):
    graph = with_kernel([[np.nan, 1], [1, np.inf]], (4, 1))
    (edges,) = graph.quotient("channel", norm).edges(device="cpu")
    assert np.isnan(edges.weight[0])
    assert edges.weight[1] == np.inf


@pytest.mark.parametrize("norm", NORMS)
def test_dead_channels_keep_their_edges(norm):
    (edges,) = with_kernel([[0, 1], [0, 2]], (4, 1)).quotient("channel", norm).edges(device="cpu")
    assert edges.weight[0] == 0
    assert len(edges) == 2


def test_squares_do_not_overflow():
    (edges,) = (
        with_kernel([[3e30, 1], [4e30, 1]], (4, 1)).quotient("channel", "l2").edges(device="cpu")
    )
    assert_allclose(edges.weight[0], 5e30, rtol=1e-6)


@needs_float64
@every_norm
def test_float64_stays(norm):
    graph = gg.from_keras(model_of(layers.Conv1D(2, 2, dtype="float64"), (5, 3)))
    merged = assert_is_quotient(graph, "channel", norm)
    assert merged.weight_dtype == np.float64


def test_nodes_without_edges_stay():
    graph = graph_of(cnn).quotient("channel")
    alone = graph.subgraph(["image", "dense"])
    assert alone.quotient("layer").n_nodes == 2
    assert alone.quotient("layer").n_edges == 0


def test_parallel_projections_stay_apart():
    x = keras.Input((3,))
    graph = gg.from_keras(keras.Model(x, layers.Add()([x, x]))).quotient("layer")
    assert len(graph.projections) == 2
    assert_array_equal(graph.to_scipy().toarray(), [[0, 2], [0, 0]])


@every_norm
def test_kernels_that_calls_share_are_shared_still(norm):
    graph = graph_of(siamese)
    merged = graph.quotient("channel", norm)

    def sharing(g):
        kernels = [p.kernel for p in g.projections]
        return {
            (i, j)
            for i in range(len(kernels))
            for j in range(i)
            if kernels[i] is kernels[j] is not None
        }

    assert sharing(merged) == sharing(graph) != set()


def test_populations_keep_what_all_their_neurons_share():
    rng = np.random.default_rng(0)
    x = keras.Input((4, 4, 2), name="x")
    conv = layers.Conv2D(3, 3, activation="relu", bias_initializer="normal", name="conv")
    shared = layers.PReLU(shared_axes=[1, 2], alpha_initializer="normal", name="shared")
    own = layers.PReLU(alpha_initializer="normal", name="own")
    model = keras.Model(x, own(shared(conv(x))))
    model.get_layer("own").alpha.assign(rng.standard_normal((2, 2, 3)))
    graph = gg.from_keras(model)
    merged = graph.quotient("channel")
    for name, population in merged.populations.items():
        before = graph.populations[name]
        assert population.shape == (before.shape[-1],)
        for what in ("layer", "depth", "activation", "reduce"):
            assert getattr(population, what) == getattr(before, what)
    bias = keras.ops.convert_to_numpy(conv.bias)
    assert_array_equal(merged.populations["conv"].values(merged.populations["conv"].bias), bias)
    alpha = merged.populations["shared"].attributes["alpha"]
    assert_array_equal(alpha, keras.ops.convert_to_numpy(shared.alpha).ravel())
    assert not merged.populations["own"].attributes
    by_layer = graph.quotient("layer").populations["conv"]
    assert (by_layer.shape, by_layer.bias) == ((), None)


def test_channels_first():
    model = model_of(
        layers.Conv2D(3, 2, data_format="channels_first", bias_initializer="normal", name="conv"),
        (2, 4, 5),
    )
    graph = gg.from_keras(model)
    merged = assert_is_quotient(graph, "channel", "l1")
    image, population = merged.populations.values()
    assert (image.shape, population.shape) == ((2,), (3,))
    assert population.axis_names == ("channel",)
    assert_array_equal(population.bias, keras.ops.convert_to_numpy(model.layers[1].bias))
    by_layer = graph.quotient("layer")
    assert [p.axis_names for p in by_layer.populations.values()] == [(), ()]


def test_names_of_layers_that_make_no_nodes():
    merged = graph_of(cnn).quotient("channel")
    n = merged.populations["pool"].size
    for i in (*range(n), -1):
        assert merged.node_id("flatten", i) == merged.node_id("pool", i)
    with pytest.raises(gg.SelectionError, match="no node at index"):
        merged.node_id("flatten", n)
    with pytest.raises(gg.SelectionError, match="passes on population 'pool'"):
        merged.population("flatten")


def test_inputs_and_outputs():
    graph = graph_of(several_outputs)
    merged = graph.quotient("channel")
    assert [p.name for p in merged.inputs] == [p.name for p in graph.inputs]
    assert [p.name for p in merged.outputs] == [p.name for p in graph.outputs]
    assert all(p is merged.populations[p.name] for p in (*merged.inputs, *merged.outputs))


@every_norm
def test_given_an_input_weights_are_means_over_positions(norm):
    graph = graph_of(u_net)
    shape = graph.populations[graph.topology.inputs[0]].shape
    image = np.random.default_rng(0).standard_normal((1, *shape), np.float32)
    assert_is_quotient(graph.given(image), "channel", norm)


@pytest.mark.parametrize(
    "part",
    [
        lambda graph: graph.threshold(0.3),
        lambda graph: graph.strongest(3),
        lambda graph: graph.ancestors(graph.node_id("dense", 1)),
    ],
)
def test_picked_edges_are_refused(part):
    graph = graph_of(cnn)
    with pytest.raises(gg.SelectionError, match=r"picked one by one .*strongest\(k\)"):
        part(graph).quotient("channel")
    assert part(graph.quotient("channel")).n_edges > 0


def test_picked_nodes_are_refused():
    graph = graph_of(cnn)
    alone = graph.ancestors(graph.node_id("image", (0, 0, 0)))
    with pytest.raises(gg.SelectionError, match="nodes of population 'image' were picked"):
        alone.quotient("layer")


def test_wrong_words_are_refused():
    graph = graph_of(cnn)
    with pytest.raises(gg.SelectionError, match="'channel' or by 'layer', not by 'filter'"):
        graph.quotient("filter")
    with pytest.raises(gg.SelectionError, match="no norm 'L1'"):
        graph.quotient("channel", "L1")


def test_it_is_no_model():
    graph = graph_of(cnn).quotient("channel")
    with pytest.raises(gg.ModelError):
        graph.evaluate(np.zeros((1, 8, 8, 2)))


@by_both
def test_it_holds_on_to_no_layer(by):
    """Values that depend on the input are those of neurons; a null model may shuffle the rest."""
    graph = gg.from_keras(model_of(layers.LayerNormalization(name="norm"), (4, 3)))
    assert graph.populations["norm"].dynamics is not None
    merged = graph.quotient(by, None)
    assert all(p.dynamics is None for p in merged.populations.values())


@by_both
@every_norm
def test_exports_and_measures(by, norm, tmp_path):
    graph = graph_of(u_net).quotient(by, norm)
    built = graph.to_networkx(multigraph=True, parameters=True)
    assert (len(built), built.number_of_edges()) == (graph.n_nodes, graph.n_edges)
    graph.write_graphml(tmp_path / "graph.graphml", parameters=True)
    read = nx.read_graphml(tmp_path / "graph.graphml", node_type=int)
    assert read.number_of_edges() == graph.n_edges
    graph.write_parquet(tmp_path / "graph.parquet", parameters=True)
    assert pq.read_table(tmp_path / "graph.parquet" / "nodes.parquet").num_rows == graph.n_nodes
    assert pq.read_table(tmp_path / "graph.parquet" / "edges").num_rows == graph.n_edges
    ranks = gg.pagerank(graph)
    weighted = nx.DiGraph()
    weighted.add_nodes_from(range(graph.n_nodes))
    for u, v, data in built.edges(data=True):
        before = weighted.get_edge_data(u, v, {"weight": 0})["weight"]
        weighted.add_edge(u, v, weight=before + abs(data["weight"]))
    expected = nx.pagerank(weighted, tol=1e-14, max_iter=1000)
    assert_allclose(np.asarray(ranks), [expected[i] for i in range(graph.n_nodes)], rtol=1e-8)
    assert len(ranks.top(3)) == 3
    assert graph.summary().n_edges == graph.n_edges
    assert pickle.loads(pickle.dumps(graph)).n_edges == graph.n_edges


@by_both
@pytest.mark.parametrize("view", ["weight", "magnitude", "positive", "negative", None])
@every_norm
def test_readings_agree_with_the_edges(by, norm, view):
    graph = graph_of(u_net).quotient(by, norm)
    matrix = graph.to_scipy(view)
    assert_allclose(graph.in_strength(view), matrix.sum(axis=0), rtol=1e-5, atol=1e-6)
    assert_allclose(graph.out_strength(view), matrix.sum(axis=1), rtol=1e-5, atol=1e-6)
    x = np.random.default_rng(0).standard_normal(graph.n_nodes)
    assert_allclose(graph.as_linear_operator(view) @ x, matrix.T @ x, rtol=1e-5, atol=1e-5)
