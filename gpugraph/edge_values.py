"""EdgeValues: one number per edge, held as numbers of the edges' two ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugraph.arrays import Array, on_host, require_memory
from gpugraph.edge_maker import EdgeMaker
from gpugraph.errors import RangeError, SelectionError
from gpugraph.fallback import gpu_memory_errors
from gpugraph.products.correlate import correlate
from gpugraph.projection import Projection
from gpugraph.views import OPPOSITE, Weight, factor_shares, weight_view

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph

CHUNK_EDGES = 2**18


@dataclass(frozen=True)
class Term:
    """A sum of products of the two ends: ``sum over rows of source * target * 2 ** exponent``.

    Attributes
    ----------
    source : array of shape ``(rows, projection.source.size)``
    target : array of shape ``(rows, projection.target.size)``
    exponent : int
    """

    source: Array
    target: Array
    exponent: int = 0


class EdgeValues:
    """One number per edge of a graph, each a sum of products of its ends' numbers.

    Held per node, not per edge, so that a graph with more edges than memory has them too.
    ``values[projection]`` makes those of a projection, ``np.asarray(values)`` all, in the order
    of `NeuronGraph.edges`.

    Parameters
    ----------
    graph : NeuronGraph
    terms : sequence of sequence of Term
        What to add up, per projection of the graph.
    weight : {"weight", "magnitude", "positive", "negative", None}
        View of the edge's weight that multiplies the sum; None: nothing does.
    name : str
        Of what is measured.
    """

    def __init__(
        self, graph: NeuronGraph, terms: Sequence[Sequence[Term]], weight: Weight, name: str
    ) -> None:
        self.graph, self.weight, self.name = graph, weight, name
        self._terms = dict(zip(graph.projections, terms, strict=True))

    def __repr__(self) -> str:
        return f"EdgeValues({self.name!r} of {len(self):,} edges of '{self.graph.name}')"

    def __len__(self) -> int:
        return self.graph.n_edges

    def __getitem__(self, projection: Projection) -> np.ndarray:
        """Values of one projection's edges, in their order."""
        self._of(projection)
        return self.range(projection, 0, projection.n_edges)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError(f"'{self.name}' has no array to share: its values are made anew.")
        require_memory(
            8 * len(self),
            f"'{self.name}' of {len(self):,} edges",
            "Read it by projection (values[projection], values.range) or by parameter "
            "(values.per_parameter).",
        )
        parts = [self[projection] for projection in self.graph.projections]
        return np.concatenate([np.zeros(0), *parts]).astype(dtype or np.float64, copy=False)

    def range(self, projection: Projection, start: int, stop: int) -> np.ndarray:
        """Values of edges ``start:stop`` of a projection, as for a slice of a list; float64."""
        terms = self._on_host(projection)
        start, stop, _ = slice(start, stop).indices(projection.n_edges)
        out = np.zeros(max(0, stop - start))
        maker = EdgeMaker(projection, self.graph.index_dtype)
        for first in range(start, stop, CHUNK_EDGES):
            last = min(first + CHUNK_EDGES, stop)
            src, dst, weight = maker.make(first, last)
            src, dst = src - projection.source.offset, dst - projection.target.offset
            part = out[first - start : last - start]
            factor = 1.0 if self.weight is None else weight_view(weight, self.weight)
            for term in terms:
                for ours, theirs in zip(term.source, term.target, strict=True):
                    values = ours[src].astype(np.float64) * theirs[dst]
                    part += _scaled(values * factor, term, self.name)
        return out

    def items(self) -> Iterator[tuple[tuple[int, int], float]]:
        """Yield ``((src, dst), value)`` for every edge, in the order of `NeuronGraph.edges`."""
        for projection in self.graph.projections:
            for edges in projection.chunks(CHUNK_EDGES, self.graph.index_dtype):
                values = self.range(projection, edges.start, edges.start + len(edges))
                pairs = zip(edges.src.tolist(), edges.dst.tolist(), strict=True)
                yield from zip(pairs, values.tolist(), strict=True)

    def per_parameter(self, projection: Projection) -> np.ndarray:
        """Return the sum over the edges of each weight, without making them.

        Returns
        -------
        float64 array of shape ``(n_parameters,)``
            In the order of ``projection.kernel``.

        Raises
        ------
        SelectionError
            If the projection has no kernel.
        """
        if projection.kernel is None:
            raise SelectionError(
                f"Edges from '{projection.source.name}' to '{projection.target.name}' have no "
                "trained weights (kernel is None)."
            )
        total = np.zeros(projection.kernel.size)
        for term in self._on_host(projection):
            ours, theirs = term.source, term.target
            for before, view in factor_shares(projection.source_factor, self.weight):
                for after, inner in factor_shares(projection.target_factor, view):
                    x = ours if before is None else ours * before
                    y = theirs if after is None else theirs * after
                    total += _scaled(_weighed(projection, x, y, inner), term, self.name)
        return total

    def _on_host(self, projection: Projection) -> list[Term]:
        """Return a projection's terms where their edges are made."""
        terms = self._of(projection)
        advice = f"compute '{self.name}' again with device='cpu'."
        with gpu_memory_errors(f"reading '{self.name}'", advice):  # copies of parts of its arrays
            return [Term(on_host(t.source), on_host(t.target), t.exponent) for t in terms]

    def _of(self, projection: Projection) -> Sequence[Term]:
        if projection not in self._terms:
            raise SelectionError(
                f"'{self.name}' has values for the projections of '{self.graph.name}' "
                "(graph.projections), and the one asked for is not among them. items() yields "
                "((src, dst), value) for every edge."
            )
        return self._terms[projection]


def _weighed(projection: Projection, x: np.ndarray, y: np.ndarray, weight: Weight) -> np.ndarray:
    """Sum, per parameter, over its edges of ``x[src] * y[dst]`` times the edge's weight."""
    if weight is None:
        return correlate(projection, x, y, None)
    if weight in OPPOSITE and projection.has_negative_gain:
        both = _weighed(projection, x, y, "magnitude")
        signed = _weighed(projection, x, y, "weight")
        return (both + signed if weight == "positive" else both - signed) / 2
    return correlate(projection, x, y, weight) * weight_view(projection.weights, weight)


def _scaled(values: np.ndarray, term: Term, name: str) -> np.ndarray:
    """Values times the term's power of two."""
    largest = np.abs(values).max(initial=0.0)
    if largest and abs(np.frexp(largest)[1] + term.exponent) > 1000:
        raise RangeError(
            f"'{name}' goes to about 10^{(np.log2(largest) + term.exponent) * np.log10(2):.0f} "
            "there, beyond the range of float64."
        )
    return np.ldexp(values, term.exponent)
