"""The cell of a GRU."""

from __future__ import annotations

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.layers.cell import Reading, States, bias, given, kernels, project_dense
from gpugraph.layers.gates import gate_activation, project_gates
from gpugraph.layers.weights import activation
from gpugraph.population import Tensor


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
        self.gate_activation = gate_activation(call, (sigmoid, sigmoid), gate_axis=0, rank=1)
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
        project_dense(call, x, gates, self.kernel)
        if before is not None:
            project_dense(call, Reading(before), gates, self.recurrent)
        reset = self._add_reset(part, gates, before)
        candidate = call.population(
            f"{part}/candidate",
            (self.units,),
            bias=self.bias,
            activation=self.activation,
            sources=given(x.tensor, reset),
        )
        project_dense(call, x, candidate, self.kernel, block=2)
        if reset is not None and self.reset_after:
            call.project_elementwise(reset, candidate)
        elif reset is not None:
            project_dense(call, Reading(reset), candidate, self.recurrent, block=2)
        hidden = call.population(
            output, (self.units,), dynamics=_updated, sources=given(gates, candidate, before)
        )
        project_gates(call, gates, hidden, (0,))
        for source in given(candidate, before):
            call.project_elementwise(source, hidden, kind="dynamic")
        return hidden, [hidden]

    def _add_reset(self, part: str, gates: Tensor, before: Tensor | None) -> Tensor | None:
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
                project_dense(call, Reading(before), state, self.recurrent, block=2)
        if state is None:
            return None
        reset = call.population(
            f"{part}/reset", (self.units,), dynamics=_reset, sources=[gates, state]
        )
        project_gates(call, gates, reset, (1,))
        call.project_elementwise(state, reset, kind="dynamic")
        return reset


def _reset(gates: np.ndarray, state: np.ndarray) -> np.ndarray:
    """Return what a GRU's reset gate lets through."""
    return gates[:, 1] * state


def _updated(
    gates: np.ndarray, candidate: np.ndarray, before: np.ndarray | None = None
) -> np.ndarray:
    """Return what a GRU's update gate keeps of the state before and takes of the candidate."""
    kept = 0 if before is None else gates[:, 0] * before
    return kept + (1 - gates[:, 0]) * candidate
