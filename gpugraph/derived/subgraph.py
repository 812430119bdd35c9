"""Parts of a graph, each a graph of its own: by population, by weight, by reach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugraph.algorithms.reach import Nodes, marked, spread
from gpugraph.arrays import SHARE_OF_FREE_MEMORY, free_memory, require_memory
from gpugraph.axes import Axis, listed
from gpugraph.edges import Edges, chunks
from gpugraph.errors import GraphTooLargeError, SelectionError
from gpugraph.population import Population
from gpugraph.projection import Projection
from gpugraph.scalars import real, whole

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph

CHUNK_EDGES = 2**18
# Positions in both populations, parameter, window tap and gain of an edge that was picked, and
# their copies while they are put together.
BYTES_PER_LISTED_EDGE = 80
ADVICE = "Pick fewer edges, or stream the whole graph (edges, write_parquet)."


def subgraph(graph: NeuronGraph, populations: Iterable[str]) -> NeuronGraph:
    """Keep some populations and all edges among them; see `NeuronGraph.subgraph`."""
    names = {graph.population(name).name for name in populations}
    if not names:
        raise SelectionError("Name at least one population to keep.")
    kept = [p for p in graph.populations.values() if p.name in names]
    inside = [p for p in graph.projections if {p.source.name, p.target.name} <= names]
    return _assemble(graph, kept, inside)


def between(graph: NeuronGraph, first: str, last: str) -> NeuronGraph:
    """Keep the populations on a way from one to another; see `NeuronGraph.between`."""
    for name in (first, last):
        graph.population(name)
    from_first = _reached(first, [(p.source.name, p.target.name) for p in graph.projections])
    from_last = _reached(
        last, [(p.target.name, p.source.name) for p in reversed(graph.projections)]
    )
    if last not in from_first:
        raise SelectionError(f"No edges lead from population '{first}' to '{last}'.")
    return subgraph(graph, from_first & from_last)


def _reached(start: str, steps: Sequence[tuple[str, str]]) -> set[str]:
    """Names reached from one along steps that come in an order in which one pass is enough."""
    reached = {start}
    for before, after in steps:
        if before in reached:
            reached.add(after)
    return reached


def threshold(graph: NeuronGraph, least: float) -> NeuronGraph:
    """Keep all nodes and the edges of ``|weight| >= least``; see `NeuronGraph.threshold`."""
    least = real(least, "The threshold", 0)
    kept = []
    for projection in graph.projections:
        picked = _Picked(projection, graph.index_dtype)
        for edges in projection.chunks(CHUNK_EDGES, graph.index_dtype):
            if not _largest(edges) < least:
                picked.add(edges, np.abs(edges.weight) >= least)
        kept.append(picked.projection())
    return _assemble(graph, list(graph.populations.values()), kept)


def strongest(graph: NeuronGraph, k: int) -> NeuronGraph:
    """Keep all nodes and each population's k strongest in-edges; see `NeuronGraph.strongest`."""
    k = whole(k, "k, the edges to keep per population,", 1)
    kept = []
    for projections in graph.projections_into.values():
        floor, ties = _floor(graph, projections, k)
        for projection in projections:
            picked = _Picked(projection, graph.index_dtype)
            for edges in projection.chunks(CHUNK_EDGES, graph.index_dtype):
                if _largest(edges) < floor:
                    continue
                strength = np.abs(edges.weight)
                chosen = strength > floor
                equal = np.flatnonzero(strength == floor)[:ties]
                chosen[equal] = True
                ties -= len(equal)
                picked.add(edges, chosen)
            kept.append(picked.projection())
    return _assemble(graph, list(graph.populations.values()), kept)


def _floor(graph: NeuronGraph, projections: Sequence[Projection], k: int) -> tuple[float, int]:
    """Return the k-th largest |weight| and how many of the k largest are equal to it."""
    if sum(p.n_edges for p in projections) <= k:
        return -1.0, 0
    require_memory(16 * k, f"Picking {k:,} edges", ADVICE)
    top = np.zeros(0)
    ranges = [(p, 0, p.n_edges) for p in projections]
    for edges in chunks(ranges, CHUNK_EDGES, graph.index_dtype):
        least = top.min() if len(top) == k else 0.0
        if _largest(edges) <= least and len(top) == k:
            continue
        strength = np.abs(edges.weight)
        top = np.concatenate([top, strength[strength >= least]])  # drops NaN too
        if len(top) > k:
            top = np.partition(top, len(top) - k)[-k:]
    if len(top) < k:
        return -1.0, 0  # the others are NaN
    floor = float(top.min())
    return floor, int((top == floor).sum())


def _largest(edges: Edges) -> float:
    """Largest |weight| of a chunk, without a temporary array: most chunks hold nothing to pick."""
    return float(max(edges.weight.max(), -edges.weight.min()))


def ancestors(graph: NeuronGraph, nodes: Nodes) -> NeuronGraph:
    """Keep nodes and all that reaches them; see `NeuronGraph.ancestors`."""
    return _reached_from(graph, nodes, backward=True)


def descendants(graph: NeuronGraph, nodes: Nodes) -> NeuronGraph:
    """Keep nodes and all that they reach; see `NeuronGraph.descendants`."""
    return _reached_from(graph, nodes, backward=False)


def _reached_from(graph: NeuronGraph, nodes: Nodes, *, backward: bool) -> NeuronGraph:
    mask = marked(graph, nodes)
    spread(graph, mask, backward=backward)
    return _induced(graph, {name: mask[p.slice] for name, p in graph.populations.items()})


def _induced(graph: NeuronGraph, masks: Mapping[str, np.ndarray]) -> NeuronGraph:
    """Keep the marked nodes and the edges among them."""
    populations = [
        p if masks[p.name].all() else replace(p, members=_members(p, masks[p.name]))
        for p in graph.populations.values()
        if masks[p.name].any()
    ]
    projections = []
    for projection in graph.projections:
        source, target = masks[projection.source.name], masks[projection.target.name]
        if source.all() and target.all():
            projections.append(projection)
        elif source.any() and target.any():
            projections.append(_restricted(graph, projection, source, target))
    return _assemble(graph, populations, projections)


def _members(population: Population, mask: np.ndarray) -> np.ndarray:
    at = np.flatnonzero(mask)
    return at if population.members is None else population.members[at]


def _restricted(
    graph: NeuronGraph, projection: Projection, source: np.ndarray, target: np.ndarray
) -> Projection:
    """Pick a projection's edges between marked nodes, without making the others.

    First each axis drops the pairs at positions where nothing is marked, which leaves little
    more than the edges wanted: a receptive field is a product of ranges.
    """
    reach = projection.apply(source.astype(np.float32), None)
    n_edges = int(reach[target].sum(dtype=np.float64))
    require_memory(
        n_edges * BYTES_PER_LISTED_EDGE,
        f"The part of '{projection.source.name}' -> '{projection.target.name}' ({n_edges:,} edges)",
        ADVICE,
    )
    kept = [
        src[axis.src] & dst[axis.dst]
        for axis, src, dst in zip(
            projection.axes,
            _marginals(projection.source_view(source)),
            _marginals(projection.target_view(target)),
            strict=True,
        )
    ]
    tap = projection.window_tap
    near = replace(
        projection,
        axes=tuple(_only(axis, pairs) for axis, pairs in zip(projection.axes, kept, strict=True)),
        window_tap=None if tap is None else tap[kept[0]],
    )
    picked = _Picked(near, graph.index_dtype)
    for edges in near.chunks(CHUNK_EDGES, graph.index_dtype):
        src, dst = edges.src - projection.source.offset, edges.dst - projection.target.offset
        picked.add(edges, source[src] & target[dst])
    found = picked.projection(listed_always=True)
    new_src, new_dst = np.cumsum(source) - 1, np.cumsum(target) - 1
    (axis,) = found.axes
    axis = replace(
        axis,
        src=new_src[axis.src],
        dst=new_dst[axis.dst],
        n_src=int(source.sum()),
        n_dst=int(target.sum()),
    )
    return replace(
        found,
        axes=(axis,),
        source_factor=_marked(projection.source_factor, source),
        target_factor=_marked(projection.target_factor, target),
    )


def _marked(factor: np.ndarray | None, mask: np.ndarray) -> np.ndarray | None:
    """Return a factor per node, if there is one, of the marked nodes."""
    return None if factor is None else factor[mask]


def _marginals(marked: np.ndarray) -> list[Any]:
    """Return, per dimension, at which positions any node is marked."""
    dims = range(marked.ndim)
    return [marked.any(axis=tuple(d for d in dims if d != i)) for i in dims]


def _only(axis: Axis, pairs: np.ndarray) -> Axis:
    """Return an axis with some of its pairs, for making edges: its kind still tells the windows."""
    gain = None if axis.gain is None else axis.gain[pairs]
    return replace(axis, src=axis.src[pairs], dst=axis.dst[pairs], tap=axis.tap[pairs], gain=gain)


@dataclass
class _Picked:
    """Edges of one projection picked chunk by chunk, in their order.

    As long as every edge is picked, only their number is kept: where all are, the projection
    itself is the result, however large.
    """

    whole: Projection
    dtype: np.dtype
    n_edges: int = 0
    unbroken: int = 0
    columns: list[list[np.ndarray]] = field(default_factory=list)
    budget: int = field(default_factory=lambda: int(free_memory() * SHARE_OF_FREE_MEMORY))

    def add(self, edges: Edges, chosen: np.ndarray) -> None:
        """Take the chosen edges of a chunk."""
        at = np.flatnonzero(chosen)
        self.n_edges += len(at)
        if len(at) == len(edges) and self.unbroken == edges.start:
            self.unbroken += len(at)
        elif len(at):
            self._check_budget(self.n_edges)
            self.columns.append(_columns(edges, at))

    def projection(self, *, listed_always: bool = False) -> Projection:
        """Return a projection of the picked edges; the projection itself where all were."""
        p = self.whole
        if self.n_edges == p.n_edges and not listed_always:
            return p
        self._check_budget(self.n_edges)
        first = chunks([(p, 0, self.unbroken)], CHUNK_EDGES, self.dtype)
        parts = [_columns(edges, np.arange(len(edges))) for edges in first] + self.columns
        parts = parts or [[np.zeros(0, np.int64)] * 5]
        src, dst, parameter, tap, gain = (np.concatenate(part) for part in zip(*parts, strict=True))
        axis = listed(
            src - p.source.offset,
            dst - p.target.offset,
            np.maximum(parameter, 0),
            p.source.size,
            p.target.size,
            1 if p.kernel is None else p.kernel.size,
        )
        if _has_gain(p):
            axis = replace(axis, gain=gain)
        return replace(p, axes=(axis,), window_tap=tap)

    def _check_budget(self, n_edges: int) -> None:
        if n_edges * BYTES_PER_LISTED_EDGE > self.budget:
            p = self.whole
            raise GraphTooLargeError(
                f"At least {n_edges:,} edges from '{p.source.name}' to '{p.target.name}' were "
                f"picked, more than fit in memory. {ADVICE}"
            )


def _columns(edges: Edges, at: np.ndarray) -> list[np.ndarray]:
    """Return what is kept of the edges at these places of a chunk."""
    has_gain = _has_gain(edges.projection)
    gains = _gains(edges) if has_gain else np.zeros(len(edges), np.float32)
    return [c[at] for c in (edges.src, edges.dst, edges.parameter, edges.tap, gains)]


def _has_gain(projection: Projection) -> bool:
    return any(axis.gain is not None for axis in projection.axes)


def _gains(edges: Edges) -> np.ndarray:
    """Product of the gains of each edge: its weight without the kernel's part."""
    return edges.maker.gain(edges.start, edges.start + len(edges))


def _assemble(
    graph: NeuronGraph, populations: Sequence[Population], projections: Sequence[Projection]
) -> NeuronGraph:
    """Give ids to the populations that are left, and hang the projections on them."""
    from gpugraph.graph import NeuronGraph

    renumbered: dict[str, Population] = {}
    offset = 0
    for population in populations:
        renumbered[population.name] = replace(population, offset=offset)
        offset += population.size
    part = NeuronGraph(
        name=graph.name,
        populations=renumbered,
        projections=[
            replace(p, source=renumbered[p.source.name], target=renumbered[p.target.name])
            for p in projections
            if p.n_edges
        ],
        tensors={
            name: replace(tensor, population=renumbered[tensor.population.name])
            for name, tensor in graph.tensors.items()
            if tensor.population.name in renumbered
        },
    )
    # An output amid the graph ends paths in a part of it too.
    for ends in ("inputs", "outputs"):
        names = {p.name for p in (*getattr(graph, ends), *getattr(part, ends))}
        setattr(part, ends, [p for name, p in renumbered.items() if name in names])
    return part
