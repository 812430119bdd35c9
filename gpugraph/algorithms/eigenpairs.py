"""The smallest eigenvalues of a symmetric matrix that is known by its products alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from gpugraph.arrays import Array, namespace_of, on_host, require_memory
from gpugraph.errors import ConvergenceError, NonFiniteError

# Writes the product with its first argument to its second, both of shape ``(n,)``.
Multiply = Callable[[Array, Array], None]

# A residual as small as this beside the matrix's norm is good enough: eigenvalues may be 0.
SMALLEST = 1e-10
# What is left of a vector is rounding errors where it is this small beside the whole.
NEGLIGIBLE = 1e-10
# Vectors beside the basis: the residual, what it becomes, what a product takes.
BESIDE = 8
# Largest residual, as a share of the eigenvalue, of the first one that is not asked for.
GUARD = 0.1
# Numbers per vector that are mixed at a time.
CHUNK = 2**16


def smallest(
    multiply: Multiply,
    starts: Iterable[Array],
    k: int,
    *,
    tol: float,
    what: str,
    precondition: Callable[[Array], Array],
    known: Array,
    max_products: int = 2000,
) -> tuple[np.ndarray, Array]:
    """Return the k smallest eigenvalues of a symmetric matrix, and their eigenvectors.

    Parameters
    ----------
    multiply : callable
        Writes the product with its first argument to its second.
    starts : iterable of float64 arrays of shape ``(n,)``, numpy or cupy
        From k to 2 k + 3 independent vectors to begin with; overwritten. Eigenvectors that they
        have nothing of are not found, nor more of one eigenvalue than they have parts of.
    k : int
    tol : float
        Largest residual, as a share of the eigenvalue: it is wrong by no more than this share, and
        where it lies apart from others by no more than about its square.
    what : str
        What is computed, for errors.
    precondition : callable
        Returns about what the matrix's inverse would make of a residual.
    known : float64 array of shape ``(n,)``
        An eigenvector of length 1 that is not looked for.
    max_products : int
        With the matrix.

    Returns
    -------
    (float64 array of shape (k,), float64 array of shape (k, n))
        The smallest first; vectors of length 1.

    Raises
    ------
    GraphTooLargeError
        If the basis would not fit in memory.
    ConvergenceError
        If more products would be needed.
    NonFiniteError
        If products hold NaN or infinity.

    Notes
    -----
    Davidson's method [1]_: an orthonormal basis grows by the preconditioned residual of an
    eigenvector that is not good enough. When it is full, the k + 1 best vectors in it are kept, and
    the k best of the step before, which is nearly as good as to keep all [2]_. The next eigenvector
    is sought too, roughly, so that none before it is missed.

    References
    ----------
    .. [1] Davidson (1975). The iterative calculation of a few of the lowest eigenvalues. Journal
       of Computational Physics 17(1).
    .. [2] Stathopoulos (2007). Nearly optimal preconditioned methods for Hermitian eigenproblems
       under limited memory, part I. SIAM Journal on Scientific Computing 29(2).
    """
    xp = namespace_of(known)
    # With a preconditioner, a larger basis would not converge faster.
    basis = _Basis(multiply, 2 * k + 4, known, what)
    for start in starts:
        basis.add(start)
    before, poor = None, 0
    while True:
        values, mixtures = basis.ritz()
        least = SMALLEST * np.abs(values).max()
        looked_at = range(min(k + 1, basis.count))
        for i in (*looked_at[poor:], *looked_at[:poor]):
            residual = basis.residual(values[i], mixtures[:, i])
            share = tol if i < k else GUARD
            if float(xp.linalg.norm(residual)) > max(share * abs(values[i]), least):
                poor = i
                break
        else:
            return values[:k], basis.mix(mixtures[:, :k])
        if basis.is_full:
            mixtures = basis.shrink(mixtures[:, : k + 1], before)
        before = mixtures[:, :k]
        is_added = basis.add(precondition(residual)) or basis.add(residual)
        if not is_added or basis.n_products >= max_products:
            raise ConvergenceError(
                f"{what} did not come within a tolerance of {tol:g} in {basis.n_products:,} "
                "products with the graph's matrix. Pass a larger tol."
            )


class _Basis:
    """Orthonormal vectors, the matrix's products with them, and its projection onto them."""

    def __init__(self, multiply: Multiply, size: int, known: Array, what: str) -> None:
        xp, n = namespace_of(known), len(known)
        advice = "Take a smaller input_shape, or a part of the graph (subgraph, between)."
        require_memory((2 * size + BESIDE) * n * 8, what, advice, xp)
        self.multiply, self.known, self.what = multiply, known, what
        self.vectors, self.products = xp.empty((size, n)), xp.empty((size, n))
        self.projected = np.zeros((size, size))
        self.count = self.n_products = 0

    @property
    def is_full(self) -> bool:
        """Whether no vector can be added."""
        return self.count == len(self.vectors)

    def add(self, vector: Array) -> bool:
        """Take a vector in, less what is there already; False where nothing is left of it.

        The vector is overwritten.
        """
        xp, at = namespace_of(vector), self.count
        whole = left = float(xp.linalg.norm(vector))
        if not np.isfinite(whole):
            raise NonFiniteError(
                f"{self.what} is not a finite number: weights hold NaN or infinity, or are too "
                "large for the precision."
            )
        for _ in range(2):  # the second time for the rounding errors of the first
            vector -= (self.known @ vector) * self.known
            vector -= (self.vectors[:at] @ vector) @ self.vectors[:at]
            left = float(xp.linalg.norm(vector))
        if left <= NEGLIGIBLE * whole:
            return False
        xp.divide(vector, left, out=self.vectors[at])
        self.multiply(self.vectors[at], self.products[at])
        row = self.vectors[: at + 1] @ self.products[at]
        self.projected[at, : at + 1] = self.projected[: at + 1, at] = on_host(row)
        self.count += 1
        self.n_products += 1
        return True

    def ritz(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the eigenvalues of the projection, the smallest first, and its eigenvectors."""
        values, mixtures = np.linalg.eigh(self.projected[: self.count, : self.count])
        return values, mixtures

    def mix(self, mixtures: np.ndarray) -> Array:
        """Return vectors that are mixed of the basis, shape ``(columns of mixtures, n)``."""
        xp = namespace_of(self.vectors)
        return xp.asarray(mixtures.T) @ self.vectors[: self.count]

    def residual(self, value: float, mixture: np.ndarray) -> Array:
        """Return the matrix's product with a mixed vector, less the value times the vector."""
        xp = namespace_of(self.vectors)
        mixed = xp.asarray(mixture)
        residual = mixed @ self.products[: self.count]
        residual -= (value * mixed) @ self.vectors[: self.count]
        return residual

    def shrink(self, best: np.ndarray, before: np.ndarray | None) -> np.ndarray:
        """Keep these mixtures and those of the step before; return the best among what is left."""
        kept = best
        if before is not None:
            older = np.zeros((self.count, before.shape[1]))
            older[: len(before)] = before
            kept = np.linalg.qr(np.hstack([best, older]))[0]
        xp, count = namespace_of(self.vectors), kept.shape[1]
        turn = xp.asarray(np.ascontiguousarray(kept.T))
        for array in (self.vectors, self.products):
            for start in range(0, array.shape[1], CHUNK):
                part = array[:, start : start + CHUNK]
                part[:count] = turn @ part[: self.count]
        projected = self.projected[: self.count, : self.count]
        self.projected[:count, :count] = kept.T @ projected @ kept
        self.count = count
        return self.ritz()[1]
