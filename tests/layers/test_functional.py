import keras
import numpy as np
import pytest
from keras import ops

import gpugraph as gg
from tests.operations import assert_affine, assert_computes, assert_refused, kinds, reached

IMAGE = (5, 6, 4)


def weights(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


POSITIVE = np.array([0.5, 1.0, 2.0, 0.25], np.float32)

ROWS = {
    "ops.AdaptiveAveragePool": (
        lambda x: ops.adaptive_average_pool(x, (2, 2), "channels_first"),
        IMAGE,
    ),
    "ops.AdaptiveMaxPool": (lambda x: ops.adaptive_max_pool(x, (2, 3), "channels_first"), IMAGE),
    "ops.AveragePool": (lambda x: ops.average_pool(x, 2, padding="same"), IMAGE),
    "ops.BatchNorm": (
        lambda x: ops.batch_normalization(x, weights(4), POSITIVE, -1, weights(4), POSITIVE),
        IMAGE,
    ),
    "ops.Conv": (lambda x: ops.conv(x, weights(3, 2, 4, 2)), IMAGE),
    "ops.DepthwiseConv": (lambda x: ops.depthwise_conv(x, weights(3, 2, 4, 2)), IMAGE),
    "ops.DotProductAttention": (
        lambda xs: ops.dot_product_attention(*xs),
        (4, 2, 3),
        (5, 2, 3),
        (5, 2, 3),
    ),
    "ops.Glu": (lambda x: ops.glu(x, axis=-1), IMAGE),
    "ops.LayerNorm": (lambda x: ops.layer_normalization(x, weights(4), weights(4)), IMAGE),
    "ops.LogSoftmax": (lambda x: ops.log_softmax(x, axis=2), IMAGE),
    "ops.MaxPool": (lambda x: ops.max_pool(x, 2, strides=1), IMAGE),
    "ops.Normalize": (lambda x: ops.normalize(x, axis=2, order=1), IMAGE),
    "ops.RMSNorm": (lambda x: ops.rms_normalization(x, weights(4)), IMAGE),
    "ops.Resize": (lambda x: ops.image.resize(x, (7, 4), "nearest"), IMAGE),
    "ops.SeparableConv": (
        lambda x: ops.separable_conv(x, weights(3, 2, 4, 2), weights(1, 1, 8, 3)),
        IMAGE,
    ),
    "ops.Softmax": (lambda x: ops.softmax(x, axis=1), IMAGE),
    "ops.Sparsemax": (ops.sparsemax, IMAGE),
}


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x: ops.conv(x, weights(3, 4, 2), strides=2, padding="same"), (7, 4)),
        (lambda x: ops.conv(x, weights(3, 2, 4, 2), dilation_rate=2), IMAGE),
        (lambda x: ops.conv(x, weights(2, 2, 2, 2, 3)), (2, 3, 3, 2)),
        (lambda x: ops.depthwise_conv(x, weights(3, 3, 4, 2), strides=2), IMAGE),
        (lambda x: ops.depthwise_conv(x, weights(3, 4, 1), padding="same"), (5, 4)),
        (lambda x: ops.separable_conv(x, weights(3, 4, 2), weights(1, 8, 3)), (5, 4)),
        (lambda x: ops.average_pool(x, 2), (7, 3)),
        (lambda x: ops.average_pool(x, (2, 3), 1, "same"), IMAGE),
        (lambda x: ops.adaptive_average_pool(x, (3, 4), "channels_first"), IMAGE),
        (lambda x: ops.image.resize(x, (3, 8)), IMAGE),
        (lambda x: ops.image.resize(x, (3, 8), crop_to_aspect_ratio=True), IMAGE),
        (lambda x: ops.batch_normalization(x, weights(6), weights(6) ** 2, axis=2), IMAGE),
    ],
)
def test_affine_operations(function, shape):
    assert_affine(function, shape)


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda x: ops.max_pool(x, (2, 3), 2, "same"), "choice"),
        (lambda x: ops.layer_normalization(x), "scale"),
        (lambda x: ops.layer_normalization(x, axis=(1, 2)), "scale"),
        (lambda x: ops.rms_normalization(x, axis=(2, 3), scale=weights(6, 4)), "scale"),
        (lambda x: ops.softmax(x, axis=2), "copy"),
        (lambda x: ops.normalize(x, order=2), "copy"),
    ],
)
def test_other_operations(function, kind):
    assert kinds(assert_computes(function, IMAGE)) == {kind}


def test_populations_are_those_of_the_layer():
    graph = assert_affine(lambda x: ops.conv(x, weights(3, 2, 4, 2)), IMAGE)
    (_, population) = graph.populations.values()
    assert population.layer == "Conv2D"
    np.testing.assert_array_equal(graph.projections[0].kernel, weights(3, 2, 4, 2).ravel())


@pytest.mark.parametrize("function", [ops.softmax, ops.log_softmax, ops.normalize])
def test_neurons_that_meet_are_coupled_where_asked_for(function):
    graph = assert_computes(lambda x: function(x, axis=1), (3, 2), couplings=True)
    matrix = reached(graph)[:6, 6:].reshape(3, 2, 3, 2)
    for i in range(2):
        for j in range(2):
            assert (matrix[:, i, :, j] == (i == j)).all()


def test_the_halves_of_a_gated_linear_unit_meet():
    graph = assert_computes(lambda x: ops.glu(x, axis=1), (4, 2))
    expected = np.zeros((12, 12), bool)
    for half in range(2):
        for i in range(2):
            for j in range(2):
                expected[4 * half + 2 * i + j, 8 + 2 * i + j] = True
    np.testing.assert_array_equal(reached(graph), expected)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x: ops.softmax(x, axis=0), "the batch's"),
        (lambda x: ops.softmax(x, axis=None), "without an axis it joins"),
        (lambda x: ops.glu(x, axis=0), "the batch's|leaves a dimension open"),
        (lambda x: ops.layer_normalization(x, weights(3), weights(3)), "its gamma has shape"),
    ],
)
def test_what_joins_samples_is_refused(function, why):
    assert_refused(function, (2, 4), why=why)


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("scale", [None, 0.5])
def test_queries_reach_the_means_of_the_values_that_they_see(is_causal, scale):
    def function(query, key, value):
        return ops.dot_product_attention(query, key, value, is_causal=is_causal, scale=scale)

    graph = assert_computes(function, (4, 2, 3), (4, 2, 3), (4, 2, 3))
    *_, scores, means = graph.populations.values()
    matrix = reached(graph)[scores.slice, means.slice].reshape(2, 4, 4, 4, 2, 3)
    for t in range(4):
        for s in range(4):
            for head in range(2):
                sees = np.zeros((4, 2), bool)
                sees[t, head] = s <= t or not is_causal
                np.testing.assert_array_equal(matrix[head, t, s].all(axis=-1), sees)
                np.testing.assert_array_equal(matrix[head, t, s].any(axis=-1), sees)


def test_a_tensor_may_attend_to_itself():
    graph = assert_computes(lambda x: ops.dot_product_attention(x, x, x), (4, 2, 3))
    assert graph.n_edges == 3 * (2 * 4 * 4 * 3) + 2 * 4 * 4 * 3


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("shape", [(2, 4, 5), (1, 4, 5), (2, 1, 5), (1, 1, 5)])
def test_attention_with_a_mask(shape, is_causal):
    query, key = keras.Input((4, 2, 3)), keras.Input((5, 2, 3))
    mask = keras.Input(shape, dtype="bool")
    attended = ops.dot_product_attention(query, key, key, mask=mask, is_causal=is_causal)
    rng = np.random.default_rng(0)
    there = rng.random((5, *shape)) > 0.5
    there[0], there[1] = False, True
    x = [rng.standard_normal((5, 4, 2, 3)), rng.standard_normal((5, 5, 2, 3))]
    graph = gg.from_keras(keras.Model([query, key, mask], attended))
    assert graph.verify([*x, there]).passed


def test_attention_with_a_constant_mask():
    mask = np.tri(4, dtype=bool)[::-1][None, None]

    def function(x):
        return ops.dot_product_attention(x, x, x, mask=mask)

    graph = assert_computes(function, (4, 2, 3))
    # From query, key, value and scores, of two heads of three channels each.
    assert graph.n_edges == 4 * mask.sum() * 2 * 3


@pytest.mark.parametrize("options", [{}, {"is_causal": True}])
@pytest.mark.parametrize("shape", [(1, 2, 4, 4), (2, 4, 4), (1, 1, 4, 4), (1, 2, 1, 4), (4, 4)])
def test_a_constant_bias_is_one_of_the_scores(shape, options):
    def function(x, **more):
        return ops.dot_product_attention(x, x, x, **options, **more)

    bias = 2 * weights(*shape)
    graph = assert_computes(lambda x: function(x, bias=bias), (4, 2, 3))
    scores = graph.populations[graph.projections[0].target.name]
    np.testing.assert_array_equal(scores.bias, bias.reshape(shape[-3:]))
    assert graph.n_edges == assert_computes(function, (4, 2, 3)).n_edges


@pytest.mark.parametrize("couplings", [False, True])
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("shape", [(2, 4, 5), (1, 4, 5), (2, 1, 5), (1, 1, 1)])
def test_a_bias_has_edges_to_its_scores(shape, is_causal, couplings):
    def function(query, key, bias):
        return ops.dot_product_attention(query, key, key, bias=bias, is_causal=is_causal)

    graph = assert_computes(function, (4, 2, 3), (5, 2, 3), shape, couplings=couplings)
    bias = [*graph.populations.values()][2]
    n_met = np.tri(4, 5).sum() if is_causal else 20
    (from_bias,) = [p for p in graph.projections if p.source is bias]
    assert (from_bias.kind, from_bias.n_edges) == ("dynamic", 2 * n_met)


def test_attention_with_a_bias_and_a_mask():
    query, key = keras.Input((4, 2, 3)), keras.Input((5, 2, 3))
    bias, mask = keras.Input((1, 4, 5)), keras.Input((2, 1, 5), dtype="bool")
    attended = ops.dot_product_attention(query, key, key, bias=bias, mask=mask)
    rng = np.random.default_rng(0)
    x = [rng.standard_normal((5, *shape)) for shape in ((4, 2, 3), (5, 2, 3), (1, 4, 5))]
    there = rng.random((5, 2, 1, 5)) > 0.5
    there[0], there[1] = False, True
    graph = gg.from_keras(keras.Model([query, key, bias, mask], attended))
    assert graph.verify([*x, there]).passed


def test_a_constant_bias_beside_a_mask_is_refused():
    x, mask = keras.Input((4, 2, 3)), keras.Input((1, 4, 4), dtype="bool")
    attended = ops.dot_product_attention(x, x, x, bias=weights(1, 2, 4, 4), mask=mask)
    with pytest.raises(gg.UnsupportedLayerError, match="a constant bias, and a mask"):
        gg.from_keras(keras.Model([x, mask], attended))


def test_a_bias_of_another_shape_is_refused():
    x, bias = keras.Input((4, 2, 3)), keras.Input((4, 4), batch_size=2)
    attended = ops.dot_product_attention(x, x, x, bias=bias)
    with pytest.raises(gg.UnsupportedLayerError, match="its bias has shape"):
        gg.from_keras(keras.Model([x, bias], attended))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"mask": np.tri(4, dtype=bool) & np.ones((1, 2, 4, 4), bool)}, "from head to head"),
        ({"bias": np.ones((3, 2, 4, 4), np.float32)}, "bias is a constant that differs"),
        ({"value": np.ones((3, 4, 2, 3), np.float32)}, "its value is a constant of 3 samples"),
    ],
)
def test_options_of_attention_that_are_refused(options, why):
    def function(x):
        return ops.dot_product_attention(**{"query": x, "key": x, "value": x, **options})

    assert_refused(function, (4, 2, 3), why=why)


def test_a_shape_that_keras_notes_wrongly_is_refused():
    assert_refused(lambda x: ops.adaptive_max_pool(x, (2, 3)), IMAGE, why="Keras notes the shape")


def test_kernels_that_depend_on_the_inputs_are_refused():
    x, kernel = keras.Input((5, 4)), keras.Input((4, 2), batch_size=3)
    with pytest.raises(gg.UnsupportedLayerError, match="its kernel depends on the inputs"):
        gg.from_keras(keras.Model([x, kernel], ops.conv(x, kernel)))
