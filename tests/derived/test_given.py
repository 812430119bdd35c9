"""The activation-weighted graph, against the weights and the values that it multiplies."""

import keras
import networkx as nx
import numpy as np
import pyarrow.parquet as pq
import pytest
from keras import layers
from numpy.testing import assert_allclose, assert_array_equal

import gpugraph as gg
from tests.models import EVERY_KIND, cnn, needs_float64, randomise, u_net

VIEWS = ["weight", "magnitude", "positive", "negative", None]


def sample(graph, seed=0, dtype=np.float32):
    """Return one sample of noise per input."""
    rng = np.random.default_rng(seed)
    shapes = [graph.populations[name].shape for name in graph.topology.inputs]
    return [rng.standard_normal((1, *shape)).astype(dtype) for shape in shapes]


def columns(graph):
    return [np.concatenate(c) for c in zip(*map(list, graph.edges(device="cpu")), strict=True)]


def activations(graph, inputs):
    return np.concatenate([v.ravel() for v in graph.evaluate(inputs).values()])


@pytest.fixture(scope="module")
def graph():
    """Return convolutions, pooling and a skip, and activations of both signs."""
    return gg.from_keras(randomise(u_net()))


@pytest.fixture(scope="module")
def flow(graph):
    return graph.given(sample(graph))


@pytest.mark.parametrize("build", EVERY_KIND, ids=lambda build: build.__name__)
def test_every_weight_is_the_weight_times_the_activation(build):
    graph = gg.from_keras(randomise(build()))
    inputs = sample(graph)
    flow = graph.given(inputs)
    src, dst, weight = columns(graph)
    got_src, got_dst, got = columns(flow)
    assert_array_equal(got_src, src)
    assert_array_equal(got_dst, dst)
    assert_array_equal(got, weight * activations(graph, inputs)[src])
    assert got.dtype == np.float32
    assert (flow.n_nodes, flow.n_edges) == (graph.n_nodes, graph.n_edges)


@pytest.mark.parametrize("build", EVERY_KIND, ids=lambda build: build.__name__)
def test_weights_into_a_node_add_up_to_its_value(build):
    graph = gg.from_keras(randomise(build()))
    inputs = sample(graph, seed=1)
    values, strength = graph.evaluate(inputs), graph.given(inputs).in_strength()
    for name, population in graph.populations.items():
        if population.reduce == "sum" and graph.projections_into[name]:
            total = strength[population.slice].reshape(1, *population.shape)
            total = (total + population.node_values["bias"]).astype(np.float32)
            function = population.activation.function
            computed = total if function is None else function(total)
            assert_allclose(computed, values[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("view", VIEWS)
def test_readings_agree_with_the_edges(flow, view):
    src, dst, weight = columns(flow)
    seen = {
        "weight": weight,
        "magnitude": abs(weight),
        "positive": np.maximum(weight, 0),
        "negative": np.maximum(-weight, 0),
        None: np.ones_like(weight),
    }[view].astype(np.float64)
    n = flow.n_nodes
    x = np.random.default_rng(2).standard_normal(n)
    operator, matrix = flow.as_linear_operator(view, device="cpu"), flow.to_scipy(view)
    forward, backward = np.bincount(dst, seen * x[src], n), np.bincount(src, seen * x[dst], n)
    for got, expected in (
        (operator @ x, forward),
        (operator.rmatvec(x), backward),
        (matrix.T @ x, forward),
        (matrix @ x, backward),
        (flow.in_strength(view), np.bincount(dst, seen, n)),
        (flow.out_strength(view), np.bincount(src, seen, n)),
    ):
        assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    assert_array_equal(flow.in_degree(), np.bincount(dst, minlength=n))
    assert_array_equal(flow.out_degree(), np.bincount(src, minlength=n))
    assert (seen > 0).any()


PARTS = {
    "subgraph": lambda g: g.subgraph(["down1", "pool1", "skip"]),
    "between": lambda g: g.between("down1", "up1"),
    "ancestors": lambda g: g.ancestors(g.node_id("down2", (1, 2, 3))),
    "descendants": lambda g: g.descendants(g.node_id("down2", (1, 2, 3))),
    "part of a part": lambda g: g.descendants(g.node_id("down1", (2, 2, 0))).ancestors("pool1"),
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_a_part_holds_the_weights_of_the_whole(graph, flow, part):
    plain, weighed = part(graph), part(flow)
    values = activations(graph, sample(graph))
    ids = [graph.node_id(*plain.node(i)) for i in range(plain.n_nodes)]
    src, dst, weight = columns(plain)
    got_src, got_dst, got = columns(weighed)
    assert_array_equal(got_src, src)
    assert_array_equal(got_dst, dst)
    assert_array_equal(got, weight * values[ids][src])
    matrix = weighed.to_scipy("positive")
    assert_allclose(weighed.in_strength("positive"), matrix.sum(axis=0), rtol=1e-5, atol=1e-6)
    assert_allclose(weighed.out_strength("positive"), matrix.sum(axis=1), rtol=1e-5, atol=1e-6)


def test_threshold_goes_by_the_product(flow):
    src, dst, weight = columns(flow)
    least = np.quantile(abs(weight), 0.9)
    kept = abs(weight) >= least
    assert_array_equal(columns(flow.threshold(least)), [c[kept] for c in (src, dst, weight)])
    assert 0 < kept.sum() < len(kept)


def test_strongest_goes_by_the_product(flow):
    _, _, weight = (np.concatenate(c) for c in zip(*map(list, flow.edges("down2")), strict=True))
    _, _, kept = (
        np.concatenate(c) for c in zip(*map(list, flow.strongest(7).edges("down2")), strict=True)
    )
    assert_array_equal(np.sort(abs(kept)), np.sort(abs(weight))[-7:])


@pytest.mark.parametrize("view", ["magnitude", "positive", None])
def test_pagerank_is_that_of_networkx(view):
    graph = gg.from_keras(randomise(cnn(size=6)))
    flow = graph.given(sample(graph))
    seen = nx.DiGraph()
    seen.add_nodes_from(range(flow.n_nodes))
    src, dst, weight = columns(flow)
    weight = {"magnitude": abs, "positive": lambda w: np.maximum(w, 0), None: np.ones_like}[view](
        weight
    )
    seen.add_weighted_edges_from(zip(src.tolist(), dst.tolist(), weight.tolist(), strict=True))
    expected = nx.pagerank(seen, tol=1e-12, max_iter=1000)
    got = np.asarray(gg.pagerank(flow, weight=view))
    assert_allclose(got, [expected[i] for i in range(flow.n_nodes)], rtol=1e-6)


def test_values_of_parameters_are_sums_over_their_edges(flow):
    for view in ("weight", "magnitude", "positive"):
        values = gg.edge_path_strength(flow, weight=view)
        for projection in flow.projections:
            if projection.kernel is not None:
                parameter = projection.parameter(0, projection.n_edges)
                expected = np.bincount(parameter, values[projection], projection.kernel.size)
                got = values.per_parameter(projection)
                assert_allclose(got, expected, rtol=1e-5, atol=1e-7 * abs(expected).max())


def constant(value):
    """Return four inputs to three units, every weight the same."""
    dense = layers.Dense(3, kernel_initializer=keras.initializers.Constant(value), name="dense")
    return gg.from_keras(keras.Sequential([keras.Input((4,)), dense]))


def test_signed_view_is_refused_where_a_product_is_negative():
    graph = constant(1)
    with pytest.raises(gg.SignedWeightsError):
        gg.pagerank(graph.given(np.array([[1.0, -1.0, 0.0, 2.0]])), weight="weight")
    x = np.array([[1.0, 0.0, 0.0, 2.0]])
    ranks = gg.pagerank(graph.given(x), weight="weight")
    assert_allclose(np.asarray(ranks), np.asarray(gg.pagerank(graph.given(x))))


def test_negative_weights_of_negative_activations_are_no_obstacle():
    flow = constant(-2).given(-np.ones((1, 4)))
    assert gg.pagerank(flow, weight="weight").top(1)[0].population == "dense"


@pytest.mark.parametrize("ending", ["graphml", "csv", "parquet", "npz"])
def test_files_hold_the_products(flow, tmp_path, ending):
    path = tmp_path / f"flow.{ending}"
    getattr(flow, f"write_{ending}")(path)
    matrix = flow.to_scipy()
    if ending == "npz":
        from scipy import sparse

        assert (sparse.load_npz(path) != matrix).nnz == 0
        return
    if ending == "graphml":
        read = nx.read_graphml(path, node_type=int)
        triples = [(u, v, w) for u, v, w in read.edges(data="weight")]
    elif ending == "csv":
        rows = [line.split(",")[:3] for line in path.read_text().splitlines()[1:]]
        triples = [(int(u), int(v), float(w)) for u, v, w in rows]
    else:
        table = pq.read_table(path / "edges").select(["src", "dst", "weight"]).to_pydict()
        triples = list(zip(*table.values(), strict=True))
    src, dst, weight = (np.array(c) for c in zip(*triples, strict=True))
    assert_array_equal(weight.astype(np.float32), matrix[src, dst])
    assert len(triples) == flow.n_edges


def test_networkx_and_the_summary_take_it(flow):
    built = flow.to_networkx()
    src, dst, weight = columns(flow)
    pairs = zip(src.tolist(), dst.tolist(), strict=True)
    assert_array_equal([built.edges[pair]["weight"] for pair in pairs], weight)
    assert built.nodes[0]["population"] == "image"
    assert built.name.endswith("given an input")
    assert flow.summary().n_edges == flow.n_edges
    assert flow.node_id("dropout", (0, 0, 1)) == flow.node_id("down2", (0, 0, 1))


@needs_float64
def test_float64_inputs_make_float64_weights():
    graph = gg.from_keras(randomise(cnn()))
    inputs = sample(graph, dtype=np.float64)
    flow = graph.given(inputs)
    src, dst, weight = columns(flow)
    assert weight.dtype == flow.weight_dtype == np.float64
    assert_array_equal(weight, columns(graph)[2] * activations(graph, inputs)[src])
    assert_array_equal(flow.materialise("cpu").weight, weight)
    assert_allclose(flow.to_scipy()[src, dst], weight)


def test_several_inputs_by_name():
    graph = gg.from_keras(randomise(EVERY_KIND[2]()))
    left, right = sample(graph)
    by_name = graph.given({"left": left, "right": right})
    assert_array_equal(columns(by_name)[2], columns(graph.given([left, right]))[2])


def test_the_result_is_no_model():
    graph = gg.from_keras(cnn())
    flow = graph.given(sample(graph))
    assert flow.name == "cnn given an input"
    assert flow.topology is None
    with pytest.raises(gg.ModelError, match=r"Call given\(\) on the graph that from_keras gives"):
        flow.given(sample(graph))
    with pytest.raises(gg.ModelError, match="computes nothing by itself"):
        flow.evaluate(sample(graph))


def test_the_graph_stays_as_it_was():
    graph = gg.from_keras(cnn())
    before = columns(graph)[2]
    graph.given(sample(graph))
    assert_array_equal(columns(graph)[2], before)
    assert graph.verify().passed


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        ((3, 8, 8, 2), r"one sample, but the inputs hold 3.*inputs\[i : i \+ 1\]"),
        ((8, 8, 2), r"must be numbers of shape \(batch, 8, 8, 2\)"),
        ((0, 8, 8, 2), "got shape"),
    ],
)
def test_anything_but_one_sample_is_refused(shape, match):
    with pytest.raises(gg.ShapeError, match=match):
        gg.from_keras(cnn()).given(np.zeros(shape, np.float32))


def test_activations_that_are_not_finite_are_refused():
    graph = gg.from_keras(cnn())
    with pytest.raises(gg.NonFiniteError, match="population 'image' of 'cnn' are NaN or infinite"):
        graph.given(np.full((1, 8, 8, 2), np.nan))
