"""Dense and EinsumDense."""

from __future__ import annotations

from gpugraph.axes import fan_in, fan_out, one_to_one
from gpugraph.conversion import Conversion
from gpugraph.layers.weights import activation, array, bias, kernel
from gpugraph.population import Tensor, strides
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
    labels, lengths = into + out + across, source.shape + target.shape + weights.shape
    sizes = dict(zip(labels, lengths, strict=True))
    if lengths != tuple(sizes[label] for label in labels):
        raise call.misfit(f"output {target.shape} and a kernel of shape {weights.shape}")
    src, dst, tap = (
        dict(zip(labels, strides(shape), strict=True))
        for labels, shape in ((into, source.shape), (out, target.shape), (across, weights.shape))
    )
    axes = []
    # Kept dimensions first, then the summed, then the made ones, as in Dense.
    order = [x for x in into if x in out] + [x for x in into if x not in out]
    for label in order + [x for x in out if x not in into]:
        kind = fan_out if label not in into else one_to_one if label in out else fan_in
        place = (src.get(label, 0), dst.get(label, 0), tap.get(label, 0))
        axes.append(kind(sizes[label]).place(*place))
    call.project(source, target, axes, weights)
    return target


def _labels(call: Conversion, rank: int) -> tuple[str, str, str]:
    """Return the labels of input, kernel and output, without the batch's or an ellipsis."""
    left, out = call.layer.equation.replace(" ", "").split("->")
    into, across = left.split(",")
    spare = "".join(chr(0x3B1 + i) for i in range(rank + 1))  # no Keras equation uses Greek
    elided = spare[: rank + 1 - len(into.replace("...", ""))]
    into, out = into.replace("...", elided), out.replace("...", elided)
    batch = into[0]
    plain = (
        out[:1] == batch
        and batch not in across
        and all(len(set(labels)) == len(labels) for labels in (into, across, out))
        and set(across) <= set(into) | set(out)
    )
    if not plain:
        raise call.unsupported(f"its equation {call.layer.equation!r} is not a plain product")
    return into[1:], across, out[1:]
