"""Populations: the nodes of one tensor, and tensors: a population seen in some shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Literal

import numpy as np

from gpugraph.errors import ModelError, SelectionError, ShapeError

Reduce = Literal["sum", "max", "min", "product"]

AXIS_NAMES = ("plane", "row", "column", "channel")


@dataclass(frozen=True)
class Activation:
    """What a node does to the sum of its inputs.

    Attributes
    ----------
    name : str
        Keras's name of the function, such as "relu".
    function : callable, optional
        Maps an array of shape ``(batch, *population shape)`` to one of the same shape.
        None: the identity.
    axes : tuple of int
        Axes of that array along which nodes meet, as in a softmax, without edges that say so.
    """

    name: str
    function: Callable[[np.ndarray], np.ndarray] | None = field(default=None, repr=False)
    axes: tuple[int, ...] = ()


LINEAR = Activation("linear")


@dataclass(frozen=True)
class Dynamics:
    """How nodes join their inputs where the weights depend on the inputs themselves.

    Edges (kind ``dynamic``, or a normalisation's scale edges) say who takes part; this says what
    comes of it: gates, attention, statistics of a group.

    Attributes
    ----------
    function : callable
        Maps one array of shape ``(batch, *source shape)`` per source to one of shape
        ``(batch, *population shape)``, to which bias and activation are applied as ever.
    sources : tuple of Tensor
    """

    function: Callable[..., np.ndarray]
    sources: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Population:
    """The nodes of one tensor: contiguous ids in C order of its shape, without the batch axis.

    Attributes
    ----------
    name : str
        The Keras layer's name; ``name#1`` for a second call, ``outer/inner`` in a nested model.
    shape : tuple of int
        Shape of the tensor.
    offset : int
        Id of the first node.
    layer : str
        Class name of the Keras layer.
    depth : int
        Length of the longest chain of projections from an input.
    bias : array broadcastable to ``shape``, optional
        Added to each node's sum.
    activation : Activation
    reduce : {"sum", "max", "min", "product"}
        How a node joins its weighted inputs.
    channels_first : bool
        Whether the channel is the first dimension instead of the last.
    attributes : mapping of str to arrays broadcastable to ``shape``
        More about each node, such as PReLU's alpha.
    dynamics : Dynamics, optional
        What takes the place of the weighted sum where that depends on the inputs.
    members : int64 array of shape ``(size,)``, optional
        The flat positions that are nodes, rising, where only a part of the tensor is.
    """

    name: str
    shape: tuple[int, ...]
    offset: int
    layer: str
    depth: int = 0
    bias: np.ndarray | None = field(default=None, repr=False)
    activation: Activation = LINEAR
    reduce: Reduce = "sum"
    channels_first: bool = False
    attributes: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    dynamics: Dynamics | None = field(default=None, repr=False)
    members: np.ndarray | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave what Keras computes behind: a copy computes nothing by itself.

        It still says where values do not follow from weights, so that null models leave the
        same ones alone.
        """
        dynamics = None if self.dynamics is None else Dynamics(_left_behind, ())
        activation = replace(self.activation, function=None)
        return {**self.__dict__, "dynamics": dynamics, "activation": activation}

    @property
    def node_values(self) -> dict[str, np.ndarray]:
        """Bias (0 without one) and attributes: arrays that broadcast to ``shape``."""
        bias = np.zeros((), np.float32) if self.bias is None else self.bias
        return {"bias": bias, **self.attributes}

    @property
    def size(self) -> int:
        """Number of nodes."""
        return prod(self.shape) if self.members is None else len(self.members)

    @property
    def ids(self) -> range:
        """Ids of the nodes."""
        return range(self.offset, self.offset + self.size)

    @property
    def slice(self) -> slice:
        """Where this population's values lie in an array over all nodes."""
        return slice(self.offset, self.offset + self.size)

    @property
    def axis_names(self) -> tuple[str, ...]:
        """Name of each dimension: plane, row, column, channel; ``axis0`` ... beyond four."""
        rank = len(self.shape)
        extra = tuple(f"axis{i}" for i in range(rank - len(AXIS_NAMES)))
        if rank == 2:
            names: tuple[str, ...] = ("row", "channel")
        else:
            names = extra + AXIS_NAMES[len(AXIS_NAMES) - (rank - len(extra)) :]
        return (names[-1], *names[:-1]) if self.channels_first else names

    def positions(self, start: int = 0, stop: int | None = None) -> tuple[np.ndarray, ...]:
        """Return the index of nodes ``start:stop`` of this population, one array per dimension."""
        stop = self.size if stop is None else min(stop, self.size)
        flat = np.arange(start, stop) if self.members is None else self.members[start:stop]
        return np.unravel_index(flat, self.shape) if self.shape else ()

    def values(self, array: np.ndarray) -> np.ndarray:
        """Return an array that broadcasts to ``shape`` as one value per node."""
        full = np.broadcast_to(array, self.shape).reshape(-1)
        return full if self.members is None else full[self.members]

    def node_id(self, index: int | Sequence[int]) -> int:
        """Return the id of the node at an index into ``shape``; negative: from the end."""
        flat = flat_position(index, self.shape, self.name)
        if self.members is not None:
            at = int(np.searchsorted(self.members, flat))
            if at == len(self.members) or self.members[at] != flat:
                raise SelectionError(
                    f"Node {index} of population '{self.name}' is not part of this subgraph."
                )
            flat = at
        return self.offset + flat

    def index(self, node_id: int) -> tuple[int, ...]:
        """Return the index into ``shape`` of a node id."""
        at = node_id - self.offset
        return tuple(int(i[0]) for i in self.positions(at, at + 1))


def _left_behind(*values: np.ndarray) -> np.ndarray:
    """Stand for the dynamics of a graph that was copied by pickle."""
    raise ModelError("This graph is a copy that computes nothing by itself. Evaluate the original.")


@dataclass(frozen=True)
class Tensor:
    """What layer calls take and give: a population, seen in a shape of as many elements.

    Flatten, Reshape, Dropout and their like make no nodes: they hand the population on.
    """

    population: Population
    shape: tuple[int, ...]

    @property
    def strides(self) -> tuple[int, ...]:
        """Elements from one position to the next, per dimension (C order)."""
        return strides(self.shape)

    def reshape(self, shape: Sequence[int]) -> Tensor:
        """Return the same nodes seen in another shape."""
        if prod(shape) != prod(self.shape):
            raise ShapeError(f"{self.shape} cannot be seen as {tuple(shape)}: sizes differ.")
        return Tensor(self.population, tuple(shape))

    def node_id(self, index: int | Sequence[int], name: str) -> int:
        """Return the id of the node at an index into ``shape``; ``name`` is for the error."""
        flat = flat_position(index, self.shape, name)
        return self.population.node_id(
            [int(i) for i in np.unravel_index(flat, self.population.shape)]
        )


def flat_position(index: int | Sequence[int], shape: Sequence[int], name: str) -> int:
    """Return the flat position (C order) of an index into a shape; negative: from the end."""
    index = tuple(index) if isinstance(index, Iterable) else (index,)
    if len(index) != len(shape) or not all(
        hasattr(i, "__index__") and -n <= i < n for i, n in zip(index, shape, strict=True)
    ):
        raise SelectionError(f"Population '{name}' has shape {shape}: no node at index {index}.")
    wrapped = [i % n for i, n in zip(index, shape, strict=True)]
    return int(np.ravel_multi_index(wrapped, shape)) if shape else 0


def strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Elements from one position to the next along each dimension of a C-ordered array."""
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))
