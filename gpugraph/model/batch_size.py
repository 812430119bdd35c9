"""Whether two traces of a call, for batches of different sizes, do the same to each sample."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import keras
import numpy as np
from keras.src.utils.backend_utils import DynamicBackend

from gpugraph.model.layer_call import grown_axis

# Attributes of operations that follow from the shapes that they give.
SHAPES = ("newshape", "shape")
# By how many units in the last place values may differ that are the same.
ROUNDING = 8
# Attributes of layers that do not tell what they do.
OF_EVERY_LAYER = frozenset(vars(keras.Layer(name="any")))


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
    if isinstance(one, keras.Layer):
        return _is_remade(one, several)
    if hasattr(one, "shape") and hasattr(several, "shape"):
        x, y = (np.asarray(keras.ops.convert_to_numpy(v)) for v in (one, several))
        is_one = x.shape == y.shape or (x.shape[:1], x.shape[1:]) == ((1,), y.shape[1:])
        return is_one and _is_rounded(np.broadcast_to(x, y.shape), y)
    if _is_function(one) and _is_function(several):
        return True  # made by the call anew
    return type(one) is type(several) and bool(one == several)


def _is_rounded(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether values are the same, but for rounding: backends sum more samples in another order."""
    if not np.issubdtype(x.dtype, np.floating):
        return np.array_equal(x, y)
    rounding = ROUNDING * np.finfo(x.dtype).eps
    largest = np.abs(x[np.isfinite(x)]).max(initial=0)
    return np.allclose(x, y, rtol=rounding, atol=rounding * min(largest, 1), equal_nan=True)


def _is_remade(one: Any, several: Any) -> bool:
    """Whether two layers do the same, as when ``call`` makes one anew: ``layers.Add()([x, y])``.

    They are of one class, without weights, and hold the same: functions the very same.
    """
    if type(one) is not type(several) or one.variables or several.variables:
        return False
    left, right = _held(one), _held(several)
    return [path for path, _ in left] == [path for path, _ in right] and all(
        x == y if _is_function(x) else _is_alike(x, y, {})
        for (_, x), (_, y) in zip(left, right, strict=True)
    )


def _held(layer: Any) -> list[tuple[Any, Any]]:
    """Return what a layer holds beyond what every layer does, and its precision, by path."""
    own = {k: v for k, v in vars(layer).items() if k not in OF_EVERY_LAYER}
    own = {k: v for k, v in own.items() if not isinstance(v, DynamicBackend)}
    return list(keras.tree.flatten_with_path(own | {"dtype_policy": layer.dtype_policy}))


def _is_function(value: Any) -> bool:
    """Whether a value can be called, and is no layer."""
    return callable(value) and not isinstance(value, keras.Layer)
