"""Numbers of shortest paths from some nodes, counted in one forward sweep.

The distance to a node is its depth minus the steps that short cuts save. Nodes of one population
are told apart by these steps: without short cuts there is one class, where a residual connection
skips layers a few. Each class is a plain batch of values, which projections apply as they are,
so nothing is done node by node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugraph.algorithms.scaled import Scaled, pull
from gpugraph.algorithms.sweep import Incoming, sweep
from gpugraph.arrays import Array
from gpugraph.errors import SelectionError

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph
    from gpugraph.population import Population
    from gpugraph.projection import Projection

# Counts of a batch over all nodes: few enough to stay in the cache (a large graph goes one by one).
BATCH_VALUES = 2**17

# Paths from each source (row) to each node of a population, by the steps that they save. A node
# stands, above 0, in the class of its shortest paths alone.
Classes = dict[int, Scaled]


def saved(before: Population, after: Population) -> int:
    """Steps that a projection between two populations saves against their depths."""
    return abs(after.depth - before.depth) - 1


def depths(graph: NeuronGraph, nodes: Sequence[int]) -> np.ndarray:
    """Depth of each node; its distance to a population is the difference, less the steps saved."""
    return np.array([graph.populations[graph.node(node)[0]].depth for node in nodes])


def count_shortest_paths(
    graph: NeuronGraph,
    sources: Sequence[int],
    visit: Callable[[Population, Classes], None],
    xp: ModuleType,
) -> None:
    """Count shortest paths from some nodes, and visit every population that they reach.

    Parameters
    ----------
    graph : NeuronGraph
    sources : sequence of int
        Node ids; one row each.
    visit : callable
        Called with a population and its classes.
    xp : module
        numpy or cupy.
    """

    def visit_population(population: Population, incoming: Incoming[Classes]) -> Classes:
        arriving: dict[int, list[tuple[Projection, Scaled]]] = {}
        for projection, sent in incoming:
            for steps, paths in sent.items():
                key = steps + saved(projection.source, population)
                arriving.setdefault(key, []).append((projection, paths))
        ids = population.ids
        starts = [(row, node - ids.start) for row, node in enumerate(sources) if node in ids]
        if starts:
            arriving.setdefault(0, [])
        classes: Classes = {}
        reached: Array = None
        for steps in sorted(arriving, reverse=True):
            own = xp.zeros((len(sources), population.size))
            if steps == 0:
                for row, at in starts:
                    own[row, at] = 1
            paths = pull(population, arriving[steps], None, own)
            if reached is not None:
                paths = Scaled(xp.where(reached, 0, paths.values), paths.exponent).rescaled()
            if steps != min(arriving):
                found = paths.values > 0
                reached = found if reached is None else reached | found
            if paths.values.any():
                classes[steps] = paths
        if classes:
            visit(population, classes)
        return classes

    sweep(graph, visit_population)


def batches(graph: NeuronGraph, sources: Sequence[int]) -> list[list[int]]:
    """Cut sources into batches whose counts stay in bounded memory; near ones stay together."""
    rows = max(1, BATCH_VALUES // max(graph.n_nodes, 1))
    ordered = sorted(sources)
    return [ordered[i : i + rows] for i in range(0, len(ordered), rows)]


def pivots(
    graph: NeuronGraph, k: int | None, sources: Iterable[int] | None, seed: Any
) -> list[int]:
    """Return the nodes that paths are counted from: those given, k drawn ones, or all.

    For a seed the same nodes are drawn as by networkx.

    Raises
    ------
    SelectionError
        If k is not between 1 and the number of nodes, a source does not exist or is given twice,
        none is given, or both k and sources are.
    """
    if sources is not None:
        given = list(sources)
        if k is not None or not given or not all(isinstance(node, Integral) for node in given):
            raise SelectionError(
                "Give k, or sources: at least one node id (graph.node_id finds them); not both."
            )
        for node in given:
            graph.node(node)  # refuses a node that does not exist
        if len(set(given)) < len(given):
            raise SelectionError("Give each source once.")
        return [int(node) for node in given]
    if k is None:
        return list(range(graph.n_nodes))
    if not (hasattr(k, "__index__") and 1 <= k <= graph.n_nodes):
        raise SelectionError(f"k must be from 1 to the {graph.n_nodes} nodes there are, not {k}.")
    return [int(node) for node in _random(seed).sample(range(graph.n_nodes), k)]


def _random(seed: Any) -> Any:
    """Return networkx's source of random numbers for a seed."""
    from networkx.utils import create_py_random_state

    try:
        return create_py_random_state(int(seed) if hasattr(seed, "__index__") else seed)
    except ValueError as error:
        raise SelectionError(
            f"The seed must be a whole number, None, or a random state, not {seed!r}."
        ) from error
