"""What is done at every step alone, of time or of other positions, as one population per tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gpugraph.axes import one_to_one
from gpugraph.conversion import Draft
from gpugraph.population import Dynamics, Population, Tensor
from gpugraph.projection import Projection


def step_by_step(
    sources: Sequence[Tensor],
    draft: Draft,
    convert: Callable[[Sequence[Tensor], Draft], Sequence[Tensor]],
) -> tuple[Tensor, ...]:
    """Convert something for one step, and add that for all of them.

    Parameters
    ----------
    sources : sequence of Tensor
        Their first dimension is that of the steps.
    draft : Draft
        The graph being built.
    convert : callable
        Takes the sources of one step, and a draft of its own, to the tensors of one step.
    """
    n_steps = sources[0].shape[0]
    steps = [Tensor(replace(s.population, shape=s.shape[1:]), s.shape[1:]) for s in sources]
    one = replace(draft, populations={}, projections=[], n_nodes=0, logits={})
    outputs = convert(steps, one)
    lift = Lift(n_steps, {s.population.name: s.population for s in sources}, draft)
    lift.add(one)
    return tuple(lift.tensor(output) for output in outputs)


@dataclass(frozen=True)
class Lift:
    """Takes populations and projections of one time step to all of them.

    Attributes
    ----------
    n_steps : int
    populations : dict of str to Population
        Those with a dimension for time, by the name of those without.
    draft : Draft
        The graph being built.
    """

    n_steps: int
    populations: dict[str, Population]
    draft: Draft

    def add(self, step: Draft) -> None:
        """Add what one step's draft holds."""
        for population in step.populations.values():
            lifted = self._population(population)
            self.populations[population.name] = lifted
            self.draft.populations[lifted.name] = lifted
            self.draft.n_nodes += lifted.size
        self.draft.projections += [self._projection(p) for p in step.projections]

    def tensor(self, tensor: Tensor) -> Tensor:
        """Return a tensor with time as its first dimension."""
        return Tensor(self.populations[tensor.population.name], (self.n_steps, *tensor.shape))

    def _population(self, population: Population) -> Population:
        dynamics, activation = population.dynamics, population.activation
        if dynamics is not None:
            sources = tuple(self.tensor(source) for source in dynamics.sources)
            dynamics = Dynamics(StepByStep(dynamics.function), sources)
        if activation.function is not None:
            # Axes count the batch, and from the end where they are negative.
            axes = tuple(axis + 1 if axis > 0 else axis for axis in activation.axes)
            activation = replace(activation, function=StepByStep(activation.function), axes=axes)
        return replace(
            population,
            shape=(self.n_steps, *population.shape),
            offset=self.draft.n_nodes,
            activation=activation,
            channels_first=False,
            dynamics=dynamics,
        )

    def _projection(self, projection: Projection) -> Projection:
        source, target = projection.source, projection.target
        steps = one_to_one(self.n_steps).place(source.size, target.size)
        return replace(
            projection,
            source=self.populations[source.name],
            target=self.populations[target.name],
            axes=(steps, *projection.axes),
        )


@dataclass(frozen=True)
class StepByStep:
    """A function of one time step's arrays, for arrays of ``(batch, time, ...)``."""

    function: Callable[..., np.ndarray]

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        """Apply the function with batch and time as one."""
        merged = [x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]) for x in arrays]
        result = self.function(*merged)
        return result.reshape(*arrays[0].shape[:2], *result.shape[1:])
