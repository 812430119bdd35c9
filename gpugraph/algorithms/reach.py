"""Who reaches a node, and whom it reaches: receptive and projective fields."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

from gpugraph.errors import SelectionError
from gpugraph.node_values import NodeValues

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph

Nodes = int | str | Iterable[int]


def ancestors(graph: NeuronGraph, source: Nodes) -> NodeValues:
    """Tell, for every node, whether it reaches some given ones: their receptive field.

    Parameters
    ----------
    graph : NeuronGraph
    source : int, iterable of int, or str
        Node ids, or the name of a population.

    Returns
    -------
    NodeValues
        Bool. False for the given nodes themselves, as in networkx. ``np.flatnonzero`` lists the
        ids; ``graph.ancestors`` is the graph of them.

    Raises
    ------
    SelectionError
        If a node does not exist.
    """
    return _others(graph, source, backward=True, name="ancestors")


def descendants(graph: NeuronGraph, source: Nodes) -> NodeValues:
    """Tell, for every node, whether some given ones reach it; otherwise as `ancestors`."""
    return _others(graph, source, backward=False, name="descendants")


def marked(graph: NeuronGraph, nodes: Nodes) -> np.ndarray:
    """Mark nodes, given by id, by ids or as a whole population; bool, shape ``(n_nodes,)``."""
    mask = np.zeros(graph.n_nodes, bool)
    if isinstance(nodes, str):
        mask[graph.population(nodes).slice] = True
        return mask
    given = [nodes] if not isinstance(nodes, Iterable) else list(nodes)
    if not given or not all(isinstance(node, Integral) for node in given):
        raise SelectionError(
            f"Give node ids (graph.node_id finds them) or the name of a population, not {nodes!r}."
        )
    ids = np.array([int(node) for node in given])
    if ids.min() < 0 or ids.max() >= graph.n_nodes:
        wrong = ids[(ids < 0) | (ids >= graph.n_nodes)][0]
        raise SelectionError(f"There is no node {wrong}: ids are 0 to {graph.n_nodes - 1}.")
    mask[ids] = True
    return mask


def spread(graph: NeuronGraph, mask: np.ndarray, *, backward: bool) -> None:
    """Mark all that marked nodes reach, or with ``backward`` all that reaches them; in place."""
    for p in reversed(graph.projections) if backward else graph.projections:
        turned = p.transposed if backward else p
        source = mask[turned.source.slice]
        if source.any():
            mask[turned.target.slice] |= turned.apply(source.astype(np.float32), None, "max") > 0


def _others(graph: NeuronGraph, nodes: Nodes, *, backward: bool, name: str) -> NodeValues:
    start = marked(graph, nodes)
    mask = start.copy()
    spread(graph, mask, backward=backward)
    return NodeValues(graph, mask & ~start, name)
