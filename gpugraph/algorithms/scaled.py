"""Numbers beyond the range of floats: values of a population times a power of two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import frexp
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from gpugraph.arrays import Array, may_hold, namespace_of
from gpugraph.node_values import NodeValues

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph
    from gpugraph.population import Population
    from gpugraph.projection import Projection
    from gpugraph.views import Weight

Key = TypeVar("Key")

# Values are scaled back where their largest leaves 2**-32 .. 2**32: float32 can hold what one
# layer, and the product of two such values, makes of that.
MOST = 32
# Exponent of a row of zeros: less than any other's, so that it never sets the scale of a sum.
NOTHING = -(2**30)


@dataclass(frozen=True)
class Scaled:
    """``values * 2 ** exponent``, a batch of rows over a population's nodes.

    A row has one exponent: what is 2**1000 times smaller than its largest (2**100 times in
    float32) vanishes.

    Attributes
    ----------
    values : array of shape ``(rows, size)``
    exponent : int32 array of shape ``(rows, 1)``
    """

    values: Array
    exponent: Array

    @classmethod
    def of(cls, values: Array) -> Scaled:
        """Return values scaled so that the largest of each row is near 1, where it is not."""
        return cls(values, namespace_of(values).zeros((len(values), 1), np.int32)).rescaled()

    def rescaled(self) -> Scaled:
        """Return the same numbers with values that are safe to go on with."""
        xp = namespace_of(self.values)
        if not self.values.size:
            return self
        largest = xp.maximum(self.values.max(axis=1), -self.values.min(axis=1))[:, None]
        power = xp.frexp(largest)[1].astype(np.int32)
        power = xp.where(xp.abs(power) <= MOST, np.int32(0), power)
        exponent = xp.where(largest == 0, np.int32(NOTHING), self.exponent + power)
        return Scaled(xp.ldexp(self.values, -power) if may_hold(power) else self.values, exponent)

    def at(self, exponent: Array) -> Array:
        """Values with respect to another, not smaller exponent."""
        xp = namespace_of(self.values)
        shift = xp.where(self.exponent == NOTHING, 0, self.exponent - exponent)
        return xp.ldexp(self.values, shift) if may_hold(shift) else self.values


def whole_numbers(exponents: Mapping[Key, Array]) -> dict[Key, int]:
    """Bring exponents of one row each to the host, all at once."""
    if not exponents:
        return {}
    xp = namespace_of(next(iter(exponents.values())))
    joined = xp.concatenate([exponent.reshape(-1) for exponent in exponents.values()])
    return dict(zip(exponents, joined.tolist(), strict=True))


def pull(
    population: Population,
    incoming: Sequence[tuple[Projection, Scaled]],
    weight: Weight,
    start: Array,
) -> Scaled:
    """Return what arrives at a population, added to start values of shape ``(rows, size)``.

    The start values are written to.
    """
    xp = namespace_of(start)
    begin = Scaled.of(start)
    exponent = begin.exponent
    for _, sent in incoming:
        exponent = xp.maximum(exponent, sent.exponent)
    total = begin.at(exponent)
    for projection, sent in incoming:
        projection.apply(sent.at(exponent), weight, out=total)
    return Scaled(total, exponent).rescaled()


def node_values(
    graph: NeuronGraph, array: Array, exponents: Mapping[str, int], name: str
) -> NodeValues:
    """Return scaled values per node; as plain numbers where all are in range.

    Parameters
    ----------
    graph : NeuronGraph
    array : array of shape ``(n_nodes,)``
        Changed in place.
    exponents : mapping of str to int
        By population.
    name : str
    """
    xp = namespace_of(array)
    limit = np.finfo(array.dtype).maxexp - MOST
    parts = {p.name: array[p.slice] for p in graph.populations.values() if p.size}
    largest = xp.stack([xp.abs(part).max() for part in parts.values()]).tolist() if parts else []
    powers = [
        frexp(value)[1] + exponents[part] if value else 0
        for part, value in zip(parts, largest, strict=True)
    ]
    if any(abs(power) > limit for power in powers):
        return NodeValues(graph, array, name, exponents)
    for population in graph.populations.values():
        exponent = max(exponents[population.name], NOTHING)
        if exponent:
            array[population.slice] = xp.ldexp(array[population.slice], np.int32(exponent))
    return NodeValues(graph, array, name)
