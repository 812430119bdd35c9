import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

import gpugraph as gg
from tests.operations import assert_computes, assert_refused, kinds, operation_model, reached

SHAPE = (2, 4, 3)
BINS = np.array([-0.5, 0.0, 0.75], np.float32)
POSITIONS = {
    "Argmax": ops.argmax,
    "Argmin": ops.argmin,
    "Nanargmax": ops.nanargmax,
    "Nanargmin": ops.nanargmin,
}
ORDERS = {"Argsort": ops.argsort, "Sort": ops.sort}

ROWS = {
    **{f"ops.{name}": (lambda x, f=f: f(x, axis=1), SHAPE) for name, f in POSITIONS.items()},
    **{f"ops.{name}": (lambda x, f=f: f(x, axis=1), SHAPE) for name, f in ORDERS.items()},
    "ops.Digitize": (lambda x: ops.digitize(x, BINS), SHAPE),
    "ops.InTopK": (lambda xs: ops.in_top_k(ops.cast(xs[0] * 4, "int32"), xs[1], 2), (), (5,)),
    "ops.IsIn": (lambda x: ops.isin(ops.round(x), [0.0, 3.0]), SHAPE),
    "ops.SearchSorted": (lambda x: ops.searchsorted(BINS, x), ()),
    "ops.TopK": (lambda x: ops.top_k(x, 2), SHAPE),
    "ops.UnravelIndex": (lambda x: ops.unravel_index(ops.cast(x * 4, "int32"), (2, 3)), (5,)),
}


def joined(shape, axis, there=None):
    """Return who lies along an axis with whom: ``[source, place in the target]``.

    ``there``: how many places the target has along the axis; None: it has no such axis.
    """
    target = [n for d, n in enumerate(shape) if d != axis]
    if there is not None:
        target.insert(axis, there)
    met = np.zeros((np.prod(shape), int(np.prod(target))), bool)
    for i in np.ndindex(*shape):
        for k in range(there or 1):
            j = [n for d, n in enumerate(i) if d != axis]
            if there is not None:
                j.insert(axis, k)
            met[np.ravel_multi_index(i, shape), np.ravel_multi_index(j, target)] = True
    return met


@pytest.mark.parametrize("name", POSITIONS)
@pytest.mark.parametrize("axis", [1, -2, -1])
@pytest.mark.parametrize("keepdims", [False, True])
def test_positions_of_extremes_depend_on_all_along_the_axis(name, axis, keepdims):
    graph = assert_computes(lambda x: POSITIONS[name](x, axis=axis, keepdims=keepdims), SHAPE)
    assert kinds(graph) == {"dynamic"}
    n = np.prod(SHAPE)
    np.testing.assert_array_equal(reached(graph)[:n, n:], joined(SHAPE, axis % 4 - 1))


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("axis", [1, 2, -1])
def test_every_place_in_an_order_depends_on_all_along_the_axis(name, axis):
    graph = assert_computes(lambda x: ORDERS[name](x, axis=axis), SHAPE)
    assert kinds(graph) == {"dynamic"}
    n, d = np.prod(SHAPE), axis % 4 - 1
    np.testing.assert_array_equal(reached(graph)[:n, n:], joined(SHAPE, d, SHAPE[d]))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_largest_are_two_populations(k):
    inputs = keras.Input(SHAPE)
    graph = gg.from_keras(keras.Model(inputs, ops.top_k(inputs, k)))
    assert graph.verify().passed
    _, values, positions = graph.populations.values()
    assert (values.shape, positions.name) == ((2, 4, k), f"{values.name}/1")
    n, expected = np.prod(SHAPE), joined(SHAPE, 2, k)
    for population in (values, positions):
        np.testing.assert_array_equal(reached(graph)[:n, population.slice], expected)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple), st.data())
def test_random_orders(shape, data):
    axis = data.draw(st.integers(1, len(shape)))
    function = data.draw(st.sampled_from([*POSITIONS.values(), *ORDERS.values()]))
    graph = assert_computes(lambda x: function(x, axis=axis), shape)
    n = np.prod(shape)
    assert graph.n_edges == n * (shape[axis - 1] if function in ORDERS.values() else 1)


@pytest.mark.parametrize(
    ("function", "shape", "name"),
    [
        (lambda x: ops.digitize(x, BINS), SHAPE, "digitize(x, ...)"),
        (lambda x: ops.isin(ops.round(x), BINS), SHAPE, "is_in(x, ..., assume_unique=False, "),
        (
            lambda x: ops.searchsorted(BINS, x, side="right"),
            (),
            "search_sorted(..., x, side=right)",
        ),
    ],
)
def test_places_among_constants_are_functions_on_nodes(function, shape, name):
    graph = assert_computes(function, shape)
    assert kinds(graph) == {"copy"}
    *_, last = graph.populations.values()
    assert last.activation.name.startswith(name)
    x = np.random.default_rng(0).standard_normal((4, *shape))
    assert graph.verify(x).passed  # float64, which TensorFlow does not compare with float32


def test_an_index_is_a_population_per_dimension():
    inputs = keras.Input((), dtype="int32")
    model = keras.Model(inputs, ops.unravel_index(inputs, (2, 3, 4)))
    graph = gg.from_keras(model)
    assert graph.verify(np.array([0, 5, 23, 13])).passed
    assert [p.kind for p in graph.projections] == ["copy"] * 3


def test_whether_a_target_is_among_the_largest():
    targets, predictions = keras.Input((), dtype="int32"), keras.Input((5,))
    model = keras.Model([targets, predictions], ops.in_top_k(targets, predictions, 2))
    graph = gg.from_keras(model)
    inputs = [np.arange(5), np.random.default_rng(0).standard_normal((5, 5))]
    assert graph.verify(inputs).passed
    assert (graph.n_edges, kinds(graph)) == (6, {"dynamic"})


@pytest.mark.parametrize(
    ("function", "shape", "why"),
    [
        (lambda x: ops.argmax(x), SHAPE, "without an axis it joins the samples"),
        (lambda x: ops.argmin(x, axis=0), SHAPE, "the batch's"),
        (lambda x: ops.argsort(x, axis=0), SHAPE, "the batch's"),
        (lambda x: ops.sort(x, axis=-4), SHAPE, "the batch's"),
        (lambda x: ops.top_k(x, 1)[0], (), "leaves a dimension open|the batch's"),
        (lambda x: ops.isin(x, x), (3,), "joins all samples"),
        (lambda x: ops.argpartition(x, 1), (3,), "on TensorFlow samples of a batch meet in it"),
    ],
)
def test_what_joins_samples_is_refused(function, shape, why):
    assert_refused(function, shape, why=why)


def test_a_position_may_be_reckoned_with():
    def function(x):
        at = ops.argmax(x, axis=-1)
        row = ops.where(ops.equal(at, 1), at // 2, at % 2)
        return ops.cast(at, "float32") / 3 + ops.cast(row, "float32")

    graph = gg.from_keras(operation_model(function, SHAPE))
    assert graph.verify(np.random.default_rng(0).standard_normal((9, *SHAPE))).passed
