"""Dense and EinsumDense."""

from __future__ import annotations

from gpugraph.axes import fan_in, fan_out, one_to_one
from gpugraph.conversion import Conversion
from gpugraph.layers.einsum import project
from gpugraph.layers.weights import activation, array, bias, kernel
from gpugraph.population import Tensor
from gpugraph.registry import converts


@converts("Dense")
def dense(call: Conversion) -> Tensor:
    """Every input to every unit (`weight`), at each position of the leading dimensions."""
    source, weights = call.source, kernel(call)
    target = call.population(bias=bias(call), activation=activation(call))
    axes = [
        one_to_one(n).place(src, dst)
        for n, src, dst in zip(source.shape[:-1], source.strides, target.strides, strict=False)
    ]
    n_in, n_out = weights.shape
    if n_in != source.shape[-1]:
        raise call.misfit(f"{n_in} inputs")
    axes.append(fan_in(n_in).place(src=1, tap=n_out))
    axes.append(fan_out(n_out).place(dst=1, tap=1))
    call.project(source, target, axes, weights)
    return target


@converts("EinsumDense")
def einsum_dense(call: Conversion) -> Tensor:
    """One axis per label of the equation: kept, summed, made, or all three (`weight`)."""
    source, weights = call.source, kernel(call)
    offset = None if call.layer.bias is None else array(call.layer.bias)
    target = call.population(bias=offset, activation=activation(call))
    into, across, out = _labels(call, len(source.shape))
    project(call, source, into, target, out, weights, across)
    return target


def _labels(call: Conversion, rank: int) -> tuple[str, str, str]:
    """Return the labels of input, kernel and output, without the batch's or an ellipsis."""
    left, out = call.layer.equation.replace(" ", "").split("->")
    into, across = left.split(",")
    spare = "".join(chr(0x3B1 + i) for i in range(rank + 1))  # no Keras equation uses Greek
    elided = spare[: rank + 1 - len(into.replace("...", ""))]
    into, out = into.replace("...", elided), out.replace("...", elided)
    batch = into[0]
    if out[:1] != batch or batch in into[1:] + across + out[1:]:
        raise call.unsupported(f"its equation {call.layer.equation!r} joins samples of the batch")
    return into[1:], across, out[1:]
