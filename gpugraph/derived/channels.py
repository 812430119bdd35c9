"""Channels of populations, and what a projection's axes come to between them.

An axis that moves within channels stays; one that moves across positions, or across the taps of a
kernel, leaves a tap each between the same two channels. What mixes the two is taken apart, or
multiplied out where it does not come apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Literal

import numpy as np

from gpugraph.arrays import require_memory
from gpugraph.axes import Axis, fan_in, fan_out, one_to_one, pairs
from gpugraph.edge_maker import outer_sum
from gpugraph.population import strides
from gpugraph.projection import Kind, Projection

Granularity = Literal["channel", "layer"]

# Kinds whose fan-in is a window over everything: each of its places is a tap.
POOLED: tuple[Kind, ...] = ("choice", "mean", "dynamic")
MAKERS = {"fan_in": fan_in, "fan_out": fan_out, "one_to_one": one_to_one}
INT64 = np.dtype(np.int64)
# Positions, tap and key of a pair of axes that were multiplied out, and copies while sorted.
BYTES_PER_PAIR = 100


@dataclass(frozen=True)
class Channels:
    """Which channel a node belongs to: ``position // inner % n``.

    Attributes
    ----------
    inner : int
        Positions of one channel that follow each other.
    n : int
        Number of channels.
    """

    inner: int
    n: int

    @classmethod
    def of(cls, shape: Sequence[int], by: Granularity, *, first: bool) -> Channels:
        """Return the channels of a shape, its first or its last dimension; of a layer one."""
        if by == "layer" or not shape:
            return cls(1, 1)
        return cls(prod(shape[1:]), shape[0]) if first else cls(1, shape[-1])

    @property
    def boundaries(self) -> tuple[int, int]:
        """Positions after which the next channel begins, and after which the first one does."""
        return self.inner, self.inner * self.n

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Return the channel of flat positions."""
        return positions // self.inner % self.n

    def add_up(self, columns: Sequence[np.ndarray]) -> bool:
        """Whether a sum of positions, one of each column, lies in the sum of their channels.

        And in a channel that no other sum of channels gives: they count like digits.
        """
        if sum(int((column % self.inner).max()) for column in columns) >= self.inner:
            return False
        digits = [self.at(column) for column in columns]
        reach = 0
        for step, largest in sorted((step_of(digit), int(digit.max())) for digit in digits):
            if largest and step <= reach:
                return False
            reach += largest
        return reach < self.n

    def moving(self, columns: Sequence[np.ndarray]) -> list[int]:
        """Return which columns leave the first position of the first channel."""
        _, whole = self.boundaries
        return [i for i, column in enumerate(columns) if (column % whole).any()]


def step_of(values: np.ndarray) -> int:
    """Return the greatest number of which all values are multiples."""
    return int(np.gcd.reduce(values))


@dataclass(frozen=True, eq=False)
class Strand:
    """An axis by flat positions, or several multiplied out.

    Attributes
    ----------
    src, dst : int64 arrays of shape ``(n_pairs,)``
        Flat positions in the populations; those of all strands add up.
    tap : int64 array of shape ``(n_pairs,)``
        Times ``tap_stride``: place in the kernel.
    n_tap, tap_stride : int
    key : int64 array of shape ``(n_pairs,)``
        Pairs between the same channels are one tap where their keys are the same.
    gain : float array of shape ``(n_pairs,)``, optional
    """

    src: np.ndarray
    dst: np.ndarray
    tap: np.ndarray
    n_tap: int
    tap_stride: int
    key: np.ndarray
    gain: np.ndarray | None

    @classmethod
    def of(cls, axis: Axis, kind: Kind) -> Strand:
        """Return an axis of a projection of some kind by flat positions."""
        is_pooled = axis.kind == "fan_in" and kind in POOLED
        has_taps = axis.is_tapped or axis.kind == "window" or is_pooled
        tap = axis.tap if has_taps else np.zeros_like(axis.tap)
        src, dst = axis.src * axis.src_stride, axis.dst * axis.dst_stride
        n_tap = axis.n_tap if has_taps else 1
        return cls(src, dst, tap, n_tap, axis.tap_stride, tap, axis.gain)

    @classmethod
    def product(cls, strands: Sequence[Strand]) -> Strand:
        """Multiply strands out."""
        n_pairs = prod(len(s.src) for s in strands)
        require_memory(
            n_pairs * BYTES_PER_PAIR,
            f"Merging nodes whose channels do not lie along one dimension ({n_pairs:,} pairs)",
            "Take a smaller input_shape, or a part of the graph (subgraph, between).",
        )
        steps = strides([int(s.key.max()) + 1 for s in strands])
        key = outer_sum([s.key * step for s, step in zip(strands, steps, strict=True)], INT64)
        place = outer_sum([s.tap * s.tap_stride for s in strands], INT64)
        tap_stride = step_of(place)
        tap = place // tap_stride if tap_stride else key
        gain = None
        if any(s.gain is not None for s in strands):
            gain = np.ones(1)
            for s in strands:
                gain = np.outer(gain, np.ones(len(s.src)) if s.gain is None else s.gain).ravel()
        src, dst = (
            outer_sum(c, INT64) for c in zip(*((s.src, s.dst) for s in strands), strict=True)
        )
        return cls(src, dst, tap, int(tap.max()) + 1, tap_stride, key, gain)


def strands_of(projection: Projection, source: Channels, target: Channels) -> list[Strand]:
    """Take a projection's axes apart, or multiply them out, until their channels add up."""
    strands = [
        Strand.of(part, projection.kind)
        for axis in projection.axes
        for part in _split(axis, source, target)
    ]
    while moving := _tangled(strands, source, target):
        product = Strand.product([strands[i] for i in moving])
        strands[moving[0]] = product
        strands = [s for i, s in enumerate(strands) if i not in moving[1:]]
    return strands


def _tangled(strands: Sequence[Strand], source: Channels, target: Channels) -> list[int]:
    """Return which strands only together tell the channel at one of their ends."""
    for channels, columns in (
        (source, [s.src for s in strands]),
        (target, [s.dst for s in strands]),
    ):
        if not channels.add_up(columns):
            return channels.moving(columns)
    return []


def _split(axis: Axis, source: Channels, target: Channels) -> list[Axis]:
    """Cut an axis where it steps from channel to channel, or from position to position."""
    if axis.kind not in MAKERS or axis.gain is not None:
        return [axis]
    for channels, step in ((source, axis.src_stride), (target, axis.dst_stride)):
        for boundary in channels.boundaries:
            if not step or boundary % step:
                continue
            n = boundary // step
            if 1 < n < len(axis) and len(axis) % n == 0:
                make = MAKERS[axis.kind]
                places = (axis.src_stride, axis.dst_stride, axis.tap_stride)
                outer = make(len(axis) // n).place(*(place * n for place in places))
                inner = make(n).place(*places)
                return [part for cut in (outer, inner) for part in _split(cut, source, target)]
    return [axis]


@dataclass(frozen=True, eq=False)
class Rows:
    """The taps of a strand between channels, sorted by source channel, then target channel.

    Attributes
    ----------
    src, dst : int64 arrays of shape ``(n_rows,)``
        Channels; those of all strands add up.
    tap, n_tap, tap_stride
        As of `Strand`.
    gain : float64 array of shape ``(n_rows,)``, optional
        Mean over the pairs of a tap.
    n_pairs : int64 array of shape ``(n_rows,)``
        How many pairs a tap has.
    """

    src: np.ndarray
    dst: np.ndarray
    tap: np.ndarray
    n_tap: int
    tap_stride: int
    gain: np.ndarray | None
    n_pairs: np.ndarray

    def __len__(self) -> int:
        return len(self.src)

    @cached_property
    def place(self) -> np.ndarray:
        """What a tap adds to the place in the kernel."""
        return self.tap * self.tap_stride

    @cached_property
    def varies(self) -> bool:
        """Whether the kernel does, from row to row."""
        return bool((self.place != self.place[0]).any())

    @cached_property
    def cells(self) -> np.ndarray:
        """First row of each pair of channels."""
        is_first = (np.diff(self.src) != 0) | (np.diff(self.dst) != 0)
        return np.flatnonzero(np.append(True, is_first))

    @property
    def axis(self) -> Axis:
        """The axis with a pair for every tap."""
        return through(self.src, self.dst, self.tap, self.n_tap, self.tap_stride, self.gain)


def rows_of(strand: Strand, source: Channels, target: Channels) -> tuple[Rows, np.ndarray]:
    """Return the taps of a strand, and the row of each of its pairs."""
    src, dst = source.at(strand.src), target.at(strand.dst)
    n_keys = int(strand.key.max()) + 1
    code = (src * target.n + dst) * n_keys + strand.key
    _, first, row, n_pairs = np.unique(
        code, return_index=True, return_inverse=True, return_counts=True
    )
    gain = strand.gain
    if gain is not None:
        usual = gain[first].astype(np.float64)  # exact where all are the same
        gain = usual + np.bincount(row, gain - usual[row]) / n_pairs
    taps = (strand.tap[first], strand.n_tap, strand.tap_stride)
    return Rows(src[first], dst[first], *taps, gain, n_pairs), row


def through(
    src: np.ndarray,
    dst: np.ndarray,
    tap: np.ndarray,
    n_tap: int,
    tap_stride: int,
    gain: np.ndarray | None = None,
) -> Axis:
    """Return the axis of these positions, of the plainest kind that fits."""
    i = np.arange(len(src))
    src_step, dst_step = step_of(src), step_of(dst)
    src, dst = src // max(src_step, 1), dst // max(dst_step, 1)
    kinds = {(True, False): fan_in, (False, True): fan_out, (True, True): one_to_one}
    make = kinds.get((src_step > 0, dst_step > 0))
    columns = [src] * (src_step > 0) + [dst] * (dst_step > 0) + [tap] * (tap_stride > 0)
    if make and gain is None and all(np.array_equal(column, i) for column in columns):
        return make(len(i)).place(src_step, dst_step, tap_stride)
    axis = pairs(src, dst, tap, int(src.max()) + 1, int(dst.max()) + 1, n_tap, gain)
    return axis.place(src_step, dst_step, tap_stride)
