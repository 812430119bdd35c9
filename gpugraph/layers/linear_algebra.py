"""Linear algebra: matrices along the last two axes, decomposed, inverted, solved for."""

from __future__ import annotations

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.layers.einsum import SPARE, Meeting, project
from gpugraph.layers.operation import OperationFunction, arguments_of, has_tensor, tensors_of
from gpugraph.layers.product import product, unlike
from gpugraph.layers.weights import array
from gpugraph.population import Tensor
from gpugraph.registry import converts


@converts(
    "ops.Cholesky",
    "ops.CholeskyInverse",
    "ops.Det",
    "ops.Eigh",
    "ops.Inv",
    "ops.Logdet",
    "ops.MatrixRank",
    "ops.Pinv",
    "ops.Qr",
    "ops.SVD",
)
def of_a_matrix(call: Conversion) -> list[Tensor]:
    """Every value of a matrix takes part in every value of what is made of it (`dynamic`)."""
    source, function = call.source, OperationFunction(call.call)
    call.dimensions((-2, -1), len(source.shape))
    lead = SPARE[: len(source.shape) - 2]
    targets = []
    for i, shape in enumerate(call.call.output_shapes):

        def values(x: np.ndarray, i: int = i) -> np.ndarray:
            return function.outputs(x)[i]

        target = call.population(str(i) if i else None, shape, dynamics=values)
        made = lead + "ij"[: len(shape) - len(lead)]
        project(call, source, lead + "pq", target, made, kind="dynamic")
        targets.append(target)
    return targets


@converts("ops.Solve", "ops.SolveTriangular")
def solve(call: Conversion) -> Tensor:
    """The right side, weighed by the inverse of a constant (`weight`); of a tensor `dynamic`."""
    matrix, right = (arguments_of(call)[name] for name in "ab")
    tensors = tensors_of(call)
    rank = len(tensors[matrix].shape) + 1 if has_tensor(matrix) else np.ndim(matrix)
    call.dimensions((-2, -1), rank - 1)
    lead, columns = SPARE[: rank - 2], "c"[: len(call.output_shape) + 2 - rank]
    made = lead + "i" + columns
    if not has_tensor(matrix):
        return product(call, [(_inverse(call), lead + "ij"), (right, lead + "j" + columns)], made)
    target = call.population(dynamics=OperationFunction(call.call), sources=[*tensors.values()])
    sizes = dict(zip(made[1:], target.shape, strict=True))
    for operand, labels in ((matrix, lead + "pq"), (right, lead + "j" + columns)):
        if has_tensor(operand):
            into = unlike(labels[1:], tensors[operand].shape, sizes)
            meeting = _triangle(call, sizes["i"]) if operand is matrix else None
            project(call, tensors[operand], into, target, made[1:], kind="dynamic", meeting=meeting)
    return target


def _inverse(call: Conversion) -> np.ndarray:
    """Return the inverse of a constant matrix, or of the triangle of it that counts."""
    matrix = array(arguments_of(call)["a"]).astype(np.float64)
    triangle = _triangle(call, matrix.shape[-1])
    try:
        return np.linalg.inv(matrix if triangle is None else matrix * triangle.met)
    except np.linalg.LinAlgError as error:
        raise call.unsupported("its matrix has no inverse") from error


def _triangle(call: Conversion, n: int) -> Meeting | None:
    """Return which values of a matrix of this size count; None: all."""
    if call.call.layer_class == "Solve":
        return None
    lower = np.tri(n, dtype=bool)
    return Meeting("pq", lower if call.layer.lower else lower.T)
