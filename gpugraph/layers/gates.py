"""Gates: populations whose values others are multiplied by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gpugraph.axes import one_to_one, pairs
from gpugraph.conversion import Conversion
from gpugraph.population import Activation, Tensor


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


def gate_activation(
    call: Conversion, functions: Sequence[Activation], gate_axis: int, rank: int
) -> Activation:
    """Join the activations of several gates: one where all are the same, else ``a/b/...``.

    Parameters
    ----------
    call : Conversion
    functions : sequence of Activation
        One per gate.
    gate_axis : int
        Where the gates' population has its dimension of gates.
    rank : int
        Number of dimensions of one gate.
    """
    names = list(dict.fromkeys(f.name for f in functions))
    name = names[0] if len(names) == 1 else "/".join(f.name for f in functions)
    meetings = {call.dimensions(f.axes, rank) for f in functions}
    if len(meetings) > 1 and call.draft.couplings:
        raise call.unsupported(
            f"neurons meet in some of its gates and not in others ({name}), and couplings are "
            "asked for"
        )
    met = sorted({d + 1 + (d >= gate_axis) for meeting in meetings for d in meeting})
    function = GateFunction(tuple(f.function for f in functions), gate_axis + 1)
    return Activation(name, function, tuple(met))


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
