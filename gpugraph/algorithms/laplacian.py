"""The normalised Laplacian of the undirected graph, and what finds its eigenvectors quickly."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from math import prod
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from gpugraph.algorithms.requirements import require_finite, require_non_negative
from gpugraph.arrays import Array, require_memory
from gpugraph.errors import ConvergenceError, UndefinedMeasureError
from gpugraph.views import Weight

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph
    from gpugraph.population import Population
    from gpugraph.projection import Projection

# Tiles per dimension of a population, and most in all: their dense matrix is factorised.
MOST_TILES = 1000
# Graphs of at most this many nodes with edges are solved as dense matrices.
DENSE = 1500
# Vectors that are sought beside those asked for: they keep the others from being missed.
BESIDE = 2
# LOBPCG's steps between two looks at the residuals, and how often to look.
ROUND, MOST_ROUNDS = 40, 12
# Residuals cannot shrink below this.
ROUNDING = 1e-12
# Makes a matrix of float32 sums that is singular positive definite.
SHIFT = 1e-6


def add_undirected(graph: NeuronGraph, weight: Weight, x: Array, total: Array) -> None:
    """Add ``(A + A^T) x`` to an array."""
    for p in graph.projections:
        p.apply(x[p.source.slice], weight, out=total[p.target.slice])
        p.transposed.apply(x[p.target.slice], weight, out=total[p.source.slice])


class Laplacian:
    """``L = I - D^-1/2 (A + A^T) D^-1/2``, where D holds strengths, in and out; of no edges.

    Its eigenvalues go from 0 to 2. Nodes without strength are left out: their values stay 0.

    Parameters
    ----------
    graph : NeuronGraph
    weight : {"magnitude", "positive", "negative", "weight", None}
        View of the weights, which must not be negative.
    xp : module
        numpy or cupy.
    measure : str
        What is computed, for errors.

    Attributes
    ----------
    strength : float64 array of shape ``(n_nodes,)``
    factor : float64 array of shape ``(n_nodes,)``
        ``strength ** -0.5``; 0 for nodes left out.
    trivial : float64 array of shape ``(n_nodes,)``
        The eigenvector of eigenvalue 0 that every graph has, of length 1.
    n_active : int
        Nodes that are not left out.

    Raises
    ------
    SignedWeightsError
        If the view holds negative weights.
    NonFiniteError
        If weights hold NaN or infinity.
    UndefinedMeasureError
        If no weight is above 0.
    """

    def __init__(self, graph: NeuronGraph, weight: Weight, xp: ModuleType, measure: str) -> None:
        require_non_negative(graph, weight, measure)
        strength = graph.in_strength(weight)
        strength += graph.out_strength(weight)
        require_finite(graph, strength, measure)
        self.n_active = int(np.count_nonzero(strength))
        if not self.n_active:
            raise UndefinedMeasureError(
                f"{measure} of '{graph.name}' is undefined: in the view weight={weight!r} no edge "
                "weighs more than 0. Choose another view, or None to count edges."
            )
        self.graph, self.weight, self.xp, self.measure = graph, weight, xp, measure
        self.strength = xp.asarray(strength)
        self.trivial = xp.sqrt(self.strength)
        is_active = self.strength > 0
        self.factor = is_active / xp.where(is_active, self.trivial, 1)
        self.trivial /= xp.linalg.norm(self.trivial)

    def multiply(self, x: Array, out: Array) -> None:
        """Write ``L x`` to an array."""
        out[...] = 0
        add_undirected(self.graph, self.weight, self.factor * x, out)
        out *= self.factor
        self.xp.subtract(x, out, out=out)

    def smallest(self, k: int, tol: float) -> tuple[np.ndarray, Array]:
        """Return the k smallest eigenvalues after the trivial one, and their eigenvectors.

        Parameters
        ----------
        k : int
        tol : float
            Largest residual, as a share of the eigenvalue: it is wrong by no more than that.

        Returns
        -------
        (float64 array of shape (k,), float64 array of shape (k, n_nodes))
            The smallest first, rounding errors below 0 among them; vectors of length 1. One that
            occurs several times may be found less often.

        Raises
        ------
        GraphTooLargeError
            If the vectors would not fit in memory.
        ConvergenceError
            If the tolerance is out of reach.

        Notes
        -----
        LOBPCG [1]_, begun with the eigenvectors of the tiles' graph and some at random, for what
        tiles cannot see. Residuals are preconditioned by one symmetric step of Gauss and Seidel,
        which is a sweep forward and one backward because the graph has no cycle, and by what is
        left between tiles. Small graphs are solved as dense matrices.

        References
        ----------
        .. [1] Knyazev (2001). Toward the optimal preconditioned eigensolver. SIAM Journal on
           Scientific Computing 23(2).
        """
        if self.n_active <= DENSE:
            return self._smallest_dense(k)
        size, n = k + BESIDE, self.graph.n_nodes
        what = f"{self.measure} of '{self.graph.name}'"
        advice = "Take a smaller input_shape, or a part of the graph (subgraph, between)."
        require_memory((8 * size + 8) * n * 8, what, advice, self.xp)
        tiles = _Tiles(self)
        vectors = self._starts(tiles, size)
        precondition = self._by_row(lambda x: self._swept(x) + tiles.solve(x))
        least = tol * float(vectors[:, 0] @ self._product(vectors[:, 0]))
        for _ in range(MOST_ROUNDS):
            values, vectors = self._improve(vectors, precondition, least)
            order = np.argsort(values)[:k]
            residual = max(self._residual(values[i], vectors[:, i]) for i in order)
            reached = max(tol * float(values[order[0]]), ROUNDING)
            if residual <= reached:
                return values[order], self.xp.ascontiguousarray(vectors[:, order].T)
            least = reached
        raise ConvergenceError(
            f"{what} did not come within a tolerance of {tol:g}: residuals are {residual:.1e}, of "
            f"eigenvalues from {values.min():.1e} on. Pass a larger tol."
        )

    def _smallest_dense(self, k: int) -> tuple[np.ndarray, Array]:
        """Return the same from the dense matrix of the nodes that are not left out."""
        strength = self.strength if self.xp is np else self.strength.get()
        active = np.flatnonzero(strength)
        matrix = self.graph.to_scipy(self.weight)[active][:, active].toarray().astype(np.float64)
        factor = strength[active] ** -0.5
        dense = np.eye(len(active)) - factor[:, None] * (matrix + matrix.T) * factor
        trivial = np.sqrt(strength[active] / strength.sum())
        values, found = np.linalg.eigh(dense + 3 * np.outer(trivial, trivial))  # moved to the end
        vectors = np.zeros((k, len(strength)))
        vectors[:, active] = found[:, :k].T
        return values[:k], self.xp.asarray(vectors)

    def _starts(self, tiles: _Tiles, size: int) -> Array:
        """Return vectors to begin with, shape ``(n_nodes, size)``."""
        starts = self.xp.empty((self.graph.n_nodes, size))
        smooth = tiles.eigenvectors(size - 1)
        starts[:, : len(smooth)] = smooth.T
        rng = np.random.default_rng(0)
        for column in range(len(smooth), size):
            starts[:, column] = self.xp.asarray(rng.standard_normal(len(starts)))
        starts *= (self.factor > 0)[:, None]
        return starts

    def _improve(
        self, vectors: Array, precondition: Callable[[Array], Array], least: float
    ) -> tuple[np.ndarray, Array]:
        """Let LOBPCG go on until residuals are this small, or for some rounds."""
        import warnings

        if self.xp is np:
            from scipy.sparse.linalg import LinearOperator, lobpcg
        else:
            from cupyx.scipy.sparse.linalg import LinearOperator, lobpcg
        shape = (len(vectors), len(vectors))
        multiply, precondition = (
            LinearOperator(shape, matvec=f, matmat=f, dtype=np.float64)
            for f in (self._by_row(self._product), precondition)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # residuals are looked at here
            values, vectors = lobpcg(
                multiply,
                vectors,
                M=precondition,
                Y=self.trivial[:, None],
                tol=least,
                maxiter=ROUND,
                largest=False,
            )
        return np.array(values.tolist()), vectors

    def _by_row(self, function: Callable[[Array], Array]) -> Callable[[Array], Array]:
        """Return a function of columns, one after another."""

        def of_columns(x: Array) -> Array:
            columns = x.reshape(len(x), -1).T
            return self.xp.stack([function(self.xp.ascontiguousarray(c)) for c in columns], axis=1)

        return of_columns

    def _product(self, x: Array) -> Array:
        out = self.xp.empty_like(x)
        self.multiply(x, out)
        return out

    def _residual(self, value: float, vector: Array) -> float:
        vector = self.xp.ascontiguousarray(vector)
        return float(self.xp.linalg.norm(self._product(vector) - value * vector))

    def _swept(self, residual: Array) -> Array:
        """Solve by the triangle of L below its diagonal, then by the one above, in float32."""
        values, factor = residual.astype(np.float32), self._factor32
        sent = self.xp.empty_like(values)
        populations = list(self.graph.populations.values())
        for backward in (False, True):
            into = self.graph.projections_from if backward else self.graph.projections_into
            for population in reversed(populations) if backward else populations:
                here = population.slice
                if into[population.name]:
                    arrived = self.xp.zeros(population.size, np.float32)
                    for p in into[population.name]:
                        way = p.transposed if backward else p
                        way.apply(sent[way.source.slice], self.weight, out=arrived)
                    arrived *= factor[here]
                    values[here] += arrived
                self.xp.multiply(values[here], factor[here], out=sent[here])
        return values

    @cached_property
    def _factor32(self) -> Array:
        return self.factor.astype(np.float32)

    def is_connected(self) -> bool:
        """Whether edges that weigh more than 0 join all nodes that have any."""
        xp, graph = self.xp, self.graph
        reached = xp.zeros(graph.n_nodes, bool)
        reached[int(self.strength.argmax())] = True
        n_before = 0
        while n_before < (n_reached := int(xp.count_nonzero(reached))):
            n_before = n_reached
            for p in graph.projections:
                self._reach(reached, p)
            for p in reversed(graph.projections):
                self._reach(reached, p.transposed)
        return n_reached == self.n_active

    def _reach(self, reached: Array, p: Projection) -> None:
        """Add the nodes that a projection's edges lead to from those reached."""
        arrived = p.apply(reached[p.source.slice].astype(np.float64), self.weight)
        reached[p.target.slice] |= arrived > 0


class _Tiles:
    """The graph of tiles: parts of a population near each other, all channels together.

    Functions that are constant on each tile, up to the trivial eigenvector, approximate the
    smallest eigenvectors. Restricted to them, L is the tiles' own Laplacian.
    """

    def __init__(self, laplacian: Laplacian) -> None:
        from scipy.linalg import cho_factor

        graph, xp = laplacian.graph, laplacian.xp
        self.xp = xp
        tiles, self.labels = _tiles(graph, xp)
        n_tiles = max((span.stop for span in tiles.values()), default=0)
        joined = np.zeros((n_tiles, n_tiles))
        for p in graph.projections:
            source, target = tiles[p.source.name], tiles[p.target.name]
            if len(target) < len(source):
                p, source, target = p.transposed, target, source
            here, there = self.labels[p.source.slice], self.labels[p.target.slice]
            for tile in source:
                sent = (here == tile).astype(np.float32)
                arrived = p.apply(sent, laplacian.weight)
                row = xp.bincount(there - target.start, arrived, len(target))
                joined[tile, target.start : target.stop] += row if xp is np else row.get()
        joined += joined.T
        volume = joined.sum(axis=0)
        root = np.sqrt(volume)
        inverse = np.divide(1, root, out=np.zeros(n_tiles), where=volume > 0)
        self.matrix = (1 + SHIFT) * np.eye(n_tiles) - joined * inverse * inverse[:, None]
        trivial = root / np.linalg.norm(root)
        self.factorised = cho_factor(self.matrix + np.outer(trivial, trivial))
        self.shape = xp.sqrt(laplacian.strength).astype(np.float32)
        self.shape *= xp.asarray(inverse.astype(np.float32))[self.labels]

    def eigenvectors(self, k: int) -> Array:
        """Return the smallest eigenvectors of the tiles' Laplacian after the trivial one, spread.

        At most k, shape ``(found, n_nodes)``.
        """
        from scipy.linalg import eigh

        last = min(k, len(self.matrix) - 1)
        if not last:
            return self.xp.empty((0, len(self.labels)))
        _, vectors = eigh(self.matrix, subset_by_index=[1, last])
        return self._spread(self.xp.asarray(np.ascontiguousarray(vectors.T)))

    def solve(self, residual: Array) -> Array:
        """Return what the inverse of the tiles' Laplacian makes of a residual."""
        from scipy.linalg import cho_solve

        sums = self.xp.bincount(self.labels, residual * self.shape, len(self.matrix))
        sums = sums if self.xp is np else sums.get()
        return self._spread(self.xp.asarray(cho_solve(self.factorised, sums)))

    def _spread(self, per_tile: Array) -> Array:
        """Return values per tile as values per node."""
        return per_tile[..., self.labels] * self.shape


def _tiles(graph: NeuronGraph, xp: ModuleType) -> tuple[dict[str, range], Array]:
    """Return each population's tiles and every node's, as int32."""
    populations = graph.populations.values()
    edge, shortest = 1, 0
    while True:
        counts = [prod(_counts(p, edge)) for p in populations]
        if sum(counts) <= MOST_TILES or sum(counts) == shortest:
            break
        edge, shortest = edge + 1, len(counts)
    # Where there are more populations than that, neighbours share a tile.
    merged = np.arange(sum(counts)) * min(MOST_TILES, sum(counts)) // sum(counts)
    labels = np.empty(graph.n_nodes, np.int32)
    spans, start = {}, 0
    for population, count in zip(populations, counts, strict=True):
        tile = np.zeros(population.size, np.int64)
        for n, position, length in zip(
            _counts(population, edge), population.positions(), population.shape, strict=True
        ):
            tile = tile * n + position * n // length
        labels[population.slice] = merged[start + tile]
        spans[population.name] = range(merged[start], merged[start + count - 1] + 1)
        start += count
    return spans, xp.asarray(labels)


def _counts(population: Population, edge: int) -> list[int]:
    """Tiles of an edge length along each dimension: channels are not cut."""
    return [
        1 if name == "channel" else -(-n // edge)
        for name, n in zip(population.axis_names, population.shape, strict=True)
    ]
