"""The cell of an LSTM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.layers.cell import Reading, States, bias, given, kernels, project_dense
from gpugraph.layers.gates import gate_activation, project_gates
from gpugraph.layers.weights import activation
from gpugraph.population import Tensor


class LSTMCell:
    """Gates i, f, c, o; cell = f * cell before + i * c; hidden = o * activation(cell).

    Attributes
    ----------
    rank : int
        Number of dimensions of a state.
    gate_axis : int
        Where the gates' population has its dimension of four gates; without it, it has the
        states' shape.
    channels_first : bool
        Whether the states' channel is their first dimension.
    """

    n_states = 2
    rank = 1
    gate_axis = 0
    channels_first = False

    def __init__(self, call: Conversion) -> None:
        self.call = call
        self.kernel, self.recurrent = kernels(call)
        self.activation = activation(call)
        sigmoid = activation(call, "recurrent_activation")
        functions = (sigmoid, sigmoid, self.activation, sigmoid)
        self.gate_activation = gate_activation(call, functions, self.gate_axis, self.rank)
        self.bias = bias(call, 4, -1)

    def state_shape(self, x: Reading) -> tuple[int, ...]:
        """Shape of the states."""
        return (self.call.layer.units,)

    def project_input(self, x: Reading, gates: Tensor) -> None:
        """Add the edges from what is read to the gates."""
        project_dense(self.call, x, gates, self.kernel)

    def project_hidden(self, before: Tensor, gates: Tensor) -> None:
        """Add the edges from the hidden state before to the gates."""
        project_dense(self.call, Reading(before), gates, self.recurrent)

    def step(
        self, part: str, output: str | None, x: Reading, states: States
    ) -> tuple[Tensor, list[Tensor]]:
        """Add the gates, the cell state and the hidden state."""
        call, shape, at = self.call, self.state_shape(x), self.gate_axis
        hidden_before, cell_before = states
        gates = call.population(
            f"{part}/gates",
            (*shape[:at], 4, *shape[at:]),
            bias=self.bias,
            activation=self.gate_activation,
            channels_first=False,
            sources=given(x.tensor, hidden_before),
        )
        self.project_input(x, gates)
        if hidden_before is not None:
            self.project_hidden(hidden_before, gates)
        cell = call.population(
            f"{part}/cell",
            shape,
            channels_first=self.channels_first,
            dynamics=CellState(at + 1),
            sources=given(gates, cell_before),
        )
        project_gates(call, gates, cell, (0, 2) if cell_before is None else (0, 1, 2), at)
        if cell_before is not None:
            call.project_elementwise(cell_before, cell, kind="dynamic")
        hidden = call.population(
            output,
            shape,
            channels_first=self.channels_first,
            dynamics=HiddenState(at + 1, self.activation.function),
            sources=[gates, cell],
        )
        project_gates(call, gates, hidden, (3,), at)
        call.project_elementwise(cell, hidden, kind="dynamic")
        call.couple(cell, hidden, call.dimensions(self.activation.axes, self.rank))
        return hidden, [hidden, cell]


@dataclass(frozen=True)
class CellState:
    """What an LSTM's gates, along an axis, make of the cell state before."""

    axis: int

    def __call__(self, gates: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
        """Return f * cell before + i * c."""
        i, f, c, _ = np.moveaxis(gates, self.axis, 0)
        return i * c if before is None else f * before + i * c


@dataclass(frozen=True)
class HiddenState:
    """What an LSTM's output gate shows of the cell state."""

    axis: int
    activation: Callable[[np.ndarray], np.ndarray] | None

    def __call__(self, gates: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """Return o * activation(cell)."""
        shown = cell if self.activation is None else self.activation(cell)
        return np.moveaxis(gates, self.axis, 0)[3] * shown
