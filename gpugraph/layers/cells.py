"""Which class converts which cell: the simple, the stacked and the traced ones are here."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from gpugraph.axes import one_to_one
from gpugraph.conversion import Conversion
from gpugraph.layers.cell import Cell, Reading, States, bias, given, kernels, of_cell, project_dense
from gpugraph.layers.gru import GRUCell
from gpugraph.layers.lstm import LSTMCell
from gpugraph.layers.opened import is_opened, opened
from gpugraph.layers.weights import activation
from gpugraph.population import Tensor
from gpugraph.registry import is_of_keras


def make_cell(call: Conversion, cell: Any) -> Cell:
    """Return what converts a cell.

    Raises
    ------
    UnsupportedLayerError
        If it is not one of Keras's own, and cells are not to be traced.
    """
    cls = type(cell)
    if is_opened(call, cell):
        return TracedCell(call, cell)
    if cls.__name__ not in CELLS or not is_of_keras(cls):
        raise call.unsupported(
            f"what its cell {cls.__module__}.{cls.__name__} computes is not known (known are "
            f"{', '.join(CELLS)}; trace=True opens others)"
        )
    return CELLS[cls.__name__](of_cell(call, cell))


class SimpleRNNCell:
    """units = activation(x kernel + units before recurrent_kernel + bias)."""

    n_states = 1

    def __init__(self, call: Conversion) -> None:
        self.call, self.units = call, call.layer.units
        self.kernel, self.recurrent = kernels(call)
        self.bias = bias(call)
        self.activation = activation(call)

    def step(
        self, part: str, output: str | None, x: Reading, states: States
    ) -> tuple[Tensor, list[Tensor]]:
        """Add one population: what the cell gives."""
        (before,) = states
        hidden = self.call.population(
            output,
            (self.units,),
            bias=self.bias,
            activation=self.activation,
            sources=given(x.tensor, before),
        )
        project_dense(self.call, x, hidden, self.kernel)
        if before is not None:
            project_dense(self.call, Reading(before), hidden, self.recurrent)
        return hidden, [hidden]


class StackedRNNCells:
    """Cells one upon the other; the ``i``-th one's populations are named ``name/part/i/...``."""

    def __init__(self, call: Conversion) -> None:
        self.cells = [make_cell(call, cell) for cell in call.layer.cells]
        self.n_states = sum(cell.n_states for cell in self.cells)

    def step(
        self, part: str, output: str | None, x: Reading, states: States
    ) -> tuple[Tensor, list[Tensor]]:
        """Add the populations of every cell."""
        after: list[Tensor] = []
        for i, cell in enumerate(self.cells):
            before = states[len(after) : len(after) + cell.n_states]
            is_last = i == len(self.cells) - 1
            name = output if is_last else f"{part}/{i}/hidden"
            hidden, made = cell.step(f"{part}/{i}", name, x, before)
            x = Reading(hidden)
            after += made
        return hidden, after


class TracedCell:
    """A cell of another class, whose ``call`` is traced in every step.

    A time step of a sequence becomes nodes of its own, ``name/part/input``, that the cell reads.
    """

    def __init__(self, call: Conversion, cell: Any) -> None:
        import keras

        self.call, self.cell = call, cell
        if hasattr(cell, "get_initial_state"):
            self.start = keras.tree.flatten(cell.get_initial_state(batch_size=1))
        else:  # as RNN does
            sizes = keras.tree.flatten(cell.state_size)
            self.start = [keras.ops.zeros((1, n), cell.compute_dtype) for n in sizes]
        self.n_states = len(self.start)

    def step(
        self, part: str, output: str | None, x: Reading, states: States
    ) -> tuple[Tensor, list[Tensor]]:
        """Add the populations of what the cell does."""
        tensor = x.tensor
        if x.at is not None:
            tensor = self.call.population(f"{part}/input", x.shape, sources=[x.tensor])
            axes = [*x.axes, one_to_one(prod(x.shape)).place(1, 1)]
            self.call.project(x.tensor, tensor, axes, kind="copy")
        before = [
            first if state is None else state
            for first, state in zip(self.start, states, strict=True)
        ]
        hidden, *after = opened(self.call, self.cell, part, tensor, before)
        return hidden, after


CELLS: dict[str, Callable[[Conversion], Cell]] = {
    "SimpleRNNCell": SimpleRNNCell,
    "LSTMCell": LSTMCell,
    "GRUCell": GRUCell,
    "StackedRNNCells": StackedRNNCells,
}
