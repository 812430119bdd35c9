"""Masks in recurrent layers: a time step that is left out keeps what was before it.

The cell computes every step as ever (``name/t3/hidden``); ``name/t3/hidden/kept`` is that where the
mask has the step, and what was kept the step before where it has not. Step by step, mask, new and
old value take part in it (`dynamic`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np

from gpugraph.axes import fan_out, pairs
from gpugraph.conversion import Conversion
from gpugraph.layers.cell import given
from gpugraph.population import Tensor


class Change(NamedTuple):
    """What a cell gives, and what it takes the place of; None: zeros."""

    new: Tensor
    before: Tensor | None = None


class MaskedSteps:
    """What a mask makes of the steps of a recurrent layer.

    Parameters
    ----------
    call : Conversion
    n_steps : int
    """

    def __init__(self, call: Conversion, n_steps: int) -> None:
        mask = call.mask
        if prod(mask.shape) != n_steps:
            raise call.unsupported(f"its mask of shape {mask.shape} is not one per time step")
        if call.layer.unroll and call.layer.zero_output_for_mask:
            raise call.unsupported(
                "which outputs of an unrolled layer Keras sets to zero differs from backend to "
                "backend; with unroll=False it does not"
            )
        self.call, self.mask, self.n_steps = call, mask, n_steps

    def step(
        self, t: int, is_result: bool, output: Change, states: Sequence[Change], are_read: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the output and the states that are kept after a step.

        Parameters
        ----------
        t : int
            Number of the time step in the input.
        is_result : bool
            Whether the output is what the layer gives.
        output : Change
        states : sequence of Change
        are_read : bool
            Whether anything reads the states; none are returned otherwise.
        """
        import keras

        is_jax = keras.config.backend() == "jax"
        if is_jax and len(output.new.shape) > 1:
            raise self.call.unsupported(
                "with the jax backend, Keras applies its mask to rows or channels instead of time "
                "steps; with KERAS_BACKEND=tensorflow or torch it does not"
            )
        if self.call.layer.zero_output_for_mask:
            output = Change(output.new)
        elif is_jax:
            # There, initial states are the output before the first step.
            output = next(state for state in states if state.new == output.new)
        part = f"t{t}/hidden/kept" if output in states else f"t{t}/output"
        kept = {output: self._keep(t, None if is_result else part, output)}
        read = states if are_read else []
        for state in read:
            if state not in kept:
                part = state.new.population.name.removeprefix(f"{self.call.call.name}/")
                kept[state] = self._keep(t, f"{part}/kept", state)
        return kept[output], [kept[state] for state in read]

    def _keep(self, t: int, part: str | None, change: Change) -> Tensor:
        """Add what is kept of a change."""
        call, sources = self.call, given(change.new, change.before)
        shape = change.new.shape
        target = call.population(part, shape, dynamics=Kept(t), sources=[self.mask, *sources])
        step = pairs([t], [0], [0], self.n_steps, 1, 1).place(src=1)
        call.project(self.mask, target, [step, fan_out(prod(shape)).place(dst=1)], kind="dynamic")
        for source in sources:
            call.project_elementwise(source, target, kind="dynamic")
        return target


@dataclass(frozen=True)
class Kept:
    """The new values of samples whose mask has a time step, and those before of all others.

    Attributes
    ----------
    step : int
    """

    step: int

    def __call__(
        self, mask: np.ndarray, new: np.ndarray, before: np.ndarray | None = None
    ) -> np.ndarray:
        """Return what is kept; 0 where there was nothing before."""
        has_step = mask.reshape(len(mask), -1)[:, self.step] != 0
        has_step = has_step.reshape(-1, *[1] * (new.ndim - 1))
        return np.where(has_step, new, 0 if before is None else before)
