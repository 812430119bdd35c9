"""One use of a Keras layer, and the tensors between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

import numpy as np

Shape = tuple[int, ...]

# Another size of the batch, at which a call is tried to see whether it does the same.
N_SAMPLES = 3


class TensorRef(NamedTuple):
    """One output of one layer call."""

    call: str
    output: int

    @property
    def label(self) -> str:
        """The call's name; ``name:1`` ... for further outputs."""
        return f"{self.call}:{self.output}" if self.output else self.call


class Batch(NamedTuple):
    """Where samples stand in a tensor, told of the tensor for one sample.

    Attributes
    ----------
    axis : int
    n : int
        How many positions of a sample are folded into that axis.
    shape : tuple of int
        Of the tensor, that axis included.
    before : int
        How many of the positions stand before the samples, as if the axis were folded from axes
        of ``(before, samples, n // before)``.
    """

    axis: int
    n: int
    shape: Shape
    before: int = 1

    @classmethod
    def of(cls, shape: Shape, axis: int, before: int = 1) -> Batch:
        """Return the batch of a tensor of this shape, of one sample."""
        return cls(axis, shape[axis], tuple(shape), before)

    @property
    def is_plain(self) -> bool:
        """Whether the first axis is the batch's, and nothing else."""
        return (self.axis, self.n) == (0, 1)

    @property
    def sample_shape(self) -> Shape:
        """Shape of what one sample holds."""
        before, after = self.shape[: self.axis], self.shape[self.axis + 1 :]
        return (*before, *after) if self.n == 1 else self.shape

    @property
    def order(self) -> tuple[int, int, int]:
        """What tensors share that hold the same positions and samples along the same axis."""
        return self.axis, self.n, self.before

    @property
    def n_around(self) -> tuple[int, int]:
        """How many positions of a sample stand before the samples, and how many behind."""
        before, after = self.shape[: self.axis], self.shape[self.axis + 1 :]
        return prod(before) * self.before, self.n // self.before * prod(after)

    def shape_of(self, n_samples: int) -> Shape:
        """Return the shape of the tensor for so many samples."""
        return (*self.shape[: self.axis], self.n * n_samples, *self.shape[self.axis + 1 :])

    def together(self, samples: Sequence[np.ndarray]) -> np.ndarray:
        """Return the tensor that holds several samples, given what each of them holds."""
        parts = [x.reshape(self.n_around) for x in samples]
        return np.stack(parts, axis=1).reshape(self.shape_of(len(samples)))

    def apart(self, values: np.ndarray, n_samples: int) -> np.ndarray:
        """Return what each sample holds, samples in front, of a tensor of so many."""
        before, after = self.n_around
        if values.shape != self.shape_of(n_samples):
            raise ValueError(f"{values.shape} is not {self.shape_of(n_samples)}")
        samples = np.moveaxis(values.reshape(before, n_samples, after), 1, 0)
        return samples.reshape(n_samples, *self.sample_shape)


def grown_axis(one: Sequence[int], several: Sequence[int], n: int) -> int | None:
    """Return the only axis that is longer for several samples, as many times as they are."""
    if len(one) != len(several):
        return None
    longer = [i for i, (x, y) in enumerate(zip(one, several, strict=True)) if x != y]
    is_batch = len(longer) == 1 and several[longer[0]] == n * one[longer[0]]
    return longer[0] if is_batch else None


@dataclass(frozen=True, eq=False)
class LayerCall:
    """One use of a Keras layer or functional operator.

    Attributes
    ----------
    name : str
        The layer's name; ``name#1`` for a second call, ``outer/inner`` in a nested model.
    layer_class : str
        Class name, such as "Conv2D".
    layer : keras.Layer or keras.Operation
    args, kwargs
        What it was called with; tensors are `TensorRef`.
    inputs : tuple of TensorRef
        The tensors among them, in order.
    input_shapes, output_shapes : tuple of tuple of int
        Without the batch axis.
    n_parameters : int
        Of the layer, or of the variables that an operation is called on; a shared layer's count
        again at each call.
    masks : mapping of str
        By parameter of the layer, the masks it uses at inference: `TensorRef`, constants, lists
        of them. Those that its tensors carry unseen, too, which ``kwargs`` do not hold.
    untraced : str, optional
        Why its own ``call`` could not be traced, where that was tried.
    input_dtypes, output_dtypes : tuple of str
        As Keras has them; empty where nothing says them.
    input_batches, output_batches : tuple of Batch
        Where samples stand in the inputs and outputs; empty where that is in the first axis of
        each, alone, or, of outputs, where it cannot be told.
    """

    name: str
    layer_class: str
    layer: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    inputs: tuple[TensorRef, ...]
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]
    n_parameters: int
    masks: Mapping[str, Any] = field(default_factory=dict)
    untraced: str | None = None
    input_dtypes: tuple[str, ...] = ()
    output_dtypes: tuple[str, ...] = ()
    input_batches: tuple[Batch, ...] = ()
    output_batches: tuple[Batch, ...] = ()

    @property
    def reads(self) -> tuple[TensorRef, ...]:
        """All tensors that it goes by: its inputs, and masks."""
        return (*self.inputs, *refs_in(self.masks))


def substitute(structure: Any, tensors: Mapping[TensorRef, Any]) -> Any:
    """Replace every TensorRef in nested arguments."""
    if isinstance(structure, TensorRef):
        return tensors[structure]
    if isinstance(structure, dict):
        return {key: substitute(value, tensors) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return type(structure)([substitute(value, tensors) for value in structure])
    return structure


def refs_in(structure: Any) -> list[TensorRef]:
    """Return every TensorRef in nested arguments, in order."""
    if isinstance(structure, TensorRef):
        return [structure]
    if isinstance(structure, Mapping):
        return refs_in(list(structure.values()))
    if isinstance(structure, (list, tuple)):
        return [ref for value in structure for ref in refs_in(value)]
    return []


def shapes_text(shapes: Sequence[Shape]) -> str:
    """Write shapes as people do: ``224x224x3; 10``."""
    return "; ".join("x".join(map(str, shape)) for shape in shapes)
