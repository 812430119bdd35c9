"""NodeValues: one number per node, by population, by node id or flat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from gpugraph.arrays import Array, on_host
from gpugraph.errors import RangeError, ShapeError
from gpugraph.scalars import whole

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd
    import pyarrow as pa

    from gpugraph.graph import NeuronGraph
    from gpugraph.population import Population

# Values to look through at a time: they stay in the cache.
BLOCK_VALUES = 2**18


@dataclass(frozen=True)
class RankedNode:
    """One node and its value.

    Attributes
    ----------
    node : int
        The id.
    population : str
    index : tuple of int
        Where the node stands in its population.
    value : float
    """

    node: int
    population: str
    index: tuple[int, ...]
    value: float

    def __str__(self) -> str:
        return f"{self.population}{list(self.index)} {self.value:.6g}"


class NodeValues(Mapping[int, float]):
    """One number per node of a graph, in an array.

    ``values["conv1"]`` is an array of the population's shape, ``values[17]`` the number of node
    17, ``np.asarray(values)`` all of them in the order of node ids. It is a Mapping from node ids
    to numbers, as networkx's functions return, without being a dict.

    Parameters
    ----------
    graph : NeuronGraph
    array : numpy or cupy array of shape ``(n_nodes,)``
    name : str
        Of what is measured: the column's name in tables.
    exponents : mapping of str to int, optional
        Values of a population are its part of the array times ``2 ** exponent``, where numbers
        outgrow floats.
    """

    def __init__(
        self,
        graph: NeuronGraph,
        array: Array,
        name: str,
        exponents: Mapping[str, int] | None = None,
    ) -> None:
        if array.shape != (graph.n_nodes,):
            raise ShapeError(
                f"'{graph.name}' has {graph.n_nodes} nodes: its values cannot have shape "
                f"{array.shape}."
            )
        self.graph, self.array, self.name = graph, array, name
        self.exponents = None if exponents is None else dict(exponents)

    def __repr__(self) -> str:
        return f"NodeValues({self.name!r} of {len(self):,} nodes of '{self.graph.name}')"

    def __len__(self) -> int:
        return self.graph.n_nodes

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))

    def __contains__(self, key: object) -> bool:
        if isinstance(key, str):
            return key in self.graph.populations
        return isinstance(key, Integral) and 0 <= int(key) < len(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = self._host if self.exponents is None else self._unscaled
        return np.array(values, dtype, copy=copy)

    @overload
    def __getitem__(self, key: str) -> np.ndarray: ...
    @overload
    def __getitem__(self, key: int) -> float: ...
    def __getitem__(self, key: str | int) -> np.ndarray | float:
        """Values of a population, in its shape (flat in a part of one), or of one node."""
        if isinstance(key, str):
            population = self.graph.population(key)
            values = self._values(population)
            return values.reshape(population.shape) if population.members is None else values
        if self.exponents is None and key in self:
            return self._host[key].item()
        population = self.graph.population(self.graph.node(key)[0])
        return self._values(population)[int(key) - population.offset].item()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NodeValues):
            return super().__eq__(other)
        if self.exponents == other.exponents:
            return np.array_equal(self._host, other._host)
        return np.array_equal(np.asarray(self), np.asarray(other))

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def _host(self) -> np.ndarray:
        return on_host(self.array)

    @cached_property
    def _unscaled(self) -> np.ndarray:
        parts = [self._values(p) for p in self.graph.populations.values()]
        return np.concatenate([np.zeros(0), *parts])

    @cached_property
    def _in_range(self) -> dict[str, np.ndarray]:
        # Values of populations whose exponent is multiplied in, as they are asked for.
        return {}

    def _values(self, population: Population) -> np.ndarray:
        """Values of a population, flat."""
        values = self._host[population.slice]
        if self.exponents is None:
            return values
        if population.name in self._in_range:
            return self._in_range[population.name]
        exponent = self.exponents[population.name]
        largest = np.abs(values).max(initial=0.0)
        if largest and not -1000 < np.frexp(largest)[1] + exponent < 1024:
            power = (np.log2(largest) + exponent) * np.log10(2)
            raise RangeError(
                f"Values of '{self.name}' go to about 10^{power:.0f} in population "
                f"'{population.name}', beyond the range of float64: read log10() instead."
            )
        unscaled = np.ldexp(values.astype(np.float64), exponent)
        return self._in_range.setdefault(population.name, unscaled)

    def log10(self) -> NodeValues:
        """Logarithms to base 10, which are in range where the values are not.

        -inf for 0, NaN for values below.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log10(self._host.astype(np.float64))
        for name, exponent in (self.exponents or {}).items():
            logs[self.graph.populations[name].slice] += exponent * np.log10(2)
        return NodeValues(self.graph, logs, f"log10_{self.name}")

    def top(self, k: int = 10) -> list[RankedNode]:
        """Return the k nodes of the largest values, the largest first; among equals by id.

        NaN comes last.

        Raises
        ------
        RangeError
            If these values are beyond the range of floats: take ``log10().top(k)``.
        """
        nodes = _largest(self._ranks, min(whole(k, "k"), len(self))).tolist()
        return [RankedNode(node, *self.graph.node(node), self[node]) for node in nodes]

    @property
    def _ranks(self) -> np.ndarray:
        """Numbers that are in the order of the values: the largest are never out of range."""
        values, exponents = self._host, self.exponents
        if exponents is None:
            return values
        parts = [
            (values[p.slice].astype(np.float64), exponents[name])
            for name, p in self.graph.populations.items()
        ]
        top = max((exponent for part, exponent in parts if part.any()), default=0)
        shifts = [max(exponent - top, -(2**30)) for _, exponent in parts]
        return np.concatenate([np.ldexp(p, n) for (p, _), n in zip(parts, shifts, strict=True)])

    def to_arrow(self) -> pa.Table:
        """Return a table of all nodes: id, population, layer, index (row, column ...), value."""
        import pyarrow as pa

        from gpugraph.export.tables import value_batches, value_schema

        return pa.Table.from_batches(value_batches(self), value_schema(self))

    def to_pandas(self) -> pd.DataFrame:
        """Return `to_arrow` as a DataFrame whose index is the node id.

        Raises
        ------
        MissingDependencyError
            If pandas is not installed.
        """
        from gpugraph.export.data_frame import data_frame

        return data_frame(self.to_arrow()).set_index("id")

    def write_parquet(self, path: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Write the table of `to_arrow` as one Parquet file, in bounded memory.

        Raises
        ------
        OutputError
            If the file cannot be written; what stood there is then untouched.
        """
        from gpugraph.export.parquet import write_values

        write_values(self, path, overwrite=overwrite)


def _largest(values: np.ndarray, k: int) -> np.ndarray:
    """Places of the k largest values, the largest first; among equals the first, NaN last."""
    if k > BLOCK_VALUES:
        order, n_nan = _descending(values), int(np.isnan(values).sum())
        return np.concatenate([order[n_nan:], order[:n_nan]])[:k]
    best = np.zeros(0, np.int64)
    for start in range(0, len(values) if k else 0, BLOCK_VALUES):
        part = values[start : start + BLOCK_VALUES]
        # What only equals the least so far stands behind it.
        at = np.flatnonzero(part > values[best[-1]] if len(best) == k else part == part)
        if len(at) > k:
            at = at[part[at] >= np.partition(part[at], len(at) - k)[len(at) - k]]
        best = np.concatenate([best, start + at])
        best = best[_descending(values[best])][:k]
    if len(best) < k:
        best = np.concatenate([best, np.flatnonzero(np.isnan(values))[: k - len(best)]])
    return best


def _descending(values: np.ndarray) -> np.ndarray:
    """Places from the largest value to the smallest, NaN first; equals stay in order."""
    return len(values) - 1 - np.argsort(values[::-1], kind="stable")[::-1]
