"""Shuffled graphs: what stays, what is drawn, and what projections share."""

import pickle

import keras
import numpy as np
import pytest
from keras import layers
from numpy.testing import assert_array_equal

import gpugraph as gg
from gpugraph import arrays
from tests.models import EVERY_KIND, cnn, randomise, shared_layer, siamese


def trained(projection):
    return projection.kind in ("weight", "scale") and projection.kernel is not None


@pytest.mark.parametrize("build", EVERY_KIND, ids=lambda build: build.__name__)
def test_structure_biases_and_sorted_weights_stay(build):
    graph = gg.from_keras(randomise(build()))
    null = graph.shuffled(0)
    for p, q in zip(graph.projections, null.projections, strict=True):
        assert p.axes == q.axes
        assert p.kind == q.kind
        if trained(p):
            assert q.kernel.dtype == p.kernel.dtype
            assert_array_equal(np.sort(q.kernel), np.sort(p.kernel))
        else:
            assert q.kernel is p.kernel
    assert null.populations == graph.populations
    assert_array_equal(null.in_degree(), graph.in_degree())
    assert null.tensors == graph.tensors


def test_weights_are_drawn_and_the_graph_is_not_touched():
    graph = gg.from_keras(randomise(cnn()))
    before = [p.kernel.copy() for p in graph.projections if trained(p)]
    null = graph.shuffled(0)
    for p, q, kernel in zip(
        filter(trained, graph.projections), filter(trained, null.projections), before, strict=True
    ):
        assert_array_equal(p.kernel, kernel)
        assert (q.kernel != kernel).mean() > 0.9
    assert null.name == "cnn shuffled by seed 0"


def test_the_seed_decides():
    graph = gg.from_keras(cnn())

    def weights(seed):
        return graph.shuffled(seed).materialise("cpu").weight

    assert_array_equal(weights(3), weights(3))
    assert_array_equal(weights(np.int64(3)), weights(3))
    assert (weights(3) != weights(4)).any()


def test_every_place_is_as_likely():
    graph = gg.from_keras(keras.Sequential([keras.Input((4,)), layers.Dense(2)]))
    (p,) = graph.projections
    draws = np.array([graph.shuffled(seed).projections[0].kernel for seed in range(400)])
    for weight in p.kernel:
        assert (abs((draws == weight).mean(axis=0) - 1 / 8) < 0.07).all()


def groups(graph):
    """Return which projections share a kernel, by its memory in the whole graph."""
    trained_ones = [p for p in graph.projections if trained(p)]
    return [[i for i, q in enumerate(trained_ones) if q.kernel is p.kernel] for p in trained_ones]


def test_calls_of_a_layer_share_their_permutation():
    graph = gg.from_keras(randomise(shared_layer()))
    null = graph.shuffled(1)
    assert groups(graph) == groups(null) == [[0, 1, 2]] * 3
    assert (null.projections[0].kernel != graph.projections[0].kernel).any()


def test_scales_worked_out_anew_at_every_call_are_shared_too():
    graph = gg.from_keras(randomise(siamese()))
    names = [p.target.name for p in graph.projections if trained(p)]
    assert len(names) == 6  # conv and norm of either branch, the difference's -1, the score
    assert groups(graph) == groups(graph.shuffled(1)) == [[0, 2], [1, 3], [0, 2], [1, 3], [4], [5]]


def test_layers_of_equal_weights_do_not_share():
    ones = {"kernel_initializer": keras.initializers.GlorotUniform(seed=1), "use_bias": False}
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(8, **ones), layers.Dense(8, **ones)], name="equal"
    )
    graph = gg.from_keras(model)
    assert_array_equal(graph.projections[0].kernel, graph.projections[1].kernel)
    null = graph.shuffled(0)
    assert (null.projections[0].kernel != null.projections[1].kernel).any()


def test_sharing_outlives_pickling_and_parts():
    graph = gg.from_keras(randomise(shared_layer()))
    copy = pickle.loads(pickle.dumps(graph))
    assert groups(copy.shuffled(1)) == [[0, 1, 2]] * 3
    part = graph.ancestors(graph.node_id("dense#2", 0))
    assert groups(part.shuffled(1)) == [[0, 1, 2]] * 3
    assert part.shuffled(1).n_edges == part.n_edges


def test_a_null_model_runs():
    graph = gg.from_keras(randomise(cnn()))
    x = np.random.default_rng(0).standard_normal((1, 8, 8, 2)).astype(np.float32)
    null = graph.shuffled(0)
    values = null.evaluate(x)
    kernel = null.projections[-1].kernel.reshape(-1, 4)
    bias = null.populations["dense"].bias
    logits = values["pool"].reshape(1, -1) @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(values["dense"], expected, rtol=1e-5)
    assert not null.verify(x).passed
    assert null.given(x).n_edges == graph.n_edges


@pytest.mark.parametrize("seed", [-1, 1.5, "one", None])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(gg.SelectionError, match="seed must be a whole number of at least 0, not"):
        gg.from_keras(cnn()).shuffled(seed)


def test_weights_that_do_not_fit_are_refused(monkeypatch):
    graph = gg.from_keras(cnn())
    monkeypatch.setattr(arrays, "free_memory", lambda *_: 100)
    with pytest.raises(gg.GraphTooLargeError, match="Another set of the weights of 'cnn'"):
        graph.shuffled(0)
