"""The graph of channels, or of layers: neurons merged, their weights reduced, no edge made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from gpugraph.arrays import require_memory
from gpugraph.axes import Axis, one_to_one
from gpugraph.derived.channels import (
    INT64,
    Channels,
    Granularity,
    Rows,
    Strand,
    rows_of,
    strands_of,
    through,
)
from gpugraph.derived.norms import SEEN, Norm, reduced
from gpugraph.edge_maker import outer_sum
from gpugraph.errors import SelectionError
from gpugraph.population import Population, Tensor, strides
from gpugraph.products.apply import along
from gpugraph.products.correlate import correlate
from gpugraph.projection import Projection

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph


def quotient(graph: NeuronGraph, by: Granularity, norm: Norm | None) -> NeuronGraph:
    """Merge the neurons of each channel, or of each layer; see `NeuronGraph.quotient`."""
    from gpugraph.graph import NeuronGraph

    if by not in ("channel", "layer"):
        raise SelectionError(f"Neurons merge by 'channel' or by 'layer', not by {by!r}.")
    if norm not in (None, *SEEN):
        raise SelectionError(
            f"There is no norm {norm!r} of the weights between two nodes: choose 'l1', 'l2', "
            "'max', 'sum', or None to keep each."
        )
    _check_whole(graph)
    merged: dict[str, Population] = {}
    channels = {}
    offset = 0
    for name, population in graph.populations.items():
        first = population.channels_first
        channels[name] = Channels.of(population.shape, by, first=first)
        shape = () if by == "layer" else (channels[name].n,)
        merged[name] = _merged(population, shape, offset, first=first)
        offset += merged[name].size
    kernels = _Kernels()
    projections = []
    for p in graph.projections:
        if p.n_edges:
            source, target = p.source.name, p.target.name
            axes, kernel = _between(p, channels[source], channels[target], norm)
            kernel = kernels.shared(p.kernel, kernel)
            projections.append(Projection(merged[source], merged[target], axes, kernel, p.kind))
    found = NeuronGraph(
        name=f"{graph.name} by {by}",
        populations=merged,
        projections=projections,
        tensors={
            name: Tensor(merged[t.population.name], merged[t.population.name].shape)
            for name, t in graph.tensors.items()
        },
        couplings=graph.couplings,
    )
    found.inputs, found.outputs = (
        [merged[p.name] for p in ends] for ends in (graph.inputs, graph.outputs)
    )
    return found


def _check_whole(graph: NeuronGraph) -> None:
    """Refuse nodes and edges that were picked one by one: no axis says which of them are alike."""
    advice = (
        "were picked one by one (threshold, strongest, ancestors, descendants), or listed as "
        "probing finds them. Merge the whole graph, or some of its populations (subgraph, "
        "between), and pick from what that gives: "
        'graph.quotient("channel").strongest(k).'
    )
    for population in graph.populations.values():
        if population.members is not None:
            raise SelectionError(f"The nodes of population '{population.name}' {advice}")
    for p in graph.projections:
        if p.is_listed:
            raise SelectionError(f"The edges from '{p.source.name}' to '{p.target.name}' {advice}")


def _merged(
    population: Population, shape: tuple[int, ...], offset: int, *, first: bool
) -> Population:
    """Return the population of a population's channels, or without a dimension as one node.

    Of no node it has none, either.
    """
    if not population.size:
        return replace(population, offset=offset, bias=None, attributes={}, dynamics=None)

    def alike(values: np.ndarray) -> np.ndarray | None:
        """Return values per node as one per merged node; None where its nodes differ."""
        missing = len(population.shape) - values.ndim
        values = values.reshape((1,) * missing + values.shape)
        if shape and population.shape:
            values = np.moveaxis(values, 0 if first else -1, 0)
            values = values.reshape(len(values), -1)
        else:
            values = values.reshape(1, -1)
        one = values[:, :1]
        if not np.array_equal(values, np.broadcast_to(one, values.shape), equal_nan=True):
            return None
        return one[:, 0] if shape else one.reshape(())

    attributes = {name: alike(values) for name, values in population.attributes.items()}
    return replace(
        population,
        shape=shape,
        offset=offset,
        bias=None if population.bias is None else alike(population.bias),
        channels_first=False,
        attributes={name: values for name, values in attributes.items() if values is not None},
        dynamics=None,
    )


@dataclass
class _Kernels:
    """Merged kernels by the kernel that they come from: what is one array stays one."""

    _known: dict[int, list[np.ndarray]] = field(default_factory=dict)

    def shared(self, whole: np.ndarray | None, kernel: np.ndarray | None) -> np.ndarray | None:
        """Return the array that stands for a kernel wherever it is the same."""
        if whole is None or kernel is None:
            return kernel
        known = self._known.setdefault(id(whole), [])
        for other in known:
            if other is kernel or np.array_equal(other, kernel, equal_nan=True):
                return other
        known.append(kernel)
        return kernel


def _between(
    projection: Projection, source: Channels, target: Channels, norm: Norm | None
) -> tuple[tuple[Axis, ...], np.ndarray | None]:
    """Return the axes and the kernel between the channels of a projection's ends."""
    strands = strands_of(projection, source, target)
    found = [rows_of(strand, source, target) for strand in strands]
    rows, kernel = [r for r, _ in found], projection.kernel
    if projection.has_factors:
        rows, kernel = _with_factors(projection, strands, found)
    if norm is None:
        axes = [r.axis for r in rows]
    else:
        axes, kernel = reduced(rows, kernel, norm)
    return tuple(a for a in axes if not _is_idle(a)) or (one_to_one(1).place(1, 1),), kernel


def _is_idle(axis: Axis) -> bool:
    """Whether an axis is one pair that changes nothing."""
    places = (axis.src * axis.src_stride, axis.dst * axis.dst_stride, axis.tap * axis.tap_stride)
    return len(axis) == 1 and axis.gain is None and not any(place[0] for place in places)


def _with_factors(
    projection: Projection, strands: Sequence[Strand], found: Sequence[tuple[Rows, np.ndarray]]
) -> tuple[list[Rows], np.ndarray]:
    """Return a weight for every tap: the mean over its edges, whose nodes have factors."""
    sizes = [len(rows) for rows, _ in found]
    require_memory(
        4 * 8 * prod(sizes),
        f"Averaging the weights from '{projection.source.name}' to '{projection.target.name}'",
        "Take a part of the graph (subgraph, between).",
    )
    # Every tap as a parameter of its own, so that `correlate` adds up its edges.
    steps = [step if n > 1 else 0 for n, step in zip(sizes, strides(sizes), strict=True)]
    by_tap = replace(
        projection.without_factors,
        axes=tuple(
            through(s.src, s.dst, row, n, step, s.gain)
            for s, (_, row), n, step in zip(strands, found, sizes, steps, strict=True)
        ),
        kernel=np.ones(prod(sizes)),
    )
    x, y = (
        np.ones((1, p.size)) if factor is None else factor[None]
        for p, factor in (
            (projection.source, projection.source_factor),
            (projection.target, projection.target_factor),
        )
    )
    weights = correlate(by_tap, x, y, "weight").reshape(sizes)
    for i, (rows, _) in enumerate(found):
        weights /= along(rows.n_pairs, i, len(sizes))
    if projection.kernel is not None:
        place = outer_sum([rows.place for rows, _ in found], INT64)
        weights *= projection.kernel[place].reshape(sizes)
    plain = [
        replace(rows, tap=np.arange(n), n_tap=n, tap_stride=step, gain=None)
        for (rows, _), n, step in zip(found, sizes, steps, strict=True)
    ]
    return plain, weights.reshape(-1).astype(projection.weight_dtype)
