"""Numbers per node as users give them: one for all, by node id, by population, or an array."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugraph.errors import SelectionError, ShapeError
from gpugraph.node_values import NodeValues

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph
    from gpugraph.population import Population

# One number for all nodes; numbers by node id or by the name of a population, 0 elsewhere; or one
# number per node.
PerNode = float | Mapping[Any, Any] | np.ndarray


def node_array(graph: NeuronGraph, given: PerNode, what: str) -> np.ndarray:
    """Return what was given as an array over all nodes.

    Parameters
    ----------
    graph : NeuronGraph
    given : number, mapping or array
        A mapping's keys are node ids, or names of populations; the value of a name is a number
        for each of its nodes, or an array that broadcasts to its shape. Nodes that are not named
        get 0.
    what : str
        What it is, for errors.

    Returns
    -------
    float64 array of shape ``(n_nodes,)``

    Raises
    ------
    SelectionError
        If a node or population does not exist.
    ShapeError
        If an array does not fit.
    """
    if isinstance(given, Mapping) and not isinstance(given, NodeValues):
        values = np.zeros(graph.n_nodes)
        for key, value in given.items():
            if isinstance(key, str):
                population = graph.population(key)
                values[population.slice] = _values(population, value, what)
            elif isinstance(key, Integral) and 0 <= int(key) < graph.n_nodes:
                values[int(key)] = _number(value, f"{what} for node {key}")
            else:
                raise SelectionError(
                    f"{what} names node {key!r}, which the graph does not have: ids are 0 to "
                    f"{graph.n_nodes - 1}, and populations are named."
                )
        return values
    try:
        array = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise SelectionError(
            f"{what} must be a number, a mapping of node ids or populations to numbers, or one "
            f"number per node; got {given!r}."
        ) from error
    if array.ndim == 0:
        return np.full(graph.n_nodes, float(array))
    if array.shape != (graph.n_nodes,):
        raise ShapeError(
            f"{what} as an array needs one number per node, shape ({graph.n_nodes},), not "
            f"{array.shape}."
        )
    return array


def _values(population: Population, value: Any, what: str) -> np.ndarray:
    """Return one number, or an array of a population's shape, as one number per node of it."""
    try:
        return population.values(np.asarray(value, np.float64))
    except (TypeError, ValueError) as error:
        raise ShapeError(
            f"{what} for population '{population.name}' must be a number or broadcast to its "
            f"shape {population.shape}; got shape {np.shape(value)}."
        ) from error


def _number(value: Any, what: str) -> float:
    """Return what was given for one node."""
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{what} must be one number; got {value!r}.") from error
