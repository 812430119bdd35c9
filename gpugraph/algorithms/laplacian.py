"""The normalised Laplacian of the undirected graph, and what finds its eigenvectors quickly."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import chain, islice
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from gpugraph.algorithms.eigenpairs import smallest
from gpugraph.algorithms.places import Places
from gpugraph.algorithms.requirements import require_finite, require_non_negative
from gpugraph.arrays import Array, on_host
from gpugraph.errors import UndefinedMeasureError
from gpugraph.views import Weight

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph
    from gpugraph.projection import Projection

# Graphs of at most so many nodes are solved as dense matrices.
DENSE = 1000
# Steps that make random vectors smooth.
SMOOTHING = 8


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
            Less than the nodes that are not left out.
        tol : float
            Largest residual, as a share of the eigenvalue: it is wrong by no more than that.

        Returns
        -------
        (float64 array of shape (k,), float64 array of shape (k, n_nodes))
            The smallest first, rounding errors below 0 among them; vectors of length 1.

        Raises
        ------
        GraphTooLargeError
            If the vectors would not fit in memory.
        ConvergenceError
            If the tolerance is out of reach.

        Notes
        -----
        Residuals are preconditioned by one symmetric step of Gauss and Seidel, which is a sweep
        forward and one backward because the graph has no cycle, and by the exact solution for the
        graph of places, whose eigenvectors begin the search. What was found is taken out and the
        rest searched again, so that none is missed. That takes some twelve products with the
        graph's matrix per eigenvector, where Lanczos's method takes hundreds. Small graphs are
        solved as dense matrices, with every eigenvalue as often as it occurs.
        """
        if self.graph.n_nodes <= DENSE:
            return self._smallest_of_dense(k)
        places = Places(self.graph, self.weight, self.strength, self.xp)
        random = self._random()
        smooth = map(places.spread, places.eigenvectors(k))
        return smallest(
            self.multiply,
            chain(smooth, islice(random, k + 1)),
            k,
            tol=tol,
            what=f"{self.measure} of '{self.graph.name}'",
            precondition=lambda residual: self._swept(residual) + places.solve(residual),
            known=self.trivial,
            fresh=random,
        )

    def _smallest_of_dense(self, k: int) -> tuple[np.ndarray, Array]:
        """Return the same from the dense matrix."""
        factor, trivial = map(on_host, (self.factor, self.trivial))
        matrix = self.graph.to_scipy(self.weight).toarray().astype(np.float64)
        dense = np.eye(len(matrix)) - factor[:, None] * (matrix + matrix.T) * factor
        # What is not looked for is moved beyond 2.
        dense += 3 * (np.outer(trivial, trivial) + np.diag(factor == 0))
        values, vectors = np.linalg.eigh(dense)
        return values[:k], self.xp.asarray(np.ascontiguousarray(vectors[:, :k].T))

    def _random(self) -> Iterator[Array]:
        """Yield random vectors, made smooth: they find what places cannot tell apart."""
        rng = np.random.default_rng(0)
        while True:
            drawn = self.xp.asarray(rng.standard_normal(self.graph.n_nodes))
            drawn *= self.strength > 0
            for _ in range(SMOOTHING):
                drawn -= (self.trivial @ drawn) * self.trivial
                drawn /= self.xp.linalg.norm(drawn)
                drawn = self._swept(drawn).astype(np.float64)
            yield drawn

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
