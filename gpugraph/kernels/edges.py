"""The fused kernel that writes a projection's edges on the GPU, launched through CuPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugraph.arrays import Array, index_dtype, kept
from gpugraph.edge_maker import EdgeMaker, outer_product, outer_sum
from gpugraph.edges import Edges
from gpugraph.views import Weight

if TYPE_CHECKING:
    from gpugraph.projection import Projection

SOURCE = Path(__file__).with_name("edges.cu")
# As in the source.
LANES, ROWS, WARPS = 32, 32, 8
# Columns enough for lanes not to idle at the end of a row, few enough for their table to stay in
# the cache next to the multiprocessors.
FEW_COLUMNS, MOST_COLUMNS = 2**8, 2**12
AXIS = np.dtype([("length", "i4"), ("start", "i4")])
VIEWS: dict[Weight, int] = {
    "weight": 0,
    "magnitude": 1,
    "positive": 2,
    "negative": 3,
    None: 0,  # of weights that are 1 each
}
C_NAMES = {"int32": "int", "int64": "long long", "float32": "float", "float64": "double"}


@dataclass(frozen=True)
class Tables:
    """A projection's axes as the kernel reads them: all pairs of all axes, one after another.

    The inner axes come multiplied out, as one, whose pairs are the columns of the edges' rows.

    Attributes
    ----------
    axes : array of `AXIS`, shape ``(n_outer,)``
        Length of each outer axis, and where its pairs start; those of the inner one come last.
    src, dst : int32 or int64 arrays of shape ``(n_pairs,)``
        What a pair adds to the ids of source and target.
    tap : int32 or int64 array of shape ``(n_pairs,)``
        What it adds to the place in the kernel.
    gain : float array of shape ``(n_pairs,)``, optional
    """

    axes: np.ndarray
    src: np.ndarray
    dst: np.ndarray
    tap: np.ndarray
    gain: np.ndarray | None

    @property
    def n_columns(self) -> int:
        """Edges per row."""
        return len(self.src) - self.first_column

    @property
    def first_column(self) -> int:
        """Where the pairs of the inner axis start."""
        return int(self.axes["length"].sum())


def tables(projection: Projection, ids: np.dtype) -> Tables:
    """Lay out a projection's axes for the kernel."""
    axes = projection.axes
    split = _split([len(axis) for axis in axes])
    gains = [np.ones(len(axis)) if axis.gain is None else axis.gain for axis in axes]
    offsets = index_dtype(projection.weights.size)

    def joined(columns: Sequence[np.ndarray], dtype: np.dtype) -> np.ndarray:
        plain = [column.astype(dtype) for column in columns[:split]]
        return np.concatenate([*plain, outer_sum(columns[split:], dtype)])

    outer = np.zeros(split, AXIS)
    outer["length"] = [len(axis) for axis in axes[:split]]
    outer["start"] = np.cumsum(outer["length"]) - outer["length"]
    gain = None
    if any(axis.gain is not None for axis in axes):
        inner = outer_product(gains[split:])
        gain = np.concatenate([*gains[:split], inner]).astype(projection.weight_dtype)
    return Tables(
        outer,
        joined([axis.src * axis.src_stride for axis in axes], ids),
        joined([axis.dst * axis.dst_stride for axis in axes], ids),
        joined([axis.tap * axis.tap_stride for axis in axes], offsets),
        gain,
    )


def _split(lengths: Sequence[int]) -> int:
    """Return how many leading axes are outer: the last one is not, nor are others to join it."""
    split = max(len(lengths) - 1, 0)
    columns = prod(lengths[split:])
    while split and columns < FEW_COLUMNS and columns * lengths[split - 1] <= MOST_COLUMNS:
        split -= 1
        columns *= lengths[split]
    return split


@cache
def _kernel(ids: str, offsets: str, real: str) -> Any:
    """Return the compiled kernel for these types; CuPy keeps the binary on disk."""
    import cupy

    name = f"write_edges<{C_NAMES[ids]}, {C_NAMES[offsets]}, {C_NAMES[real]}>"
    module = cupy.RawModule(
        code=SOURCE.read_text(), options=("--std=c++17",), name_expressions=(name,)
    )
    return module.get_function(name)


class EdgeKernel:
    """Makes any range of one projection's edges on the GPU; its tables stay there.

    Parameters
    ----------
    projection : Projection
    ids : numpy.dtype
        int32 or int64, of node ids.
    weight : {"weight", "magnitude", "positive", "negative", None}
        View of the weights to write.
    """

    def __init__(self, projection: Projection, ids: np.dtype, weight: Weight = "weight") -> None:
        import cupy

        self.projection, self._xp, self._ids, self._weight = projection, cupy, ids, weight
        self._laid = tables(projection, ids)
        self._axes = cupy.asarray(self._laid.axes.view(np.int32))
        laid = (self._laid.src, self._laid.dst, self._laid.tap)
        self._columns = [cupy.asarray(column) for column in laid]

    def make(self, start: int, stop: int, out: Sequence[Array] | None = None) -> Edges:
        """Return edges ``start:stop`` of the projection, in ``out`` (three columns) if given."""
        if out is None:
            dtypes = (self._ids, self._ids, self.projection.weight_dtype)
            out = [self._xp.empty(stop - start, dtype) for dtype in dtypes]
        if stop > start:
            self._launch(start, stop - start, out)
        src, dst, weight = out
        return Edges(src, dst, weight, start, self)

    def _launch(self, start: int, n: int, out: Sequence[Array]) -> None:
        source, target, real = self.projection.source, self.projection.target, out[2].dtype
        function = _kernel(self._ids.name, self._laid.tap.dtype.name, real.name)
        n_columns = self._laid.n_columns
        first_row, skip = divmod(start, n_columns)
        arguments = (
            np.int32(len(self._laid.axes)),
            self._axes,
            np.int32(n_columns),
            np.int32(self._laid.first_column),
            *self._columns,
            *self._reals(real),
            self._ids.type(source.offset),
            self._ids.type(target.offset),
            np.int32(VIEWS[self._weight]),
            np.int64(first_row),
            np.int32(skip),
            np.int64(n),
            *out,
        )
        n_rows = -(-(skip + n) // n_columns)
        n_strips = -(-n_rows // ROWS) * -(-n_columns // LANES)
        function((-(-n_strips // WARPS),), (WARPS * LANES,), arguments)

    def _reals(self, dtype: np.dtype) -> list[Array]:
        """Gains, kernel and factors on the device; a null pointer where there is none."""
        p = self.projection
        reals = (self._laid.gain, p.kernel, p.source_factor, p.target_factor)
        return [
            np.intp(0)
            if real is None or self._weight is None
            else kept(real, self._xp).astype(dtype, copy=False)
            for real in reals
        ]

    # Seldom asked for: made by numpy, and sent over.

    def parameter(self, start: int, stop: int) -> Array:
        """Flat kernel index of edges ``start:stop`` (int64); -1 where there is no kernel."""
        return self._xp.asarray(self._by_numpy.parameter(start, stop))

    def tap(self, start: int, stop: int) -> Array:
        """Flat window position of edges ``start:stop`` (int64), C order over the windows."""
        return self._xp.asarray(self._by_numpy.tap(start, stop))

    def gain(self, start: int, stop: int) -> Array:
        """Product of the axes' gains of edges ``start:stop``, of the weights' type."""
        return self._xp.asarray(self._by_numpy.gain(start, stop))

    @cached_property
    def _by_numpy(self) -> EdgeMaker:
        return EdgeMaker(self.projection, self._ids)
