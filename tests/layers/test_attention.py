from collections import Counter
from itertools import product

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras import layers

import gpugraph as gg
from gpugraph import registry
from tests.jacobian import adjacency, keras_map, output_of, randomise


def self_attention(layer, **options):
    return lambda x: layer(x, x, **options)


ROWS = {
    "AdditiveAttention": (layers.AdditiveAttention(), (3, 2), (4, 2)),
    "Attention": (layers.Attention(), (3, 2), (4, 2)),
    "GroupedQueryAttention": (self_attention(layers.GroupQueryAttention(2, 4, 2)), (3, 2)),
    "MultiHeadAttention": (self_attention(layers.MultiHeadAttention(2, 2)), (3, 2)),
}


def called(layer, *shapes, **options):
    """Return a model of a layer called on query, value, key ..., and its graph, verified."""
    inputs = [keras.Input(shape) for shape in shapes]
    is_plain = isinstance(layer, layers.Attention)
    outputs = layer(inputs, **options) if is_plain else layer(*inputs, **options)
    model = keras.Model(inputs, outputs)
    randomise(model)
    graph = gg.from_keras(model)
    assert graph.verify().passed
    return model, graph


def edges_between(graph, source, target):
    """Return the edges from one population to another, as a count of index pairs."""
    found = Counter()
    for projection in graph.projections:
        if (projection.source, projection.target) == (source, target):
            columns = projection.edges()
            for src, dst in zip(columns.src, columns.dst, strict=True):
                found[source.index(int(src)), target.index(int(dst))] += 1
    return found


def sees(t, s, causal=False, window=None):
    return (s <= t or not causal) and (window is None or abs(t - s) < window)


def changed(model, inputs):
    """Return, per input, which of its elements change which of the outputs' (bool matrices)."""
    before = keras.ops.convert_to_numpy(model(inputs)).ravel()
    matrices = []
    for i, x in enumerate(inputs):
        rows = np.repeat(x, x[0].size, axis=0).reshape(x[0].size, -1)
        rows[np.diag_indices(x[0].size)] += 0.5
        moved = [np.repeat(other, len(rows), axis=0) for other in inputs]
        moved[i] = rows.reshape(-1, *x.shape[1:])
        after = keras.ops.convert_to_numpy(model(moved)).reshape(len(rows), -1)
        matrices.append(np.abs(after - before) > 1e-5)
    return matrices


def assert_reaches(model, graph):
    """Make sure that what moving an input changes is what the graph's edges lead to.

    Not all that they lead to changes: a query that sees one key makes no difference.
    """
    rng = np.random.default_rng(0)
    shapes = [graph.populations[name].shape for name in graph.topology.inputs]
    inputs = [rng.standard_normal((1, *shape)).astype(np.float32) for shape in shapes]
    reach = np.eye(graph.n_nodes, dtype=bool)
    edges = adjacency(graph) != 0
    for _ in range(max(p.depth for p in graph.populations.values())):
        reach |= reach @ edges
    effects = changed(model, inputs)
    for name, effect in zip(graph.topology.inputs, effects, strict=True):
        reached = reach[graph.populations[name].slice, output_of(graph).slice]
        assert not (effect & ~reached).any()
    assert any(effect.any() for effect in effects)


LENGTHS = [(3, 5), (5, 3), (4, 4)]
PLAIN = [
    layers.Attention(),
    layers.Attention(use_scale=True, dropout=0.5, seed=1),
    layers.Attention(score_mode="concat"),
    layers.Attention(score_mode="concat", use_scale=True),
    layers.AdditiveAttention(),
    layers.AdditiveAttention(use_scale=False, dropout=0.1),
]


def fresh(layer):
    return type(layer).from_config(layer.get_config())


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("with_key", [False, True])
@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("layer", PLAIN)
def test_options(layer, scores, with_key, causal):
    shapes = [(3, 4), (5, 2), (5, 4)] if with_key else [(3, 4), (5, 4)]
    options = {"return_attention_scores": scores, "use_causal_mask": causal}
    _, graph = called(fresh(layer), *shapes, **options)
    names = [name.rpartition("/")[2] for name in graph.populations]
    assert "scores" in names
    assert len(graph.topology.outputs) == 1 + scores


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_edges_of_dot_attention(lengths, causal):
    n, m = lengths
    layer = layers.Attention(name="attend")
    model, graph = called(layer, (n, 3), (m, 2), (m, 3), use_causal_mask=causal)
    query, value, key, scores, means = graph.populations.values()
    expected = {name: Counter() for name in ("query", "key", "scores", "value")}
    for t, s in product(range(n), range(m)):
        if sees(t, s, causal):
            for d in range(3):
                expected["query"][(t, d), (t, s)] += 1
                expected["key"][(s, d), (t, s)] += 1
            for v in range(2):
                expected["scores"][(t, s), (t, v)] += 1
                expected["value"][(s, v), (t, v)] += 1
    assert edges_between(graph, query, scores) == expected["query"]
    assert edges_between(graph, key, scores) == expected["key"]
    assert edges_between(graph, scores, means) == expected["scores"]
    assert edges_between(graph, value, means) == expected["value"]
    assert graph.n_edges == sum(map(Counter.total, expected.values()))
    assert {p.kind for p in graph.projections} == {"dynamic"}
    assert all(weight == 1 for _, _, weight in graph.edge_tuples())
    assert_reaches(model, graph)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_edges_of_additive_attention(lengths, causal):
    n, m = lengths
    layer = layers.AdditiveAttention(name="attend")
    model, graph = called(layer, (n, 3), (m, 3), use_causal_mask=causal)
    query, value, hidden, scores, _ = graph.populations.values()
    into, across = Counter(), {}
    scale = keras.ops.convert_to_numpy(layer.scale)
    for t, s, d in product(range(n), range(m), range(3)):
        if sees(t, s, causal):
            into[(t, d), (t, s, d)] += 1
            across[(t, s, d), (t, s)] = scale[d]
    assert edges_between(graph, query, hidden) == into
    turned = Counter({((s, d), (t, s, d)): 1 for (t, d), (_, s, _) in into})
    assert edges_between(graph, value, hidden) == turned
    matrix = adjacency(graph)[hidden.slice, scores.slice]
    expected = np.zeros_like(matrix)
    for (at, to), weight in across.items():
        row, column = hidden.node_id(at) - hidden.offset, scores.node_id(to) - scores.offset
        expected[row, column] = weight
    np.testing.assert_array_equal(matrix, expected)
    assert [p.kind for p in graph.projections] == ["copy", "copy", "weight", "dynamic", "dynamic"]
    assert_reaches(model, graph)


def test_weights_of_concat_scores():
    layer = layers.Attention(score_mode="concat", use_scale=True, name="attend")
    _, graph = called(layer, (2, 3), (4, 3))
    into, other, out, *_ = graph.projections
    assert into.kernel == other.kernel == keras.ops.convert_to_numpy(layer.scale)
    assert out.kernel == keras.ops.convert_to_numpy(layer.concat_score_weight)
    assert (into.kind, out.kind) == ("weight", "weight")


@pytest.mark.parametrize("mode", ["dot", "concat"])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_of_several_sequences_at_once(mode, causal):
    layer = layers.Attention(score_mode=mode)
    model, graph = called(layer, (2, 3, 4), (2, 5, 4), use_causal_mask=causal)
    assert_reaches(model, graph)


def test_inputs_of_different_ranks_are_refused():
    inputs = [keras.Input((3, 4)), keras.Input((2, 5, 4))]
    model = keras.Model(inputs, layers.Attention()(inputs))
    with pytest.raises(gg.UnsupportedLayerError, match="differ in rank"):
        gg.from_keras(model)


def test_attention_to_itself_has_parallel_edges():
    inputs = keras.Input((3, 2), name="x")
    graph = gg.from_keras(keras.Model(inputs, layers.Attention(name="attend")([inputs, inputs])))
    found = edges_between(graph, graph.populations["x"], graph.populations["attend/scores"])
    assert found[(1, 0), (1, 1)] == 2  # as query and as key
    assert found[(1, 0), (1, 2)] == 1
    assert graph.verify().passed


def hidden(*shape):
    """Return masks at random; those of the first samples hide everything, or nothing."""
    there = np.random.default_rng(1).random((6, *shape)) > 0.5
    there[0], there[1] = False, True
    return there


def with_masks(layer, masks, causal=False, scores=False):
    """Return a model of attention on a query, a value and masks, and data for it."""
    query, value = keras.Input((3, 4)), keras.Input((5, 4))
    tensors = {name: keras.Input(shape, dtype="bool") for name, shape in masks.items()}
    options = {"use_causal_mask": causal, "return_attention_scores": scores}
    if isinstance(layer, layers.Attention):
        outputs = layer([query, value], mask=[*tensors.values()], **options)
    else:
        outputs = layer(query, value, **tensors, **options)
    model = keras.Model([query, value, *tensors.values()], outputs)
    randomise(model)
    rng = np.random.default_rng(0)
    x = [rng.standard_normal((6, 3, 4)), rng.standard_normal((6, 5, 4))]
    return model, [*x, *(hidden(*shape) for shape in masks.values())]


@pytest.mark.parametrize("couplings", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("layer", PLAIN)
def test_masks(layer, scores, causal, couplings):
    model, data = with_masks(fresh(layer), {"query": (3,), "value": (5,)}, causal, scores)
    assert gg.from_keras(model, couplings=couplings).verify(data).passed


KINDS_OF_MASKS = [
    {"query_mask": (3,)},
    {"value_mask": (5,)},
    {"key_mask": (5,), "value_mask": (5,)},
    {"attention_mask": (3, 5)},
    {"attention_mask": (1, 5)},
    {"attention_mask": (3, 1), "value_mask": (5,)},
    {"attention_mask": (4, 3, 5)},
    {"attention_mask": (1, 1, 5)},
]


@pytest.mark.parametrize("couplings", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("options", [{}, {"dropout": 0.5}, {"return_attention_scores": True}])
@pytest.mark.parametrize("masks", KINDS_OF_MASKS)
@pytest.mark.parametrize(
    "cls", [layers.MultiHeadAttention, layers.GroupQueryAttention], ids=lambda cls: cls.__name__
)
def test_masks_of_heads(cls, masks, options, causal, couplings):
    options = dict(options)
    scores = options.pop("return_attention_scores", False)
    sizes = (4, 3) if cls is layers.MultiHeadAttention else (3, 4, 2)
    model, data = with_masks(cls(*sizes, **options), masks, causal, scores)
    assert gg.from_keras(model, couplings=couplings).verify(data).passed


def test_edges_of_masks():
    """A mask of keys leads to every score of a key that a query may see, and to nothing else."""
    layer = layers.MultiHeadAttention(2, 3, name="attend")
    model, data = with_masks(layer, {"value_mask": (5,)}, causal=True)
    graph = gg.from_keras(model)
    mask, scores = graph.populations[graph.topology.inputs[2]], graph.populations["attend/scores"]
    found = edges_between(graph, mask, scores)
    expected = {((s,), (h, t, s)) for h in range(2) for t in range(3) for s in range(t + 1)}
    assert found == Counter(expected)
    assert sum(p.source is mask for p in graph.projections) == 1
    assert graph.verify(data).passed


@pytest.mark.parametrize("shape", [(1, 3, 5), (1, 1, 5), (1, 1, 3, 5)])
def test_a_constant_mask_is_edges_that_are_not_there(shape):
    mask = np.random.default_rng(0).random(shape) > 0.4
    mask[..., 0] = True
    query, value = keras.Input((3, 4)), keras.Input((5, 4))
    layer = layers.MultiHeadAttention(2, 3, name="attend")
    outputs = layer(query, value, attention_mask=mask, use_causal_mask=True)
    model = keras.Model([query, value], outputs)
    randomise(model)
    graph = gg.from_keras(model)
    assert graph.verify().passed
    scores, context = graph.populations["attend/scores"], graph.populations["attend/context"]
    seen = np.broadcast_to(mask, (1, 1, 3, 5))[0, 0] & (np.arange(5) <= np.arange(3)[:, None])
    found = edges_between(graph, scores, context)
    assert {edge[0][1:] for edge in found} == {
        (t, s) for t, s in zip(*np.nonzero(seen), strict=True)
    }


def headless(query, value, mask):
    return layers.MultiHeadAttention(2, 3, name="attend")(query, value, attention_mask=mask)


@pytest.mark.parametrize(
    ("mask", "why"),
    [
        (np.zeros((1, 3, 5), bool), "constant mask leaves query 0 no key"),
        (np.eye(3, 5, dtype=bool)[None, None].repeat(2, axis=1), "from head to head"),
        (np.ones((2, 3, 5), bool), "differs from sample to sample"),
    ],
)
def test_constant_masks_that_are_refused(mask, why):
    query, value = keras.Input((3, 4)), keras.Input((5, 4))
    model = keras.Model([query, value], headless(query, value, mask))
    with pytest.raises(gg.UnsupportedLayerError, match=f"'attend' .*{why}"):
        gg.from_keras(model)


def test_masks_that_are_refused():
    layer = layers.MultiHeadAttention(2, 3)
    model, _ = with_masks(layer, {"attention_mask": (2, 3, 5), "value_mask": (5,)})
    with pytest.raises(gg.UnsupportedLayerError, match="Keras joins an attention_mask of heads"):
        gg.from_keras(model)
    x = keras.Input((3, 4))
    plain = layers.Attention(name="attend")([x, x], mask=[None, np.ones((1, 3), bool)])
    with pytest.raises(
        gg.UnsupportedLayerError, match=r"'attend' .*one of its masks is a constant"
    ):
        gg.from_keras(keras.Model(x, plain))
    images, mask = keras.Input((2, 3, 4)), keras.Input((2, 2), dtype="bool")
    layer = layers.MultiHeadAttention(2, 3, attention_axes=1)
    model = keras.Model([images, mask], layer(images, images, attention_mask=mask))
    with pytest.raises(gg.UnsupportedLayerError, match="more than one dimension of places"):
        gg.from_keras(model)


HEADED = [
    {},
    {"value_dim": 2, "use_bias": False},
    {"output_shape": 7, "dropout": 0.1},
    {"output_shape": (3, 2), "use_gate": True},
    {"sliding_window": 2, "dropout": 0.1},
]


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("options", HEADED)
def test_multi_head_options(options, causal, scores):
    layer = layers.MultiHeadAttention(2, 3, **options)
    shapes = (4, 5), (3, 4), (3, 2)
    _, graph = called(layer, *shapes, use_causal_mask=causal, return_attention_scores=scores)
    assert len(graph.topology.outputs) == 1 + scores


def test_keyword_arguments_in_any_order():
    query, value, key = (
        keras.Input(shape, name=n)
        for n, shape in zip(("query", "value", "key"), ((4, 5), (3, 4), (3, 2)), strict=True)
    )
    layer = layers.MultiHeadAttention(2, 3, name="attend")
    model = keras.Model([key, value, query], layer(key=key, value=value, query=query))
    randomise(model)
    graph = gg.from_keras(model)
    assert graph.verify().passed
    for name in ("query", "value", "key"):
        (projection,) = (p for p in graph.projections if p.source.name == name)
        assert projection.target.name == f"attend/{name}"


def headed_edges(n, m, heads, channels, values, groups=None, **visible):
    """Nested loops: who meets whom in the scores and the context of each head."""
    found = {name: Counter() for name in ("query", "key", "scores", "value")}
    for h, t, s in product(range(heads), range(n), range(m)):
        g = h if groups is None else h // (heads // groups)
        if sees(t, s, **visible):
            for d in range(channels):
                found["query"][(t, h, d), (h, t, s)] += 1
                found["key"][(s, g, d), (h, t, s)] += 1
            for v in range(values):
                found["scores"][(h, t, s), (t, h, v)] += 1
                found["value"][(s, g, v), (t, h, v)] += 1
    return found


def assert_meets(graph, name, expected):
    """Compare the edges into scores and context."""
    scores, context = graph.populations[f"{name}/scores"], graph.populations[f"{name}/context"]
    for part, into in (("query", scores), ("key", scores), ("scores", context), ("value", context)):
        found = edges_between(graph, graph.populations[f"{name}/{part}"], into)
        assert found == expected[part]


def assert_projects(graph, name, layer, shapes):
    """Compare each projection's matrix and bias with what Keras's own sub-layer does."""
    edges = adjacency(graph)
    inputs = [graph.populations[n] for n in graph.topology.inputs]
    query, value, key = inputs if len(inputs) == 3 else (inputs[0], inputs[-1], inputs[-1])
    populations = graph.populations
    before_output = populations.get(f"{name}/gated", populations[f"{name}/context"])
    parts = {
        "query": (layer._query_dense, query),
        "key": (layer._key_dense, key),
        "value": (layer._value_dense, value),
        None: (layer._output_dense, before_output),
    }
    for part, (dense, source) in parts.items():
        target = populations[name if part is None else f"{name}/{part}"]
        function = lambda x, dense=dense: keras.ops.convert_to_numpy(dense(x))  # noqa: E731
        matrix, offset = keras_map(function, source.shape)
        np.testing.assert_allclose(edges[source.slice, target.slice], matrix, atol=1e-5)
        np.testing.assert_allclose(target.values(target.node_values["bias"]), offset, atol=1e-5)


@settings(max_examples=8)
@given(
    n=st.integers(1, 4),
    m=st.integers(1, 4),
    heads=st.integers(1, 3),
    # With one channel and as many steps as heads, Keras 3.15 on TensorFlow adds the heads' biases
    # along the steps: it takes a bias of shape (n, 1) for that of the first axis of length n.
    channels=st.integers(2, 3),
    values=st.integers(2, 3),
    causal=st.booleans(),
    window=st.none() | st.integers(1, 4),
    use_bias=st.booleans(),
)
def test_multi_head_attention(n, m, heads, channels, values, causal, window, use_bias):
    assume(window is None or n - window < m)  # else some query sees no key
    layer = layers.MultiHeadAttention(
        heads, channels, values, use_bias=use_bias, sliding_window=window, name="attend"
    )
    shapes = (n, 2), (m, 3)
    model, graph = called(layer, *shapes, use_causal_mask=causal)
    expected = headed_edges(n, m, heads, channels, values, causal=causal, window=window)
    assert_meets(graph, "attend", expected)
    assert_projects(graph, "attend", layer, shapes)
    assert_reaches(model, graph)


@settings(max_examples=8)
@given(
    n=st.integers(1, 4),
    m=st.integers(1, 4),
    groups=st.integers(1, 2),
    repeats=st.integers(1, 3),
    causal=st.booleans(),
    gate=st.booleans(),
)
def test_grouped_query_attention(n, m, groups, repeats, causal, gate):
    heads = groups * repeats
    layer = layers.GroupQueryAttention(2, heads, groups, use_gate=gate, name="attend")
    shapes = (n, 3), (m, 3)
    _, graph = called(layer, *shapes, use_causal_mask=causal)
    assert_meets(graph, "attend", headed_edges(n, m, heads, 2, 2, groups, causal=causal))
    assert_projects(graph, "attend", layer, shapes)


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("options", [{}, {"sliding_window": 2}, {"use_bias": False}])
def test_grouped_query_options(options, scores):
    layer = layers.GroupQueryAttention(3, 4, 2, dropout=0.1, **options)
    shapes = (3, 5), (4, 5), (4, 2)
    _, graph = called(layer, *shapes, use_causal_mask=True, return_attention_scores=scores)
    assert len(graph.topology.outputs) == 1 + scores


def test_a_gate_multiplies_the_context():
    layer = layers.MultiHeadAttention(2, 3, use_gate=True, name="attend")
    _, graph = called(layer, (3, 4), (2, 4))
    gate, gated = graph.populations["attend/gate"], graph.populations["attend/gated"]
    assert gate.activation.name == "sigmoid"
    assert gated.reduce == "product"
    assert {p.source.name for p in graph.projections_into["attend/gated"]} == {
        "attend/context",
        "attend/gate",
    }


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize(
    ("axes", "query", "value"),
    [
        (None, (2, 3, 4), (3, 2, 4)),
        ((1, 2), (2, 3, 4), (3, 2, 4)),
        ((2, 1), (2, 3, 4), (3, 2, 4)),
        (1, (2, 3, 4), (4, 3, 4)),
        (2, (2, 3, 4), (2, 4, 4)),
        (-2, (2, 3, 4), (2, 4, 4)),
        ((1, 3), (2, 3, 2, 4), (1, 3, 2, 4)),
    ],
)
def test_attention_axes(axes, query, value, scores):
    layer = layers.MultiHeadAttention(2, 3, attention_axes=axes, name="attend")
    model, graph = called(layer, query, value, return_attention_scores=scores)
    if not scores:
        assert_reaches(model, graph)


def test_attention_along_one_of_two_axes():
    layer = layers.MultiHeadAttention(2, 3, attention_axes=2, name="attend")
    _, graph = called(layer, (2, 3, 4), (2, 5, 4))
    scores = graph.populations["attend/scores"]
    assert scores.shape == (2, 2, 3, 5)  # row, head, query, key
    expected = Counter()
    for r, h, t, s, d in product(range(2), range(2), range(3), range(5), range(3)):
        expected[(r, t, h, d), (r, h, t, s)] += 1
    assert edges_between(graph, graph.populations["attend/query"], scores) == expected


def test_a_causal_mask_along_the_first_of_two_axes():
    layer = layers.MultiHeadAttention(2, 3, attention_axes=1)
    model, graph = called(layer, (3, 2, 4), (4, 2, 4), use_causal_mask=True)
    assert_reaches(model, graph)


@pytest.mark.parametrize(
    ("axes", "shape", "options", "match"),
    [
        (2, (3, 3, 4), {"use_causal_mask": True}, r"goes along its first axis.*=\(2,\)"),
        ((1, 2), (3, 3, 4), {"use_causal_mask": True}, "goes along its first axis"),
        (2, (3, 4), {}, r"attention_axes=\(2,\) are not dimensions between"),
        ((), (3, 4), {}, "are not dimensions between"),
    ],
)
def test_attention_axes_that_are_refused(axes, shape, options, match):
    x = keras.Input(shape)
    layer = layers.MultiHeadAttention(2, 3, attention_axes=axes)
    layer.build((None, *shape), (None, *shape))
    model = keras.Model(x, layer(x, x, **options))
    with pytest.raises(gg.UnsupportedLayerError, match=match):
        gg.from_keras(model)


@pytest.mark.parametrize(
    "layer",
    [
        layers.MultiHeadAttention(2, 3, sliding_window=2),
        layers.GroupQueryAttention(2, 2, 1, sliding_window=2),
    ],
)
def test_a_window_that_leaves_a_query_no_key_is_refused(layer):
    query, value = keras.Input((5, 4)), keras.Input((2, 4))
    model = keras.Model([query, value], layer(query, value))
    with pytest.raises(gg.UnsupportedLayerError, match="of 2 leaves query 3 no key to see"):
        gg.from_keras(model)


def test_quantised_projections_are_refused():
    x = keras.Input((3, 4))
    layer = layers.MultiHeadAttention(2, 3, name="attend")
    model = keras.Model(x, layer(x, x))
    layer.query_dense.quantize("int8")
    with pytest.raises(gg.UnsupportedLayerError, match=r"'attend/query' .* is quantised \(int8\)"):
        gg.from_keras(model)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "layer",
    [
        layers.Attention(name="attend"),
        layers.AdditiveAttention(name="attend"),
        layers.MultiHeadAttention(2, 3, name="attend"),
        layers.GroupQueryAttention(3, 4, 2, name="attend"),
    ],
)
def test_couplings_join_what_a_query_sees(layer, causal):
    model, plain = called(fresh(layer), (3, 4), (5, 4), use_causal_mask=causal)
    graph = gg.from_keras(model, couplings=True)
    assert graph.verify().passed
    logits = graph.populations["attend/scores/logits"]
    scores = graph.populations["attend/scores"]
    expected = Counter()
    for head in np.ndindex(logits.shape[:-2]):
        for t, s, other in product(range(3), range(5), range(5)):
            if sees(t, s, causal) and sees(t, other, causal):
                # One edge more carries its own value.
                expected[(*head, t, s), (*head, t, other)] += 1 + (s == other)
    assert edges_between(graph, logits, scores) == expected
    assert graph.n_edges == plain.n_edges + expected.total()


def test_no_list_of_edges_is_made():
    x = keras.Input((256, 8))
    layer = layers.MultiHeadAttention(4, 16)
    graph = gg.from_keras(keras.Model(x, layer(x, x, use_causal_mask=True)))
    longest = max(len(axis) for p in graph.projections for axis in p.axes)
    assert longest == 256 * 257 // 2  # the pairs that see each other, of one head and channel
    assert graph.n_edges > 100 * longest


def test_a_layer_that_wraps_attention(monkeypatch):
    @keras.saving.register_keras_serializable("test_attention")
    class Block(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = layers.MultiHeadAttention(2, 3)

        def build(self, shape):
            self.inner.build(shape, shape)

        def call(self, x):
            return self.inner(x, x, use_causal_mask=True)

    gg.supported_layers()
    monkeypatch.setattr(registry, "_CONVERTERS", dict(registry._CONVERTERS))

    @gg.converts("Block")
    def block(call):
        sources = [call.source, call.source]
        return call.convert(
            call.layer.inner, None, sources, [call.output_shape], use_causal_mask=True
        )

    x = keras.Input((3, 4))
    assert gg.from_keras(keras.Model(x, Block()(x))).verify().passed
