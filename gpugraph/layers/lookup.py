"""Operations that read by positions: rows of a table, or values of the sample itself."""

from __future__ import annotations

from gpugraph.conversion import Conversion
from gpugraph.layers.embedding import looked_up
from gpugraph.layers.moving import move
from gpugraph.layers.operation import OperationFunction, arguments_of, has_tensor, tensors_of
from gpugraph.layers.positions import project_along
from gpugraph.layers.weights import array
from gpugraph.population import Tensor
from gpugraph.registry import converts, find_converter, has_converter


@converts("ops.Take")
def take(call: Conversion) -> Tensor:
    """As ops.GetItem; positions in a constant table as the tokens of an Embedding."""
    x, indices = (arguments_of(call)[name] for name in ("x", "indices"))
    if not has_tensor(indices):
        return move(call)[0]
    if has_tensor(x):
        raise call.unsupported("it takes from every sample what the indices of all samples say")
    table = array(x)
    axis = call.layer.axis
    if axis is None:
        table, axis = table.reshape(-1), 0
    if axis % table.ndim != 0:
        raise call.unsupported(f"along axis {axis} it does not keep the batch axis in front")
    return looked_up(call, call.source, table.reshape(len(table), -1))


@converts("ops.TakeAlongAxis")
def take_along_axis(call: Conversion) -> Tensor:
    """As ops.GetItem; all values along the axis where inputs say which (`dynamic`)."""
    x, indices = (arguments_of(call)[name] for name in ("x", "indices"))
    if not has_tensor(indices):
        return move(call)[0]
    tensors, rank = tensors_of(call), len(call.output_shape)
    if call.layer.axis is None:
        raise call.unsupported("without an axis it joins the samples of the batch")
    (dimension,) = call.dimensions(call.layer.axis, rank)
    if not has_tensor(x) and x.shape[0] != 1:
        raise call.unsupported("a constant of its own differs from sample to sample of the batch")
    target = call.population(dynamics=OperationFunction(call.call), sources=tuple(tensors.values()))
    call.project_elementwise(tensors[indices], target, kind="dynamic")
    if has_tensor(x):
        project_along(call, tensors[x], target, dimension)
    return target


def is_moving(call: Conversion) -> bool:
    """Whether an operation moves values to places which no input says."""
    if not has_converter(call.layer):
        return False
    converter = find_converter(call.layer, call.call.name)
    is_reading = converter in (take, take_along_axis)
    return converter is move or (is_reading and not has_tensor(arguments_of(call)["indices"]))
