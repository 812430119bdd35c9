"""The matrix and offset of an affine function that can only be evaluated, found by probing it.

The response to a unit vector is a column of the Jacobian. Where every output reads few inputs,
inputs that share no output are probed together, as in the estimation of sparse Jacobians; which of
them an output answers to is read off a second probe, in which each input has a number of its own.
What was found is held against responses that it was not made from before it is believed.

References
----------
Curtis, Powell, Reid (1974). On the estimation of sparse Jacobian matrices. J. Inst. Maths Applics
13. Coleman, More (1983). Estimation of sparse Jacobian matrices and graph coloring problems. SIAM
J. Numer. Anal. 20.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, log, log2, prod
from typing import NamedTuple

import numpy as np

from gpugraph.arrays import require_memory
from gpugraph.errors import GraphTooLargeError

# Values of inputs and outputs to hold at a time.
BLOCK_VALUES = 2**22
# Responses to unit vectors, in values, that are worth waiting for.
MOST_RESPONSES = 2**31
# Up to so many inputs, unit vectors are as fast as anything.
FEW_INPUTS = 256
# Sizes of the inputs at which a function must be affine.
SCALES = (2.0**-20, 1.0, 2.0**20)
# An input's number among those of its colour is read off in digits of this base: few enough for
# float32 to tell neighbours apart with certainty.
BASE = 1024
# Inputs so many places apart along a dimension are tried as sharing no output.
DISTANCES = (1, 4, 8, 16, 32)
# Unit vectors that check what probing many inputs at once has found.
CHECKED_INPUTS = 64
# Bytes of an edge while it is being listed.
EDGE_BYTES = 56

Function = Callable[[np.ndarray], np.ndarray]


class NotAffineError(Exception):
    """A function is not ``x @ matrix + offset``; the message ends "it is not affine: ..."."""


@dataclass(frozen=True)
class AffineMap:
    """``y[dst] = sum(weight * x[src]) + offset[dst]``.

    Attributes
    ----------
    src, dst : int64 arrays of shape ``(n_entries,)``
        Sorted by ``src``, then ``dst``.
    weight : float array of shape ``(n_entries,)``
        Nowhere 0.
    offset : float array of shape ``(n_outputs,)``
    """

    src: np.ndarray
    dst: np.ndarray
    weight: np.ndarray
    offset: np.ndarray


class _Entries(NamedTuple):
    src: np.ndarray
    dst: np.ndarray
    weight: np.ndarray


def affine_map(
    function: Function, shapes: Sequence[tuple[int, ...]], dtype: np.dtype, seed: int = 0
) -> AffineMap:
    """Return the matrix and the offset of an affine function.

    Parameters
    ----------
    function : callable
        Maps arrays of shape ``(batch, n_inputs)`` to ``(batch, n_outputs)``, in ``dtype``.
    shapes : sequence of tuple of int
        Of the tensors that make up the inputs, in order: where neighbours may be looked for.
    dtype : numpy.dtype
        float32 or float64: what the function computes in.
    seed : int
        Of the random inputs.

    Returns
    -------
    AffineMap
        Entries that are not exactly 0. A function that rounds, as a Fourier transform does, has
        entries of the size of its rounding.

    Raises
    ------
    NotAffineError
        If the function is not affine, as far as `SCALES` and the kinds of inputs of `_samples`
        show, mixes the samples of a batch, or gives other values when it is called again.
    GraphTooLargeError
        If there are too many inputs and outputs to probe one by one, and no pattern helps.
    """
    n = sum(map(prod, shapes))
    rng = np.random.default_rng(seed)
    f = _Probe(function, n, dtype)
    samples = _samples(rng, n, dtype)
    values = f(samples)
    _check_repeats(f, samples, values)
    _check_additive(values, f.offset)
    f.step = _step(values[-len(_KINDS)], f.offset)
    if n > FEW_INPUTS:
        for colours in _colourings(shapes):
            entries = _coloured(f, colours)
            if entries is not None and _holds_for_units(f, entries, rng):
                found = _sorted(entries, f.offset)
                if _worst(found, samples, values) is None:
                    return found
    found = _sorted(_units(f), f.offset)
    scale = _worst(found, samples, values)
    if scale is not None:
        raise _not_affine(scale, "they are not the sum of what single inputs of that size give")
    return found


class _Probe:
    """A function of batches, evaluated in blocks of bounded memory.

    Attributes
    ----------
    n, n_outputs : int
    dtype : numpy.dtype
    offset : array of shape ``(n_outputs,)``
        What it makes of zeros.
    step : float
        Size of unit vectors: a power of two, so that dividing by it is exact.
    rows : int
        Samples per block.
    """

    def __init__(self, function: Function, n: int, dtype: np.dtype) -> None:
        self._function, self.n, self.dtype = function, n, dtype
        self.step = 1.0
        (self.offset,) = function(np.zeros((1, n), dtype))
        self.n_outputs = len(self.offset)
        self.rows = max(1, BLOCK_VALUES // (n + self.n_outputs))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        blocks = [x[at : at + self.rows] for at in range(0, len(x), self.rows)]
        return np.concatenate([self._function(block) for block in blocks])

    def response(self, x: np.ndarray) -> np.ndarray:
        """What a block of inputs in units of `step` adds to the offset, in the same units."""
        return (self._function(x * self.dtype.type(self.step)) - self.offset) / self.step


# Rows of `_samples` at each scale.
_KINDS = ("gaussian", "other", "sum", "opposite", "positive", "negative", "constant", "sparse")


def _samples(rng: np.random.Generator, n: int, dtype: np.dtype) -> np.ndarray:
    """Random inputs of every kind at every scale; shape ``(scales * kinds, n)``."""
    rows = []
    for scale in SCALES:
        x, y = (scale * rng.standard_normal((2, n))).astype(dtype)
        constant = np.full(n, scale, dtype)
        sparse = np.where(rng.random(n) < 4 / n, y, 0)
        rows += [x, y, x + y, -x, abs(x), -abs(y), constant, sparse]
    return np.array(rows, dtype)


def _check_repeats(f: _Probe, samples: np.ndarray, values: np.ndarray) -> None:
    """Refuse what depends on chance, on a state, or on the other samples of the batch."""
    if not np.isfinite(values).all():
        raise NotAffineError("it gives NaN or infinity, so it is not affine")
    # Of the largest value at each scale: what one input makes may cancel but for its rounding.
    largest = abs(values).reshape(len(SCALES), -1).max(axis=1)
    tolerance = _tolerance(f.dtype) * np.repeat(largest, len(_KINDS))[:, None]
    if (abs(f(samples) - values) > tolerance).any():
        raise NotAffineError("it gives other values when it is called on the same input again")
    single = np.concatenate([f(x[None]) for x in samples])
    if (abs(single - values) > tolerance).any():
        raise NotAffineError("what it makes of one sample depends on the others of its batch")


def _check_additive(values: np.ndarray, offset: np.ndarray) -> None:
    """Refuse what is plainly not affine before its columns are looked for."""
    for scale, rows in zip(SCALES, np.split(values.astype(np.float64), len(SCALES)), strict=True):
        x, y, both, opposite = rows[:4]
        tolerance = _tolerance(values.dtype) * max(abs(rows[:4]).max(), abs(offset).max())
        if (abs(x + y - both - offset) > tolerance).any():
            raise _not_affine(scale, "f(x) + f(y) is not f(x + y) + f(0)")
        if (abs(x + opposite - 2 * offset.astype(np.float64)) > tolerance).any():
            raise _not_affine(scale, "f(x) + f(-x) is not 2 f(0)")


def _not_affine(scale: float, why: str) -> NotAffineError:
    return NotAffineError(f"it is not affine: for inputs of size about {scale:.0e}, {why}")


def _tolerance(dtype: np.dtype) -> float:
    """Share of the largest value below which a difference may be rounding."""
    return 256 * float(np.finfo(dtype).eps)


def _step(values: np.ndarray, offset: np.ndarray) -> float:
    """Size at which the response to a unit vector is not lost in the rounding of the offset.

    ``values`` are those of random inputs at the largest scale.
    """
    size = float(abs(offset).max())
    response = float(abs(values - offset).max()) / SCALES[-1]
    if not size or not response:
        return 1.0
    return 2.0 ** min(max(0, ceil(log2(size / response)) + 4), log2(SCALES[-1]))


def _units(f: _Probe) -> _Entries:
    """Probe every input on its own: exact for any pattern."""
    if f.n * f.n_outputs > MOST_RESPONSES:
        raise GraphTooLargeError(
            f"{f.n:,} inputs and {f.n_outputs:,} outputs would take {f.n * f.n_outputs:,} "
            f"responses to be probed one by one, more than {MOST_RESPONSES:,}"
        )
    found = []
    for start in range(0, f.n, f.rows):
        found.append(_columns(f, np.arange(start, min(start + f.rows, f.n))))
        require_memory(
            EDGE_BYTES * sum(len(entries.src) for entries in found),
            "Listing the edges of a probed layer",
            "Register a converter, which describes them by short axes.",
        )
    return _joined(found)


def _columns(f: _Probe, inputs: np.ndarray) -> _Entries:
    """Probe some inputs on their own, in one block."""
    x = np.zeros((len(inputs), f.n), f.dtype)
    x[np.arange(len(inputs)), inputs] = 1
    y = f.response(x)
    row, dst = np.nonzero(y)
    return _Entries(inputs[row], dst, y[row, dst])


def _colourings(shapes: Sequence[tuple[int, ...]]) -> Iterator[np.ndarray]:
    """Guess which inputs share no output, fewest colours first; int64 arrays, ``(n_inputs,)``.

    Inputs have one colour where they are a multiple of a distance apart along every dimension, or
    along every one but the first or the last, which may be channels.
    """
    n, guesses = sum(map(prod, shapes)), {}
    for distance in DISTANCES:
        for whole in (None, 0, -1):
            colours, used = [], 0
            for shape in shapes:
                steps = [min(distance, length) for length in shape]
                if whole is not None and shape:
                    steps[whole] = shape[whole]
                places = np.indices(shape).reshape(len(shape), -1).T % np.array(steps, np.int64)
                colours.append(used + places @ [prod(steps[i + 1 :]) for i in range(len(steps))])
                used += prod(steps)
            if used * (1 + _digits(n, used)) < n / 2:  # else unit vectors are as fast
                guesses[used] = np.concatenate(colours).astype(np.int64)
    yield from (guesses[used] for used in sorted(guesses))


def _digits(n: int, n_colours: int) -> int:
    """Probes that tell the inputs of a colour apart, about."""
    return max(1, ceil(log(max(2, n / n_colours), BASE)))


def _coloured(f: _Probe, colours: np.ndarray) -> _Entries | None:
    """Probe all inputs of a colour at once; None where an output answers to two of them."""
    order = np.argsort(colours, kind="stable")
    counts = np.bincount(colours)
    starts = np.cumsum(counts) - counts
    number = np.empty(f.n, np.int64)
    number[order] = np.arange(f.n) - np.repeat(starts, counts)
    digits = [number // BASE**i % BASE for i in range(ceil(log(max(2, counts.max()), BASE)))]
    found = []
    for first in range(0, len(counts), f.rows):
        block = np.arange(first, min(first + f.rows, len(counts)))
        is_in = block[:, None] == colours
        y = f.response(is_in.astype(f.dtype))
        row, dst = np.nonzero(y)
        member = np.zeros(len(row), np.int64)
        for i, digit in enumerate(digits):
            z = f.response(is_in * (digit + 1).astype(f.dtype))
            ratio = z[row, dst] / y[row, dst]
            nearest = np.rint(ratio)
            is_read = (abs(ratio - nearest) < 0.002) & (nearest >= 1) & (nearest <= BASE)
            if not is_read.all() or np.count_nonzero(z) != len(row):
                return None
            member += (nearest.astype(np.int64) - 1) * BASE**i
        if (member >= counts[block][row]).any():
            return None
        found.append(_Entries(order[starts[block][row] + member], dst, y[row, dst]))
    return _joined(found)


def _holds_for_units(f: _Probe, entries: _Entries, rng: np.random.Generator) -> bool:
    """Whether single inputs, drawn at random, give the columns that were found."""
    drawn = rng.choice(f.n, min(CHECKED_INPUTS, f.n, f.rows), replace=False)
    columns = _sorted(_columns(f, np.sort(drawn)), f.offset)
    chosen = np.isin(entries.src, drawn)
    found = _sorted(_Entries(*(column[chosen] for column in entries)), f.offset)
    return (
        np.array_equal(found.src, columns.src)
        and np.array_equal(found.dst, columns.dst)
        and np.allclose(found.weight, columns.weight, rtol=_tolerance(f.dtype), atol=0)
    )


def _joined(parts: Sequence[_Entries]) -> _Entries:
    return _Entries(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _sorted(entries: _Entries, offset: np.ndarray) -> AffineMap:
    src, dst, weight = entries
    place = src * len(offset) + dst
    if (np.diff(place) < 0).any():
        order = np.argsort(place)
        src, dst, weight = src[order], dst[order], weight[order]
    return AffineMap(src, dst, weight, offset)


def _worst(found: AffineMap, samples: np.ndarray, values: np.ndarray) -> float | None:
    """Return a scale at which a map does not give these values; None where it does at all."""
    from scipy.sparse import csr_array

    n = samples.shape[1]
    rows = np.searchsorted(found.src, np.arange(n + 1))
    shape = (n, len(found.offset))
    matrix = csr_array((found.weight.astype(np.float64), found.dst, rows), shape).T
    offset = found.offset.astype(np.float64)[:, None]
    x = samples.T.astype(np.float64)
    error = abs(matrix @ x + offset - values.T)
    # What the terms of each sum may lose by rounding, and those of others in the same transform.
    terms = abs(matrix) @ abs(x) + abs(offset)
    eps = float(np.finfo(values.dtype).eps)
    allowed = eps * (64 * terms + 16 * terms.max(axis=0, initial=0.0))
    wrong = (error > allowed).any(axis=0)
    return SCALES[int(np.argmax(wrong)) // len(_KINDS)] if wrong.any() else None
