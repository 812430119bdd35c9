"""Null models: graphs that keep some things of a graph and draw the rest at random."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gpugraph.arrays import require_memory
from gpugraph.scalars import whole

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph
    from gpugraph.projection import Projection


def shuffled(graph: NeuronGraph, seed: int) -> NeuronGraph:
    """Permute the weights within each kernel; see `NeuronGraph.shuffled`."""
    from gpugraph.graph import NeuronGraph

    seed = whole(seed, "The seed")
    kernels = {
        _place(kernel): kernel for kernel in map(_drawn, graph.projections) if kernel is not None
    }
    require_memory(
        sum(kernel.nbytes for kernel in kernels.values()),
        f"Another set of the weights of '{graph.name}'",
        "Shuffle a part of the graph (subgraph, between).",
    )
    rng = np.random.default_rng(int(seed))
    permuted = {place: rng.permutation(kernel) for place, kernel in kernels.items()}
    return NeuronGraph(
        name=f"{graph.name} shuffled by seed {seed}",
        populations=graph.populations,
        projections=[
            p if (kernel := _drawn(p)) is None else replace(p, kernel=permuted[_place(kernel)])
            for p in graph.projections
        ],
        tensors=graph.tensors,
        topology=graph.topology,
        couplings=graph.couplings,
    )


def _drawn(projection: Projection) -> np.ndarray | None:
    """Return the kernel to be permuted; None where weights follow from the structure."""
    # What a dynamic population makes of its inputs does not go by its edges' kernels.
    is_free = projection.kind in ("weight", "scale") and projection.target.dynamics is None
    return projection.kernel if is_free else None


def _place(kernel: np.ndarray) -> tuple[int, ...]:
    """Where a kernel lies in memory: the same for projections that share it, and for no others."""
    return (kernel.ctypes.data, kernel.size, *kernel.strides)
