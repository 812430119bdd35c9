from itertools import product
from math import ceil, floor

import keras
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from keras import layers

import gpugraph as gg
from tests.jacobian import assert_forward, assert_linear, single
from tests.reference import pooling_edges
from tests.strategies import windows

MAX = {1: layers.MaxPooling1D, 2: layers.MaxPooling2D, 3: layers.MaxPooling3D}
AVERAGE = {1: layers.AveragePooling1D, 2: layers.AveragePooling2D, 3: layers.AveragePooling3D}
GLOBAL_MAX = [layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D]
GLOBAL_AVERAGE = [
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
]
ADAPTIVE_MAX = {
    1: layers.AdaptiveMaxPooling1D,
    2: layers.AdaptiveMaxPooling2D,
    3: layers.AdaptiveMaxPooling3D,
}
ADAPTIVE_AVERAGE = {
    1: layers.AdaptiveAveragePooling1D,
    2: layers.AdaptiveAveragePooling2D,
    3: layers.AdaptiveAveragePooling3D,
}
SHAPES = {1: (5, 2), 2: (3, 4, 2), 3: (2, 3, 4, 2)}

ROWS = {
    "AdaptiveAveragePooling1D": (layers.AdaptiveAveragePooling1D(2), (5, 2)),
    "AdaptiveAveragePooling2D": (layers.AdaptiveAveragePooling2D((2, 3)), (3, 4, 2)),
    "AdaptiveAveragePooling3D": (layers.AdaptiveAveragePooling3D((1, 2, 3)), (2, 3, 4, 2)),
    "AdaptiveMaxPooling1D": (layers.AdaptiveMaxPooling1D(2), (5, 2)),
    "AdaptiveMaxPooling2D": (layers.AdaptiveMaxPooling2D((2, 3)), (3, 4, 2)),
    "AdaptiveMaxPooling3D": (layers.AdaptiveMaxPooling3D((1, 2, 3)), (2, 3, 4, 2)),
}


def edge_set(graph):
    """Every (index in the input, index in the output)."""
    source, target = graph.populations.values()
    return {(source.index(src), target.index(dst)) for src, dst, _ in graph.edge_tuples()}


def one_dimensional(window, rank):
    """1D layers want plain numbers."""
    if rank > 1:
        return window.options
    return {k: v[0] if isinstance(v, tuple) else v for k, v in window.options.items()}


@pytest.mark.parametrize("rank", [1, 2, 3])
@given(data=st.data())
def test_max_pooling(rank, data):
    window = data.draw(windows(rank, size="pool_size", dilated=False))
    options = window.options
    graph = assert_forward(MAX[rank](**one_dimensional(window, rank)), window.shape)
    expected = pooling_edges(
        window.shape,
        options["pool_size"],
        options["strides"],
        options["padding"],
        options["data_format"] == "channels_first",
    )
    assert edge_set(graph) == expected
    assert graph.n_edges == len(expected)
    assert [p.kind for p in graph.projections] == ["choice"]


@pytest.mark.parametrize("rank", [1, 2, 3])
@given(data=st.data())
def test_average_pooling(rank, data):
    window = data.draw(windows(rank, size="pool_size", dilated=False))
    assume(keras.config.backend() != "torch" or window.options["padding"] == "valid")
    graph = assert_linear(AVERAGE[rank](**one_dimensional(window, rank)), window.shape)
    assert [p.kind for p in graph.projections] == ["mean"]


def test_padded_averages_are_refused_on_torch(monkeypatch):
    """Keras repeats the border there: another average than on the other backends."""
    models = [
        keras.Sequential([keras.Input((n, n, 1)), layers.AveragePooling2D(2, padding="same")])
        for n in (4, 5)
    ]
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    assert gg.from_keras(models[0]).n_edges == 16  # nothing is padded
    with pytest.raises(gg.UnsupportedLayerError, match="averages repeated border values"):
        gg.from_keras(models[1])


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_strides_are_the_pool_size_by_default(rank):
    graph = assert_linear(AVERAGE[rank](2), SHAPES[rank])
    assert (graph.out_degree() <= 1).all()


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_global_average_pooling(rank, keepdims, data_format):
    layer = GLOBAL_AVERAGE[rank - 1](keepdims=keepdims, data_format=data_format)
    graph = assert_linear(layer, SHAPES[rank])
    assert [p.kind for p in graph.projections] == ["mean"]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_global_max_pooling(rank, keepdims, data_format):
    shape = SHAPES[rank]
    layer = GLOBAL_MAX[rank - 1](keepdims=keepdims, data_format=data_format)
    graph = assert_forward(layer, shape)
    _, target = graph.populations.values()
    channel = 0 if data_format == "channels_first" else len(shape) - 1
    edges = {(src[channel], np.max(dst)) for src, dst in edge_set(graph)}
    assert edges == {(c, c) for c in range(shape[channel])}
    assert graph.n_edges == np.prod(shape)
    assert target.reduce == "max"


def adaptive_edges(n, m):
    """Every (input, output) of one dimension, as torch and Keras document it."""
    return {(j, i) for i in range(m) for j in range(floor(i * n / m), ceil((i + 1) * n / m))}


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("size", [(1, 1, 1), (2, 3, 2), (4, 2, 5), (5, 7, 3)])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_adaptive_average_pooling(rank, size, data_format):
    shape = (5, 3, 4)[:rank]
    layer = ADAPTIVE_AVERAGE[rank](size[:rank], data_format=data_format)
    channels_first = data_format == "channels_first"
    graph = assert_linear(layer, (2, *shape) if channels_first else (*shape, 2))
    assert [p.kind for p in graph.projections] == ["mean"]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 2), (7, 5)])
def test_adaptive_max_pooling(size, data_format):
    n, m, channels = 5, 3, 2
    shape = (channels, n, m) if data_format == "channels_first" else (n, m, channels)
    graph = assert_forward(layers.AdaptiveMaxPooling2D(size, data_format=data_format), shape)
    rows, columns = adaptive_edges(n, size[0]), adaptive_edges(m, size[1])
    expected = set()
    for (y, i), (x, j), c in product(rows, columns, range(channels)):
        first = data_format == "channels_first"
        expected.add(((c, y, x), (c, i, j)) if first else ((y, x, c), (i, j, c)))
    assert edge_set(graph) == expected
    assert graph.n_edges == len(expected)
    assert [p.kind for p in graph.projections] == ["choice"]


@pytest.mark.parametrize(("rank", "size"), [(1, 2), (1, 7), (3, (2, 4, 1))])
def test_adaptive_max_pooling_in_other_dimensions(rank, size):
    assert_forward(ADAPTIVE_MAX[rank](size), SHAPES[rank])


def test_adaptive_pooling_into_equal_parts_is_pooling():
    adaptive = gg.from_keras(single(layers.AdaptiveMaxPooling2D((3, 2)), (6, 4, 2)))
    plain = gg.from_keras(single(layers.MaxPooling2D((2, 2)), (6, 4, 2)))
    assert edge_set(adaptive) == edge_set(plain)
