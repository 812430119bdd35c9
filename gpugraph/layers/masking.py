"""Masking: what says which time steps later layers leave out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpugraph.axes import fan_in, fan_out, one_to_one
from gpugraph.conversion import Conversion
from gpugraph.layers.weights import array
from gpugraph.population import Tensor
from gpugraph.registry import converts


@converts("Masking")
def masking(call: Conversion) -> Tensor:
    """No nodes where it looks for 0; else each step to itself, or to 0 (`dynamic`)."""
    value = call.layer.mask_value
    value = array(value) if hasattr(value, "shape") else float(value)
    if not np.any(value):
        return call.source
    source, target = call.source, call.population(dynamics=UnlessEqual(value))
    *steps, n = source.shape
    axes = [
        one_to_one(length).place(step, step)
        for length, step in zip(steps, source.strides, strict=False)
    ]
    # Each feature takes part in whether there is the step at all.
    axes += [fan_in(n).place(src=1), fan_out(n).place(dst=1)]
    call.project(source, target, axes, kind="dynamic")
    return target


@dataclass(frozen=True, eq=False)
class UnlessEqual:
    """Time steps as they are, but 0 where all of their features equal a value.

    Attributes
    ----------
    value : float, or array that broadcasts to the features
        An array's type counts, as in Keras: a float32 is not the nearest float64.
    """

    value: float | np.ndarray

    def __call__(self, steps: np.ndarray) -> np.ndarray:
        """Return the time steps that stay."""
        there = np.not_equal(steps, self.value).any(axis=-1, keepdims=True)
        return np.where(there, steps, 0)
