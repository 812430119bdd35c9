"""Whether two traces of a call, for batches of different sizes, do the same to each sample."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import keras
import numpy as np

from gpugraph.model.layer_call import grown_axis

# Attributes of operations that follow from the shapes that they give.
SHAPES = ("newshape", "shape")


def difference(one: Any, several: Any, n: int) -> str | None:
    """Say what the first operation does that two functions do not share.

    Parameters
    ----------
    one : keras.Function
        Traced for one sample.
    several : keras.Function
        Of the same call, traced for more.
    n : int
        For how many.

    Returns
    -------
    str or None
        None where they do the same to each sample.
    """
    twins = {id(x): id(y) for x, y in zip(one.inputs, several.inputs, strict=True)}
    by_size = "goes by the size of the batch, or is another one at each call"
    for left, right in zip_longest(_nodes(one), _nodes(several)):
        if left is None or right is None or not _does_the_same(left, right, twins):
            return f"its '{(left or right).operation.name}' {by_size}"
        if not _keeps_apart(left, right, n):
            return f"its '{left.operation.name}' joins the samples of the batch, or leaves some out"
        twins |= {id(x): id(y) for x, y in zip(left.outputs, right.outputs, strict=True)}
    is_same = [twins[id(x)] for x in one.outputs] == [id(y) for y in several.outputs]
    return None if is_same else f"its 'output' {by_size}"


def batch_axes_of(one: Any, several: Any, n: int) -> dict[int, int]:
    """Return in which axis samples stand, by the id of each tensor of the first function."""
    found = {}
    for left, right in zip(_nodes(one), _nodes(several), strict=False):
        for x, y in zip(left.outputs, right.outputs, strict=False):
            axis = grown_axis(tuple(x.shape), tuple(y.shape), n)
            if axis is not None:
                found[id(x)] = axis
    return found


def _nodes(function: Any) -> list[Any]:
    """Return the calls within a function in topological order, but for the inputs."""
    depths = function._nodes_by_depth
    nodes = [node for depth in sorted(depths, reverse=True) for node in depths[depth]]
    return [node for node in nodes if not node.is_input]


def _does_the_same(one: Any, several: Any, twins: Mapping[int, int]) -> bool:
    """Whether two calls are of one operation, on the same."""
    parts = [
        keras.tree.flatten((x.arguments.args, x.arguments.kwargs, _options(x.operation)))
        for x in (one, several)
    ]
    return (
        type(one.operation) is type(several.operation)
        and len(parts[0]) == len(parts[1])
        and all(_is_alike(x, y, twins) for x, y in zip(*parts, strict=True))
        and len(one.outputs) == len(several.outputs)
    )


def _keeps_apart(one: Any, several: Any, n: int) -> bool:
    """Whether what a call gives grows with the number of samples.

    What joins samples is refused by converters, but where it leaves one.
    """
    shapes = [[tuple(y.shape) for y in x.outputs] for x in (one, several)]
    return all(
        x[:1] != (1,) or grown_axis(x, y, n) is not None for x, y in zip(*shapes, strict=True)
    )


def _options(operation: Any) -> Any:
    """Return what tells an operation from others of its class; a layer is itself."""
    if isinstance(operation, keras.Layer):
        return operation
    kept = {k: v for k, v in vars(operation).items() if k[0] != "_" and k not in ("name", *SHAPES)}
    return sorted(kept.items())


def _is_alike(one: Any, several: Any, twins: Mapping[int, int]) -> bool:
    """Whether two arguments are the same, or the same for each sample."""
    if one is several:
        return True
    if isinstance(one, keras.KerasTensor):
        return twins.get(id(one)) == id(several)
    if hasattr(one, "shape") and hasattr(several, "shape"):
        x, y = (np.asarray(keras.ops.convert_to_numpy(v)) for v in (one, several))
        is_one = x.shape == y.shape or (x.shape[:1], x.shape[1:]) == ((1,), y.shape[1:])
        return is_one and np.array_equal(np.broadcast_to(x, y.shape), y, equal_nan=True)
    if callable(one) and callable(several) and not isinstance(one, keras.Layer):
        return True  # made by the call anew
    return type(one) is type(several) and bool(one == several)
