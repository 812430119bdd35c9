"""The graph of places against sums over the dense matrix."""

import keras
import numpy as np
import pytest
from keras import layers
from numpy.testing import assert_allclose

import gpugraph as gg
from gpugraph.algorithms import places
from tests.algorithms.graphs import adjacency, graph_of, of_edges, two_branches, without_edges
from tests.models import EVERY_KIND, cnn, lenet, randomise, siamese


def joined(graph, view):
    """Return the weights between places, and each node's place."""
    tiles = places._tiles(list(graph.populations.values()))
    n = 1 + max(tile.max() for tile in tiles.values())
    labels = np.empty(graph.n_nodes, int)
    for name, population in graph.populations.items():
        labels[population.slice] = tiles[name][places._place_of_nodes(population)]
    return places._joined(graph, view, tiles, n).toarray(), labels


def summed(graph, view, labels, n):
    """Return the same from the dense matrix."""
    matrix = adjacency(graph, view)
    member = np.eye(n)[labels]
    return member.T @ (matrix + matrix.T) @ member


def of_layer(layer, shape=(6, 5, 4)):
    x = keras.Input(shape)
    return gg.from_keras(randomise(keras.Model(x, layer(x))))


def then_dense(layer):
    return lambda x: layers.Dense(3)(layer(x))


@pytest.mark.parametrize("view", ["magnitude", "positive", None])
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_of_models(kind, view):
    graph = graph_of(kind)
    found, labels = joined(graph, view)
    assert_allclose(found, summed(graph, view, labels, len(found)), rtol=1e-6, atol=1e-6)
    # A place is a position: channels are together, and nothing else is.
    assert 1 + labels.max() == sum(
        np.prod([n for n, axis in zip(p.shape, p.axis_names, strict=True) if axis != "channel"])
        for p in graph.populations.values()
    )


@pytest.mark.parametrize(
    "layer",
    [
        layers.Permute((3, 1, 2)),
        layers.Reshape((15, 8)),
        then_dense(layers.Reshape((15, 8))),
        then_dense(layers.Flatten()),
        layers.Flatten(data_format="channels_first"),
        layers.Conv2D(4, 3, groups=2, padding="same", strides=2),
        layers.Conv2DTranspose(3, 3, strides=2),
        layers.DepthwiseConv2D(3, dilation_rate=2),
        layers.UpSampling2D(2, interpolation="bilinear"),
        layers.AveragePooling2D(3, padding="same"),
        layers.EinsumDense("abcd,ce->abde", output_shape=(None, 4, 3)),
        layers.MaxPooling2D(2, data_format="channels_first"),
    ],
)
def test_of_layers(layer):
    graph = of_layer(layer)
    found, labels = joined(graph, "magnitude")
    assert_allclose(found, summed(graph, "magnitude", labels, len(found)), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "graph",
    [
        of_edges([(0, 2, 1.0), (0, 3, 2.0), (1, 3, 0.5)], [2, 2]),
        two_branches(),
        without_edges(),
        graph_of(cnn).threshold(0.3),
        graph_of(lenet).ancestors(graph_of(lenet).node_id("c3", (3, 3, 3))),
    ],
)
def test_of_parts(graph):
    found, labels = joined(graph, "magnitude")
    assert_allclose(found, summed(graph, "magnitude", labels, len(found)), rtol=1e-6, atol=1e-6)


def test_factors_of_nodes_are_averaged_per_place():
    graph = graph_of(siamese)
    inputs = {name: np.ones((1, 8, 8, 1)) for name in ("left", "right")}
    part = graph.given(inputs)
    found, labels = joined(part, "magnitude")
    expected = summed(part, "magnitude", labels, len(found))
    assert_allclose(found[expected == 0], 0, atol=1e-9)
    # One channel in: averages are exact.
    image = slice(0, 64)
    assert_allclose(found[image], expected[image], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("most", [1, 7, 40])
def test_neighbours_are_taken_together_where_there_are_too_many(monkeypatch, most):
    monkeypatch.setattr(places, "MOST_PLACES", most)
    graph = graph_of(cnn)
    found, labels = joined(graph, "magnitude")
    assert len(found) <= most
    assert (np.diff(np.unique(labels)) == 1).all()
    assert_allclose(found, summed(graph, "magnitude", labels, len(found)), rtol=1e-6, atol=1e-6)
    expected = gg.spectral_gap(graph, tol=1e-6)
    monkeypatch.undo()
    assert_allclose(gg.spectral_gap(graph, tol=1e-6), expected, rtol=1e-6)


def test_solutions_and_eigenvectors_are_those_of_the_places_laplacian():
    graph = graph_of(lenet)
    strength = graph.in_strength("magnitude") + graph.out_strength("magnitude")
    found = places.Places(graph, "magnitude", strength, np)
    n = len(found.trivial)
    assert n > places.DENSE
    spread = np.zeros((graph.n_nodes, n))
    spread[np.arange(graph.n_nodes), found.labels] = found.shape
    assert_allclose((spread**2).sum(axis=0), 1, rtol=1e-5)
    matrix = found.matrix.toarray()
    assert_allclose(matrix @ found.trivial, 0, atol=1e-6)
    values, vectors = np.linalg.eigh(matrix)
    starts = found.eigenvectors(3)
    assert_allclose(abs(starts @ vectors[:, 1:4]), np.eye(3), atol=0.02)
    assert_allclose(found.spread(starts[0]), spread @ starts[0], rtol=1e-5, atol=1e-9)
    expected = spread @ (vectors[:, 1] / values[1])
    assert_allclose(found.solve(spread @ vectors[:, 1]), expected, rtol=1e-3, atol=1e-3)
