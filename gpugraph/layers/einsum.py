"""Edges by labelled dimensions, as in an einsum equation.

Labels are one letter per dimension, without the batch's: "thd" for (query, head, channel).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np

from gpugraph.axes import Axis, fan_in, fan_out, one_to_one, pairs
from gpugraph.conversion import Conversion
from gpugraph.population import LINEAR, Activation, Tensor, strides
from gpugraph.projection import Kind

BATCH = "Z"  # a label that no dimension bears
# Greek, which no equation uses: one label per dimension of an ellipsis, or of an operand.
SPARE = "".join(chr(0x3B1 + i) for i in range(64))


@dataclass(frozen=True, eq=False)
class Meeting:
    """Which positions along two dimensions meet, where not all of them do: a causal mask.

    As an axis, the pairs that meet are listed one by one: of a sequence's own pairs, some half.
    Two axes would be every row with every column.

    Attributes
    ----------
    labels : str
        The two dimensions' labels; wherever both stand, they stand side by side.
    met : bool array of shape ``(n, m)``
    """

    labels: str
    met: np.ndarray

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of every pair; row by row."""
        rows, columns = np.nonzero(self.met)
        return rows, columns

    def axis(self, into: str, out: str) -> Axis:
        """Return the axis from dimensions with some of the two labels to ones with others."""
        src, n_src = self._positions(into)
        dst, n_dst = self._positions(out)
        return pairs(src, dst, np.zeros_like(src), n_src, n_dst, 1)

    def _positions(self, labels: str) -> tuple[np.ndarray, int]:
        """Return each pair's position along the dimensions that bear these labels, and how many."""
        (rows, columns), (n, m) = self.pairs, self.met.shape
        row, column = (label in labels for label in self.labels)
        if row and column:
            return rows * m + columns, n * m
        if row or column:
            return (rows, n) if row else (columns, m)
        return np.zeros_like(rows), 1


def project(
    call: Conversion,
    source: Tensor,
    into: str,
    target: Tensor,
    out: str,
    kernel: np.ndarray | None = None,
    across: str = "",
    kind: Kind = "weight",
    meeting: Meeting | None = None,
) -> None:
    """Add the edges that one operand of an einsum equation sends to its result.

    A label of source and target is kept (one to one), of the source alone summed (fan-in), of
    the target alone made (fan-out). One that an operand bears twice walks along its diagonal.

    Parameters
    ----------
    call : Conversion
    source, target : Tensor
    into, out : str
        Labels of their dimensions.
    kernel : array, optional
        Weights, whose dimensions bear the labels ``across``. None: 1.
    across : str
    kind : str
        Kind of the edges.
    meeting : Meeting, optional
        The pairs of positions along two dimensions that have edges. None: all.

    Raises
    ------
    ShapeError
        If dimensions of one label differ in length.
    """
    weights = () if kernel is None else kernel.shape
    sizes = _sizes(into + out + across, source.shape + target.shape + weights)
    if sizes is None:
        raise call.misfit(f"output {target.shape} and a kernel of shape {weights}")
    src, dst, tap = _steps(into, source.shape), _steps(out, target.shape), _steps(across, weights)
    met = "" if meeting is None else meeting.labels
    axes = []
    # Kept dimensions first, then the summed, then the made ones, as in Dense.
    order = [x for x in into if x in out] + [x for x in into if x not in out] + list(out)
    for label in dict.fromkeys(order):
        if label in met:
            continue
        axis = fan_out if label not in into else one_to_one if label in out else fan_in
        axes.append(axis(sizes[label]).place(*(step.get(label, 0) for step in (src, dst, tap))))
    if meeting is not None:
        # The later of two dimensions side by side is the one whose steps are the shorter.
        steps = (min((step[x] for x in met if x in step), default=0) for step in (src, dst))
        # Last, so that what is summed is summed before it is sent along all the pairs.
        axes.append(meeting.axis(into, out).place(*steps))
    call.project(source, target, axes, kernel, kind)


def multiply(
    call: Conversion,
    part: str | None,
    operands: Sequence[tuple[Tensor, str]],
    out: str,
    *,
    shape: Sequence[int] | None = None,
    made: Mapping[str, int] = MappingProxyType({}),
    factor: float = 1.0,
    function: Callable[..., np.ndarray] | None = None,
    bias: np.ndarray | None = None,
    activation: Activation = LINEAR,
    meeting: Meeting | None = None,
) -> Tensor:
    """Add a population that is a product of activations, each of which weighs the others.

    Parameters
    ----------
    call : Conversion
    part : str or None
        The population's name is ``name/part``.
    operands : sequence of (Tensor, str)
        What is multiplied and the labels of its dimensions: the sources of `dynamic` edges.
    out : str
        The result's labels.
    shape : tuple of int, optional
        The shape in which the result is seen; by default as its labels say.
    made : mapping of str to int
        Lengths of the dimensions that no operand has, but what the function holds.
    factor : float
        What the product is multiplied by.
    function : callable, optional
        Computes the result from arrays of shape ``(batch, *operand's shape)``. By default the
        sum of products that the labels stand for.
    bias : array broadcastable to the shape, optional
    activation : Activation
    meeting : Meeting, optional
        The pairs of positions that have edges, as in `project`.
    """
    labels = "".join(labels for _, labels in operands)
    sizes = _sizes(labels, [n for tensor, _ in operands for n in tensor.shape])
    if sizes is None:
        raise call.misfit("inputs that fit each other")
    sizes = {**made, **sizes}
    own = tuple(sizes[label] for label in out)
    shape = own if shape is None else tuple(shape)
    into = tuple(labels for _, labels in operands)
    target = call.population(
        part,
        shape,
        bias=bias,
        activation=activation,
        dynamics=function or SumOfProducts(into, out, shape, factor),
        sources=[tensor for tensor, _ in operands],
    )
    for tensor, labels in operands:
        project(call, tensor, labels, target.reshape(own), out, kind="dynamic", meeting=meeting)
    return target


@dataclass(frozen=True)
class SumOfProducts:
    """An einsum over a batch, times a number.

    Attributes
    ----------
    into : tuple of str
        The operands' labels.
    out : str
        The result's labels.
    shape : tuple of int
        The shape in which it is given, without the batch axis.
    factor : float
    """

    into: tuple[str, ...]
    out: str
    shape: tuple[int, ...]
    factor: float = 1.0

    def __call__(self, *operands: np.ndarray) -> np.ndarray:
        """Return the products, summed over what the result does not bear."""
        import keras

        equation = ",".join(BATCH + labels for labels in self.into) + "->" + BATCH + self.out
        products = keras.ops.einsum(equation, *map(keras.ops.convert_to_tensor, operands))
        values = np.asarray(keras.ops.convert_to_numpy(products))
        return values.reshape(-1, *self.shape) * self.factor


def _sizes(labels: str, lengths: Sequence[int]) -> dict[str, int] | None:
    """Return the length of the dimensions that bear each label; None where they differ."""
    if len(labels) != len(lengths):
        return None
    sizes = dict(zip(labels, lengths, strict=True))
    fits = all(sizes[label] == n for label, n in zip(labels, lengths, strict=True))
    return sizes if fits else None


def _steps(labels: str, shape: Sequence[int]) -> dict[str, int]:
    """Elements from one position to the next along each label; a repeated one's add up."""
    steps: dict[str, int] = {}
    for label, stride in zip(labels, strides(shape), strict=True):
        steps[label] = steps.get(label, 0) + stride
    return steps
