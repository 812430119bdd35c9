import keras
import numpy as np
import pytest
from keras import ops

import gpugraph as gg
from tests.operations import assert_affine, assert_computes, assert_refused, kinds, operation_model
from tests.reach import assert_reaches


def definite(x):
    """Make a positive definite matrix of any."""
    return ops.matmul(x, ops.swapaxes(x, -1, -2)) + np.eye(x.shape[-2], dtype=np.float32)


def regular(*shape):
    """Return matrices that have an inverse."""
    values = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    return values + 2 * np.eye(shape[-1], dtype=np.float32)


SQUARE = (3, 3)

ROWS = {
    "ops.Cholesky": (lambda x: ops.cholesky(definite(x)), SQUARE),
    "ops.CholeskyInverse": (lambda x: ops.cholesky_inverse(definite(x)), SQUARE),
    "ops.Det": (lambda x: ops.det(definite(x)), SQUARE),
    "ops.Eigh": (lambda x: ops.eigh(definite(x)), SQUARE),
    "ops.Inv": (lambda x: ops.inv(definite(x)), SQUARE),
    "ops.Logdet": (lambda x: ops.logdet(definite(x)), SQUARE),
    "ops.MatrixRank": (ops.linalg.matrix_rank, (2, 3)),
    "ops.Pinv": (ops.linalg.pinv, (2, 3)),
    "ops.Qr": (ops.qr, (2, 3)),
    "ops.SVD": (ops.svd, (2, 3)),
    "ops.Solve": (lambda xs: ops.solve(definite(xs[0]), xs[1]), SQUARE, (3, 2)),
    "ops.SolveTriangular": (lambda xs: ops.solve_triangular(definite(xs[0]), xs[1]), SQUARE, (3,)),
}


@pytest.mark.parametrize(
    ("function", "shape", "n_outputs"),
    [
        (lambda x: ops.cholesky(definite(x), upper=True), (2, 3, 3), 1),
        (lambda x: ops.det(definite(x)), (2, 3, 3), 1),
        (lambda x: ops.eigh(definite(x)), (4, 4), 2),
        (lambda x: ops.inv(definite(x)), (2, 2, 3, 3), 1),
        (ops.linalg.pinv, (3, 2), 1),
        (lambda x: ops.linalg.matrix_rank(x, tol=0.5), (2, 3, 2), 1),
        (lambda x: ops.qr(x, mode="complete"), (3, 2), 2),
        (lambda x: ops.svd(x, full_matrices=False), (2, 2, 3), 3),
        (lambda x: ops.svd(x, compute_uv=False), (3, 2), 1),
    ],
)
def test_every_value_of_a_matrix_takes_part(function, shape, n_outputs):
    model = operation_model(function, shape)
    graph = gg.from_keras(model)
    assert graph.verify().passed
    last = graph.projections[-n_outputs:]
    assert {p.kind for p in last} == {"dynamic"}
    n_matrices = np.prod(shape[:-2])
    for projection in last:
        assert projection.n_edges * n_matrices == projection.source.size * projection.target.size
    # What it gives for one sample is what it gives for that sample among others.
    x = np.random.default_rng(0).uniform(-1, 1, (3, *shape)).astype(np.float32)
    together, alone = graph.evaluate(x), [graph.evaluate(row[None]) for row in x]
    for projection in last:
        name = projection.target.name
        expected = np.concatenate([values[name] for values in alone])
        np.testing.assert_allclose(together[name], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("matrix", [(1, 3, 3), (1, 1, 3, 3), (1, 2, 3, 3)])
@pytest.mark.parametrize("columns", [(), (2,)])
@pytest.mark.parametrize("lower", [False, True])
def test_the_inverse_of_a_constant_weighs(matrix, columns, lower):
    def function(x):
        return ops.solve_triangular(regular(*matrix), x, lower=lower)

    graph = assert_affine(function, (*matrix[1:-2], 3, *columns))
    assert kinds(graph) == {"weight"}
    assert graph.n_edges == np.prod(matrix) * np.prod(columns, dtype=int)


@pytest.mark.parametrize("shape", [(3,), (3, 2)])
def test_a_constant_system_of_one_sample(shape):
    model = operation_model(lambda x: ops.solve(regular(1, 3, 3), x), shape, batch_size=1)
    graph = gg.from_keras(model)
    assert kinds(graph) == {"weight"}
    x = np.ones((1, *shape), np.float32)
    (*_, last) = graph.populations
    np.testing.assert_allclose(graph.evaluate(x)[last], model.predict(x, verbose=0), rtol=1e-5)


@pytest.mark.parametrize("columns", [(), (2,)])
@pytest.mark.parametrize("solve", [ops.solve, ops.solve_triangular])
def test_a_matrix_and_its_right_side_meet(solve, columns):
    def function(matrix, right):
        return solve(matrix + 8 * np.eye(3, dtype=np.float32), right)

    graph = assert_computes(function, (2, 3, 3), (2, 3, *columns))
    n = 2 * np.prod(columns, dtype=int)
    of_matrix, of_right = graph.projections[-2:]
    assert (of_matrix.kind, of_right.kind) == ("dynamic", "dynamic")
    assert of_right.n_edges == n * 9
    assert of_matrix.n_edges == n * 3 * (9 if solve is ops.solve else 6)


def test_matrices_of_all_or_of_one():
    def function(matrix, right):
        return ops.solve_triangular(matrix + 8 * np.eye(3, dtype=np.float32), right)

    assert assert_computes(function, (1, 3, 3), (2, 3, 2)).n_edges == 9 + 2 * 2 * 3 * (6 + 3)


@pytest.mark.parametrize("lower", [False, True])
def test_a_triangle_reaches_what_it_solves(lower):
    inputs = keras.Input((3, 3))
    solved = ops.solve_triangular(inputs, ops.exp(inputs[:, :, :2]), lower=lower)
    graph = gg.from_keras(keras.Model(inputs, solved))
    assert_reaches(graph, regular(2, 3, 3))


@pytest.mark.parametrize(
    ("function", "shape", "why"),
    [
        (lambda x: ops.inv(x), (3,), "the batch's"),
        (lambda x: ops.solve_triangular(regular(3, 3), x), (3,), "the batch's"),
        (lambda x: ops.solve_triangular(regular(3, 3, 3), x), (3,), "from sample to sample"),
        (lambda x: ops.solve_triangular(np.zeros((1, 3, 3)), x), (3,), "has no inverse"),
    ],
)
def test_other_systems_are_refused(function, shape, why):
    assert_refused(function, shape, why=why, batch_size=3)
