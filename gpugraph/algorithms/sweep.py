"""Sweeps: one pass over the projections in topological order, forward or backward.

A feed-forward graph is acyclic, so one sweep solves exactly what others iterate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph
    from gpugraph.population import Population
    from gpugraph.projection import Projection

Sent = TypeVar("Sent")
Incoming = Sequence[tuple["Projection", Sent]]


def sweep(
    graph: NeuronGraph,
    visit: Callable[[Population, Incoming[Sent]], Sent],
    *,
    backward: bool = False,
) -> None:
    """Visit every population once, after all that it depends on.

    Parameters
    ----------
    graph : NeuronGraph
    visit : callable
        Called with a population, and with a pair for each projection into it: the projection,
        and what the visit of its source returned. Values travel by ``projection.apply``. What it
        returns is kept until the last projection that reads it is done.
    backward : bool
        Go from the outputs to the inputs: projections are then given turned round.
    """
    into, out = graph.projections_into, graph.projections_from
    if backward:
        into, out = out, into
    readers = {name: len(projections) for name, projections in out.items()}
    sent: dict[str, Sent] = {}
    populations = list(graph.populations.values())
    with np.errstate(over="ignore", invalid="ignore"):  # measures check what comes out
        for population in reversed(populations) if backward else populations:
            projections = [p.transposed if backward else p for p in into[population.name]]
            incoming = [(p, sent[p.source.name]) for p in projections]
            value = visit(population, incoming)
            if readers[population.name]:
                sent[population.name] = value
            for projection in projections:
                readers[projection.source.name] -= 1
                if not readers[projection.source.name]:
                    del sent[projection.source.name]
            del incoming, value  # what nobody reads any more must not outlive the visit
