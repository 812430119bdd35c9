"""What the cells of recurrent layers have in common: what they read, and dense sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Protocol

import numpy as np

from gpugraph.axes import Axis, fan_in, fan_out, pairs
from gpugraph.conversion import Conversion
from gpugraph.layers.weights import array, kernel
from gpugraph.population import Tensor

# What a cell remembers; None before the first step: zeros, which have no nodes and no edges.
States = Sequence[Tensor | None]


@dataclass(frozen=True)
class Reading:
    """What a cell reads in one step: a whole tensor, or one time step of a sequence."""

    tensor: Tensor
    at: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what is read."""
        return self.tensor.shape if self.at is None else self.tensor.shape[1:]

    @property
    def axes(self) -> list[Axis]:
        """The axis that leads to the time step, if it is one."""
        if self.at is None:
            return []
        step = pairs([self.at], [0], [0], self.tensor.shape[0], 1, 1)
        return [step.place(src=prod(self.shape))]


class Cell(Protocol):
    """A recurrent layer's cell, with its weights at hand."""

    n_states: int

    def step(
        self, part: str, output: str | None, x: Reading, states: States
    ) -> tuple[Tensor, list[Tensor]]:
        """Add the populations of one step, and return its output and the states after it.

        Parameters
        ----------
        part : str
            What the populations are named after: ``name/part/gates`` ...
        output : str or None
            What the output is named: ``name/output``, or as the layer's call.
        x : Reading
        states : sequence of Tensor or None
            As they were before.
        """


def of_cell(call: Conversion, cell: Any) -> Conversion:
    """Return a recurrent layer's conversion as its cell's, which has the weights."""
    return replace(call, call=replace(call.call, layer=cell))


def kernels(call: Conversion) -> tuple[np.ndarray, np.ndarray]:
    """Return what a cell multiplies its input and its state by, in its precision."""
    first, second = (
        kernel(call, name).astype(call.dtype, copy=False) for name in ("kernel", "recurrent_kernel")
    )
    return first, second


def bias(call: Conversion, *shape: int) -> np.ndarray | None:
    """Return a cell's bias in a shape (by default flat); None where it has none."""
    values = call.layer.bias
    return None if values is None else array(values).reshape(shape or -1)


def given(*sources: Tensor | None) -> list[Tensor]:
    """Return the sources that exist."""
    return [source for source in sources if source is not None]


def project_dense(
    call: Conversion, x: Reading, target: Tensor, weights: np.ndarray, block: int | None = None
) -> None:
    """Project every element to every node, through the leading columns of a kernel.

    With ``block``, through the columns of that number, counted in blocks as wide as the target.
    """
    (n_in,), n_out = x.shape, prod(target.shape)
    if n_in != len(weights):
        raise call.misfit(f"{len(weights)} features")
    columns = weights.shape[1]
    axes = x.axes
    if block is not None:
        axes.append(pairs([0], [0], [block], 1, 1, columns // n_out).place(tap=n_out))
    axes += [fan_in(n_in).place(src=1, tap=columns), fan_out(n_out).place(dst=1, tap=1)]
    call.project(x.tensor, target, axes, weights)
