"""Layers that join several tensors element by element, or end to end."""

from __future__ import annotations

import numpy as np

from gpugraph.axes import one_to_one, pairs
from gpugraph.conversion import Conversion
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


@converts("Add", "Subtract", "Average", "Multiply", "Maximum", "Minimum")
def merge(call: Conversion) -> Tensor:
    """Every input one to one, weight 1, -1 or 1 / number of inputs (`copy`, `mean`); nodes join."""
    name = call.call.layer_class
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
