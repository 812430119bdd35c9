"""Who meets whom: nested loops, and Keras's own layers moved one input at a time."""

import pickle
from itertools import product

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

import gpugraph as gg
from tests.jacobian import adjacency, assert_evaluates, function_of, output_of, single


def pairs_within(shape, *dimensions, groups=None):
    """Return flat (source, target) of all pairs whose places differ in these dimensions alone.

    ``groups``: those along the first of them that share a group of so many.
    """
    indices = list(product(*map(range, shape)))
    found = set()
    for i, a in enumerate(indices):
        for j, b in enumerate(indices):
            differ = {d for d in range(len(shape)) if a[d] != b[d]}
            if not differ <= set(dimensions):
                continue
            if groups is not None:
                channel = dimensions[0]
                size = shape[channel] // groups
                if a[channel] // size != b[channel] // size:
                    continue
            found.add((i, j))
    return found


def edges_of(projection):
    src, dst, weight = projection.edges()
    pairs = list(
        zip(
            (src - projection.source.offset).tolist(),
            (dst - projection.target.offset).tolist(),
            strict=True,
        )
    )
    assert (weight == 1).all() or projection.kind != "dynamic"
    assert len(pairs) == len(set(pairs)) == projection.n_edges
    return set(pairs)


def influences(function, shape):
    """Return flat (input, output) of all pairs where Keras's output moves with the input."""
    x = np.random.default_rng(0).uniform(-2, 2, (1, *shape)).astype(np.float32)
    n = x.size
    moved = np.repeat(x.reshape(1, n), n, axis=0)
    moved[np.arange(n), np.arange(n)] += 0.5
    before = function(x).reshape(1, -1)
    after = function(moved.reshape(n, *shape)).reshape(n, -1)
    # A batch is computed in another order than a sample: that alone moves the last digits.
    found = np.argwhere(np.abs(after - before) > 1e-5 * np.abs(before).max())
    return {(int(i), int(j)) for i, j in found}


def reach(graph):
    """Return flat (input, output) of all pairs joined by a path."""
    paths = np.linalg.inv(np.eye(graph.n_nodes) - (adjacency(graph) != 0))
    first = next(iter(graph.populations.values()))
    found = np.argwhere(np.rint(paths[first.slice, output_of(graph).slice]))
    return {(int(i), int(j)) for i, j in found}


def coupled(layer, shape):
    return gg.from_keras(single(layer, shape), couplings=True)


CASES = [
    (lambda: layers.LayerNormalization(), (2, 3), (1,), None),
    (lambda: layers.LayerNormalization(axis=1), (2, 3), (0,), None),
    (lambda: layers.LayerNormalization(axis=[1, 3]), (2, 3, 2), (0, 2), None),
    (lambda: layers.LayerNormalization(axis=[-1, 1, 2]), (2, 3, 2), (0, 1, 2), None),
    (lambda: layers.RMSNormalization(), (2, 3), (1,), None),
    (lambda: layers.RMSNormalization(axis=[2, 3]), (2, 3, 2), (1, 2), None),
    (lambda: layers.UnitNormalization(axis=[1]), (3, 2), (0,), None),
    (lambda: layers.UnitNormalization(), (4,), (0,), None),
    (lambda: layers.GroupNormalization(2), (2, 6), (1, 0), 2),
    (lambda: layers.GroupNormalization(3), (6,), (0,), 3),
    (lambda: layers.GroupNormalization(2, axis=1), (4, 2, 2), (0, 1, 2), 2),
    (lambda: layers.GroupNormalization(2, axis=-2), (2, 4, 2), (1, 0, 2), 2),
    (lambda: layers.GroupNormalization(-1), (3, 2), (1, 0), 2),
    (lambda: layers.GroupNormalization(1), (3, 2), (1, 0), 1),
    (lambda: layers.Softmax(), (2, 3), (1,), None),
    (lambda: layers.Softmax(axis=1), (2, 3), (0,), None),
    (lambda: layers.Softmax(axis=(1, -1)), (2, 3, 2), (0, 2), None),
    (lambda: layers.Softmax(axis=[2]), (2, 3, 2), (1,), None),
    (lambda: layers.Activation("softmax"), (2, 3), (1,), None),
    (lambda: layers.Activation("log_softmax"), (3,), (0,), None),
    (lambda: layers.Activation("sparsemax"), (2, 3), (1,), None),
    (lambda: layers.Activation(layers.Softmax(axis=1)), (2, 3), (0,), None),
    (lambda: layers.Activation(keras.ops.softmax), (2, 3), (1,), None),
]


@pytest.mark.parametrize(("layer", "shape", "dimensions", "groups"), CASES)
def test_neurons_of_a_group_are_joined_and_no_others(layer, shape, dimensions, groups):
    layer = layer()
    graph = coupled(layer, shape)
    own, met = graph.projections
    activates = isinstance(layer, (layers.Softmax, layers.Activation))
    assert (own.kind, met.kind) == ("copy" if activates else "scale", "dynamic")
    assert edges_of(met) == pairs_within(shape, *dimensions, groups=groups)
    assert edges_of(own) == {(i, i) for i in range(np.prod(shape))}
    assert influences(function_of(layer, shape), shape) <= reach(graph)
    assert_evaluates(graph, function_of(layer, shape), shape)
    assert graph.verify().passed


@pytest.mark.parametrize(("layer", "shape", "dimensions", "groups"), CASES)
def test_no_edges_join_groups_unless_asked_for(layer, shape, dimensions, groups):
    graph = gg.from_keras(single(layer(), shape))
    (own,) = graph.projections
    assert edges_of(own) == {(i, i) for i in range(np.prod(shape))}
    assert graph.verify().passed


@given(
    shape=st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple),
    data=st.data(),
    kind=st.sampled_from([layers.LayerNormalization, layers.UnitNormalization, layers.Softmax]),
)
def test_groups_of_any_shape(shape, data, kind):
    axes = data.draw(st.sets(st.integers(1, len(shape)), min_size=1).map(list))
    graph = coupled(kind(axis=axes), shape)
    assert edges_of(graph.projections[-1]) == pairs_within(shape, *(a - 1 for a in axes))


WEIGHTED = [
    (lambda: layers.Dense(4, activation="softmax"), (2, 3)),
    (lambda: layers.Dense(4, activation=layers.Softmax()), (3,)),
    (lambda: layers.Dense(2, activation=layers.Softmax(axis=1)), (4, 3)),
    (lambda: layers.EinsumDense("ab,bc->ac", 4, activation="sparsemax"), (3,)),
    (lambda: layers.Conv1D(3, 2, activation="log_softmax"), (4, 2)),
    (lambda: layers.Conv2D(3, 2, activation="softmax"), (3, 2, 2)),
    (lambda: layers.Conv2DTranspose(3, 2, activation="softmax"), (2, 2, 2)),
    (lambda: layers.DepthwiseConv1D(2, activation="softmax"), (3, 2)),
    (lambda: layers.SeparableConv1D(3, 2, activation="softmax"), (3, 2)),
]


@pytest.mark.parametrize(("layer", "shape"), WEIGHTED)
def test_a_layer_with_weights_and_a_softmax_is_two_populations(layer, shape):
    layer = layer()
    layer.name = "head"
    plain, graph = (gg.from_keras(single(layer, shape), couplings=c) for c in (False, True))
    logits, head = graph.populations["head/logits"], graph.populations["head"]
    assert list(graph.populations)[-2:] == ["head/logits", "head"]
    assert (logits.activation.name, head.activation.name) == (
        "linear",
        plain.populations["head"].activation.name,
    )
    assert head.bias is None
    np.testing.assert_array_equal(logits.bias, plain.populations["head"].bias)
    *weighted, own, met = graph.projections
    assert [(p.source.name, p.kind) for p in (own, met)] == [
        ("head/logits", "copy"),
        ("head/logits", "dynamic"),
    ]
    assert weighted[-1].target is logits
    for mine, other in zip(weighted, plain.projections, strict=True):
        for a, b in zip(mine.edges(), other.edges(), strict=True):
            np.testing.assert_array_equal(a, b)
    dimension = 0 if "axis=1" in head.activation.name else len(head.shape) - 1
    assert edges_of(met) == pairs_within(head.shape, dimension)
    assert influences(function_of(layer, shape), shape) <= reach(graph)
    assert_evaluates(graph, function_of(layer, shape), shape)
    assert graph.verify().passed


def test_projections_stand_in_the_order_of_their_targets():
    x = keras.Input((3,))
    y = layers.Dense(4, activation="softmax")(layers.Dense(3, activation="softmax")(x))
    graph = gg.from_keras(keras.Model(x, y), couplings=True)
    offsets = [p.target.offset for p in graph.projections]
    assert offsets == sorted(offsets)
    assert all(p.source.offset < p.target.offset for p in graph.projections)


def test_depth_counts_the_logits():
    graph = coupled(layers.Dense(2, activation="softmax", name="head"), (3,))
    assert [p.depth for p in graph.populations.values()] == [0, 1, 2]


def test_the_activation_of_a_head_without_couplings_stays_on_its_nodes():
    graph = gg.from_keras(single(layers.Dense(2, activation="softmax"), (3,)))
    assert len(graph.populations) == 2
    assert list(graph.populations.values())[-1].activation.name == "softmax"


@pytest.mark.parametrize("couplings", [False, True])
def test_an_activation_of_ones_own_may_couple_neurons(couplings):
    def own(x):
        return keras.ops.relu(x)

    model = single(layers.Dense(2, activation=own), (3,))
    if not couplings:
        assert gg.from_keras(model).verify().passed
        return
    with pytest.raises(gg.UnsupportedLayerError, match="'own', as they do in softmax, cannot be t"):
        gg.from_keras(model, couplings=True)


# What can be asked of such graphs


@pytest.fixture(scope="module")
def model():
    x = keras.Input((3, 4), name="x")
    y = layers.LayerNormalization(name="norm")(x)
    y = layers.Dense(5, activation="softmax", name="attend")(y)
    y = layers.GroupNormalization(1, name="groups")(y)
    y = layers.Dense(2, activation="relu", name="last")(layers.Flatten(name="flat")(y))
    model = keras.Model(x, y, name="small")
    rng = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


@pytest.fixture(params=[False, True], ids=["plain", "coupled"])
def graph(request, model):
    return gg.from_keras(model, couplings=request.param)


def test_counts(graph):
    n = 12 + 3 * 4 * 5 + 15 + 15 * 2  # norm, attend, groups, last
    assert graph.n_edges == n + graph.couplings * (3 * 4 * 4 + 15 + 3 * 5 * 5 + 15 * 15)
    assert graph.n_nodes == 12 + 12 + 15 + 15 + 2 + graph.couplings * 15


def test_measures_agree_with_the_edges_themselves(graph):
    matrix = adjacency(graph)
    np.testing.assert_allclose(gg.in_strength(graph, "magnitude"), np.abs(matrix).sum(0), rtol=1e-5)
    np.testing.assert_allclose(gg.out_strength(graph, "weight"), matrix.sum(1), rtol=1e-5)
    src, dst, _ = graph.materialise(device="cpu")
    np.testing.assert_array_equal(graph.in_degree(), np.bincount(dst, minlength=graph.n_nodes))
    np.testing.assert_array_equal(graph.out_degree(), np.bincount(src, minlength=graph.n_nodes))


def test_pagerank_is_networkx_own(graph):
    expected = gg.pagerank(graph, engine="networkx")
    np.testing.assert_allclose(gg.pagerank(graph), expected, rtol=1e-5)


def test_parts(graph):
    part = graph.subgraph(["x", "norm"])
    kinds = ["scale", "dynamic"] if graph.couplings else ["scale"]
    assert [p.kind for p in part.projections] == kinds
    assert part.n_edges == 12 + graph.couplings * 3 * 4 * 4
    assert graph.ancestors(graph.node_id("norm", (1, 0))).n_nodes == (5 if graph.couplings else 2)


def test_another_checkpoints_weights(graph, model):
    other = keras.models.clone_model(model)
    rng = np.random.default_rng(1)
    for variable in other.weights:
        variable.assign(rng.uniform(-1, 1, variable.shape))
    held = graph.with_weights(other)
    assert held.verify().passed
    x = rng.normal(size=(2, 3, 4)).astype(np.float32)
    expected = keras.ops.convert_to_numpy(other(x))
    np.testing.assert_allclose(held.evaluate(x)["last"], expected, rtol=1e-4, atol=1e-6)


def test_a_null_model_keeps_gamma_where_it_stands(graph):
    null = graph.shuffled(seed=0)
    for before, after in zip(graph.projections, null.projections, strict=True):
        is_drawn = before.kind == "weight"
        assert is_drawn == (after.kernel is not before.kernel)
    assert null.n_edges == graph.n_edges


def test_the_graph_as_one_input_sees_it(graph):
    x = np.random.default_rng(0).normal(size=(1, 3, 4)).astype(np.float32)
    seen = graph.given(x)
    values = graph.evaluate(x)
    for p, q in zip(graph.projections, seen.projections, strict=True):
        src, _, weight = p.edges()
        activation = values[p.source.name].ravel()[src - p.source.offset]
        np.testing.assert_allclose(q.edges().weight, weight * activation, rtol=1e-5)


def test_a_copy_by_pickle_has_the_same_edges(graph):
    copy = pickle.loads(pickle.dumps(graph))
    for a, b in zip(graph.materialise(device="cpu"), copy.materialise(device="cpu"), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(gg.ModelError, match="computes nothing by itself"):
        copy.evaluate(np.zeros((1, 3, 4)))


def test_a_null_model_of_a_copy_is_that_of_the_graph(graph):
    copy = pickle.loads(pickle.dumps(graph))
    nulls = [g.shuffled(seed=0).materialise(device="cpu") for g in (graph, copy)]
    np.testing.assert_array_equal(nulls[0].weight, nulls[1].weight)


def test_a_graph_with_an_activation_of_ones_own_can_be_copied():
    x = keras.Input((3,))
    graph = gg.from_keras(keras.Model(x, layers.Activation(lambda x: 2 * x)(x)))
    copy = pickle.loads(pickle.dumps(graph))
    (_, population) = copy.populations.values()
    assert population.activation.name == "<lambda>"
