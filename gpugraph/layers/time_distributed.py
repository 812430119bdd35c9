"""TimeDistributed: a layer, or a model, at every time step on its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gpugraph.axes import one_to_one
from gpugraph.conversion import Conversion, Draft, convert_call
from gpugraph.expansion import is_plain
from gpugraph.layer_call import TensorRef, substitute
from gpugraph.layers.opened import is_opened, opened
from gpugraph.population import Dynamics, Population, Tensor
from gpugraph.projection import Projection
from gpugraph.registry import converts
from gpugraph.topology import topology


@converts("TimeDistributed")
def time_distributed(call: Conversion) -> tuple[Tensor, ...]:
    """As the layer that it wraps, with a dimension for time in front: steps do not meet."""
    source = call.sources[0]  # a mask may follow, where what is wrapped takes none
    n_steps, *shape = source.shape
    step = Tensor(replace(source.population, shape=tuple(shape)), tuple(shape))
    draft = replace(call.draft, populations={}, projections=[], n_nodes=0, logits={})
    outputs = _one_step(replace(call, sources=(step,), draft=draft))
    lift = Lift(n_steps, {step.population.name: source.population}, call.draft)
    lift.add(draft)
    return tuple(lift.tensor(output) for output in outputs)


def _one_step(call: Conversion) -> Sequence[Tensor]:
    """Convert what is wrapped, for one time step."""
    layer = call.layer.layer
    if is_opened(call, layer):
        return opened(call, layer, None, *call.sources)
    if not is_plain(layer):
        return call.convert(layer, None, call.sources, [s[1:] for s in call.call.output_shapes])
    shapes = [tensor.shape for tensor in call.sources]
    calls = topology(layer, shapes, trace=call.draft.trace)
    tensors = dict(zip((TensorRef(n, 0) for n in calls.inputs), call.sources, strict=True))
    for inner in calls:
        if inner.name not in calls.inputs:
            named = replace(inner, name=f"{call.call.name}/{inner.name}")
            sources = [tensors[ref] for ref in inner.inputs]
            masks = substitute(dict(inner.masks), tensors)
            outputs = convert_call(named, sources, call.draft, masks)
            tensors |= {TensorRef(inner.name, i): tensor for i, tensor in enumerate(outputs)}
    return [tensors[ref] for ref in calls.outputs]


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
        merged = [x.reshape(-1, *x.shape[2:]) for x in arrays]
        result = self.function(*merged)
        return result.reshape(*arrays[0].shape[:2], *result.shape[1:])
