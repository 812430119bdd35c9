"""The smallest eigenvalues of a symmetric matrix that is known by its products alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from gpugraph.arrays import (
    SHARE_OF_FREE_MEMORY,
    Array,
    free_memory,
    namespace_of,
    on_host,
    require_memory,
)
from gpugraph.errors import ConvergenceError, NonFiniteError

# Writes the product with its first argument to its second, both of shape ``(n,)``.
Multiply = Callable[[Array, Array], None]

# A residual as small as this beside the matrix's norm is good enough: eigenvalues may be 0.
SMALLEST = 1e-10
# What is left of a vector is rounding errors where it is this small beside the whole.
NEGLIGIBLE = 1e-10
# Vectors beside the basis: the residual, what it becomes, what a product takes.
BESIDE = 8
# Largest residual of the first eigenvector that is not asked for, as a share of how far its
# eigenvalue lies above the last that is: at most about the square of this share of it lies below.
GUARD = 0.3
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
    fresh: Iterable[Array] = (),
    max_products: int = 2000,
) -> tuple[np.ndarray, Array]:
    """Return the k smallest eigenvalues of a symmetric matrix, and their eigenvectors.

    Parameters
    ----------
    multiply : callable
        Writes the product with its first argument to its second.
    starts : iterable of float64 arrays of shape ``(n,)``, numpy or cupy
        From k to 2 k + 3 independent vectors to begin with; overwritten.
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
    fresh : iterable of float64 arrays of shape ``(n,)``
        Random vectors, overwritten: what was found is taken out and the rest is searched again
        from the next, until nothing smaller appears or none is left. Without them, eigenvectors
        that ``starts`` have nothing of are not found, nor more of one eigenvalue than they have
        parts of.
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
    is sought too, roughly, so that none before it is missed. It alone does not tell: it may be a
    mixture of eigenvectors of both smaller and larger eigenvalues, and a restart may drop what the
    basis had of one; hence the second search.

    References
    ----------
    .. [1] Davidson (1975). The iterative calculation of a few of the lowest eigenvalues. Journal
       of Computational Physics 17(1).
    .. [2] Stathopoulos (2007). Nearly optimal preconditioned methods for Hermitian eigenproblems
       under limited memory, part I. SIAM Journal on Scientific Computing 29(2).
    """
    xp = namespace_of(known)
    # 2 k + 1 are kept; few more converge slowly where eigenvalues lie close together.
    small, large = 2 * k + 4, 2 * k + 8
    fits = _n_bytes(large, k, len(known)) <= free_memory(xp) * SHARE_OF_FREE_MEMORY
    basis = _Basis(multiply, large if fits else small, k, known, what)
    for start in starts:
        basis.add(start)
    before, poor, found, fresh = None, 0, None, iter(fresh)
    while True:
        values, mixtures = basis.ritz()
        least = SMALLEST * np.abs(values).max()
        looked_at = range(min(k + 1, basis.count))
        for i in (*looked_at[poor:], *looked_at[:poor]):
            residual = basis.residual(values[i], mixtures[:, i])
            enough = max(tol * abs(values[i]), least)
            if i == k:
                enough = max(enough, GUARD * (values[k] - values[k - 1]))
            if float(xp.linalg.norm(residual)) > enough:
                poor = i
                break
        else:
            if found is not None:
                slack = np.maximum(tol * np.abs(found[0]), least)
                if (values[:k] >= found[0] - slack).all():
                    return found
            found = values[:k], basis.mix(mixtures[:, :k])
            another = next(fresh, None)
            if another is None:
                return found
            basis.shrink(mixtures[:, :k], None)
            before = None
            if not basis.add(another):
                return found
            continue
        if basis.is_full:
            mixtures = basis.shrink(mixtures[:, : k + 1], before)
        before = mixtures[:, :k]
        is_added = basis.add(precondition(residual)) or basis.add(residual)
        if not is_added or basis.n_products >= max_products:
            raise ConvergenceError(
                f"{what} did not come within a tolerance of {tol:g} in {basis.n_products:,} "
                "products with the graph's matrix. Pass a larger tol."
            )


def _n_bytes(size: int, k: int, n: int) -> int:
    """Bytes for a basis, its products, the vectors found, and what is computed beside them."""
    return (2 * size + k + BESIDE) * n * 8


class _Basis:
    """Orthonormal vectors, the matrix's products with them, and its projection onto them."""

    def __init__(self, multiply: Multiply, size: int, k: int, known: Array, what: str) -> None:
        xp, n = namespace_of(known), len(known)
        advice = "Take a smaller input_shape, or a part of the graph (subgraph, between)."
        require_memory(_n_bytes(size, k, n), what, advice, xp)
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
