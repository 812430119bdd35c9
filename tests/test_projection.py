import keras
import numpy as np
import pytest
from hypothesis import assume, given
from keras import layers
from numpy.testing import assert_allclose, assert_array_equal

import gpugraph as gg
from gpugraph.axes import listed, pairs
from gpugraph.population import Population
from gpugraph.projection import Projection
from tests.jacobian import single
from tests.strategies import any_projection

VIEWS = {
    "weight": lambda w: w,
    "magnitude": np.abs,
    "positive": lambda w: np.maximum(w, 0),
    "negative": lambda w: np.maximum(-w, 0),
    None: np.ones_like,
}
JOINS = {
    "sum": (0.0, lambda a, b: a + b),
    "max": (-np.inf, max),
    "min": (np.inf, min),
    "product": (1.0, lambda a, b: a * b),
}


def of_layer(layer, *shapes):
    """The last projection of a model of one layer."""
    return gg.from_keras(single(layer, *shapes)).projections[-1]


def of_list(kernel=True, gain=False):
    """Edges picked one by one, two of them parallel."""
    src, dst = np.array([0, 1, 1, 3, 4, 4]), np.array([2, 0, 2, 1, 1, 1])
    tap = np.array([0, 1, 2, 2, 0, 3])
    axis = listed(src, dst, tap, n_src=5, n_dst=4, n_tap=4)
    if gain:
        axis = gg.Axis(**{**vars(axis), "gain": np.array([1.0, -2.0, 0.5, 1.0, 3.0, -1.0])})
    source, target = Population("a", (5,), 7, "A"), Population("b", (2, 2), 12, "B")
    weights = np.array([0.5, -1.0, 2.0, -0.75], np.float32)
    return Projection(source, target, (axis,), weights if kernel else None, "weight")


def with_tied_taps():
    """A window whose pairs share taps in no regular way, as a user's converter may make it."""
    source, target = Population("a", (3, 2), 0, "A"), Population("b", (2, 4), 6, "B")
    window = pairs([0, 1, 2, 2, 0], [0, 0, 0, 1, 1], [0, 0, 1, 1, 0], 3, 2, 2)
    axes = (window.place(2, 4, 8), gg.fan_in(2).place(1, 0, 4), gg.fan_out(4).place(0, 1, 1))
    kernel = np.linspace(-1, 1, 16, dtype=np.float32)
    return Projection(source, target, axes, kernel, "weight")


PROJECTIONS = {
    "dense": lambda: of_layer(layers.Dense(4), (2, 3)),
    "float64": lambda: of_layer(layers.Dense(4, dtype="float64"), (3,)),
    "einsum": lambda: of_layer(layers.EinsumDense("abc,bcd->abd", (3, 5)), (3, 4)),
    "conv": lambda: of_layer(layers.Conv2D(3, 3, padding="same"), (4, 5, 2)),
    "strided": lambda: of_layer(layers.Conv2D(2, 3, strides=2), (6, 5, 2)),
    "first": lambda: of_layer(layers.Conv2D(2, 2, data_format="channels_first"), (3, 3, 4)),
    "groups": lambda: of_layer(layers.Conv1D(6, 3, groups=3), (5, 6)),
    "causal": lambda: of_layer(layers.Conv1D(2, 3, dilation_rate=2, padding="causal"), (5, 2)),
    "volume": lambda: of_layer(layers.Conv3D(2, 2), (2, 3, 3, 2)),
    "transposed": lambda: of_layer(layers.Conv2DTranspose(2, 2, strides=3), (2, 3, 2)),
    "depthwise": lambda: of_layer(layers.DepthwiseConv2D(2, depth_multiplier=2), (3, 4, 2)),
    "separable": lambda: of_layer(layers.SeparableConv1D(3, 2), (4, 2)),
    "normalised": lambda: of_layer(layers.BatchNormalization(axis=1), (3, 2)),
    "max": lambda: of_layer(layers.MaxPooling2D(3, strides=2, padding="same"), (5, 4, 2)),
    "mean": lambda: of_layer(layers.AveragePooling2D(3, strides=2, padding="same"), (5, 4, 2)),
    "global": lambda: of_layer(layers.GlobalAveragePooling2D(), (3, 2, 4)),
    "concatenated": lambda: of_layer(layers.Concatenate(), (2, 3), (2, 2)),
    "broadcast": lambda: of_layer(layers.Multiply(), (2, 3), (1, 3)),
    "permuted": lambda: of_layer(layers.Permute((2, 3, 1)), (2, 3, 4)),
    "repeated": lambda: of_layer(layers.RepeatVector(3), (4,)),
    "padded": lambda: of_layer(layers.ZeroPadding2D((1, 2)), (2, 3, 2)),
    "bicubic": lambda: of_layer(layers.UpSampling2D(2, interpolation="bicubic"), (3, 2, 2)),
    "listed": of_list,
    "listed_without_kernel": lambda: of_list(kernel=False),
    "listed_with_gain": lambda: of_list(gain=True),
    "tied": with_tied_taps,
}


@pytest.fixture(params=PROJECTIONS)
def projection(request):
    return PROJECTIONS[request.param]()


def columns(projection):
    """Positions within source and target, and weights, of every edge."""
    src, dst, weight = projection.edges()
    return src - projection.source.offset, dst - projection.target.offset, weight


def matrix(projection, view="weight"):
    """``A[src, dst]`` of one view of the weights, by adding up the edges."""
    src, dst, weight = columns(projection)
    total = np.zeros((projection.source.size, projection.target.size))
    np.add.at(total, (src, dst), VIEWS[view](weight.astype(np.float64)))
    return total


def values(*shape, dtype=np.float64):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(dtype)


def assert_readings_agree(projection, view):
    expected = matrix(projection, view)
    x, y = values(projection.source.size), values(projection.target.size)
    assert_allclose(projection.apply(x, view), x @ expected, rtol=1e-5, atol=1e-5)
    assert_allclose(projection.apply_transposed(y, view), expected @ y, rtol=1e-5, atol=1e-5)
    assert_allclose(projection.in_strength(view), expected.sum(0), rtol=1e-5, atol=1e-5)
    assert_allclose(projection.out_strength(view), expected.sum(1), rtol=1e-5, atol=1e-5)


def assert_counts_agree(projection):
    src, dst, weight = columns(projection)
    assert len(src) == len(dst) == len(weight) == projection.n_edges
    in_degree = np.bincount(dst, minlength=projection.target.size)
    out_degree = np.bincount(src, minlength=projection.source.size)
    assert_array_equal(projection.in_degree(), in_degree)
    assert_array_equal(projection.out_degree(), out_degree)
    assert (len(in_degree), len(out_degree)) == (projection.target.size, projection.source.size)


def assert_reduces(projection, view, reduce):
    src, dst, weight = columns(projection)
    weight = VIEWS[view](weight.astype(np.float64))
    x = values(projection.source.size)
    neutral, join = JOINS[reduce]
    expected = [neutral] * projection.target.size
    for s, d, w in zip(src.tolist(), dst.tolist(), weight.tolist(), strict=True):
        expected[d] = join(expected[d], w * x[s])
    got = projection.apply(x, view, reduce)
    assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_counts(projection):
    assert_counts_agree(projection)


def test_repr():
    assert repr(of_list()) == "Projection('a' -> 'b': 6 edges of kind 'weight')"


@given(any_projection())
def test_counts_of_any_projection(projection):
    assert_counts_agree(projection)


@pytest.mark.parametrize("view", VIEWS)
def test_readings_agree_with_the_edges(projection, view):
    assert_readings_agree(projection, view)


@pytest.mark.parametrize("view", VIEWS)
@given(projection=any_projection())
def test_readings_of_any_projection_agree_with_its_edges(projection, view):
    assert_readings_agree(projection, view)


@pytest.mark.parametrize("reduce", ["max", "min", "product"])
def test_reductions_against_loops(projection, reduce):
    assert_reduces(projection, "weight", reduce)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("reduce", JOINS)
@given(projection=any_projection())
def test_reductions_of_any_projection_against_loops(projection, view, reduce):
    assume(reduce != "product" or projection.n_edges <= 100)  # longer ones leave float64's range
    assert_reduces(projection, view, reduce)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (0,)])
def test_leading_dimensions_are_a_batch(projection, batch, dtype):
    x = values(*batch, projection.source.size, dtype=dtype)
    result = projection.apply(x)
    assert result.shape == (*batch, projection.target.size)
    assert result.dtype == dtype
    tolerance = 1e-5 if dtype == np.float32 else 1e-6
    assert_allclose(result, x @ matrix(projection), rtol=tolerance, atol=tolerance)


def test_apply_leaves_its_input_as_it_was(projection):
    x = values(2, projection.source.size)
    before = x.copy()
    projection.apply(x, reduce="max")
    projection.apply(x, "positive")
    assert_array_equal(x, before)


def test_parameter_tells_the_kernel_entry_of_each_edge(projection):
    parameter = projection.parameter(0, projection.n_edges)
    weight = projection.edges().weight
    gains = np.ones(1)
    for axis in projection.axes:
        gain = np.ones(len(axis)) if axis.gain is None else axis.gain
        gains = np.multiply.outer(gains, gain).ravel()
    if projection.kernel is None:
        assert set(parameter) == {-1}
        assert_allclose(weight, gains, rtol=1e-6)
    else:
        assert_allclose(weight, projection.kernel[parameter] * gains, rtol=1e-6)


def test_tap_counts_window_positions():
    projection = of_layer(layers.Conv2D(2, (2, 3)), (4, 4, 3))
    tap = projection.tap(0, projection.n_edges)
    assert_array_equal(tap, projection.parameter(0, projection.n_edges) // (3 * 2))
    assert set(tap) == set(range(6))


def test_tap_of_pooling_windows():
    projection = of_layer(layers.MaxPooling2D(2), (4, 4, 3))
    src, _, _ = columns(projection)
    row, column, _ = np.unravel_index(src, (4, 4, 3))
    assert_array_equal(projection.tap(0, projection.n_edges), row % 2 * 2 + column % 2)


@pytest.mark.parametrize("name", ["dense", "normalised", "permuted", "global", "broadcast"])
def test_tap_is_zero_where_nothing_slides(name):
    projection = PROJECTIONS[name]()
    assert not projection.tap(0, projection.n_edges).any()


def test_tap_of_listed_edges_is_what_they_were_given():
    listed_edges = of_list()
    taps = np.array([3, 1, 4, 1, 5, 9])
    projection = Projection(
        listed_edges.source, listed_edges.target, listed_edges.axes, None, "weight", taps
    )
    assert_array_equal(projection.tap(1, 4), [1, 4, 1])


def test_transposed_twice_is_the_projection(projection):
    twice = projection.transposed.transposed
    assert (twice.source, twice.target) == (projection.source, projection.target)
    assert_array_equal(matrix(twice), matrix(projection))
    assert_array_equal(matrix(projection.transposed), matrix(projection).T)


def test_graph_degrees_and_strengths_add_up_its_projections():
    inputs = keras.Input((4,))
    hidden = layers.Dense(3)(inputs)
    model = keras.Model(inputs, layers.Concatenate()([inputs, hidden, hidden]))
    graph = gg.from_keras(model)
    src, dst, weight = (np.concatenate(c) for c in zip(*map(list, graph.edges()), strict=True))
    n = graph.n_nodes
    assert_array_equal(graph.in_degree(), np.bincount(dst, minlength=n))
    assert_array_equal(graph.out_degree(), np.bincount(src, minlength=n))
    assert_allclose(graph.in_strength("magnitude"), np.bincount(dst, abs(weight), n), rtol=1e-6)
    assert_allclose(graph.out_strength("magnitude"), np.bincount(src, abs(weight), n), rtol=1e-6)


@pytest.mark.parametrize("layout", ["fortran", "strided", "integers"])
def test_apply_takes_any_array(layout):
    (projection,) = gg.from_keras(single(layers.Dense(3), (4,))).projections
    x = np.arange(24.0).reshape(6, 4)
    plain = projection.apply(x[::2].copy())
    given = {
        "fortran": np.asfortranarray(x[::2]),
        "strided": x[::2],
        "integers": x[::2].astype(int),
    }
    np.testing.assert_array_equal(projection.apply(given[layout]), plain)


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, None), (3, 7), (-5, None), (2, -2), (5, 4), (10, 99), (99, None), (0, 0)],
)
def test_a_range_is_a_slice(start, stop):
    (projection,) = gg.from_keras(single(layers.Dense(3), (4,))).projections
    whole = projection.edges()
    part = projection.edges(start, stop)
    for column in ("src", "dst", "weight", "parameter"):
        expected = getattr(whole, column)[start:stop]
        np.testing.assert_array_equal(getattr(part, column), expected)


@pytest.mark.parametrize("kernel", [None, np.ones(3, np.float32)])
def test_views_that_do_not_exist_are_refused(kernel):
    ends = gg.Population("a", (3,), 0, "A"), gg.Population("b", (3,), 3, "B")
    projection = gg.Projection(*ends, (gg.one_to_one(3).place(1, 1, 1),), kernel, "copy")
    with pytest.raises(gg.SelectionError, match="no view 'size'"):
        projection.apply(np.ones(3), "size")
