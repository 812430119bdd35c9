"""Singular values of a projection's matrix, from its products alone."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np

from gpugraph.algorithms.eigenpairs import smallest
from gpugraph.arrays import Array, Device, namespace, namespace_of, require_memory
from gpugraph.axes import Axis, fan_in
from gpugraph.errors import ConvergenceError, NonFiniteError
from gpugraph.fallback import falls_back
from gpugraph.population import Population, strides
from gpugraph.projection import Projection
from gpugraph.scalars import real, whole
from gpugraph.views import OPPOSITE, Weight, check_view, gain_view

# A matrix of at most this many entries is decomposed as a whole.
DENSE = 2**20
# Vectors that Lanczos keeps, beside those asked for.
BASIS = 20


@falls_back
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
    An axis along which the kernel does not vary, such as the positions of a 1 x 1 convolution or
    a window of pooling, makes the matrix a Kronecker product: its own singular values multiply the
    others'. What is left is decomposed as a whole where it is small, or by Lanczos's method on
    ``A A^T`` or ``A^T A``, whichever is smaller, without making an edge: values below 1e-8 of the
    largest are rounding errors there. What Lanczos has found is taken out and the rest searched
    again, so that values which occur several times are found as often. Takes about
    ``8 (20 + 3 k)`` bytes per node of the smaller side.

    References
    ----------
    Sedghi, Gupta, Long (2019). The singular values of convolutional layers. ICLR.
    Lehoucq, Sorensen, Yang (1998). ARPACK users' guide. SIAM.
    """
    k, tol = whole(k, "k", 1), real(tol, "tol", 0)
    check_view(weight)
    xp = namespace(device)
    what = f"The singular values of '{projection.source.name}' -> '{projection.target.name}'"
    core, factors = _taken_apart(projection, weight)
    values = _of_core(core, k, weight, xp, tol, what)
    for factor in factors:
        values = _largest(np.outer(values, factor), k)
    missing = min(k, projection.source.size, projection.target.size) - len(values)
    return np.append(values, np.zeros(max(missing, 0)))


def _largest(values: np.ndarray, k: int) -> np.ndarray:
    """Return the k largest values, the largest first."""
    return -np.sort(-values, axis=None)[:k]


def _taken_apart(projection: Projection, weight: Weight) -> tuple[Projection, list[np.ndarray]]:
    """Return the projection without the axes that are factors, and those axes' singular values."""
    turns_signs = weight in OPPOSITE and projection.has_negative_gain
    if projection.is_listed or (projection.has_factors and weight is not None) or turns_signs:
        return projection, []
    kept, factors = [], []
    for axis in projection.axes:
        varies = weight is not None and axis.is_tapped and bool(axis.tap.any())
        values = None if varies else _of_axis(axis, weight)
        if values is None:
            kept.append(axis)
        else:
            factors.append(values)
    sources, targets = [a.n_src for a in kept], [a.n_dst for a in kept]
    places = zip(kept, strides(sources), strides(targets), strict=True)
    core = Projection(
        Population("sources", tuple(sources), 0, ""),
        Population("targets", tuple(targets), 0, ""),
        (fan_in(1), *(axis.place(src, dst, axis.tap_stride) for axis, src, dst in places)),
        projection.kernel,
        projection.kind,
    )
    return core, factors


def _of_axis(axis: Axis, weight: Weight) -> np.ndarray | None:
    """Return the singular values of an axis's pairs, as a matrix; None where that is too large."""
    gain = gain_view(axis, weight)
    gain = np.ones(len(axis)) if gain is None else gain
    n_src, n_dst = len(np.unique(axis.src)), len(np.unique(axis.dst))
    if n_src == len(axis) == n_dst:  # pairs have no end in common
        return _largest(np.abs(gain), len(axis))
    if len(axis) == max(n_src, n_dst) and min(n_src, n_dst) == 1:  # all have one
        return np.array([np.linalg.norm(gain)])
    if axis.n_src * axis.n_dst > DENSE:
        return None
    matrix = np.zeros((axis.n_src, axis.n_dst))
    np.add.at(matrix, (axis.src, axis.dst), gain)
    return np.linalg.svd(matrix, compute_uv=False)


def _of_core(
    core: Projection, k: int, weight: Weight, xp: ModuleType, tol: float, what: str
) -> np.ndarray:
    """Return the k largest singular values of what is left."""
    if max(core.in_degree().max(initial=0), core.out_degree().max(initial=0)) <= 1:
        values = np.abs(core.in_strength(weight))  # of one edge each
        if not np.isfinite(values).all():
            raise NonFiniteError(f"{what} do not exist: weights hold NaN or infinity.")
        return _largest(values, min(k, core.source.size))
    p = core if core.source.size <= core.target.size else core.transposed
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

    start = xp.asarray(np.random.default_rng(0).standard_normal(n))
    if not gram(start).any():
        return np.zeros(k)
    values, vectors = largest_eigenpairs(gram, n, k, xp, tol, what, start)

    def unseen(x: Array) -> Array:
        """Multiply with what the vectors found leave of the matrix."""
        y = gram(x - vectors @ (vectors.T @ x))
        return y - vectors @ (vectors.T @ y)

    # Of several equal values Lanczos's method may find one: the others are still there.
    while k > 1 and vectors.shape[1] < n - 2:
        (more,), vector = largest_eigenpairs(unseen, n, 1, xp, tol, what, start)
        if more <= (1 + tol) * values[k - 1]:
            break
        values = _largest(np.append(values, more), len(values) + 1)
        vectors = xp.concatenate([vectors, vector], axis=1)
    return np.sqrt(np.maximum(values[:k], 0))


def largest_eigenpairs(
    multiply: Callable[[Array], Array],
    n: int,
    k: int,
    xp: ModuleType,
    tol: float,
    what: str,
    start: Array | None = None,
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
    start : float64 array of shape ``(n,)``, optional
        Where to begin; by default equal values everywhere, so that among equal eigenvalues the
        evenest eigenvector is found.

    Returns
    -------
    (float64 array of shape (k,), float64 array of shape (n, k))
        The largest first.

    Raises
    ------
    GraphTooLargeError, ConvergenceError, NonFiniteError
    """
    start = xp.ones(n) if start is None else start
    if not bool(xp.isfinite(multiply(start)).all()):
        raise NonFiniteError(f"{what} cannot be computed: weights hold NaN or infinity.")
    return (
        _by_arpack(multiply, n, k, tol, what, start)
        if xp is np
        else _by_davidson(multiply, n, k, tol, what, start)
    )


def _by_arpack(
    multiply: Callable[[Array], Array], n: int, k: int, tol: float, what: str, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

    basis = min(n - 1, 2 * k + BASIS)
    advice = "Take a smaller input_shape, or a part of the graph (subgraph, between)."
    require_memory(8 * n * (basis + 6), what, advice)
    operator = LinearOperator((n, n), matvec=lambda x: multiply(x.reshape(-1)), dtype=np.float64)
    try:
        values, vectors = eigsh(operator, k, which="LA", v0=start, ncv=basis, tol=tol)
    except ArpackError as error:
        raise ConvergenceError(
            f"{what} did not come within a tolerance of {tol:g}. Pass a larger tol."
        ) from error
    order = np.argsort(-values)
    return values[order], vectors[:, order]


def _by_davidson(
    multiply: Callable[[Array], Array], n: int, k: int, tol: float, what: str, start: Array
) -> tuple[np.ndarray, Array]:
    """Find eigenpairs on a GPU.

    CuPy's eigsh does not say when it has not converged, takes the tolerance as an absolute one,
    and divides by zero where the vectors that it makes of the start are fewer than its basis.
    """
    xp, rng = namespace_of(start), np.random.default_rng(0)

    def write_negative(x: Array, out: Array) -> None:
        xp.negative(multiply(x), out=out)

    values, vectors = smallest(
        write_negative,
        [start.copy(), *(xp.asarray(rng.standard_normal(n)) for _ in range(k - 1))],
        k,
        tol=tol,
        what=what,
        precondition=xp.copy,
        known=xp.zeros(n),
    )
    return -values, vectors.T
