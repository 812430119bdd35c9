"""Hubs and authorities: the leading singular vectors, found in the one block that holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpugraph.algorithms.requirements import require_finite, require_non_negative
from gpugraph.algorithms.singular_values import DENSE, largest_eigenpairs
from gpugraph.arrays import Array, Device, namespace
from gpugraph.engines.choice import Engine, is_cugraph, is_networkx
from gpugraph.errors import UndefinedMeasureError
from gpugraph.fallback import falls_back
from gpugraph.node_values import NodeValues
from gpugraph.scalars import real
from gpugraph.views import Weight

TINY = 1e-8

if TYPE_CHECKING:
    from types import ModuleType

    from gpugraph.graph import NeuronGraph
    from gpugraph.projection import Projection


@falls_back
def hits(
    graph: NeuronGraph,
    weight: Weight = "magnitude",
    normalized: bool = True,
    *,
    tol: float = 1e-8,
    device: Device = "auto",
    engine: Engine = "auto",
) -> tuple[NodeValues, NodeValues]:
    """Return how good a hub and how good an authority every node is.

    Good hubs point to good authorities, and good authorities are pointed to by good hubs: the
    leading left and right singular vectors of the adjacency matrix [1]_.

    Parameters
    ----------
    graph : NeuronGraph
    weight : {"magnitude", "positive", "negative", "weight", None}
        View of the weights, which must not be negative; None counts edges. Parallel edges add up.
    normalized : bool
        Scale both to a sum of 1; otherwise authorities have length 1, and hubs are the matrix's
        product with them, as in networkx.
    tol : float
        Relative error of the squared singular value.
    device : {"auto", "cpu", "cuda"}
    engine : {"auto", "sweep", "networkx", "cugraph"}

    Returns
    -------
    (NodeValues, NodeValues)
        Hubs, and authorities. In a layered graph they stand in one layer each.

    Raises
    ------
    SignedWeightsError
        If the view holds negative weights.
    NonFiniteError
        If weights hold NaN or infinity.
    UndefinedMeasureError
        If no weight is above 0.
    GraphTooLargeError, ConvergenceError
        If Lanczos's basis does not fit in memory, or the tolerance is out of reach.

    Notes
    -----
    Sources that share no target with others make a block of the matrix by themselves, with its
    singular vectors. Blocks are searched from the largest bound on their singular value, the root
    of the largest in-strength times the largest out-strength; those that can no longer win are
    left out. Among blocks with the same value the one of the largest bound, then the first, wins;
    within a block, the evenest vector.

    References
    ----------
    .. [1] Kleinberg (1999). Authoritative sources in a hyperlinked environment. Journal of the
       ACM 46(5).
    """
    require_non_negative(graph, weight, "HITS")
    tol = real(tol, "tol", 0)
    if is_cugraph(engine):
        from gpugraph.engines import cugraph

        return cugraph.hits(graph, weight, normalized)
    if is_networkx(engine):
        return _by_networkx(graph, weight, normalized)
    xp = namespace(device)
    blocks = [_Block(graph, projections, weight) for projections in _blocks(graph)]
    best, found = 0.0, None
    for block in sorted(blocks, key=lambda b: -b.bound):
        if block.bound <= best:
            break
        value, authorities = block.leading(xp, tol)
        if value > best:
            best, found = value, (block, authorities)
    if found is None:
        raise UndefinedMeasureError(
            f"HITS of '{graph.name}' is undefined: in the view weight={weight!r} no edge weighs "
            "more than 0. Choose another view, or None to count edges."
        )
    block, authorities = found
    a, h = xp.zeros(graph.n_nodes), xp.zeros(graph.n_nodes)
    block.write(authorities, "target", a)
    block.write(block.pull(authorities, xp), "source", h)
    if normalized:
        a /= a.sum()
        h /= h.sum()
    return NodeValues(graph, h, "hubs"), NodeValues(graph, a, "authorities")


def _blocks(graph: NeuronGraph) -> list[list[Projection]]:
    """Put projections together that share a source or a target, directly or through others."""
    import networkx as nx

    ends = nx.Graph()
    for p in graph.projections:
        ends.add_edge(("source", p.source.name), ("target", p.target.name))
    block_of = {end: i for i, block in enumerate(nx.connected_components(ends)) for end in block}
    blocks: dict[int, list[Projection]] = {}
    for p in graph.projections:
        blocks.setdefault(block_of["source", p.source.name], []).append(p)
    return list(blocks.values())


class _Block:
    """A part of the adjacency matrix that shares no row and no column with the rest."""

    def __init__(self, graph: NeuronGraph, projections: list[Projection], weight: Weight) -> None:
        self.projections, self.weight = projections, weight
        self.sources = list({p.source.name: p.source for p in projections}.values())
        self.targets = list({p.target.name: p.target for p in projections}.values())
        self._at = {
            (side, p.name): slice(end - p.size, end)
            for side, populations in (("source", self.sources), ("target", self.targets))
            for p, end in zip(populations, np.cumsum([p.size for p in populations]), strict=True)
        }
        self.n_sources = sum(p.size for p in self.sources)
        self.n_targets = sum(p.size for p in self.targets)
        self.bound = self._bound(graph)

    def _bound(self, graph: NeuronGraph) -> float:
        """At least the largest singular value (of weights of at least 0)."""
        out, into = np.zeros(self.n_sources), np.zeros(self.n_targets)
        for p in self.projections:
            p.out_strength(self.weight, out[self._at["source", p.source.name]])
            p.in_strength(self.weight, into[self._at["target", p.target.name]])
        if not np.isfinite(out.sum()):
            require_finite(graph, graph.out_strength(self.weight), "HITS")
        return float(np.sqrt(out.max(initial=0.0) * into.max(initial=0.0)))

    def push(self, x: Array, xp: ModuleType) -> Array:
        """Send values of the sources along the edges."""
        y = xp.zeros((*x.shape[:-1], self.n_targets))
        for p in self.projections:
            source, target = self._at["source", p.source.name], self._at["target", p.target.name]
            p.apply(x[..., source], self.weight, out=y[..., target])
        return y

    def pull(self, y: Array, xp: ModuleType) -> Array:
        """Send values of the targets against the edges."""
        x = xp.zeros((*y.shape[:-1], self.n_sources))
        for p in self.projections:
            source, target = self._at["source", p.source.name], self._at["target", p.target.name]
            p.transposed.apply(y[..., target], self.weight, out=x[..., source])
        return x

    def leading(self, xp: ModuleType, tol: float) -> tuple[float, Array]:
        """Return the largest singular value, and its vector of length 1 over the targets."""
        n = min(self.n_sources, self.n_targets)
        by_source = self.n_sources < self.n_targets
        if self.n_sources * self.n_targets <= DENSE or n < 4:
            start = xp.eye(n)
            gram = self._gram(start, by_source, xp)
            values, vectors = xp.linalg.eigh(gram)
            value, vector = float(values[-1]), _evenest(values, vectors, xp)
        else:
            values, vectors = largest_eigenpairs(
                lambda x: self._gram(x, by_source, xp), n, 1, xp, tol, "HITS"
            )
            value, vector = float(values[0]), vectors[:, 0]
        vector = xp.abs(vector)  # of a matrix without negative entries; its sign is arbitrary
        if by_source:
            vector = self.push(vector, xp)
        norm = float(xp.linalg.norm(vector))
        return np.sqrt(max(value, 0.0)), vector / norm if norm else vector

    def _gram(self, x: Array, by_source: bool, xp: ModuleType) -> Array:
        """Multiply by ``A A^T``, over the sources, or by ``A^T A``, over the targets."""
        return self.pull(self.push(x, xp), xp) if by_source else self.push(self.pull(x, xp), xp)

    def write(self, values: Array, side: str, out: Array) -> None:
        """Write values of the sources or the targets to an array over all nodes."""
        for population in self.sources if side == "source" else self.targets:
            out[population.slice] = values[self._at[side, population.name]]


def _evenest(values: Array, vectors: Array, xp: ModuleType) -> Array:
    """Return the eigenvector of the largest value; among equal ones, that nearest to all ones."""
    equal = vectors[:, values >= values[-1] * (1 - 1e-12)]
    nearest = equal @ equal.sum(axis=0)
    return nearest if float(xp.linalg.norm(nearest)) > TINY else vectors[:, -1]


def _by_networkx(
    graph: NeuronGraph, weight: Weight, normalized: bool
) -> tuple[NodeValues, NodeValues]:
    import networkx as nx

    from gpugraph.engines.networkx import digraph

    found = nx.hits(digraph(graph, weight), normalized=normalized, tol=1e-12)
    hubs, authorities = (
        NodeValues(graph, np.array([values[node] for node in range(graph.n_nodes)]), name)
        for values, name in zip(found, ("hubs", "authorities"), strict=True)
    )
    return hubs, authorities
