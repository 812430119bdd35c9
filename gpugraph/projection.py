"""A projection: all edges from one population to another, and its readings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from types import ModuleType
from typing import Literal

import numpy as np

from gpugraph.arrays import Array, Layout, blocks, index_dtype, kept, namespace_of
from gpugraph.axes import Axis
from gpugraph.edges import Edges, Maker, chunks, edge_maker
from gpugraph.population import Population, Reduce
from gpugraph.products.apply import NEUTRAL, apply
from gpugraph.products.contraction import Piece, pieces
from gpugraph.products.strength import add_in_strength, in_degree
from gpugraph.views import BLOCK_WEIGHTS, Weight, check_view

Kind = Literal["weight", "scale", "choice", "mean", "copy", "dynamic"]


@dataclass(frozen=True, eq=False)
class Projection:
    """All edges from one population to another, as an outer product of axes.

    Edge ``e`` of the projection takes one pair of each axis, the last axis fastest::

        src    = source.offset + sum(axis.src * axis.src_stride)
        dst    = target.offset + sum(axis.dst * axis.dst_stride)
        weight = kernel[sum(axis.tap * axis.tap_stride)] * product(axis.gain)
                 * source_factor[src - source.offset] * target_factor[dst - target.offset]

    Attributes
    ----------
    source, target : Population
    axes : tuple of Axis
    kernel : float array of shape ``(n_parameters,)``, optional
        The layer's weights, flat, in Keras's order. None: every weight is 1.
    kind : {"weight", "scale", "choice", "mean", "copy", "dynamic"}
    window_tap : int array of shape ``(n_edges,)``, optional
        Window position of each edge, where edges were picked one by one.
    source_factor : float array of shape ``(source.size,)``, optional
        A factor of the weights out of each source node.
    target_factor : float array of shape ``(target.size,)``, optional
        A factor of the weights into each target node.
    """

    source: Population
    target: Population
    axes: tuple[Axis, ...]
    kernel: np.ndarray | None
    kind: Kind
    window_tap: np.ndarray | None = None
    source_factor: np.ndarray | None = None
    target_factor: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.kernel is None:  # no axis can step through it
            axes = tuple(replace(a, tap_stride=0) if a.tap_stride else a for a in self.axes)
            object.__setattr__(self, "axes", axes)
        if len(self.axes) > 1:  # beside others, listed pairs are an axis like any
            axes = tuple(replace(a, kind="window") if a.kind == "listed" else a for a in self.axes)
            object.__setattr__(self, "axes", axes)

    def __repr__(self) -> str:
        ends = f"{self.source.name!r} -> {self.target.name!r}"
        return f"Projection({ends}: {self.n_edges:,} edges of kind {self.kind!r})"

    @property
    def n_edges(self) -> int:
        """Number of edges."""
        return prod(len(axis) for axis in self.axes)

    @property
    def weight_dtype(self) -> np.dtype:
        """float64 where the kernel or a factor is, else float32."""
        parts = (self.kernel, self.source_factor, self.target_factor)
        is_double = any(part is not None and part.dtype == np.float64 for part in parts)
        return np.dtype(np.float64 if is_double else np.float32)

    @property
    def has_factors(self) -> bool:
        """Whether weights depend on the nodes, beside the kernel and the axes."""
        return self.source_factor is not None or self.target_factor is not None

    @cached_property
    def without_factors(self) -> Projection:
        """The projection without its nodes' factors."""
        return replace(self, source_factor=None, target_factor=None)

    @property
    def is_unscaled(self) -> bool:
        """Whether every weight is an entry of the kernel, or 1, as it stands."""
        return not self.has_factors and all(axis.gain is None for axis in self.axes)

    @property
    def is_listed(self) -> bool:
        """Whether the edges were picked one by one instead of following from the layer."""
        return len(self.axes) == 1 and self.axes[0].kind == "listed"

    def source_view(self, x: Array) -> Array:
        """See values per source node, in the last dimension, as one dimension per axis."""
        return self._source_layout.view(x)

    def target_view(self, y: Array) -> Array:
        """See values per target node, in the last dimension, as one dimension per axis."""
        return self._target_layout.view(y)

    def kernel_view(self, kernel: Array) -> Array:
        """See a flat kernel as one dimension per axis, of length 1 where it does not vary."""
        return self._kernel_layout.view(kernel)

    @cached_property
    def _source_layout(self) -> Layout:
        return Layout([a.n_src for a in self.axes], [a.src_stride for a in self.axes])

    @cached_property
    def _target_layout(self) -> Layout:
        return Layout([a.n_dst for a in self.axes], [a.dst_stride for a in self.axes])

    @cached_property
    def _kernel_layout(self) -> Layout:
        sizes = [a.n_tap if a.is_tapped else 1 for a in self.axes]
        return Layout(sizes, [a.tap_stride for a in self.axes])

    @cached_property
    def pieces(self) -> list[Piece] | None:
        """The products that the axes amount to; None where they do not."""
        return pieces(self.axes)

    @cached_property
    def transposed(self) -> Projection:
        """The projection with every edge turned round."""
        return replace(
            self,
            source=self.target,
            target=self.source,
            axes=tuple(axis.transposed for axis in self.axes),
            window_tap=None,
            source_factor=self.target_factor,
            target_factor=self.source_factor,
        )

    def edges(
        self,
        start: int = 0,
        stop: int | None = None,
        *,
        xp: ModuleType = np,
        dtype: np.dtype | None = None,
        out: Sequence[Array] | None = None,
    ) -> Edges:
        """Make edges ``start:stop``, in the order that the class describes.

        Any range can be made on its own; ranges put together are the whole.

        Parameters
        ----------
        start, stop : int
            Edge numbers within the projection, as for a slice of a list; by default all.
        xp : module
            numpy or cupy.
        dtype : numpy.dtype, optional
            Of the node ids; by default the smallest that holds this projection's.
        out : three arrays of shape ``(stop - start,)``, optional
            Columns to write to.
        """
        return self._maker(xp, dtype).make(*self._range(start, stop), out)

    def chunks(self, chunk_edges: int, dtype: np.dtype) -> Iterator[Edges]:
        """Make all edges with numpy, chunk by chunk, with node ids of this type."""
        return chunks([(self, 0, self.n_edges)], chunk_edges, dtype)

    def parameter(self, start: int, stop: int) -> np.ndarray:
        """Flat kernel index of edges ``start:stop`` (int64); -1 where there is no kernel."""
        return self._maker().parameter(*self._range(start, stop))

    def tap(self, start: int, stop: int) -> np.ndarray:
        """Flat window position of edges ``start:stop`` (int64), C order over the windows."""
        return self._maker().tap(*self._range(start, stop))

    def _range(self, start: int, stop: int | None) -> tuple[int, int]:
        """Return the range that a slice of all edges means, as for a list."""
        first, last, _ = slice(start, stop).indices(self.n_edges)
        return first, max(first, last)

    def _maker(self, xp: ModuleType = np, dtype: np.dtype | None = None) -> Maker:
        largest = max(self.source.ids.stop, self.target.ids.stop)
        return edge_maker(self, index_dtype(largest) if dtype is None else dtype, xp)

    def apply(
        self,
        x: Array,
        weight: Weight = "weight",
        reduce: Reduce = "sum",
        out: Array | None = None,
    ) -> Array:
        """Send values along the edges without making them: ``y[dst] += weight * x[src]``.

        Parameters
        ----------
        x : array of shape ``(..., source.size)``
            numpy or cupy; leading dimensions are a batch.
        weight : {"weight", "magnitude", "positive", "negative", None}
            Which view of the weights; None counts every edge as 1.
        reduce : {"sum", "max", "min", "product"}
            How the values that meet in one target are joined.
        out : array of shape ``(..., target.size)``, optional
            Of x's dtype, with the last dimension contiguous. What arrives is joined to what it
            holds, in place.

        Returns
        -------
        array of shape ``(..., target.size)``, of x's dtype (float64 where x holds integers)
            Without ``out``, targets without an edge hold the reduction's neutral element (0,
            -inf, inf or 1).
        """
        check_view(weight)
        xp = namespace_of(x)
        values = x if x.dtype.kind == "f" else x.astype(np.float64)
        if out is None:
            shape = (*x.shape[:-1], self.target.size)
            out = xp.full(shape, NEUTRAL[reduce], values.dtype)
        values = xp.ascontiguousarray(values.reshape(-1, self.source.size))
        rows = out if out.ndim == 2 else out.reshape(-1, self.target.size)
        apply(self, values, weight, reduce, rows)
        return out

    def apply_transposed(self, y: Array, weight: Weight = "weight") -> Array:
        """Send values against the edges: ``x[src] += weight * y[dst]``.

        Shapes and views as in `apply`, with source and target exchanged.
        """
        return self.transposed.apply(y, weight)

    def in_degree(self) -> np.ndarray:
        """Edges into each target node; int64, shape ``(target.size,)``."""
        return in_degree(self)

    def out_degree(self) -> np.ndarray:
        """Edges out of each source node; int64, shape ``(source.size,)``."""
        return self.transposed.in_degree()

    def in_strength(self, weight: Weight = "weight", out: Array | None = None) -> Array:
        """Sum of the weights into each target node.

        Parameters
        ----------
        weight : {"weight", "magnitude", "positive", "negative", None}
            Which view of the weights; None counts edges.
        out : float32 or float64 array of shape ``(target.size,)``, optional
            Sums are added to what it holds, in its precision.

        Returns
        -------
        array of shape ``(target.size,)``
            Float64, unless ``out`` is given.
        """
        if out is None:
            out = np.zeros(self.target.size)
        add_in_strength(self, weight, out)
        return out

    def out_strength(self, weight: Weight = "weight", out: Array | None = None) -> Array:
        """Sum of the weights out of each source node; as `in_strength`, against the edges."""
        return self.transposed.in_strength(weight, out)

    @property
    def weights(self) -> np.ndarray:
        """The kernel; a single 1 where there is none."""
        return np.ones(1, np.float32) if self.kernel is None else self.kernel

    def factors(self, xp: ModuleType = np) -> list[Array | None]:
        """Factors of the source nodes and of the target nodes, where ``xp`` works."""
        factors = (self.source_factor, self.target_factor)
        return [None if f is None else xp.ascontiguousarray(kept(f, xp)) for f in factors]

    def listed_weight(self, xp: ModuleType = np) -> Array:
        """Weight of each listed edge, where ``xp`` works."""
        (axis,) = self.axes
        if self.kernel is None:
            weight = xp.ones(len(axis), np.float32)
        else:
            weight = kept(self.kernel, xp)[kept(axis.tap, xp)]
        if axis.gain is not None:
            weight = weight * kept(axis.gain, xp)
        for factor, ends in zip(self.factors(xp), (axis.src, axis.dst), strict=True):
            if factor is not None:
                weight = weight * factor[kept(ends, xp)]
        return weight

    @property
    def has_negative_weight(self) -> bool:
        """Whether any edge may weigh less than 0; exact where nodes have factors."""
        if self.has_factors:
            return bool((self.in_strength("negative") > 0).any())
        kernel = self.weights
        return self.n_edges > 0 and (
            self.has_negative_gain
            or any((kernel[part] < 0).any() for part in blocks(kernel.shape, 0, 1, BLOCK_WEIGHTS))
        )

    @property
    def has_negative_gain(self) -> bool:
        """Whether a gain turns the sign of a weight, as in bicubic interpolation."""
        return any(axis.gain is not None and bool((axis.gain < 0).any()) for axis in self.axes)
