import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

import gpugraph as gg
from tests.operations import assert_affine, assert_computes, assert_refused, kinds, reached


def weights(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


# Where the batch axis is not the first of the result, its length is open.
JOINS = "joins samples|leaves a dimension open|its batch axis is another"

ROWS = {
    "ops.CDist": (lambda xs: ops.cdist(*xs), (2, 3), (4, 3)),
    "ops.Cross": (lambda xs: ops.cross(*xs), (2, 3), (2, 3)),
    "ops.Dot": (lambda x: ops.dot(x, weights(3, 4)), (2, 3)),
    "ops.Einsum": (lambda x: ops.einsum("btc,cd->bdt", x, weights(3, 4)), (2, 3)),
    "ops.Inner": (lambda x: ops.inner(x, weights(4, 3)), (2, 3)),
    "ops.Matmul": (lambda x: x @ weights(3, 4), (2, 3)),
    "ops.RGBToGrayscale": (ops.image.rgb_to_grayscale, (4, 5, 3)),
    "ops.Tensordot": (lambda x: ops.tensordot(x, weights(2, 3, 4), axes=2), (2, 3)),
    "ops.Trace": (lambda x: ops.trace(x, axis1=1, axis2=2), (3, 3, 2)),
    "ops.Vander": (lambda x: ops.vander(x, 4), ()),
}


@pytest.mark.parametrize(
    ("function", "shape", "n_edges"),
    [
        (lambda x: x @ weights(3, 4), (3,), 12),
        (lambda x: x @ weights(3, 4), (2, 3), 24),
        (lambda x: x @ weights(3), (2, 3), 6),
        (lambda x: x @ weights(2, 3, 4), (2, 5, 3), 2 * 5 * 12),
        (lambda x: x @ weights(1, 3, 4), (5, 3), 5 * 12),
        (lambda x: x @ weights(2, 3, 4), (1, 5, 3), 2 * 5 * 12),
        (lambda x: x @ weights(1, 2, 3, 4), (1, 5, 3), 2 * 5 * 12),
        (lambda x: ops.matmul(weights(4, 3), x), (3, 2), 4 * 3 * 2),
        (lambda x: ops.matmul(weights(3), x), (3, 2), 6),
        (lambda x: ops.dot(x, weights(5, 3, 4)), (2, 3), 2 * 3 * 5 * 4),
        (lambda x: ops.dot(x, weights(3)), (2, 3), 6),
        (lambda x: ops.inner(x, weights(3)), (2, 3), 6),
        (lambda x: ops.tensordot(x, weights(3, 4), axes=1), (2, 3), 24),
        (lambda x: ops.tensordot(x, weights(4, 2), axes=[[1], [-1]]), (2, 3), 24),
        (lambda x: ops.tensordot(x, weights(3, 2), axes=[[1, 2], [1, 0]]), (2, 3), 6),
        (lambda x: ops.einsum("bhwc,cd->bhwd", x, weights(3, 4)), (2, 2, 3), 48),
        (lambda x: ops.einsum("cd,b...c->b...d", weights(3, 4), x), (2, 2, 3), 48),
        (lambda x: ops.einsum("...c,cd", x, weights(3, 4)), (2, 3), 24),
        (lambda x: ops.einsum("bij->bji", x), (2, 3), 6),
        (lambda x: ops.einsum("bij->bi", x), (2, 3), 6),
        (lambda x: ops.einsum("bii->b", x), (3, 3), 3),
        (lambda x: ops.einsum("bii->bi", x), (3, 3), 3),
        (lambda x: ops.einsum("bi,ij,jk->bk", x, weights(3, 2), weights(2, 4)), (3,), 12),
        (lambda x: ops.einsum("bi,ij,jk->bij", x, weights(3, 2), weights(2, 4)), (3,), 6),
        (lambda x: ops.einsum("bi,jk->bi", x, weights(2, 4)), (3,), 3),
        (lambda x: ops.einsum("bi,ii->bi", x, weights(3, 3)), (3,), 3),
        (lambda x: ops.image.rgb_to_grayscale(x), (4, 5, 3), 60),
        (lambda x: ops.image.rgb_to_grayscale(x, "channels_first"), (3, 4, 5), 60),
        (lambda x: ops.trace(x, axis1=-1, axis2=1), (3, 2, 3), 6),
        (lambda x: ops.trace(x, axis1=2, axis2=3), (2, 3, 3), 6),
    ],
)
def test_products_with_constants(function, shape, n_edges):
    graph = assert_affine(function, shape)
    assert graph.n_edges == n_edges
    assert kinds(graph) <= {"weight", "copy"}


def test_the_kernel_is_the_constant_itself():
    kernel = weights(3, 4)
    graph = assert_affine(lambda x: ops.matmul(x, kernel), (2, 3))
    (projection,) = graph.projections
    np.testing.assert_array_equal(projection.kernel, kernel.ravel())


def test_a_variable_as_constant():
    kernel = keras.Variable(weights(3, 4))
    assert assert_affine(lambda x: ops.matmul(x, kernel), (2, 3)).n_edges == 24


@given(data=st.data())
def test_random_equations(data):
    labels = data.draw(st.lists(st.sampled_from("cdefg"), min_size=1, max_size=4, unique=True))
    sizes = {x: data.draw(st.integers(1, 3)) for x in "cdefg"}
    across = "".join(
        data.draw(st.lists(st.sampled_from("cdefg"), min_size=1, max_size=3, unique=True))
    )
    known = sorted({*labels, *across})
    out = "".join(data.draw(st.lists(st.sampled_from(known), unique=True)))
    equation = f"b{''.join(labels)},{across}->b{out}"
    kernel = weights(*(sizes[x] for x in across))
    assert_affine(lambda x: ops.einsum(equation, x, kernel), [sizes[x] for x in labels])


def test_two_tensors_weigh_each_other():
    graph = assert_computes(ops.matmul, (2, 3), (3, 4))
    expected = np.zeros((6 + 12 + 8,) * 2, bool)
    for i in range(2):
        for k in range(3):
            for j in range(4):
                expected[3 * i + k, 18 + 4 * i + j] = True
                expected[6 + 4 * k + j, 18 + 4 * i + j] = True
    np.testing.assert_array_equal(reached(graph), expected)
    assert kinds(graph) == {"dynamic"}
    assert graph.n_edges == 2 * 2 * 3 * 4


@pytest.mark.parametrize(
    ("function", "shapes", "n_edges"),
    [
        (lambda x, y: x @ y, [(2, 4, 3), (2, 3, 5)], 2 * 2 * 4 * 3 * 5),
        (lambda x, y: x @ y, [(1, 4, 3), (2, 3, 5)], 2 * 2 * 4 * 3 * 5),
        (lambda x: x @ ops.transpose(x, (0, 2, 1)), [(2, 3)], 6 + 2 * 2 * 2 * 3),
        (lambda x: ops.einsum("bi,bj->bij", x, x), [(3,)], 18),
        (lambda x, y: ops.einsum("bi,bij->bj", x, y), [(3,), (3, 2)], 12),
        (lambda x, y: ops.einsum("bi,bi->b", x, y), [(3,), (3,)], 6),
        (lambda x, y: ops.einsum("bi,ij,bj->b", x, weights(3, 2), y), [(3,), (2,)], 5),
        (lambda x, y: ops.einsum("bi,ijk,bj->bk", x, weights(3, 2, 4), y), [(3,), (2,)], 20),
        (ops.cdist, [(4, 3), (5, 3)], 2 * 4 * 5 * 3),
        (lambda x, y, z: ops.einsum("bi,bj,bk->bijk", x, y, z), [(2,), (3,), (4,)], 3 * 24),
    ],
)
def test_products_of_tensors(function, shapes, n_edges):
    graph = assert_computes(function, *shapes)
    assert graph.n_edges == n_edges
    assert "dynamic" in kinds(graph)


@pytest.mark.parametrize(
    ("function", "shape", "why"),
    [
        (lambda x: ops.tensordot(x, x, axes=[[1], [1]]), (3,), JOINS),
        (lambda x: ops.einsum("bi,cj->bcij", x, x), (3,), JOINS),
        (lambda x: ops.einsum("bi,ij->jb", x, weights(3, 2)), (3,), "batch axis is not in front"),
        (lambda x: ops.einsum("bi,ij->j", x, weights(3, 2)), (3,), JOINS),
        (lambda x: ops.dot(weights(2, 3), x), (3, 2), JOINS),
        (lambda x: x @ weights(5, 3, 4), (2, 3), "from sample to sample"),
        (lambda x: ops.einsum("bi,bi->bi", x, weights(5, 3)), (3,), "from sample to sample"),
        (lambda x: ops.cdist(x, weights(1, 5, 3)), (4, 3), "not two tensors of one rank"),
        (lambda x: ops.image.rgb_to_grayscale(x), (5, 3), "single image"),
        (lambda x: ops.trace(x, offset=1, axis1=1, axis2=2), (3, 3), "its diagonal is not"),
        (lambda x: ops.trace(x, axis1=1, axis2=2), (2, 3), "its diagonal is not"),
        (lambda x: ops.trace(x), (3, 3), JOINS + "|diagonal"),
    ],
)
def test_what_joins_samples_is_refused(function, shape, why):
    assert_refused(function, shape, why=why)


def test_tensors_of_different_rank_are_refused():
    x, y = keras.Input((3, 4, 5), batch_size=3), keras.Input((5, 2), batch_size=3)
    with pytest.raises(gg.UnsupportedLayerError, match="joins samples"):
        gg.from_keras(keras.Model([x, y], x @ y))


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda x: ops.cross(x, weights(3)), (2, 3)),
        (lambda x: ops.cross(weights(3), x), (2, 3)),
        (lambda x: ops.cross(x, weights(1, 2, 3)), (2, 3)),
        (lambda x: ops.cross(x, weights(2, 3)), (1, 3)),
        (lambda x: ops.cross(x, weights(4, 3), axisa=1, axisc=2), (3, 4)),
        (lambda x: ops.cross(weights(3, 4), x, axisa=0, axisb=2, axisc=1), (4, 3)),
    ],
)
def test_the_cross_product_with_a_constant_weighs(function, shape):
    assert kinds(assert_affine(function, shape)) == {"weight"}


@pytest.mark.parametrize(
    ("options", "shapes"),
    [
        ({}, ((2, 3), (2, 3))),
        ({}, ((2, 3), (1, 3))),
        ({"axisa": 1, "axisc": 1}, ((3, 4), (4, 3))),
    ],
)
def test_two_components_meet_in_the_third(options, shapes):
    graph = assert_computes(lambda x, y: ops.cross(x, y, **options), *shapes)
    assert kinds(graph) == {"dynamic"}
    n_vectors = max(map(np.prod, shapes)) // 3
    assert graph.n_edges == 2 * 6 * n_vectors
    (_, _, target) = graph.populations.values()
    assert (graph.to_scipy(None).sum(axis=0)[target.slice] == 4).all()


def test_a_vector_may_meet_itself():
    assert assert_computes(lambda x: ops.cross(x, x) + x, (2, 3)).n_edges == 2 * 12 + 2 * 6


@pytest.mark.parametrize(
    ("function", "shape", "why"),
    [
        (lambda x: ops.cross(x, weights(2)), (4, 3), "two components"),
        (lambda x: ops.cross(x, x), (4, 2), "two components"),
        (lambda x: ops.cross(x, weights(3), axisc=0), (4, 3), JOINS),
        (lambda x: ops.cross(x, x, axisc=0), (4, 3), JOINS),
        (lambda x: ops.cross(x, weights(5, 4, 3)), (4, 3), "from sample to sample"),
    ],
)
def test_other_cross_products_are_refused(function, shape, why):
    assert_refused(function, shape, why=why)


@pytest.mark.parametrize("increasing", [False, True])
def test_powers_of_one_number(increasing):
    graph = assert_computes(lambda x: ops.vander(x, 4, increasing), ())
    assert graph.n_edges == 4


def test_as_many_powers_as_samples_are_refused():
    assert_refused(ops.vander, (), why="the size of the batch", batch_size=3)
