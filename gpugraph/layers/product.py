"""Products and sums over labelled dimensions: matmul, dot, inner, einsum, cross, trace ..."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.layers.einsum import SPARE, Meeting, multiply, project
from gpugraph.layers.operation import OperationFunction, has_tensor, starts_over, tensors_of
from gpugraph.layers.weights import array
from gpugraph.model.layer_call import TensorRef
from gpugraph.population import Tensor
from gpugraph.registry import converts

JOINED = "it joins samples of the batch"

# The sign of e[i] x e[j] along e[k], of the unit vectors of space.
LEVI_CIVITA = np.linalg.det(np.eye(3)[np.moveaxis(np.indices((3, 3, 3)), 0, -1)])

Operand = tuple[Any, str]  # a tensor or a constant, and a label per dimension, the batch's too


@converts("ops.Matmul")
def matmul(call: Conversion) -> Tensor:
    """Every value to what it is multiplied into (`weight`); of two tensors `dynamic` edges."""
    (left, right), (n, m) = _operands(call)
    lead = SPARE[: max(n, m, 2) - 2]
    rows, columns = "" if n == 1 else "i", "" if m == 1 else "j"
    operands = [
        (left, lead[len(lead) - max(n - 2, 0) :] + rows + "k"),
        (right, lead[len(lead) - max(m - 2, 0) :] + "k" + columns),
    ]
    return product(call, operands, lead + rows + columns)


@converts("ops.Dot")
def dot(call: Conversion) -> Tensor:
    """As ops.Matmul, over the last axis and the last but one."""
    _, (n, m) = _operands(call)
    return _contracted(call, [n - 1], [max(m - 2, 0)])


@converts("ops.Inner")
def inner(call: Conversion) -> Tensor:
    """As ops.Matmul, over the last axis of both."""
    _, (n, m) = _operands(call)
    return _contracted(call, [n - 1], [m - 1])


@converts("ops.Tensordot")
def tensordot(call: Conversion) -> Tensor:
    """As ops.Matmul, over the axes that it names."""
    axes, (_, (n, m)) = call.layer.axes, _operands(call)
    if isinstance(axes, int):
        return _contracted(call, range(n - axes, n), range(axes))
    left, right = (np.atleast_1d(a).tolist() for a in axes)
    return _contracted(call, [a % n for a in left], [a % m for a in right])


@converts("ops.Einsum")
def einsum(call: Conversion) -> Tensor:
    """One axis per label of the equation (`weight`, `copy`); of several tensors `dynamic` edges."""
    into, arrow, out = call.layer.subscripts.replace(" ", "").partition("->")
    operands, ranks = _operands(call)
    named = into.split(",")
    elided = SPARE[: max(n - len(x.replace("...", "")) for x, n in zip(named, ranks, strict=True))]
    labels = [
        x.replace("...", elided[len(elided) - n + len(x.replace("...", "")) :])
        for x, n in zip(named, ranks, strict=True)
    ]
    if not arrow:  # what occurs once, in alphabetical order
        letters = into.replace(",", "").replace("...", "")
        out = "..." + "".join(sorted(x for x in set(letters) if letters.count(x) == 1))
    return product(call, list(zip(operands, labels, strict=True)), out.replace("...", elided))


@converts("ops.Cross")
def cross(call: Conversion) -> Tensor:
    """Two components to the third: by a constant `weight` edges, of two tensors `dynamic` ones."""
    layer, (operands, ranks) = call.layer, _operands(call)
    lead = SPARE[: max(ranks) - 1]
    out = _inserted(lead, layer.axisc, "k")
    labelled = [
        (x, _inserted(lead[len(lead) - rank + 1 :], axis, component))
        for x, rank, axis, component in zip(
            operands, ranks, (layer.axisa, layer.axisb), "ij", strict=True
        )
    ]
    tensors = tensors_of(call)
    shapes = [(0, *tensors[x].shape) if has_tensor(x) else np.shape(x) for x in operands]
    if any(
        shape[labels.index(component)] != 3
        for shape, (_, labels), component in zip(shapes, labelled, "ij", strict=True)
    ):
        raise call.unsupported("its vectors have two components, or are the batch")
    if not all(map(has_tensor, operands)):
        return product(call, [*labelled, (LEVI_CIVITA, "ijk")], out)
    if any(labels[0] != out[0] for _, labels in labelled):
        raise call.unsupported(JOINED)
    target = call.population(dynamics=OperationFunction(call.call), sources=[*tensors.values()])
    for (ref, labels), component in zip(labelled, "ij", strict=True):
        source = tensors[ref]
        meeting = Meeting(component + "k", ~np.eye(3, dtype=bool))
        sizes = dict(zip(out[1:], target.shape, strict=True))
        into = unlike(labels[1:], source.shape, sizes)
        project(call, source, into, target, out[1:], kind="dynamic", meeting=meeting)
    return target


@converts("ops.Vander")
def powers(call: Conversion) -> Tensor:
    """Every value to each of its powers (`dynamic`)."""
    if call.layer.N is None:
        raise call.unsupported("without N, how many powers it takes is the size of the batch")
    target = call.population(dynamics=OperationFunction(call.call))
    project(call, call.source, "", target, "p", kind="dynamic")
    return target


@converts("ops.CDist")
def distances(call: Conversion) -> Tensor:
    """Both points to their distance (`dynamic`)."""
    operands, ranks = _operands(call)
    if not all(map(has_tensor, operands)) or ranks[0] != ranks[1]:
        raise call.unsupported("its operands are not two tensors of one rank")
    lead = SPARE[: ranks[0] - 2]
    labelled = [(x, lead + point + "k") for x, point in zip(operands, "ij", strict=True)]
    return product(call, labelled, lead + "ij")


@converts("ops.RGBToGrayscale")
def grayscale(call: Conversion) -> Tensor:
    """Every colour of a pixel, with its share of the luminance (`weight`)."""
    if len(call.source.shape) != 3:
        raise call.unsupported("it takes a single image, whose rows would be the batch")
    is_first = call.layer.data_format == "channels_first"
    n = call.source.shape[0 if is_first else -1]
    colours = np.eye(n, dtype=np.float32).reshape((n, n, 1, 1) if is_first else (n, 1, 1, n))
    luminances = OperationFunction(call.call).outputs(colours)[0].reshape(n, 1)
    into, out = ("bcyx", "bgyx") if is_first else ("byxc", "byxg")
    return product(call, [(call.call.inputs[0], into), (luminances, "cg")], out)


@converts("ops.Trace")
def trace(call: Conversion) -> Tensor:
    """Every value on the diagonal, weight 1 (`copy`)."""
    layer, (operands, (rank,)) = call.layer, _operands(call)
    one, other = sorted((layer.axis1 % rank, layer.axis2 % rank))
    sizes = (None, *call.source.shape)
    if layer.offset or sizes[one] != sizes[other]:
        raise call.unsupported("its diagonal is not that of a square")
    labels = SPARE[:other] + SPARE[one] + SPARE[other : rank - 1]
    return product(call, [(operands[0], labels)], labels[:1] + labels[1:].replace(SPARE[one], ""))


def _inserted(labels: str, axis: int, label: str) -> str:
    """Put a label among others, where it stands at Keras's axis."""
    at = axis % (len(labels) + 1)
    return labels[:at] + label + labels[at:]


def _operands(call: Conversion) -> tuple[list[Any], list[int]]:
    """Return the operands, and their numbers of dimensions with the batch's."""
    operands = [*call.call.args, *call.call.kwargs.values()]
    tensors = tensors_of(call)
    ranks = [
        len(tensors[x].shape) + 1 if isinstance(x, TensorRef) else np.ndim(x) for x in operands
    ]
    if 0 in ranks:
        raise call.unsupported("one of its operands is a single number; multiply by it instead")
    return operands, ranks


def _contracted(call: Conversion, left: Sequence[int], right: Sequence[int]) -> Tensor:
    """Convert a sum over these axes of the two operands, in pairs."""
    operands, (n, m) = _operands(call)
    one, other = SPARE[:n], list(SPARE[n : n + m])
    for a, b in zip(left, right, strict=True):
        other[b] = one[a]
    summed = {one[a] for a in left}
    out = "".join(x for x in (*one, *other) if x not in summed)
    return product(call, [(operands[0], one), (operands[1], "".join(other))], out)


def product(call: Conversion, operands: Sequence[Operand], out: str) -> Tensor:
    """Add nodes that hold a product of tensors and constants, summed over what ``out`` lacks."""
    if starts_over(call):
        raise call.unsupported("it gives numbers of a type in which sums start over")
    tensors = tensors_of(call)
    inputs = [(x, labels) for x, labels in operands if has_tensor(x)]
    batch = inputs[0][1][0]
    if out[:1] != batch or batch in out[1:]:
        raise call.unsupported(JOINED)
    for _, labels in inputs:
        if labels[0] != batch or batch in labels[1:]:
            raise call.unsupported(JOINED)
    into = [(tensors[x], labels[1:]) for x, labels in inputs]
    constants = [(array(x), labels) for x, labels in operands if not has_tensor(x)]
    if any(n != 1 for x, labels in constants for n in _lengths(x.shape, labels, batch)):
        raise call.unsupported("a constant of its own differs from sample to sample of the batch")
    sizes = dict(zip(out[1:], call.output_shape, strict=True))
    for tensor, labels in into:
        sizes |= {x: n for x, n in zip(labels, tensor.shape, strict=True) if n > 1}
    into = [(tensor, unlike(labels, tensor.shape, sizes)) for tensor, labels in into]
    if len(into) > 1:
        return _of_tensors(call, [x for x, _ in inputs], into, out[1:])
    ((source, labels),) = into
    target = call.population()
    if not constants:
        project(call, source, labels, target, out[1:], kind="copy")
        return target
    kernel, across = _kernel(constants, set(labels + out[1:]), sizes)
    project(call, source, labels, target, out[1:], kernel, across)
    return target


def _lengths(shape: Sequence[int], labels: str, wanted: str) -> list[int]:
    """Return the lengths of the dimensions that bear a label."""
    return [n for n, label in zip(shape, labels, strict=True) if label == wanted]


def unlike(labels: str, shape: Sequence[int], sizes: dict[str, int]) -> str:
    """Give dimensions of length 1 that broadcast to longer ones labels of their own."""
    return "".join(
        label if n == sizes.get(label, n) else SPARE[-1 - i]
        for i, (label, n) in enumerate(zip(labels, shape, strict=True))
    )


def _kernel(
    constants: Sequence[tuple[np.ndarray, str]], known: set[str], sizes: dict[str, int]
) -> tuple[np.ndarray, str]:
    """Multiply constants into one; what neither tensor nor result knows is summed."""
    squeezed = []
    for values, labels in constants:
        spread = [
            i
            for i, (n, x) in enumerate(zip(values.shape, labels, strict=True))
            if n == 1 and (x not in known or sizes.get(x, 1) > 1)
        ]
        left = "".join(x for i, x in enumerate(labels) if i not in spread)
        squeezed.append((np.squeeze(values, tuple(spread)), left))
    if len(squeezed) == 1 and set(squeezed[0][1]) <= known:
        return squeezed[0]  # in the memory of the model
    letters = list(dict.fromkeys("".join(labels for _, labels in squeezed)))
    across = [x for x in letters if x in known]
    given: list[Any] = []
    for values, labels in squeezed:
        given += [values.astype(np.float64), [letters.index(x) for x in labels]]
    return np.einsum(*given, [letters.index(x) for x in across]), "".join(across)


def _of_tensors(
    call: Conversion, refs: Sequence[TensorRef], operands: Sequence[tuple[Tensor, str]], out: str
) -> Tensor:
    """Add nodes that hold a product of tensors, and of constants maybe."""
    operation = OperationFunction(call.call)

    def function(*arrays: np.ndarray) -> np.ndarray:
        return operation(*dict(zip(refs, arrays, strict=True)).values())

    made = dict(zip(out, call.output_shape, strict=True))
    return multiply(call, None, operands, out, made=made, function=function)
