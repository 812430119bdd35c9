"""Operations that move values: slices, transpositions, paddings, concatenations and their like."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import prod

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.layers.index_map import Origin, origins, origins_in_one, project_moved
from gpugraph.layers.operation import (
    OperationFunction,
    arguments_of,
    has_tensor,
    tensors_of,
    title,
)
from gpugraph.layers.weights import array
from gpugraph.population import Activation, Tensor
from gpugraph.registry import converts

# Arguments that say which values are moved, and where to.
CHOOSING = ("condition", "constant_values", "fill_value", "indices", "key", "start_indices")

# Operations after which the channel may be another dimension than before.
REORDERING = {"Moveaxis", "Rearrange", "Rot90", "Swapaxes", "Transpose"}


@converts(
    "ops.Append",
    "ops.ArraySplit",
    "ops.BroadcastTo",
    "ops.Concatenate",
    "ops.Copy",
    "ops.CropImages",
    "ops.DepthToSpace",
    "ops.Diagonal",
    "ops.Dsplit",
    "ops.Dstack",
    "ops.ExpandDims",
    "ops.ExtractPatches",
    "ops.ExtractSequences",
    "ops.Flip",
    "ops.Fliplr",
    "ops.FullLike",
    "ops.GetItem",
    "ops.Hsplit",
    "ops.Hstack",
    "ops.Moveaxis",
    "ops.OnesLike",
    "ops.Pad",
    "ops.PadImages",
    "ops.Rearrange",
    "ops.Repeat",
    "ops.Reshape",
    "ops.Roll",
    "ops.Rot90",
    "ops.SliceUpdate",
    "ops.SpaceToDepth",
    "ops.Split",
    "ops.Squeeze",
    "ops.Stack",
    "ops.StopGradient",
    "ops.Swapaxes",
    "ops.Take",
    "ops.TakeAlongAxis",
    "ops.Tile",
    "ops.Transpose",
    "ops.Tril",
    "ops.Triu",
    "ops.Unfold",
    "ops.Unstack",
    "ops.ZerosLike",
)
def move(call: Conversion) -> list[Tensor]:
    """Each value to its places (`copy`), constants as bias; no nodes where all stay in order."""
    _refuse_choices(call)
    _check_samples(call)
    return _given(call, origins(call), call.call.output_shapes)


def moved(call: Conversion) -> list[Tensor]:
    """Convert an operation that moves values and knows where samples stand (`Batch`)."""
    _refuse_choices(call)
    shapes = [batch.sample_shape for batch in call.call.output_batches]
    return _given(call, origins_in_one(call), shapes)


def _refuse_choices(call: Conversion) -> None:
    """Refuse an operation that lets the inputs say what is moved."""
    for name, value in arguments_of(call).items():
        if name in CHOOSING and has_tensor(value):
            raise call.unsupported(f"its {name} depend on the inputs, and with them the edges")


def _given(
    call: Conversion, origins: Sequence[Origin], shapes: Sequence[Sequence[int]]
) -> list[Tensor]:
    """Return the outputs of an operation whose values come from these places."""
    return [
        _moved(call, None if i == 0 else str(i), tuple(shape), origin)
        for i, (shape, origin) in enumerate(zip(shapes, origins, strict=True))
    ]


@converts("ops.Constant")
def constant(call: Conversion) -> Tensor:
    """Values that depend on no input, as bias; no edges."""
    return call.population(bias=array(call.layer.values)[0])


@converts("ops.Array", "ops.Cast", "ops.ConvertToTensor", "ops.SaturateCast")
def cast(call: Conversion) -> Tensor:
    """No nodes where values stay; cut to whole numbers or to 0 and 1, one to one (`copy`)."""
    dtype = call.layer.dtype
    if dtype is None or "float" in str(dtype):
        return call.source
    if "complex" in str(dtype):
        raise call.unsupported("it makes complex numbers, which nodes do not hold")
    return call.activated(call.source, Activation(title(call), OperationFunction(call.call)))


@converts("ops.Conj", "ops.Conjugate", "ops.Real")
def real(call: Conversion) -> Tensor:
    """No nodes: the same ones, which hold real numbers."""
    return call.source


def _check_samples(call: Conversion) -> None:
    """Refuse what moves or leaves out samples, which the two that `origins` tries may not show."""
    arguments = arguments_of(call)
    if call.call.layer_class == "GetItem":
        key = arguments["key"]
        first = key[0] if isinstance(key, (list, tuple)) and len(key) else key
        # A whole number is told of where values are moved.
        if isinstance(first, slice) and first.indices(sys.maxsize) != (0, sys.maxsize, 1):
            raise call.unsupported("it takes some samples of the batch, and leaves out others")
    # The indices may be what is given, and the values a constant.
    if call.call.layer_class in ("Roll", "Take") and has_tensor(arguments["x"]):
        axis = call.layer.axis
        call.dimensions(() if axis is None else axis, len(call.source.shape))


def _moved(call: Conversion, part: str | None, shape: tuple[int, ...], origin: Origin) -> Tensor:
    """Return one output: a tensor seen in another shape, or nodes of its own."""
    position, constant = origin
    tensors = list(tensors_of(call).values())
    starts = np.cumsum([0, *(prod(tensor.shape) for tensor in tensors)])
    for tensor, start, stop in zip(tensors, starts, starts[1:], strict=False):
        if np.array_equal(position.reshape(-1), np.arange(start, stop)):
            return tensor.reshape(shape)
    target = call.population(
        part,
        shape,
        bias=constant if constant.any() else None,
        channels_first=False if call.call.layer_class in REORDERING else None,
    )
    for tensor, start, stop in zip(tensors, starts, starts[1:], strict=False):
        here = (position >= start) & (position < stop)
        project_moved(call, tensor, target, np.where(here, position - start, -1))
    return target
