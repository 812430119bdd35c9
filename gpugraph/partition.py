"""All edges of a graph, cut into parts that can be made anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph


class Range(NamedTuple):
    """Edges ``start:stop`` of the graph's projection of this number."""

    projection: int
    start: int
    stop: int


def cut(graph: NeuronGraph, part_edges: int) -> list[list[Range]]:
    """Cut all edges, in their order, into parts of ``part_edges``; the last may be shorter.

    Returns
    -------
    list of list of Range
        At least one part.
    """
    parts: list[list[Range]] = [[]]
    room = part_edges
    for i, projection in enumerate(graph.projections):
        start = 0
        while start < projection.n_edges:
            if not room:
                parts.append([])
                room = part_edges
            stop = min(start + room, projection.n_edges)
            parts[-1].append(Range(i, start, stop))
            room -= stop - start
            start = stop
    return parts
