"""Operations that put values in order, or tell where they stand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.layers.einsum import SPARE, project
from gpugraph.layers.operation import OperationFunction, arguments_of, has_tensor, title
from gpugraph.layers.reduction import dimensions_of, statistic_of
from gpugraph.population import Activation, Tensor
from gpugraph.registry import converts


@converts("ops.Argmax", "ops.Argmin", "ops.Nanargmax", "ops.Nanargmin")
def position(call: Conversion) -> Tensor:
    """Every value along the axis to the position of the largest or smallest (`dynamic`)."""
    dimensions = dimensions_of(call, call.layer.axis)
    return statistic_of(call, None, dimensions, OperationFunction(call.call))


@converts("ops.Argsort", "ops.Sort")
def order(call: Conversion) -> Tensor:
    """Every value along the axis to every place in their order (`dynamic`)."""
    (dimension,) = dimensions_of(call, call.layer.axis)
    target = call.population(dynamics=OperationFunction(call.call))
    project_along(call, call.source, target, dimension)
    return target


@converts("ops.TopK")
def largest(call: Conversion) -> list[Tensor]:
    """Every value along the last axis to the largest, and to their positions (`dynamic`)."""
    (dimension,) = dimensions_of(call, -1)
    targets = []
    for i, (part, shape) in enumerate(zip((None, "1"), call.call.output_shapes, strict=True)):
        targets.append(call.population(part, shape, dynamics=OperationFunction(call.call, i)))
        project_along(call, call.source, targets[-1], dimension)
    return targets


@converts("ops.Digitize", "ops.IsIn", "ops.SearchSorted")
def place(call: Conversion) -> Tensor:
    """One to one (`copy`), the place among constants, or whether it is one, on the nodes."""
    values, among = arguments_of(call).values()
    if call.call.layer_class == "SearchSorted":
        values, among = among, values
    if has_tensor(among):
        raise call.unsupported("what it looks among depends on the inputs, and joins all samples")
    return call.activated(call.source, Activation(title(call), _of_own_type(call)))


@converts("ops.UnravelIndex")
def index(call: Conversion) -> list[Tensor]:
    """One to one (`copy`), the index along each dimension on nodes of its own."""
    targets = []
    for i in range(len(call.call.output_shapes)):
        function = Activation(title(call), OperationFunction(call.call, i))
        targets.append(call.activated(call.source, function, str(i) if i else None))
    return targets


@converts("ops.InTopK")
def is_among_largest(call: Conversion) -> Tensor:
    """The target and every prediction to whether it is among the largest (`dynamic`)."""
    if len(call.sources) != 2:
        raise call.unsupported("a constant of its own differs from sample to sample of the batch")
    targets, predictions = call.sources
    target = call.population(dynamics=_of_own_type(call))
    call.project_elementwise(targets, target, kind="dynamic")
    project(call, predictions, "k", target, "", kind="dynamic")
    return target


def project_along(call: Conversion, source: Tensor, target: Tensor, dimension: int) -> None:
    """Project (`dynamic`) all that lies along a dimension to all that does in the target.

    Along the others one to one; a source's dimension of length 1 broadcasts.
    """
    into = "".join(
        SPARE[d] if d != dimension and n == m else SPARE[-1 - d]
        for d, (n, m) in enumerate(zip(source.shape, target.shape, strict=True))
    )
    project(call, source, into, target, SPARE[: len(target.shape)], kind="dynamic")


def _of_own_type(call: Conversion) -> Callable[..., np.ndarray]:
    """Return an operation that takes no floats but those that it was made for."""
    function = OperationFunction(call.call)
    return lambda *arrays: function(*(x.astype(call.dtype) for x in arrays))
