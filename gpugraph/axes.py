"""The axes that a projection's edges are an outer product of.

An axis is a short list of (source position, target position, tap) triples. Four kinds cover
Keras's layers: `fan_in`, `fan_out`, `one_to_one` and `window`; a fifth, `listed`, holds edges that
were picked one by one. Padding needs no mask: an axis lists the pairs that exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from gpugraph.errors import ShapeError

AxisKind = Literal["fan_in", "fan_out", "one_to_one", "window", "listed"]

TRANSPOSED: dict[AxisKind, AxisKind] = {
    "fan_in": "fan_out",
    "fan_out": "fan_in",
    "one_to_one": "one_to_one",
    "window": "window",
    "listed": "listed",
}


class Run(NamedTuple):
    """Pairs of one tap whose positions rise in equal steps, so that slices reach them.

    A step of zero (every pair shares that position) is a slice of length one.
    """

    tap: int
    src: slice
    dst: slice
    pairs: slice


# Strides beyond this are rarer than windows that follow no rule; those go tap by tap.
MOST_PHASES = 8


class Part(NamedTuple):
    """Some targets and taps of an axis, and the axis among them alone."""

    dst: slice
    tap: slice
    axis: Axis


class Grid(NamedTuple):
    """Where regular windows lie: source = start + target * dst_step + tap * tap_step."""

    dst_step: int
    tap_step: int
    start: int

    def positions(self, n_dst: int, n_tap: int) -> np.ndarray:
        """Source position of every (target, tap), in the padding ones too."""
        dst, tap = np.indices((n_dst, n_tap))
        return self.start + dst * self.dst_step + tap * self.tap_step


@dataclass(frozen=True, eq=False)
class Axis:
    """One factor of a projection's edges.

    Attributes
    ----------
    kind : str
        Which shape the pairs have, for the readings' short cuts.
    src, dst, tap : int64 arrays of shape ``(n_pairs,)``
        Positions along the source's, the target's and the kernel's dimension. Sorted by
        ``src``, then ``dst``.
    n_src, n_dst, n_tap : int
        The lengths of those dimensions.
    gain : float array of shape ``(n_pairs,)``, optional
        A factor of the weight per pair.
    src_stride, dst_stride, tap_stride : int
        What one step along the axis is worth in the source population, the target population
        and the flat kernel. ``tap_stride = 0``: the kernel does not vary along this axis.
    """

    kind: AxisKind
    src: np.ndarray
    dst: np.ndarray
    tap: np.ndarray
    n_src: int
    n_dst: int
    n_tap: int
    gain: np.ndarray | None = None
    src_stride: int = 0
    dst_stride: int = 0
    tap_stride: int = 0

    def __len__(self) -> int:
        return len(self.src)

    def place(self, src: int = 0, dst: int = 0, tap: int = 0) -> Axis:
        """Return the axis laid along dimensions of the given strides (in elements)."""
        return replace(self, src_stride=src, dst_stride=dst, tap_stride=tap)

    @property
    def is_tapped(self) -> bool:
        """Whether the kernel varies along this axis."""
        return self.tap_stride != 0

    @cached_property
    def is_plain(self) -> bool:
        """Whether each position stands for one tap, with no other factor of the weight."""
        kinds = ("fan_in", "fan_out", "one_to_one")
        return self.is_tapped and self.gain is None and self.kind in kinds

    @cached_property
    def transposed(self) -> Axis:
        """The axis with every pair turned round."""
        order = np.lexsort((self.src, self.dst))
        return replace(
            self,
            kind=TRANSPOSED[self.kind],
            src=self.dst[order],
            dst=self.src[order],
            tap=self.tap[order],
            n_src=self.n_dst,
            n_dst=self.n_src,
            gain=None if self.gain is None else self.gain[order],
            src_stride=self.dst_stride,
            dst_stride=self.src_stride,
        )

    @cached_property
    def grid(self) -> Grid | None:
        """The steps of a sliding window; None where pairs follow no such rule."""
        if not len(self):
            return None
        rows = np.stack([self.dst, self.tap, np.ones(len(self), np.int64)], axis=1)
        fit = np.linalg.lstsq(rows.astype(np.float64), self.src, rcond=None)[0]
        grid = Grid(*np.rint(fit).astype(int).tolist())
        positions = grid.positions(self.n_dst, self.n_tap)
        inside = (positions >= 0) & (positions < self.n_src)
        found = np.full(positions.shape, -1)
        found[self.dst, self.tap] = self.src
        # As many pairs as positions inside, so that none of them stands twice.
        is_regular = len(self) == inside.sum() and (found == np.where(inside, positions, -1)).all()
        return grid if is_regular else None

    @cached_property
    def parts(self) -> list[Part] | None:
        """The axis cut by target into sliding windows; None where it takes too many.

        A sliding window is one part. Turned round, one of stride s is s of them: every s-th
        target is reached through every s-th tap.
        """
        for period in range(1, min(MOST_PHASES, self.n_dst) + 1):
            parts = [self._part(phase, period) for phase in range(period)]
            if all(part is None or part.axis.grid is not None for part in parts):
                return [part for part in parts if part is not None]
        return None

    def _part(self, phase: int, period: int) -> Part | None:
        """Every ``period``-th target that has pairs, and the taps that lead there, if any."""
        chosen = self.dst % period == phase
        dst, taps = np.unique(self.dst[chosen]), np.unique(self.tap[chosen])
        if not len(dst):
            return None
        step = int(np.gcd.reduce(np.diff(taps))) or 1
        target = slice(int(dst[0]), int(dst[-1]) + 1, period)
        tap = slice(int(taps[0]), int(taps[-1]) + 1, step)
        axis = replace(
            self,
            src=self.src[chosen],
            dst=(self.dst[chosen] - target.start) // period,
            tap=(self.tap[chosen] - tap.start) // step,
            gain=None if self.gain is None else self.gain[chosen],
            n_dst=len(range(target.start, target.stop, period)),
            n_tap=len(range(tap.start, tap.stop, step)),
        )
        return Part(target, tap, axis)

    @cached_property
    def counts(self) -> np.ndarray:
        """Number of pairs into each target; int64, shape ``(n_dst,)``."""
        return np.bincount(self.dst, minlength=self.n_dst)

    @cached_property
    def tap_counts(self) -> np.ndarray:
        """How often each tap leads to each target; float64, shape ``(n_dst, n_tap)``."""
        return self.sum_taps(None)

    def sum_taps(self, gain: np.ndarray | None) -> np.ndarray:
        """Sum a number per pair (None: 1) by target and tap; float64, ``(n_dst, n_tap)``."""
        at = self.dst * self.n_tap + self.tap
        total = np.bincount(at, gain, self.n_dst * self.n_tap).astype(np.float64)
        return total.reshape(self.n_dst, self.n_tap)

    def take(self, pairs: np.ndarray) -> Axis:
        """Return the axis with only these pairs (a mask or indices), as a window."""
        kind: AxisKind = "listed" if self.kind == "listed" else "window"
        gain = None if self.gain is None else self.gain[pairs]
        return replace(
            self,
            kind=kind,
            src=self.src[pairs],
            dst=self.dst[pairs],
            tap=self.tap[pairs],
            gain=gain,
        )

    @cached_property
    def by_tap(self) -> Axis:
        """The same pairs sorted by tap, as `runs` counts them."""
        return self.take(np.lexsort((self.dst, self.src, self.tap)))

    @cached_property
    def runs(self) -> list[Run]:
        """The pairs of `by_tap` as slices: as few as equal steps allow."""
        src, dst, tap = self.by_tap.src, self.by_tap.dst, self.by_tap.tap
        runs = []
        for lo, hi in _equal_steps(src, dst, tap):
            runs.append(Run(int(tap[lo]), _slice(src[lo:hi]), _slice(dst[lo:hi]), slice(lo, hi)))
        return runs


def _equal_steps(src: np.ndarray, dst: np.ndarray, tap: np.ndarray) -> Iterator[tuple[int, int]]:
    """Cut rows, greedily, into ranges of one tap in which source and target step evenly."""
    n = len(src)
    steps = np.stack([np.diff(src), np.diff(dst), np.diff(tap)])
    joins = (steps[2] == 0) & steps[:2].any(axis=0)  # may rows i and i+1 share a range?
    changes = np.flatnonzero((steps[:, 1:] != steps[:, :-1]).any(axis=0)) + 1
    changes = np.append(changes, n - 1)  # steps are the same from one change to the next
    row = 0
    while row < n:
        stop = row + 1
        if row < n - 1 and joins[row]:
            stop = int(changes[np.searchsorted(changes, row, side="right")]) + 1
        yield row, stop
        row = stop


def _slice(positions: np.ndarray) -> slice:
    """Return the slice that visits these evenly spaced positions once each."""
    first = int(positions[0])
    step = int(positions[1]) - first if len(positions) > 1 else 0
    if step == 0:
        return slice(first, first + 1)
    last = int(positions[-1])
    stop = last + (1 if step > 0 else -1)
    return slice(first, stop if stop >= 0 else None, step)


def fan_in(n: int) -> Axis:
    """All of n source positions into one target position; each has its own tap."""
    i, zero = np.arange(n), np.zeros(n, np.int64)
    return Axis("fan_in", i, zero, i, n_src=n, n_dst=1, n_tap=n)


def fan_out(n: int) -> Axis:
    """One source position to each of n target positions; each has its own tap."""
    i, zero = np.arange(n), np.zeros(n, np.int64)
    return Axis("fan_out", zero, i, i, n_src=1, n_dst=n, n_tap=n)


def one_to_one(n: int) -> Axis:
    """Source position i to target position i through tap i."""
    i = np.arange(n)
    return Axis("one_to_one", i, i, i, n_src=n, n_dst=n, n_tap=n)


def window(
    n_src: int,
    n_dst: int,
    size: int = 1,
    stride: int = 1,
    dilation: int = 1,
    before: int = 0,
) -> Axis:
    """Every (source, target) pair that a sliding window reaches.

    Parameters
    ----------
    n_src, n_dst : int
        Lengths of the input and the output.
    size, stride, dilation : int
        Taps of the window, steps between windows, steps between taps.
    before : int
        Padded positions before the input. Pairs that touch padding do not exist. Negative:
        the first window starts that far inside (cropping).
    """
    dst, tap = (a.ravel() for a in np.indices((n_dst, size)))
    src = dst * stride + tap * dilation - before
    inside = (src >= 0) & (src < n_src)
    return pairs(src[inside], dst[inside], tap[inside], n_src, n_dst, size)


def pairs(
    src: Sequence[int] | np.ndarray,
    dst: Sequence[int] | np.ndarray,
    tap: Sequence[int] | np.ndarray,
    n_src: int,
    n_dst: int,
    n_tap: int,
    gain: np.ndarray | None = None,
) -> Axis:
    """Any list of (source, target, tap) triples, such as an interpolation's."""
    src, dst, tap = (np.asarray(a, np.int64) for a in (src, dst, tap))
    for name, column, n in (("source", src, n_src), ("target", dst, n_dst), ("tap", tap, n_tap)):
        if column.size and not (column.min() >= 0 and column.max() < n):
            raise ShapeError(
                f"An axis reaches {name} position {column.min()}..{column.max()} of {n}."
            )
    order = np.lexsort((tap, dst, src))
    gain = None if gain is None else np.asarray(gain)[order]
    return Axis("window", src[order], dst[order], tap[order], n_src, n_dst, n_tap, gain)


def listed(
    src: np.ndarray, dst: np.ndarray, tap: np.ndarray, n_src: int, n_dst: int, n_tap: int
) -> Axis:
    """Edges picked one by one: flat positions in both populations and in the kernel."""
    return Axis(
        "listed", src, dst, tap, n_src, n_dst, n_tap, src_stride=1, dst_stride=1, tap_stride=1
    )
