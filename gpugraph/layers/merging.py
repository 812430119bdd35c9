"""Layers that join several tensors element by element, or end to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpugraph.axes import one_to_one, pairs
from gpugraph.conversion import Conversion
from gpugraph.layers.operation import SHORT
from gpugraph.population import Reduce, Tensor
from gpugraph.registry import converts


@converts("Concatenate")
def concatenate(call: Conversion) -> Tensor:
    """Each input to its place, weight 1 (`copy`)."""
    target = call.population()
    rank = len(target.shape)
    along = call.layer.axis % (rank + 1) - 1
    if along < 0:
        raise call.unsupported("it concatenates along the batch")
    start = 0
    for source in call.sources:
        axes = []
        for d, n in enumerate(source.shape):
            axis = one_to_one(n)
            if d == along:
                i = np.arange(n)
                axis = pairs(i, i + start, i * 0, n, target.shape[d], 1)
                start += n
            axes.append(axis.place(source.strides[d], target.strides[d]))
        call.project(source, target, axes, kind="copy")
    return target


REDUCTIONS: dict[str, Reduce] = {
    "Add": "sum",
    "Subtract": "sum",
    "Average": "sum",
    "Multiply": "product",
    "Maximum": "max",
    "Minimum": "min",
}


@converts("Add", "Subtract", "Average", "Multiply", "Maximum", "Minimum", masks=True)
def merge(call: Conversion) -> Tensor:
    """Every input one to one, weight 1, -1 or 1 / number of inputs (`copy`, `mean`); nodes join."""
    if call.masks:
        return _masked_merge(call)
    name, dtypes = call.call.layer_class, call.call.input_dtypes
    if dtypes and SHORT.issuperset(dtypes) and REDUCTIONS[name] in ("sum", "product"):
        raise call.unsupported("its inputs are of a type in which sums start over")
    target = call.population(reduce=REDUCTIONS[name])
    for i, source in enumerate(call.sources):
        if name == "Average":
            call.project_elementwise(source, target, 1 / len(call.sources), "mean")
        elif name == "Subtract" and i == 1:
            call.project_elementwise(source, target, -1.0, "scale")
        else:
            call.project_elementwise(source, target)
    return target


@converts("CustomScaleLayer")
def scaled_residual(call: Conversion) -> Tensor:
    """InceptionResNetV2's: the first input with weight 1 (`copy`), the second scaled (`scale`)."""
    left, right = call.sources
    target = call.population()
    call.project_elementwise(left, target)
    call.project_elementwise(right, target, call.layer.scale, kind="scale")
    return target


def _masked_merge(call: Conversion) -> Tensor:
    """Join what the masks have: every input and every mask takes part (`dynamic`)."""
    shape = call.output_shape
    masks = call.masks["mask"]
    for source, mask in zip(call.sources, masks, strict=True):
        if source.shape != shape or (mask is not None and mask.shape != shape[:-1]):
            raise call.unsupported("it broadcasts its inputs or their masks")
    is_masked = tuple(mask is not None for mask in masks)
    target = call.population(
        dynamics=MaskedMerge(call.call.layer_class, is_masked),
        sources=[*call.sources, *(mask for mask in masks if mask is not None)],
    )
    for source in call.sources:
        call.project_elementwise(source, target, kind="dynamic")
    for mask in masks:
        if mask is not None:
            call.project_elementwise(mask.reshape((*mask.shape, 1)), target, kind="dynamic")
    return target


@dataclass(frozen=True)
class MaskedMerge:
    """What Multiply, Maximum and Minimum make of inputs of which some have a mask.

    Attributes
    ----------
    name : str
    is_masked : tuple of bool
        Whether each input has one; masks follow the inputs.
    """

    name: str
    is_masked: tuple[bool, ...]

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        """Return the product, or the largest or smallest, of what is there."""
        n = len(self.is_masked)
        masks = iter(arrays[n:])
        there = [next(masks)[..., np.newaxis] != 0 if masked else None for masked in self.is_masked]
        inputs = list(zip(arrays[:n], there, strict=True))
        return _product(inputs) if self.name == "Multiply" else self._extreme(inputs)

    def _extreme(self, inputs: Sequence[Masked]) -> np.ndarray:
        """Return the largest or smallest; an input that is not there leaves what was before it."""
        join = np.maximum if self.name == "Maximum" else np.minimum
        (result, known), *others = inputs
        for values, there in others:
            if there is not None:
                values = np.where(there, values, result)
            if known is not None:
                result = np.where(known, result, values)
            known = None if there is None or known is None else known | there
            result = join(result, values)
        return result


Masked = tuple[np.ndarray, "np.ndarray | None"]


def _product(inputs: Sequence[Masked]) -> np.ndarray:
    """Return the product of what is there; 0 where every input has a mask and none is there."""
    factors = [x if there is None else np.where(there, x, 1) for x, there in inputs]
    product = np.prod(factors, axis=0)
    masks = [there for _, there in inputs if there is not None]
    return np.where(np.any(masks, axis=0), product, 0) if len(masks) == len(inputs) else product
