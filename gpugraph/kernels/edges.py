"""The fused kernel that writes a projection's edges on the GPU, launched through CuPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugraph.arrays import Array, index_dtype, kept
from gpugraph.edge_maker import EdgeMaker
from gpugraph.edges import Edges
from gpugraph.errors import ShapeError
from gpugraph.views import Weight

if TYPE_CHECKING:
    from gpugraph.axes import Axis
    from gpugraph.projection import Projection

SOURCE = Path(__file__).with_name("edges.cu")
# As in the source.
MOST_AXES = 16
TILE = 4096
THREADS = 256
AXIS = np.dtype([("length", "i4"), ("magic", "u4"), ("shift", "i4"), ("start", "i4")])
VIEWS: dict[Weight, int] = {
    "weight": 0,
    "magnitude": 1,
    "positive": 2,
    "negative": 3,
    None: 4,
}
C_NAMES = {"int32": "int", "int64": "long long", "float32": "float", "float64": "double"}


@dataclass(frozen=True)
class Tables:
    """A projection's axes as the kernel reads them: all pairs of all axes, one after another.

    Attributes
    ----------
    axes : array of `AXIS`, shape ``(n_axes,)``
        Length of each axis, how to divide by it, and where its pairs start.
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


def tables(projection: Projection, ids: np.dtype) -> Tables:
    """Lay out a projection's axes for the kernel.

    Raises
    ------
    ShapeError
        If it has more axes than the kernel counts with.
    """
    axes = [axis for axis in projection.axes if len(axis) != 1 or not _is_idle(axis)]
    if len(axes) > MOST_AXES:
        raise ShapeError(
            f"The edges from '{projection.source.name}' to '{projection.target.name}' have "
            f"{len(axes)} axes; the GPU kernel takes up to {MOST_AXES}. Use device='cpu'."
        )
    rows = np.zeros(len(axes), AXIS)
    start = 0
    for row, axis in zip(rows, axes, strict=True):
        row["length"], row["start"] = len(axis), start
        row["magic"], row["shift"] = division(max(len(axis), 1))  # no pairs, no edge
        start += len(axis)
    offsets = index_dtype(projection.weights.size)
    has_gain = any(axis.gain is not None for axis in axes)
    gains = [np.ones(len(axis)) if axis.gain is None else axis.gain for axis in axes]
    return Tables(
        rows,
        _joined([axis.src * axis.src_stride for axis in axes], ids),
        _joined([axis.dst * axis.dst_stride for axis in axes], ids),
        _joined([axis.tap * axis.tap_stride for axis in axes], offsets),
        _joined(gains, projection.weight_dtype) if has_gain else None,
    )


def division(divisor: int) -> tuple[int, int]:
    """Return the factor and shift that divide numbers below 2**31 by this one.

    References
    ----------
    Granlund, Montgomery (1994). Division by invariant integers using multiplication. PLDI.
    """
    shift = (divisor - 1).bit_length()
    return (2**32 * (2**shift - divisor)) // divisor + 1, shift


def _is_idle(axis: Axis) -> bool:
    """Whether an axis of one pair adds nothing."""
    moves = axis.src[0] * axis.src_stride or axis.dst[0] * axis.dst_stride
    return axis.gain is None and not (moves or axis.tap[0] * axis.tap_stride)


def _joined(columns: Sequence[np.ndarray], dtype: np.dtype) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *(column.astype(dtype) for column in columns)])


@cache
def _kernel(ids: str, offsets: str, real: str) -> Any:
    """Return the compiled kernel for these types; CuPy keeps the binary on disk."""
    import cupy

    name = f"write_edges<{C_NAMES[ids]}, {C_NAMES[offsets]}, {C_NAMES[real]}>"
    module = cupy.RawModule(
        code=SOURCE.read_text(), options=("--std=c++14",), name_expressions=(name,)
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

        self.projection, self._xp, self._ids = projection, cupy, ids
        self._view = np.int32(VIEWS[weight])
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
        arguments = (
            np.int32(len(self._laid.axes)),
            self._axes,
            *self._columns,
            *self._reals(real),
            self._ids.type(source.offset),
            self._ids.type(target.offset),
            self._view,
            np.int64(start),
            np.int64(n),
            *out,
        )
        function((-(-n // TILE),), (THREADS,), arguments)

    def _reals(self, dtype: np.dtype) -> list[Array]:
        """Gains, kernel and factors on the device; a null pointer where there is none."""
        p = self.projection
        reals = (self._laid.gain, p.kernel, p.source_factor, p.target_factor)
        return [
            np.intp(0) if r is None else kept(r, self._xp).astype(dtype, copy=False) for r in reals
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
