"""Singular values of a projection's matrix, from its products alone."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from gpugraph.arrays import Array, Device, namespace, require_memory
from gpugraph.errors import ConvergenceError, NonFiniteError, SelectionError
from gpugraph.views import Weight, weight_view

if TYPE_CHECKING:
    from gpugraph.projection import Projection

# A matrix of at most this many entries is decomposed as a whole.
DENSE = 2**20
# Vectors that Lanczos keeps, beside those asked for.
BASIS = 20


def singular_values(
    projection: Projection,
    k: int = 6,
    weight: Weight = "weight",
    *,
    tol: float = 1e-8,
    device: Device = "auto",
) -> np.ndarray:
    """Return the k largest singular values of a projection's matrix.

    Parameters
    ----------
    projection : Projection
        One of ``graph.projections``.
    k : int
        How many; fewer where the matrix has fewer.
    weight : {"weight", "magnitude", "positive", "negative", None}
        View of the weights.
    tol : float
        Relative error of their squares.
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    float64 array of shape ``(k,)``
        The largest first.

    Raises
    ------
    SelectionError
        If k is less than 1.
    NonFiniteError
        If weights hold NaN or infinity.
    GraphTooLargeError
        If Lanczos's basis would not fit in memory.
    ConvergenceError
        If the tolerance is out of reach.

    Notes
    -----
    Lanczos on ``A A^T`` or ``A^T A``, whichever is smaller, so that values below 1e-8 of the
    largest are rounding errors; no edge is made. Takes about ``8 (20 + 2 k)`` bytes per node of
    the smaller side. Small matrices are decomposed as a whole.

    References
    ----------
    Sedghi, Gupta, Long (2019). The singular values of convolutional layers. ICLR.
    Lehoucq, Sorensen, Yang (1998). ARPACK users' guide. SIAM.
    """
    if k < 1:
        raise SelectionError(f"k must be at least 1, not {k}.")
    weight_view(np.zeros(0), weight)
    xp = namespace(device)
    what = f"The singular values of '{projection.source.name}' -> '{projection.target.name}'"
    p = projection if projection.source.size <= projection.target.size else projection.transposed
    n = p.source.size
    if n * p.target.size <= DENSE or k >= n - 1:
        require_memory(
            8 * n * (p.target.size + n), what, "Ask for fewer, or of a smaller projection."
        )
        matrix = p.apply(np.eye(n), weight)
        if not np.isfinite(matrix).all():
            raise NonFiniteError(f"{what} do not exist: weights hold NaN or infinity.")
        return np.linalg.svd(matrix, compute_uv=False)[:k]

    def gram(x: Array) -> Array:
        return p.transposed.apply(p.apply(x, weight), weight)

    values, _ = largest_eigenpairs(gram, n, k, xp, tol, what)
    return np.sqrt(np.maximum(values, 0))


def largest_eigenpairs(
    multiply: Callable[[Array], Array], n: int, k: int, xp: ModuleType, tol: float, what: str
) -> tuple[np.ndarray, Array]:
    """Return the k largest eigenvalues of a symmetric matrix, and their eigenvectors, by Lanczos.

    Parameters
    ----------
    multiply : callable
        The product with an array of shape ``(n,)``.
    n, k : int
        Size of the matrix, more than ``k + 1``, and how many.
    xp : module
        numpy or cupy.
    tol : float
        Relative error.
    what : str
        What is computed, for errors.

    Returns
    -------
    (float64 array of shape (k,), float64 array of shape (n, k))
        The largest first. The search starts from equal values everywhere, so that among equal
        eigenvalues the evenest eigenvector is found.

    Raises
    ------
    GraphTooLargeError, ConvergenceError, NonFiniteError
    """
    basis = min(n - 1, 2 * k + BASIS)
    advice = "Take a smaller input_shape, or a part of the graph (subgraph, between)."
    require_memory(8 * n * (basis + 6), what, advice, xp)
    start = xp.ones(n)
    if not bool(xp.isfinite(multiply(start)).all()):
        raise NonFiniteError(f"{what} cannot be computed: weights hold NaN or infinity.")
    if xp is np:
        from scipy.sparse.linalg import LinearOperator, eigsh
    else:
        from cupyx.scipy.sparse.linalg import LinearOperator, eigsh
    operator = LinearOperator((n, n), matvec=lambda x: multiply(x.reshape(-1)), dtype=np.float64)
    try:
        values, vectors = eigsh(operator, k, which="LA", v0=start, ncv=basis, tol=tol)
    except RuntimeError as error:  # ARPACK's errors are
        raise ConvergenceError(
            f"{what} did not come within a tolerance of {tol:g}. Pass a larger tol."
        ) from error
    values = values if xp is np else values.get()
    order = np.argsort(-values)
    return values[order], vectors[:, order]
