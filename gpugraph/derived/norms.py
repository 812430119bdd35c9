"""Norms of the weights between two channels: one number of the taps that join them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import as_strided

from gpugraph.arrays import blocks, require_memory
from gpugraph.axes import Axis
from gpugraph.derived.channels import Rows, step_of, through
from gpugraph.parallel import for_each, n_cores
from gpugraph.population import strides
from gpugraph.products.apply import along
from gpugraph.views import BLOCK_WEIGHTS, view_as

Norm = Literal["l1", "l2", "max", "sum"]
Role = Literal["kept", "summed", "gathered"]

# What a norm makes of each weight before they are added up, or the largest is taken. All are
# products where the weight is one, so that axes are reduced one by one.
SEEN: dict[Norm, Callable[[np.ndarray], np.ndarray]] = {
    "l1": np.abs,
    "l2": np.square,
    "max": np.abs,
    "sum": np.positive,
}
ROLES: tuple[Role, ...] = ("kept", "summed", "gathered")


def reduced(
    rows: Sequence[Rows], kernel: np.ndarray | None, norm: Norm
) -> tuple[list[Axis], np.ndarray | None]:
    """Reduce the taps between every two channels to one weight.

    Returns
    -------
    list of Axis
        One pair per pair of channels. Where the kernel does not vary, the norm is its gain.
    array of shape ``(n_weights,)``, optional
        The kernel's norms.
    """
    varying = [r for r in rows if r.varies]
    steps = strides([len(r.cells) for r in varying])
    tap_strides = {id(r): step for r, step in zip(varying, steps, strict=True)}
    axes = []
    for r in rows:
        cells, tap_stride = r.cells, tap_strides.get(id(r), 0)
        tap = np.arange(len(cells)) if tap_stride else np.zeros(len(cells), np.int64)
        gain = None if tap_stride else _norm_of_gains(r, norm)
        axes.append(through(r.src[cells], r.dst[cells], tap, int(tap[-1]) + 1, tap_stride, gain))
    if kernel is None:
        return axes, None
    first = sum(int(r.place.min()) for r in rows)
    return axes, _norm_of_weights(kernel[first:], [_Dimension.of(r) for r in varying], norm)


def _join(norm: Norm) -> np.ufunc:
    return np.maximum if norm == "max" else np.add


def _norm_of_gains(rows: Rows, norm: Norm) -> np.ndarray | None:
    """Norm of the gains between each pair of channels; None where all are 1."""
    gain = np.ones(len(rows)) if rows.gain is None else rows.gain
    total = _join(norm).reduceat(SEEN[norm](gain), rows.cells)
    total = np.sqrt(total) if norm == "l2" else total
    return None if (total == 1).all() else total


@dataclass(frozen=True, eq=False)
class _Dimension:
    """A dimension of a kernel, and the rows along it.

    Attributes
    ----------
    role : {"kept", "summed", "gathered"}
        One row per pair of channels; all rows of one pair; or any others.
    n, step : int
        Places along the dimension, and weights from one to the next.
    index : int64 array of shape ``(n_rows,)``
        The place of each row.
    cells : int64 array
        First row of each pair of channels.
    gain : float64 array of shape ``(n_rows,)``, optional
    """

    role: Role
    n: int
    step: int
    index: np.ndarray
    cells: np.ndarray
    gain: np.ndarray | None

    @classmethod
    def of(cls, rows: Rows) -> _Dimension:
        """Return the dimension that rows lie along."""
        place, cells = rows.place - rows.place.min(), rows.cells
        step = step_of(place)
        index = place // step
        n = int(index.max()) + 1
        role: Role = "gathered"
        if rows.gain is None and np.array_equal(index, np.arange(n)):
            role = "kept" if len(cells) == n else "summed" if len(cells) == 1 else "gathered"
        return cls(role, n, step, index, cells, rows.gain)

    def gather(self, values: np.ndarray, dim: int, norm: Norm) -> np.ndarray:
        """Reduce the rows of each pair of channels, along one dimension of values."""
        values = values.take(self.index, dim)
        if self.gain is not None:
            values = values * along(SEEN[norm](self.gain), dim, values.ndim)
        return _join(norm).reduceat(values, self.cells, axis=dim)


def _norm_of_weights(kernel: np.ndarray, dims: Sequence[_Dimension], norm: Norm) -> np.ndarray:
    """Reduce a kernel along each of its dimensions; flat, of its own type.

    Some weights at a time, in float64: no second kernel stands beside a large one.
    """
    view = as_strided(kernel, [d.n for d in dims], [d.step * kernel.itemsize for d in dims])
    if all(d.role == "kept" for d in dims):
        seen = view if norm == "sum" else view_as(view, "magnitude", kernel.dtype)
        return seen.reshape(-1)
    order = sorted(range(len(dims)), key=lambda i: ROLES.index(dims[i].role))
    dims, view = [dims[i] for i in order], view.transpose(order)
    n_kept, n_summed = (sum(d.role == role for d in dims) for role in ("kept", "summed"))
    summed = tuple(range(n_kept, n_kept + n_summed))
    sizes = [len(d.cells) for d in dims]
    require_memory(
        (8 + kernel.itemsize) * prod(sizes),
        f"A weight for each of {prod(sizes):,} pairs of channels",
        "Take a part of the graph (subgraph, between).",
    )
    join, total = _join(norm), np.zeros(sizes)

    def add(part: tuple[slice, ...]) -> None:
        into, weights = total[part], view[part]
        for block in blocks(weights.shape, 0, n_kept + n_summed, BLOCK_WEIGHTS):
            values = SEEN[norm](weights[block].astype(np.float64))
            values = join.reduce(values, axis=summed, keepdims=True)
            for i, d in enumerate(dims):
                if d.role == "gathered":
                    values = d.gather(values, i, norm)
            at = block[:n_kept]
            into[at] = join(into[at], values)

    cores = n_cores() if view.size > BLOCK_WEIGHTS else 1
    parts = blocks(total.shape, 0, n_kept, ceil(total.size / cores))
    for_each(add, [part[:n_kept] for part in parts])
    if norm == "l2":
        np.sqrt(total, out=total)
    return total.transpose(np.argsort(order)).astype(kernel.dtype).reshape(-1)
