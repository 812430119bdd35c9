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
