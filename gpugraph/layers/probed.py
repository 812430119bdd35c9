"""Layers without a converter, probed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np

from gpugraph.axes import listed
from gpugraph.conversion import Conversion
from gpugraph.errors import GraphTooLargeError
from gpugraph.model.layer_call import substitute
from gpugraph.population import Tensor
from gpugraph.probe import AffineMap, NotAffineError, affine_map
from gpugraph.registry import class_name


def probed(call: Conversion) -> list[Tensor]:
    """Every input to each output whose value it moves (`weight`), found by probing."""
    inputs = _distinct(call)
    found = _probe(call, inputs)
    outputs, end = [], 0
    for i, shape in enumerate(call.call.output_shapes):
        start, end = end, end + prod(shape)
        offset = found.offset[start:end]
        bias = offset.reshape(shape) if offset.any() else None
        target = call.population(str(i) if i else None, shape, bias=bias)
        _project(call, found, inputs, target, start)
        outputs.append(target)
    return outputs


def _distinct(call: Conversion) -> dict[Any, Tensor]:
    """The tensors that a layer is called on, each once."""
    refs = call.call.inputs or range(len(call.sources))
    return dict(zip(refs, call.sources, strict=True))


def _project(
    call: Conversion, found: AffineMap, inputs: dict[Any, Tensor], target: Tensor, start: int
) -> None:
    """Add the edges from every input to an output that starts at this place among all."""
    n = prod(target.shape)
    into = (found.dst >= start) & (found.dst < start + n)
    first = 0
    for source in inputs.values():
        size = prod(source.shape)
        chosen = into & (found.src >= first) & (found.src < first + size)
        src, dst = found.src[chosen] - first, found.dst[chosen] - start
        if len(src):
            axis = listed(src, dst, np.arange(len(src)), size, n, len(src))
            call.project(source, target, [axis], found.weight[chosen])
        first += size


def _probe(call: Conversion, inputs: dict[Any, Tensor]) -> AffineMap:
    """Probe a layer; say which one it is where that fails."""
    precision = str(getattr(call.layer, "compute_dtype", "float32"))
    if precision not in ("float32", "float64"):
        raise call.unsupported(
            f"it computes in {precision}, whose rounding hides whether it is affine"
        )
    shapes = [tensor.shape for tensor in inputs.values()]
    try:
        with _unchanged(call):
            return affine_map(_function(call, inputs), shapes, call.dtype)
    except NotAffineError as error:
        raise call.unsupported(
            f"probe=True finds affine layers only, and {error}. A converter can be registered "
            f'for it: @gpugraph.converts("{class_name(call.layer)}")'
        ) from error
    except GraphTooLargeError as error:
        raise GraphTooLargeError(
            f"Cannot probe layer '{call.call.name}' ({call.call.layer_class}): "
            f"{str(error).rstrip('.')}. Convert the model at a smaller input_shape, or register a "
            f'converter with @gpugraph.converts("{call.call.layer_class}").'
        ) from error


def _function(call: Conversion, inputs: dict[Any, Tensor]) -> Callable[[np.ndarray], np.ndarray]:
    """A layer as a function of flat inputs, one after the other, to flat outputs."""
    import keras

    sizes = [prod(tensor.shape) for tensor in inputs.values()]
    starts = np.cumsum(sizes)[:-1]

    def function(x: np.ndarray) -> np.ndarray:
        parts = np.split(x, starts, axis=1)
        tensors = {
            ref: keras.ops.convert_to_tensor(part.reshape(len(x), *tensor.shape))
            for (ref, tensor), part in zip(inputs.items(), parts, strict=True)
        }
        try:
            outputs = keras.tree.flatten(_called(call, tensors))
            arrays = [np.asarray(keras.ops.convert_to_numpy(y)) for y in outputs]
        except Exception as error:  # whatever the layer's author lets it raise
            raise call.unsupported(
                f"it cannot be probed, for on random numbers it raises {type(error).__name__}"
                f"{_reason(error)}"
            ) from error
        if any(np.iscomplexobj(y) for y in arrays):
            raise call.unsupported("it makes complex numbers, which nodes do not hold")
        expected = [(len(x), *shape) for shape in call.call.output_shapes]
        if [y.shape for y in arrays] != expected:
            raise NotAffineError(f"it gives {[y.shape for y in arrays]} in place of {expected}")
        return np.concatenate([y.reshape(len(x), -1) for y in arrays], axis=1).astype(x.dtype)

    return function


def _reason(error: Exception) -> str:
    """First line of what a layer says, in brackets, without what Keras wraps around it."""
    lines = [re.sub(r"\x1b\[\d*m", "", line).strip(" .") for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith("Exception encountered")]
    return f" ({said[0]})" if said else ""


def _called(call: Conversion, tensors: dict[Any, Any]) -> Any:
    """What a layer gives when it is called on these tensors as it is in the model."""
    kwargs = dict(call.call.kwargs)
    if getattr(call.layer, "_call_has_training_arg", False):
        kwargs.setdefault("training", False)
    if not call.call.inputs:  # a layer that another wraps
        given = list(tensors.values())
        return call.layer(given[0] if len(given) == 1 else given, **kwargs)
    args, kwargs = substitute((call.call.args, kwargs), tensors)
    return call.layer(*args, **kwargs)


@contextmanager
def _unchanged(call: Conversion) -> Iterator[None]:
    """Put a layer's variables back if calling it changed them, and refuse it."""
    import keras

    variables = getattr(call.layer, "variables", [])
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in variables]
    changed = []
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            if not np.array_equal(keras.ops.convert_to_numpy(variable), value, equal_nan=True):
                variable.assign(value)
                changed.append(variable.name)
    if changed:
        raise NotAffineError(f"calling it changes its {', '.join(changed)}")
