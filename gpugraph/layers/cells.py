"""What the cells of recurrent layers do in one time step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Protocol

import numpy as np

from gpugraph.axes import Axis, fan_in, fan_out, one_to_one, pairs
from gpugraph.conversion import Conversion
from gpugraph.layers.weights import activation, array, kernel
from gpugraph.population import Activation, Tensor

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
        return [position(self.at, self.tensor.shape[0]).place(src=prod(self.shape))]


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


def make_cell(call: Conversion, cell: Any) -> Cell:
    """Return what converts a Keras cell.

    Raises
    ------
    UnsupportedLayerError
        If it is not one of Keras's own.
    """
    cls = type(cell)
    if cls.__name__ not in CELLS or not cls.__module__.startswith("keras."):
        raise call.unsupported(
            f"what its cell {cls.__module__}.{cls.__name__} computes is not known (known are "
            f"{', '.join(CELLS)})"
        )
    return CELLS[cls.__name__](of_cell(call, cell))


def of_cell(call: Conversion, cell: Any) -> Conversion:
    """Return a recurrent layer's conversion as its cell's, which has the weights."""
    return replace(call, call=replace(call.call, layer=cell))


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


class LSTMCell:
    """Gates i, f, c, o; cell = f * cell before + i * c; hidden = o * activation(cell).

    Attributes
    ----------
    gate_axis : int
        Where the gates' population has its dimension of four gates; without it, it has the
        states' shape.
    channels_first : bool
        Whether the states' channel is their first dimension.
    """

    n_states = 2
    gate_axis = 0
    channels_first = False

    def __init__(self, call: Conversion) -> None:
        self.call = call
        self.kernel, self.recurrent = kernels(call)
        self.activation = activation(call)
        sigmoid = activation(call, "recurrent_activation")
        functions = (sigmoid, sigmoid, self.activation, sigmoid)
        self.gate_activation = gate_activation(functions, self.gate_axis)
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
        return hidden, [hidden, cell]


class GRUCell:
    """Gates z, r; hidden = z * hidden before + (1 - z) * candidate.

    candidate = activation(x kernel + bias + reset); what the reset gate lets through is
    r * (hidden before recurrent_kernel + bias), or with ``reset_after=False``
    (r * hidden before) recurrent_kernel.
    """

    n_states = 1

    def __init__(self, call: Conversion) -> None:
        self.call, self.units = call, call.layer.units
        self.kernel, self.recurrent = kernels(call)
        self.activation = activation(call)
        sigmoid = activation(call, "recurrent_activation")
        self.gate_activation = gate_activation((sigmoid, sigmoid), 0)
        self.reset_after = call.layer.reset_after
        self.gate_bias = self.bias = self.recurrent_bias = None
        if (biases := bias(call, -1, 3, self.units)) is not None:
            # With reset_after, the recurrent kernel has biases of its own.
            self.gate_bias, self.bias = biases[:, :2].sum(axis=0), biases[0, 2]
            self.recurrent_bias = biases[1, 2] if self.reset_after else None

    def step(
        self, part: str, output: str | None, x: Reading, states: States
    ) -> tuple[Tensor, list[Tensor]]:
        """Add the gates, what is reset, the candidate and the hidden state."""
        call, (before,) = self.call, states
        gates = call.population(
            f"{part}/gates",
            (2, self.units),
            bias=self.gate_bias,
            activation=self.gate_activation,
            sources=given(x.tensor, before),
        )
        self._project(x, gates, self.kernel)
        if before is not None:
            self._project(Reading(before), gates, self.recurrent)
        reset = self._reset(part, gates, before)
        candidate = call.population(
            f"{part}/candidate",
            (self.units,),
            bias=self.bias,
            activation=self.activation,
            sources=given(x.tensor, reset),
        )
        self._project(x, candidate, self.kernel, block=2)
        if reset is not None and self.reset_after:
            call.project_elementwise(reset, candidate)
        elif reset is not None:
            self._project(Reading(reset), candidate, self.recurrent, block=2)
        hidden = call.population(
            output, (self.units,), dynamics=_updated, sources=given(gates, candidate, before)
        )
        project_gates(call, gates, hidden, (0,))
        for source in given(candidate, before):
            call.project_elementwise(source, hidden, kind="dynamic")
        return hidden, [hidden]

    def _reset(self, part: str, gates: Tensor, before: Tensor | None) -> Tensor | None:
        """Add what the reset gate lets through; nothing where that is zero."""
        call, state = self.call, before
        if self.reset_after and (before is not None or self.recurrent_bias is not None):
            state = call.population(
                f"{part}/recurrent",
                (self.units,),
                bias=self.recurrent_bias,
                sources=given(before),
            )
            if before is not None:
                self._project(Reading(before), state, self.recurrent, block=2)
        if state is None:
            return None
        reset = call.population(
            f"{part}/reset", (self.units,), dynamics=_reset, sources=[gates, state]
        )
        project_gates(call, gates, reset, (1,))
        call.project_elementwise(state, reset, kind="dynamic")
        return reset

    def _project(
        self, x: Reading, target: Tensor, weights: np.ndarray, block: int | None = None
    ) -> None:
        project_dense(self.call, x, target, weights, block)


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


CELLS: dict[str, Callable[[Conversion], Cell]] = {
    "SimpleRNNCell": SimpleRNNCell,
    "LSTMCell": LSTMCell,
    "GRUCell": GRUCell,
    "StackedRNNCells": StackedRNNCells,
}


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


def position(at: int, n: int) -> Axis:
    """One position of n in the source, or one tap of n, alone."""
    return pairs([at], [0], [at], n, 1, n)


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


def project_gates(
    call: Conversion, gates: Tensor, target: Tensor, chosen: Sequence[int], gate_axis: int = 0
) -> None:
    """Project some gates, element by element, to what they take part in (`dynamic`)."""
    zero = [0] * len(chosen)
    steps = list(gates.strides)
    gate = pairs(chosen, zero, zero, gates.shape[gate_axis], 1, 1).place(src=steps.pop(gate_axis))
    elements = [
        one_to_one(n).place(src, dst)
        for n, src, dst in zip(target.shape, steps, target.strides, strict=True)
    ]
    call.project(gates, target, [gate, *elements], kind="dynamic")


def gate_activation(functions: Sequence[Activation], gate_axis: int) -> Activation:
    """Join the activations of several gates: one where all are the same, else ``a/b/...``."""
    names = list(dict.fromkeys(f.name for f in functions))
    name = names[0] if len(names) == 1 else "/".join(f.name for f in functions)
    return Activation(name, GateFunction(tuple(f.function for f in functions), gate_axis + 1))


@dataclass(frozen=True)
class GateFunction:
    """A function for each gate along an axis of an array."""

    functions: tuple[Callable[[np.ndarray], np.ndarray] | None, ...]
    axis: int

    def __call__(self, sums: np.ndarray) -> np.ndarray:
        """Apply each function to its own gate."""
        gates = np.moveaxis(sums, self.axis, 0)
        values = [
            gate if function is None else function(np.ascontiguousarray(gate))
            for gate, function in zip(gates, self.functions, strict=True)
        ]
        return np.stack(values, axis=self.axis)


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


def _reset(gates: np.ndarray, state: np.ndarray) -> np.ndarray:
    """Return what a GRU's reset gate lets through."""
    return gates[:, 1] * state


def _updated(
    gates: np.ndarray, candidate: np.ndarray, before: np.ndarray | None = None
) -> np.ndarray:
    """Return what a GRU's update gate keeps of the state before and takes of the candidate."""
    kept = 0 if before is None else gates[:, 0] * before
    return kept + (1 - gates[:, 0]) * candidate
