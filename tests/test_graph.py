import copy
import pickle

import keras
import networkx as nx
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

import gpugraph as gg
from gpugraph.conversion import Draft
from gpugraph.edge_maker import EdgeMaker
from gpugraph.projection import Projection
from tests import models


@pytest.fixture(scope="module", params=models.EVERY_KIND, ids=lambda build: build.__name__)
def graph(request):
    return gg.from_keras(models.randomise(request.param()))


@pytest.fixture(scope="module")
def cnn():
    return gg.from_keras(models.randomise(models.cnn()))


def columns(graph, **options):
    """Return all edges as three columns."""
    chunks = list(graph.edges(device="cpu", **options))
    return [np.concatenate([getattr(c, k) for c in chunks]) for k in ("src", "dst", "weight")]


def matrix(graph, view=None):
    """Return ``A[src, dst]``, parallel edges summed, as scipy builds it from the edges."""
    src, dst, weight = columns(graph)
    weight = weight.astype(np.float64)
    weight = weight if view is None else view(weight)
    n = graph.n_nodes
    return scipy.sparse.coo_array((weight, (src, dst)), (n, n)).tocsr()


VIEWS = {
    "weight": None,
    "magnitude": np.abs,
    "positive": lambda w: np.maximum(w, 0),
    "negative": lambda w: np.maximum(-w, 0),
    None: np.ones_like,
}


# Nodes


@given(st.data())
def test_node_and_node_id_are_inverse(cnn, data):
    node_id = data.draw(st.integers(0, cnn.n_nodes - 1))
    name, index = cnn.node(node_id)
    assert cnn.node_id(name, index) == node_id
    population = cnn.population(name)
    assert node_id in population.ids
    negative = [i - n for i, n in zip(index, population.shape, strict=True)]
    assert cnn.node_id(name, negative) == node_id


def test_every_node_has_a_place(graph):
    places = [graph.node(i) for i in range(graph.n_nodes)]
    assert len(set(places)) == graph.n_nodes
    assert [graph.node_id(*place) for place in places] == list(range(graph.n_nodes))


@pytest.mark.parametrize("node_id", [-1, 267, 10**12])
def test_a_node_that_is_not_there(cnn, node_id):
    with pytest.raises(gg.SelectionError, match=f"no node {node_id}: ids are 0 to 266"):
        cnn.node(node_id)


@pytest.mark.parametrize("kind", [int, np.int32, np.int64, np.uint8])
def test_a_node_id_may_be_numpys(cnn, kind):
    assert cnn.node(kind(130)) == ("conv", (0, 0, 2))


def test_a_layer_that_passes_nodes_on_may_name_them(cnn):
    assert cnn.node_id("flatten", 26) == cnn.node_id("pool", (2, 2, 2))
    assert cnn.node_id("flatten", -27) == cnn.node_id("pool", (0, 0, 0))
    with pytest.raises(gg.SelectionError, match=r"'flatten' has shape \(27,\): no node"):
        cnn.node_id("flatten", 27)


def test_a_layer_that_passes_nodes_on_is_no_population(cnn):
    with pytest.raises(gg.SelectionError, match=r"'flatten' makes no nodes .* population 'pool'"):
        cnn.population("flatten")


@pytest.mark.parametrize("look_up", [lambda g: g.population("x"), lambda g: g.node_id("x", 0)])
def test_an_unknown_population_is_named_with_those_there_are(cnn, look_up):
    with pytest.raises(gg.SelectionError, match=r"no population 'x'. It has: image, conv, pool"):
        look_up(cnn)


def test_populations_cannot_be_changed(cnn):
    with pytest.raises(TypeError):
        cnn.populations["conv"] = None


def test_channels_first_is_known():
    image = keras.Input((2, 6, 6))
    y = layers.Conv2D(3, 3, data_format="channels_first", name="conv")(image)
    graph = gg.from_keras(keras.Model(image, layers.ReLU(name="relu")(y)))
    assert graph.population("conv").axis_names == ("channel", "row", "column")
    assert graph.population("relu").axis_names == ("channel", "row", "column")
    assert graph.node(graph.node_id("conv", (2, 1, 0))) == ("conv", (2, 1, 0))


# Edges


def test_edges_are_as_many_as_counted_and_point_forward(graph):
    src, dst, weight = columns(graph)
    assert len(src) == len(dst) == len(weight) == graph.n_edges
    assert src.min() >= 0
    assert dst.max() < graph.n_nodes
    assert (src < dst).all()
    assert (src.dtype, dst.dtype, weight.dtype) == (np.int32, np.int32, np.float32)


@pytest.mark.parametrize("chunk_edges", [1, 7, 100, 10**9])
def test_chunks_put_together_are_the_whole(cnn, chunk_edges):
    chunks = list(cnn.edges(device="cpu", chunk_edges=chunk_edges))
    assert max(map(len, chunks)) <= chunk_edges
    for given_, whole in zip(columns(cnn, chunk_edges=chunk_edges), columns(cnn), strict=True):
        np.testing.assert_array_equal(given_, whole)
    starts = {}
    for chunk in chunks:
        assert chunk.start == starts.get(id(chunk.projection), 0)
        starts[id(chunk.projection)] = chunk.start + len(chunk)
    assert list(starts.values()) == [p.n_edges for p in cnn.projections]


@pytest.mark.parametrize(
    "keep", [lambda c: c.src, lambda c: c.dst[2:], lambda c: c.weight.view()], ids=["src", "a", "b"]
)
def test_what_is_kept_of_a_chunk_stays_as_it_was(cnn, keep):
    kept, copies = [], []
    for chunk in cnn.edges(device="cpu", chunk_edges=10):
        kept.append(keep(chunk))
        copies.append(keep(chunk).copy())
        del chunk
    for a, b in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("chunk_edges", [0, -1, 2.5, "many"])
def test_chunks_of_nothing_are_refused(cnn, chunk_edges):
    message = f"must be a whole number of at least 1, not {chunk_edges!r}"
    with pytest.raises(gg.SelectionError, match=message):
        cnn.edges(chunk_edges=chunk_edges)


def test_edges_into_some_populations(cnn):
    src, dst, weight = columns(cnn)
    names = np.array([cnn.node(int(i))[0] for i in dst])
    for chosen in (["dense"], ["dense", "pool"], ["conv"]):
        mask = np.isin(names, chosen)
        for given_, whole in zip(columns(cnn, populations=chosen), (src, dst, weight), strict=True):
            np.testing.assert_array_equal(given_, whole[mask])
    assert columns(cnn, populations="dense")[0].size == 108
    assert list(cnn.edges(populations=["image"])) == []
    assert list(cnn.edges(populations=[])) == []


def test_edges_into_a_population_that_is_not_there(cnn):
    with pytest.raises(gg.SelectionError, match="no population 'nothing'"):
        cnn.edges(populations=["conv", "nothing"])
    with pytest.raises(gg.SelectionError, match="passes on population 'pool'"):
        cnn.edges("flatten")


def test_edge_tuples_are_pythons_numbers_for_networkx(cnn):
    tuples = list(cnn.edge_tuples())
    assert {tuple(map(type, t)) for t in tuples} == {(int, int, float)}
    made = nx.DiGraph()
    made.add_weighted_edges_from(tuples)
    assert made.number_of_edges() == cnn.n_edges
    assert nx.is_directed_acyclic_graph(made)
    expected = matrix(cnn)
    for src, dst, weight in list(made.edges.data("weight"))[:50]:
        assert weight == expected[src, dst]


def test_parallel_edges_are_all_there():
    graph = gg.from_keras(models.shared_layer())
    made = nx.MultiDiGraph()
    made.add_weighted_edges_from(graph.edge_tuples())
    a, b = graph.node_id("dense", 0), graph.node_id("total", 0)
    assert made.number_of_edges(a, b) == 2
    assert made.number_of_edges() == graph.n_edges


def far_graph(offset):
    """Return two populations, the second far behind the first, without the memory of either."""
    source = gg.Population("a", (offset,), 0, "Made")
    target = gg.Population("b", (4,), offset, "Made")
    draft = Draft(populations={"a": source, "b": target})
    axes = (gg.one_to_one(2).place(1, 1), gg.fan_out(2).place(dst=2))
    projection = Projection(source, target, axes, None, "copy")
    return gg.NeuronGraph("far", draft.populations, [projection])


@pytest.mark.parametrize(
    ("offset", "dtype"),
    [(2**31 - 5, np.int32), (2**31 - 4, np.int64), (2**31, np.int64), (2**40, np.int64)],
)
def test_ids_are_int64_where_int32_ends(offset, dtype):
    graph = far_graph(offset)
    assert graph.index_dtype == dtype
    src, dst, _ = columns(graph)
    assert src.dtype == dst.dtype == dtype
    assert src.tolist() == [0, 0, 1, 1]
    assert dst.tolist() == [offset, offset + 2, offset + 1, offset + 3]
    assert graph.node(graph.n_nodes - 1) == ("b", (3,))
    assert graph.node_id("a", -1) == offset - 1


@models.needs_float64
def test_numbers_are_float64_in_a_model_of_float64():
    x = keras.Input((3, 3, 1), dtype="float64")
    graph = gg.from_keras(keras.Model(x, layers.GlobalAveragePooling2D(dtype="float64")(x)))
    assert graph.projections[0].kernel.tolist() == [1 / 9]


@models.needs_float64
def test_weights_are_float64_where_the_models_are():
    x = keras.Input((4,))
    y = layers.Dense(3, dtype="float64", name="double")(layers.Dense(4, name="single")(x))
    graph = gg.from_keras(keras.Model(x, y))
    assert graph.weight_dtype == np.float64
    assert {c.projection.target.name: c.weight.dtype for c in graph.edges(device="cpu")} == {
        "single": np.float32,
        "double": np.float64,
    }


# Readings without edges, against scipy on the edges


def test_degrees(graph):
    counts = matrix(graph, np.ones_like)
    np.testing.assert_array_equal(graph.in_degree(), counts.sum(axis=0))
    np.testing.assert_array_equal(graph.out_degree(), counts.sum(axis=1))
    assert graph.in_degree().dtype == graph.out_degree().dtype == np.int64
    assert graph.in_degree().sum() == graph.n_edges


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_strengths(graph, view):
    adjacency = matrix(graph, VIEWS[view])
    assert graph.in_strength(view).dtype == np.float64
    np.testing.assert_allclose(graph.in_strength(view), adjacency.sum(axis=0), 1e-4, 1e-5)
    np.testing.assert_allclose(graph.out_strength(view), adjacency.sum(axis=1), 1e-4, 1e-5)


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_linear_operator(graph, view):
    operator = graph.as_linear_operator(view, device="cpu")
    adjacency = matrix(graph, VIEWS[view])
    rng = np.random.default_rng(0)
    x = rng.standard_normal(graph.n_nodes)
    assert (operator.shape, operator.dtype) == ((graph.n_nodes,) * 2, np.float64)
    np.testing.assert_allclose(operator @ x, adjacency.T @ x, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(operator.rmatvec(x), adjacency @ x, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(operator.T @ x, adjacency @ x, rtol=1e-5, atol=1e-5)


def test_linear_operator_takes_columns_integers_and_leaves_them_alone(cnn):
    operator, adjacency = cnn.as_linear_operator("weight", device="cpu"), matrix(cnn)
    x = np.random.default_rng(0).integers(-3, 4, (cnn.n_nodes, 3))
    before = x.copy()
    np.testing.assert_allclose(operator @ x, adjacency.T @ x, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_allclose(operator @ x[:, :1], adjacency.T @ x[:, :1], rtol=1e-5, atol=1e-5)


def test_linear_operator_takes_complex_vectors(cnn):
    operator, adjacency = cnn.as_linear_operator("weight", device="cpu"), matrix(cnn)
    x = np.random.default_rng(0).standard_normal((cnn.n_nodes, 2)) @ [1, 1j]
    np.testing.assert_allclose(operator @ x, adjacency.T @ x, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(operator.H @ x, adjacency @ x, rtol=1e-5, atol=1e-5)


def test_linear_operator_refuses_a_view_that_is_none_at_once(cnn):
    with pytest.raises(gg.SelectionError, match="no view 'abs' of the weights"):
        cnn.as_linear_operator("abs", device="cpu")


def test_linear_operator_serves_scipy(cnn):
    from scipy.sparse.linalg import svds

    expected = np.linalg.svd(matrix(cnn, np.abs).toarray(), compute_uv=False)[0]
    found = svds(cnn.as_linear_operator(device="cpu"), k=1, return_singular_vectors=False)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("method", ["edges", "as_linear_operator"])
def test_an_unknown_device_is_refused(cnn, method):
    with pytest.raises(gg.DeviceError, match="Unknown device 'tpu'"):
        getattr(cnn, method)(device="tpu")


def test_a_graph_without_anything():
    graph = gg.NeuronGraph("empty", {}, [])
    assert (graph.n_nodes, graph.n_edges, list(graph.edges())) == (0, 0, [])
    assert graph.in_degree().shape == (0,)
    with pytest.raises(gg.SelectionError, match="no node 0"):
        graph.node(0)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))])
def test_a_graph_travels_without_its_model(copied):
    graph = gg.from_keras(models.cnn())
    twin = copied(graph)
    assert twin.topology is None
    for mine, theirs in zip(graph.materialise("cpu"), twin.materialise("cpu"), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert graph.topology is not None


def test_a_part_of_an_edge_needs_no_memory_for_all():
    """A long time axis is not multiplied out for a handful of its edges."""
    model = keras.Sequential(
        [keras.Input((100_000, 1)), keras.layers.Conv1D(16, 9, padding="same")]
    )
    graph = gg.from_keras(model)
    (projection,) = graph.projections
    maker = EdgeMaker(projection, np.dtype(np.int32))
    assert maker.row <= 2**20
    whole = projection.edges(7_000_000, 7_000_010)
    apart = [projection.edges(e, e + 1) for e in range(7_000_000, 7_000_010)]
    for column in ("src", "dst", "weight"):
        together = np.concatenate([getattr(e, column) for e in apart])
        np.testing.assert_array_equal(getattr(whole, column), together)
    np.testing.assert_array_equal(whole.weight, projection.kernel[whole.parameter])


@pytest.mark.parametrize("view", ["abs", "Magnitude", "", 1])
@pytest.mark.parametrize("reading", ["to_scipy", "in_strength", "out_strength"])
def test_an_unknown_view_is_refused(reading, view):
    graph = gg.from_keras(models.cnn())
    with pytest.raises(gg.SelectionError, match="no view"):
        getattr(graph, reading)(view)


@pytest.mark.parametrize("node", [4.7, "4", None])
def test_a_node_id_is_a_whole_number(node):
    with pytest.raises(gg.SelectionError, match="no node"):
        gg.from_keras(models.cnn()).node(node)


def test_a_scalar_input_exports():
    model = keras.Sequential([keras.Input(()), keras.layers.Rescaling(2.0)])
    graph = gg.from_keras(model)
    built = graph.to_networkx()
    assert built.nodes[0]["bias"] == 0.0
    assert built.edges[0, 1]["weight"] == 2.0
