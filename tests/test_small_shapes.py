"""Populations without a dimension, which are one node, and without nodes: all that reads them."""

import gzip

import keras
import networkx as nx
import numpy as np
import pytest
from keras import layers, ops
from numpy.testing import assert_allclose, assert_array_equal

import gpugraph as gg
from tests.jacobian import randomise
from tests.reach import assert_reaches


def scalars():
    """A number per sample, scaled twice, weighs a vector."""
    x, scale = keras.Input((3,), name="x"), keras.Input((), name="scale")
    weight = ops.expand_dims(ops.tanh(-2.0 * scale), axis=-1)
    return keras.Model([x, scale], layers.Dense(2)(weight * x))


def nothing():
    """A rotation of none of the channels, and layers on none of the steps."""
    x = keras.Input((5, 4), name="x")
    y = layers.Dense(6, name="y")(x)
    turned = ops.sin(y[:, :, :0]) * 2
    kept = layers.Dense(3, activation="tanh", name="kept")(ops.concatenate([turned, y], axis=-1))
    none = layers.Dense(3, activation="softmax", name="none")(x[:, 2:2])
    none = layers.MultiHeadAttention(2, 3)(layers.LayerNormalization()(none), kept)
    total = layers.Dense(2, name="total")(layers.Flatten()(none * none))
    return keras.Model(
        x, [layers.Concatenate(axis=1)([none, kept]), total, ops.einsum("btd,bsd->bs", none, kept)]
    )


MODELS = {"scalars": scalars, "nothing": nothing}


def model_of(kind):
    model = MODELS[kind]()
    randomise(model)
    return model


@pytest.fixture(params=MODELS)
def graph(request):
    return gg.from_keras(model_of(request.param))


def noise(graph, n=3):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((n, *p.shape)).astype(np.float32) for p in graph.inputs]
    return arrays if len(arrays) > 1 else arrays[0]


@pytest.mark.parametrize("couplings", [False, True])
@pytest.mark.parametrize("kind", MODELS)
def test_the_graph_is_the_model(kind, couplings):
    model = model_of(kind)
    graph = gg.from_keras(model, couplings=couplings)
    x = noise(graph)
    assert graph.verify(x).passed
    assert graph.verify().passed
    values = graph.evaluate(x)
    # Not predict(): TensorFlow's graphs forget the bias of a product over nothing.
    outputs = keras.tree.flatten(model(x))
    for ref, y in zip(graph.topology.outputs, map(ops.convert_to_numpy, outputs), strict=True):
        got = values[graph.tensors[ref.label].population.name]
        assert_allclose(got.reshape(y.shape), y, atol=1e-5)


def test_edges_lead_where_values_change():
    x = keras.Input(())
    y = layers.Dense(2, activation="tanh")(ops.expand_dims(3 * ops.sin(x) - x, axis=-1))
    graph = gg.from_keras(keras.Model(x, y))
    assert_reaches(graph, np.random.default_rng(0).standard_normal(3))


def test_nodes_have_places_and_back(graph):
    assert [graph.node_id(*graph.node(i)) for i in range(graph.n_nodes)] == [*range(graph.n_nodes)]


MEASURES = {
    "pagerank": nx.pagerank,
    "katz_centrality": lambda g: nx.katz_centrality(g, alpha=0.05, tol=1e-10),
    "betweenness_centrality": nx.betweenness_centrality,
    "closeness_centrality": nx.closeness_centrality,
    "harmonic_centrality": nx.harmonic_centrality,
    "degree_centrality": nx.degree_centrality,
}


@pytest.mark.parametrize("name", MEASURES)
def test_measures_are_networkxs(graph, name):
    built = graph.to_networkx()
    for *_, data in built.edges(data=True):
        data["weight"] = abs(data["weight"])
    expected = MEASURES[name](built)
    options = {"alpha": 0.05} if name == "katz_centrality" else {}
    assert_allclose(getattr(gg, name)(graph, **options), [expected[i] for i in built], 1e-3)


@pytest.mark.parametrize(
    "name",
    [
        "hits",
        "path_count",
        "path_strength",
        "edge_path_strength",
        "edge_betweenness_centrality",
        "longest_path_length",
        "weakly_connected_components",
        "layer_statistics",
        "normalized_cut",
        "spectral_gap",
    ],
)
def test_other_measures_run(graph, name):
    getattr(gg, name)(graph)


@pytest.mark.parametrize("weight", [None, "weight", "magnitude", "positive", "negative"])
def test_strengths_are_sums_of_the_matrix(graph, weight):
    views = {
        None: np.ones_like,
        "weight": np.asarray,
        "magnitude": np.abs,
        "positive": lambda w: np.maximum(w, 0),
        "negative": lambda w: np.maximum(-w, 0),
    }
    edges = np.array([*graph.edge_tuples()])
    weights = views[weight](edges[:, 2])
    for name, end in (("in_strength", 1), ("out_strength", 0)):
        expected = np.bincount(edges[:, end].astype(int), weights, graph.n_nodes)
        assert_allclose(getattr(gg, name)(graph, weight), expected, 1e-5, 1e-6)


def test_values_of_populations_have_their_shapes(graph):
    ranks = gg.pagerank(graph)
    for name, population in graph.populations.items():
        assert ranks[name].shape == population.shape
    assert len(ranks.to_pandas()) == ranks.to_arrow().num_rows == graph.n_nodes


def test_parts_and_copies(graph):
    everything = graph.subgraph(list(graph.populations))
    assert (everything.n_nodes, everything.n_edges) == (graph.n_nodes, graph.n_edges)
    (last,) = graph.node(graph.n_nodes - 1)[:1]
    assert graph.between(graph.inputs[0].name, last).n_nodes <= graph.n_nodes
    assert graph.descendants([0]).n_nodes > 1
    assert graph.ancestors([graph.n_nodes - 1]).n_nodes > 1
    assert graph.strongest(3).n_edges >= 3
    assert graph.threshold(0.0).n_edges == graph.n_edges
    assert graph.shuffled(0).n_edges == graph.n_edges
    assert graph.given(noise(graph, 1)).n_edges == graph.n_edges
    assert graph.with_weights(graph.topology.model).verify().passed
    assert len(gg.strongest_paths(graph, 2)) == 2


@pytest.mark.parametrize("norm", ["l1", None])
@pytest.mark.parametrize("by", ["channel", "layer"])
def test_of_no_neurons_no_channel_is_made(graph, by, norm, tmp_path):
    merged = graph.quotient(by, norm=norm)
    for name, population in graph.populations.items():
        n = 1 if by == "layer" or not population.shape else population.shape[-1]
        assert merged.populations[name].size == (n if population.size else 0)
    merged.write_graphml(tmp_path / "merged.graphml")
    gg.pagerank(merged)


def test_files_and_tables(graph, tmp_path):
    graph.write_graphml(tmp_path / "graph.graphml.gz")
    with gzip.open(tmp_path / "graph.graphml.gz") as file:
        read = nx.read_graphml(file)
    assert read.number_of_nodes() == graph.n_nodes
    graph.write_csv(tmp_path / "graph.csv")
    graph.write_parquet(tmp_path / "graph")
    graph.write_npz(tmp_path / "graph.npz")
    assert_array_equal(graph.to_scipy().shape, graph.n_nodes)
    assert len(graph.materialise().src) == graph.n_edges
    assert sum(len(edges.src) for edges in graph.edges()) == graph.n_edges
    assert "total" in str(graph.summary())
    assert gg.topology(graph.topology.model).to_networkx().number_of_nodes() > 3


def test_a_training_run_records_no_mean_of_no_nodes():
    x = keras.Input((5, 4))
    y = layers.Dense(3, name="dense")(ops.concatenate([2 * x[:, :, :0], x], axis=-1))
    model = keras.Model(x, y)
    model.compile(loss="mse")
    history = gg.GraphHistory({"rank": gg.pagerank})
    found = model.fit(np.zeros((2, 5, 4)), np.zeros((2, 5, 3)), callbacks=[history], verbose=0)
    assert [name for name in found.history if "dense" in name or "multiply" in name] == [
        "rank/dense"
    ]


def test_a_population_without_nodes_on_its_own():
    graph = gg.from_keras(model_of("nothing"))
    part = graph.subgraph(["none"])
    assert (part.n_nodes, part.n_edges) == (0, 0)
    assert [*graph.edges(["none"])] == []
    with pytest.raises(gg.SelectionError, match=r"'none' has shape \(0, 3\): no node"):
        graph.node_id("none", (0, 0))


# What is empty


class Halved(layers.Layer):
    """Some channels apart, be they none, as rotary embeddings have it."""

    def __init__(self, n, **kwargs):
        super().__init__(**kwargs)
        self.n = n

    def call(self, x):
        some, others = x[..., : self.n], x[..., self.n :]
        return ops.concatenate([ops.cos(some), others], axis=-1)


@pytest.mark.parametrize("shape", [(5, 4), (None, 4)])
def test_a_traced_layer_takes_none_of_the_channels(shape):
    x = keras.Input(shape)
    model = keras.Model(x, layers.Dense(3)(Halved(0, name="halved")(x)))
    graph = gg.from_keras(model, (5, 4), trace=True)
    assert graph.verify().passed
    assert graph.populations["halved/cos"].shape == (5, 0)
    assert [p.n_edges for p in graph.projections] == [5 * 4 * 3]


def test_the_smallest_size_of_what_is_empty_at_any():
    x = keras.Input((None, None, 2))
    y = layers.Conv2D(3, 3)(x)
    model = keras.Model(x, ops.concatenate([y[..., :0], y], axis=-1))
    assert gg.from_keras(model, "minimal").inputs[0].shape == (3, 3, 2)


class From(layers.Layer):
    """The steps from the sixth on."""

    def call(self, x):
        return x[:, 5:]

    def compute_output_shape(self, shape):
        return (shape[0], shape[1] and max(shape[1] - 5, 0), *shape[2:])


@pytest.mark.parametrize("step", [lambda x: x[:, 5:], From()], ids=["operation", "traced layer"])
@pytest.mark.parametrize("length", [None, 8])
def test_an_input_that_is_too_small_is_refused(step, length):
    x = keras.Input((length, 2))
    model = keras.Model(x, layers.Dense(3)(step(x)))
    with pytest.raises(gg.ShapeError, match=r"gives the empty shape \(0, 2\). Choose a larger"):
        gg.from_keras(model, (4, 2), trace=True)
    assert gg.from_keras(model, (6, 2), trace=True).verify().passed


def test_a_window_that_runs_dry_is_refused_in_traced_layers():
    class Pooled(layers.Layer):
        def call(self, x):
            return ops.sum(ops.max_pool(x, 3), axis=1)

    x = keras.Input((None, 2))
    model = keras.Model(x, Pooled(name="pooled")(x))
    with pytest.raises(gg.GpugraphError, match="'pooled"):
        gg.from_keras(model, (2, 2), trace=True)


def test_an_input_is_empty_only_where_the_model_says_so():
    x, y = keras.Input((3, 2)), keras.Input((0, 2))
    model = keras.Model([x, y], layers.Dense(2)(layers.Concatenate(axis=1)([x, y])))
    graph = gg.from_keras(model)
    assert [p.shape for p in graph.inputs] == [(3, 2), (0, 2)]
    x = keras.Input((None, 2))
    with pytest.raises(gg.ShapeError, match="has the empty shape"):
        gg.from_keras(keras.Model(x, layers.Dense(2)(x)), (0, 2))


OF_NONE = {
    "mean": lambda x: ops.mean(x, axis=1),
    "average": lambda x: ops.average(x, axis=1),
    "maximum": lambda x: ops.max(x, axis=1),
    "pooling": layers.GlobalAveragePooling1D(),
    "largest": layers.GlobalMaxPooling1D(),
    "steps": layers.LSTM(2),
}


@pytest.mark.filterwarnings("ignore:.*empty")
@pytest.mark.parametrize("name", OF_NONE)
def test_what_there_is_none_of_has_no_mean(name):
    x = keras.Input((4, 3))
    model = keras.Model(x, OF_NONE[name](x[:, 1:1]))
    with pytest.raises(gg.UnsupportedLayerError, match=r"of none|no time steps"):
        gg.from_keras(model)


TOTALS = {
    "sum": lambda x: ops.sum(x, axis=1),
    "product": lambda x: ops.prod(x, axis=1),
    "any": lambda x: ops.cast(ops.any(x, axis=1), "float32"),
    "norm": lambda x: ops.norm(x, axis=1),
    "matmul": lambda x: ops.matmul(ops.transpose(x, (0, 2, 1)), x),
    "dense": lambda x: layers.Dense(2, bias_initializer="ones")(layers.Flatten()(x)),
}


@pytest.mark.parametrize("name", TOTALS)
def test_what_there_is_none_of_adds_up_to_a_constant(name):
    x = keras.Input((4, 3))
    model = keras.Model(x, TOTALS[name](x[:, 1:1]))
    graph = gg.from_keras(model)
    assert graph.verify().passed
    assert graph.n_edges == 0
