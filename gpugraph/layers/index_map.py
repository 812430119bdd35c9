"""Operations that move values without changing them: where each value comes from, as axes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import NamedTuple

import numpy as np

from gpugraph.axes import Axis, fan_out, one_to_one, pairs
from gpugraph.conversion import Conversion
from gpugraph.layers.operation import OperationFunction, tensors_of
from gpugraph.population import Tensor, strides


def project_moved(call: Conversion, source: Tensor, target: Tensor, origin: np.ndarray) -> None:
    """Project each target element from the source element whose value it holds (`copy`).

    Parameters
    ----------
    call : Conversion
    source, target : Tensor
    origin : int array of the target's shape
        Flat position in the source; negative: from nowhere.
    """
    if (origin >= 0).any():
        call.project(source, target, index_axes(origin, source.shape), kind="copy")


def index_axes(origin: np.ndarray, shape: Sequence[int]) -> list[Axis]:
    """Return axes whose outer product holds exactly the pairs of an index map.

    One axis per target dimension where each reads source dimensions of its own, as slices, flips,
    tiles, paddings and transpositions do; otherwise one axis that lists every pair.

    Parameters
    ----------
    origin : int array of the target's shape
        Flat position in the source, in C order; negative: none. Not all are.
    shape : sequence of int
        The source's shape.
    """
    axes = _separated(origin, tuple(shape) or (1,))
    if axes is None:
        axes = _separated(origin.reshape(-1), (prod(shape),))
        assert axes is not None  # one dimension alone is always separate
    return axes


class _Line(NamedTuple):
    """A target dimension: which of its positions are filled, and from where in the source."""

    dst: np.ndarray
    origin: np.ndarray  # while all other target dimensions stay at their first filled position

    def span(self, shape: tuple[int, ...]) -> tuple[int, int] | None:
        """First and last source dimension that this one walks along; None: it stays in place."""
        walked = [
            dim
            for dim, index in enumerate(np.unravel_index(self.origin, shape))
            if (index != index[0]).any()
        ]
        return (walked[0], walked[-1]) if walked else None


def _separated(origin: np.ndarray, shape: tuple[int, ...]) -> list[Axis] | None:
    """Return one axis per dimension of the target; None where they depend on one another."""
    lines = _lines(origin)
    if lines is None:
        return None
    spans = [line.span(shape) for line in lines]
    if not _apart([span for span in spans if span is not None]):
        return None
    axes = []
    for line, span, n_dst, dst in zip(
        lines, spans, origin.shape, strides(origin.shape), strict=True
    ):
        if span is None and n_dst > 1:
            axes.append(_axis(np.zeros_like(line.dst), line.dst, 1, n_dst).place(dst=dst))
        elif span is not None:
            n_src, step = prod(shape[span[0] : span[1] + 1]), strides(shape)[span[1]]
            src = line.origin // step % n_src
            axes.append(_axis(src, line.dst, n_src, n_dst).place(src=step, dst=dst))
    # Where no target dimension walks along a source dimension, all stand at one position of it.
    start = np.unravel_index(origin.max(), shape)
    walked = {dim for span in spans if span for dim in range(span[0], span[1] + 1)}
    for dim, (n, step) in enumerate(zip(shape, strides(shape), strict=True)):
        if dim not in walked and start[dim] > 0:
            axes.append(pairs([start[dim]], [0], [0], n, 1, 1).place(src=step))
    return axes


def _lines(origin: np.ndarray) -> list[_Line] | None:
    """Take an index map apart into its target dimensions; None where it is not their sum."""
    filled = origin >= 0
    dims = range(origin.ndim)
    kept = [np.flatnonzero(filled.any(axis=tuple(e for e in dims if e != d))) for d in dims]
    grid = origin[np.ix_(*kept)] if kept else origin
    if (grid < 0).any():
        return None
    first = grid.flat[0]
    along = [grid[tuple(slice(None) if e == d else 0 for e in dims)] for d in dims]
    steps = np.ix_(*(values - first for values in along)) if along else ()
    if (grid != sum(steps, first)).any():
        return None
    return [_Line(dst, values) for dst, values in zip(kept, along, strict=True)]


def _apart(spans: Sequence[tuple[int, int]]) -> bool:
    """Tell whether no two ranges of source dimensions meet."""
    ordered = sorted(spans)
    return all(last < first for (_, last), (first, _) in pairwise(ordered))


def _axis(src: np.ndarray, dst: np.ndarray, n_src: int, n_dst: int) -> Axis:
    """Return the axis of these pairs; ``dst`` rises."""
    whole = len(dst) == n_dst
    if whole and n_src == 1:
        return fan_out(n_dst)
    if whole and n_src == n_dst and (src == dst).all():
        return one_to_one(n_dst)
    # A tap per copy of a position: the first copies step evenly, then the second ones ...
    order = np.argsort(src, kind="stable")
    ranks = np.arange(len(src)) - np.searchsorted(src[order], src[order])
    tap = np.empty_like(ranks)
    tap[order] = ranks
    return pairs(src, dst, tap, n_src, n_dst, int(tap.max()) + 1)


class Origin(NamedTuple):
    """Where the values of one output come from.

    Attributes
    ----------
    position : int64 array of the output's shape
        Counts the elements of all tensors that the operation is called on, one tensor after the
        other; -1 for a constant.
    constant : float64 array of the output's shape
        0 where a value comes from a tensor.
    """

    position: np.ndarray
    constant: np.ndarray

    def typed(self, dtype: str) -> Origin:
        """Return the same with constants cut to whole numbers where Keras has such."""
        if "float" in dtype:
            return self
        return self._replace(constant=self.constant.astype(dtype).astype(np.float64))


def origins(call: Conversion) -> list[Origin]:
    """Ask Keras where an operation takes each value of its outputs from.

    The operation is run on positions instead of values, for two samples whose positions differ
    by the number of elements: what differs by as much in the outputs was moved, what does not
    differ is a constant.

    Raises
    ------
    UnsupportedLayerError
        If a sample's values do not stay in that sample, or are not moved but changed.
    """
    total = sum(prod(tensor.shape) for tensor in tensors_of(call).values())
    function = OperationFunction(call.call)
    first, second = _positions(call, 0), _positions(call, total)
    both = [np.concatenate(samples) for samples in zip(first, second, strict=True)]
    try:
        outputs = function.outputs(*both)
    except Exception:  # whatever the backend raises; models of batch size 1 take but one sample
        outputs = _one_by_one(call, function, first, second)
    found = []
    for shape, values in zip(call.call.output_shapes, outputs, strict=True):
        if not prod(shape):
            found.append(Origin(np.empty(shape, np.int64), np.empty(shape)))
            continue
        if values.shape != (2, *shape):
            raise call.unsupported("it does not keep the batch axis in front")
        found.append(_origin(call, values[0], values[1], total))
    return found


def origins_in_one(call: Conversion) -> list[Origin]:
    """As `origins`, for a call that knows where samples stand in its tensors (`Batch`).

    Raises
    ------
    UnsupportedLayerError
        If for two samples it gives something else than for each alone.
    """
    given = dict(zip(call.call.inputs, call.call.input_batches, strict=True))
    made = call.call.output_batches
    function = OperationFunction(call.call)
    total = sum(prod(batch.shape) for batch in given.values())
    samples = [
        [x.reshape(b.shape) for x, b in zip(_positions(call, start), given.values(), strict=True)]
        for start in (0, total)
    ]
    first, second = (function.outputs(*arrays) for arrays in samples)
    if call.call.layer_class == "Reshape":  # which may have been told the sizes of one sample
        if len({batch.n_around for batch in (*given.values(), *made)}) > 1:
            raise call.unsupported("it moves values from one sample of the batch to another")
    else:
        both = [b.together(pair) for *pair, b in zip(*samples, given.values(), strict=True)]
        _check_apart(call, function, both, first, second)
    return [
        _origin(call, x.reshape(b.sample_shape), y.reshape(b.sample_shape), total)
        for x, y, b in zip(first, second, made, strict=True)
    ]


def _check_apart(
    call: Conversion,
    function: OperationFunction,
    both: Sequence[np.ndarray],
    first: Sequence[np.ndarray],
    second: Sequence[np.ndarray],
) -> None:
    """Refuse an operation that gives something else for two samples than for each alone."""
    made = call.call.output_batches
    try:
        outputs = function.outputs(*both)
        together = [b.together(pair) for *pair, b in zip(first, second, made, strict=True)]
        is_apart = all(map(np.array_equal, outputs, together))
    except Exception as error:  # it was told sizes that fit one sample
        raise call.unsupported("it takes one sample at a time, away from the batch axis") from error
    if not is_apart:
        raise call.unsupported("it moves values from one sample of the batch to another")


def _origin(call: Conversion, first: np.ndarray, second: np.ndarray, total: int) -> Origin:
    """Tell moved values from constants, in what two samples give."""
    if first.dtype == bool:  # constants of an operation that was told to give some
        first, second = first.astype(np.float64), second.astype(np.float64)
    same = first == second
    with np.errstate(invalid="ignore"):
        moved = ~same & (second - first == total)
    if not (same | moved).all():
        raise call.unsupported("it moves values from one sample of the batch to another")
    position = np.where(moved, first, -1).astype(np.int64)
    return Origin(position, np.where(moved, 0.0, first))


def _positions(call: Conversion, start: int) -> list[np.ndarray]:
    """Number the elements of all tensors, of one sample each."""
    import keras

    # jax would warn before it computes in float32 all the same.
    dtype = np.float32 if keras.config.backend() == "jax" else np.float64
    positions = []
    for tensor in tensors_of(call).values():
        stop = start + prod(tensor.shape)
        if stop > 2 ** np.finfo(dtype).nmant:
            raise call.unsupported(f"{dtype.__name__} cannot count its {stop} elements")
        positions.append(np.arange(start, stop, dtype=dtype).reshape(1, *tensor.shape))
        start = stop
    return positions


def _one_by_one(
    call: Conversion,
    function: OperationFunction,
    first: Sequence[np.ndarray],
    second: Sequence[np.ndarray],
) -> list[np.ndarray]:
    """Return what an operation gives for two samples, each a batch of its own."""
    try:
        both = zip(function.outputs(*first), function.outputs(*second), strict=True)
        return [np.concatenate(pair) for pair in both]
    except Exception as error:
        raise call.unsupported("it takes samples neither one by one nor in a batch") from error
