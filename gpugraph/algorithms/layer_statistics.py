"""Statistics of each projection: link weights, strengths, disparity, neural persistence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from math import isfinite, nan, prod, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugraph.arrays import blocks
from gpugraph.axes import Axis
from gpugraph.text_table import printable, text_table
from gpugraph.views import BLOCK_WEIGHTS

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from gpugraph.graph import NeuronGraph
    from gpugraph.projection import Projection

# Share of the mean square below which a variance is nothing but rounding of float64 sums.
ROUNDING = 1e-14

# Columns of the table as text, and the number that each shows.
COLUMNS = {
    "weight mean": "weight_mean",
    "variance": "weight_variance",
    "in-strength": "in_strength_mean",
    "std": "in_strength_std",
    "out-strength": "out_strength_mean",
    "std ": "out_strength_std",
    "fluctuation": "fluctuation",
    "in-disparity": "in_disparity",
    "out-disparity": "out_disparity",
    "persistence": "normalized_neural_persistence",
}
HEADER = ("source", "target", "kind", "edges", *(name.strip() for name in COLUMNS))
NUMERIC = (False, False, False, *[True] * (1 + len(COLUMNS)))


@dataclass(frozen=True)
class ProjectionStatistics:
    """Statistics of one projection; `layer_statistics` defines them.

    Attributes
    ----------
    source, target : str
        Populations.
    kind : str
        Of the edges.
    n_edges : int
    weight_mean, weight_variance : float, optional
        Over the edges.
    in_strength_mean, in_strength_std, in_strength_min, in_strength_max : float, optional
        Over the targets that the projection reaches.
    out_strength_mean, out_strength_std, out_strength_min, out_strength_max : float, optional
        Over the sources that it leaves from.
    fluctuation : float, optional
        Of the target population.
    in_disparity, out_disparity : float, optional
        Mean over the targets, and over the sources, whose strength is not zero.
    neural_persistence, normalized_neural_persistence : float, optional
        Of a dense projection.
    """

    source: str
    target: str
    kind: str
    n_edges: int
    weight_mean: float | None = None
    weight_variance: float | None = None
    in_strength_mean: float | None = None
    in_strength_std: float | None = None
    in_strength_min: float | None = None
    in_strength_max: float | None = None
    out_strength_mean: float | None = None
    out_strength_std: float | None = None
    out_strength_min: float | None = None
    out_strength_max: float | None = None
    fluctuation: float | None = None
    in_disparity: float | None = None
    out_disparity: float | None = None
    neural_persistence: float | None = None
    normalized_neural_persistence: float | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text, one entry per column of `HEADER`."""
        numbers = (getattr(self, name) for name in COLUMNS.values())
        text = ("" if x is None else f"{x:.4g}" for x in numbers)
        return (self.source, self.target, self.kind, f"{self.n_edges:,}", *text)


@dataclass(frozen=True)
class LayerStatistics:
    """Statistics of a graph's projections. ``str()`` gives the most telling columns as a table.

    Attributes
    ----------
    model : str
        The graph's name.
    rows : tuple of ProjectionStatistics
        One per projection, in the graph's order.
    """

    model: str
    rows: tuple[ProjectionStatistics, ...]

    def __str__(self) -> str:
        lines = [HEADER, *(row.cells for row in self.rows)]
        return "\n".join([printable(self.model), "", *text_table(lines, NUMERIC)])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it: None where a number is undefined or not finite."""
        return {
            "model": self.model,
            "projections": [
                {k: None if _is_nonfinite(v) else v for k, v in asdict(row).items()}
                for row in self.rows
            ],
        }

    def to_arrow(self) -> pa.Table:
        """Return a table of all rows and columns; null where a number is undefined."""
        import pyarrow as pa

        kinds = {"str": pa.string(), "int": pa.int64(), "float | None": pa.float64()}
        columns = fields(ProjectionStatistics)
        schema = pa.schema([(c.name, kinds[str(c.type)]) for c in columns])
        arrays = [
            pa.array([getattr(row, field.name) for row in self.rows], field.type)
            for field in schema
        ]
        return pa.Table.from_arrays(arrays, schema=schema)

    def to_pandas(self) -> pd.DataFrame:
        """Return `to_arrow` as a DataFrame; NaN where a number is undefined.

        Raises
        ------
        MissingDependencyError
            If pandas is not installed.
        """
        from gpugraph.export.data_frame import data_frame

        return data_frame(self.to_arrow())


def _is_nonfinite(value: object) -> bool:
    return isinstance(value, float) and not isfinite(value)


def layer_statistics(graph: NeuronGraph, *, persistence: bool = True) -> LayerStatistics:
    r"""Return statistics of every projection, as one table.

    Parameters
    ----------
    graph : NeuronGraph
        Of any size: no edge is made.
    persistence : bool
        Whether to find neural persistence too: the slow part, for large dense projections.

    Returns
    -------
    LayerStatistics
        One row per projection. A number is None where it is undefined (no edges, no strength but
        zero, persistence of what is not dense), and NaN where weights, or their squares, are no
        finite numbers: other projections stay readable.

    Notes
    -----
    Weights are those of edges: one that a convolution shares counts once per edge.

    *Link weights* [1]_: mean and (population) variance over the edges.

    *In-strength* of a target, *out-strength* of a source: the sum of the signed weights of the
    projection's edges into, out of it. Mean, standard deviation, least and largest over the nodes
    that have such an edge.

    *Fluctuation* [1]_ of the target population: the standard deviation of its nodes' strength,
    :math:`\sqrt{\sum_i (s_i - \bar s)^2 / n}` with all edges of the graph into and out of each
    node, signed: :math:`s_i = s_i^{in} + s_i^{out}`.

    *Disparity* [2]_: :math:`Y_i = \sum_j (|w_{ij}| / \sum_k |w_{ik}|)^2` over the projection's
    edges into a target, or out of a source: 1 where one edge holds all the strength, 1/degree where
    all hold the same. The mean over the nodes whose strength is not zero.

    *Neural persistence* [3]_ of a dense projection (every source joined to every target by a weight
    of its own): edges enter from the heaviest :math:`|w|` to the lightest, every node is there from
    the start, and each edge that joins two components ends one of them. These are the edges of the
    maximum spanning tree, and :math:`(\sum_e (1 - |w_e| / w_{max})^2)^{1/2}` is their 2-norm, where
    as in [3]_ :math:`w_{max}` is the largest :math:`|w|` in any dense projection of the graph. The
    component that never ends is left out, so that dividing by :math:`\sqrt{n_{in} + n_{out} - 1}`
    gives the normalized form, from 0 to 1. The tree is grown by Prim's algorithm over the kernel as
    it lies. Of a convolution it is found only where one window sees everything, and of edges picked
    one by one not at all.

    References
    ----------
    .. [1] La Malfa, La Malfa, Nicosia, Latora (2021). Characterizing learning dynamics of deep
       neural networks via complex networks. arXiv:2110.02628.
    .. [2] Barthelemy, Barrat, Pastor-Satorras, Vespignani (2005). Characterization and modeling of
       weighted networks. Physica A 346.
    .. [3] Rieck, Togninalli, Bock, Moor, Horn, Gumbsch, Borgwardt (2019). Neural persistence: a
       complexity measure for deep neural networks using algebraic topology. arXiv:1812.09764.

    Examples
    --------
    >>> print(gg.layer_statistics(graph))  # doctest: +SKIP
    """
    strength = np.zeros(graph.n_nodes)
    # What weights are not finite, or whose squares leave float64's range, gives NaN, silently.
    with np.errstate(over="ignore", invalid="ignore"):
        rows = [
            _statistics(p, strength[p.target.slice], strength[p.source.slice])
            for p in graph.projections
        ]
        fluctuation = {
            name: float(strength[p.slice].std()) if p.size else 0.0
            for name, p in graph.populations.items()
        }
    rows = [replace(row, fluctuation=_number(fluctuation[row.target])) for row in rows]
    if persistence:
        rows = _with_persistence(rows, graph.projections)
    return LayerStatistics(graph.name, tuple(rows))


def _number(x: float) -> float:
    return x if isfinite(x) else nan


def _statistics(p: Projection, into: np.ndarray, out: np.ndarray) -> ProjectionStatistics:
    """Statistics of one projection's edges; adds strengths to those of its targets and sources."""
    row = ProjectionStatistics(p.source.name, p.target.name, p.kind, p.n_edges)
    if not p.n_edges:
        return row
    turned = p.transposed
    in_strength, out_strength = p.in_strength(), turned.in_strength()
    into += in_strength
    out += out_strength
    squares_in, squares_out = _square_strengths(p)
    mean, mean_square = in_strength.sum() / p.n_edges, squares_in.sum() / p.n_edges
    variance = mean_square - mean**2
    numbers = {
        "weight_mean": mean,
        "weight_variance": 0.0 if variance <= ROUNDING * mean_square else variance,
        **_spread("in_strength", in_strength[p.in_degree() > 0]),
        **_spread("out_strength", out_strength[turned.in_degree() > 0]),
        "in_disparity": _disparity(squares_in, p.in_strength("magnitude")),
        "out_disparity": _disparity(squares_out, turned.in_strength("magnitude")),
    }
    is_finite = isfinite(mean_square)  # neither NaN nor infinity cancels among squares
    found: dict[str, Any] = {
        name: None if x is None else float(x) if is_finite else nan for name, x in numbers.items()
    }
    return replace(row, **found)


def _spread(name: str, values: np.ndarray) -> dict[str, float]:
    return {
        f"{name}_mean": values.mean(),
        f"{name}_std": values.std(),
        f"{name}_min": values.min(),
        f"{name}_max": values.max(),
    }


def _disparity(squares: np.ndarray, magnitudes: np.ndarray) -> float | None:
    """Mean of the sum of squares over the square of the sum, where that is not zero."""
    has_strength = magnitudes != 0
    if not has_strength.any():
        return None
    squares, magnitudes = squares[has_strength], magnitudes[has_strength]
    return float((squares / magnitudes / magnitudes).mean())


def _square_strengths(p: Projection) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the squared weights into each target, and out of each source; float64."""
    if p.is_listed:
        (axis,) = p.axes
        squares = _squared(p.listed_weight())
        return (
            np.bincount(axis.dst, squares, p.target.size),
            np.bincount(axis.src, squares, p.source.size),
        )
    dense = _Dense.of(p)
    if dense is not None:
        return dense.square_strengths()
    squared = replace(
        p,
        axes=tuple(_with_squared_gain(axis) for axis in p.axes),
        kernel=None if p.kernel is None else _squared(p.kernel),
        source_factor=None if p.source_factor is None else _squared(p.source_factor),
        target_factor=None if p.target_factor is None else _squared(p.target_factor),
    )
    return squared.in_strength(), squared.out_strength()


def _with_squared_gain(axis: Axis) -> Axis:
    return axis if axis.gain is None else replace(axis, gain=_squared(axis.gain))


def _squared(values: np.ndarray) -> np.ndarray:
    """Squares in float64: those of float32 leave its range early."""
    return np.square(values, dtype=np.float64)


def _is_fan(axis: Axis) -> bool:
    """Whether an axis joins one end to every position of the other, by one tap each, in order."""
    each = np.arange(len(axis))
    return (
        axis.kind != "listed"
        and axis.is_tapped
        and len(axis) == max(axis.n_src, axis.n_dst)
        and min(axis.n_src, axis.n_dst) == 1
        and np.array_equal(axis.tap - axis.tap[0], each)
        and np.array_equal(axis.src if axis.n_src > 1 else axis.dst, each)
    )


@dataclass(frozen=True)
class _Dense:
    """The weights of a dense projection, read a row or a column at a time.

    Attributes
    ----------
    kernel : float array
        A view of the kernel: first the source's dimensions, then the target's.
    n_dims : int
        How many of them are the source's.
    source_factor, target_factor : float array, optional
    """

    kernel: np.ndarray
    n_dims: int
    source_factor: np.ndarray | None
    target_factor: np.ndarray | None

    @classmethod
    def of(cls, p: Projection) -> _Dense | None:
        """The weights of a projection; None where it is not dense."""
        if p.kernel is None or p.n_edges != p.source.size * p.target.size or not p.n_edges:
            return None
        if any(axis.gain is not None or (len(axis) > 1 and not _is_fan(axis)) for axis in p.axes):
            return None
        # Dimensions in the order of node ids, so that a row or a column is flattened into it.
        fan_in = [i for i, a in enumerate(p.axes) if len(a) > 1 and a.n_src > 1]
        fan_out = [i for i, a in enumerate(p.axes) if len(a) > 1 and a.n_dst > 1]
        fan_in.sort(key=lambda i: -p.axes[i].src_stride)
        fan_out.sort(key=lambda i: -p.axes[i].dst_stride)
        single = [i for i, a in enumerate(p.axes) if len(a) == 1]
        view = p.kernel_view(p.kernel).transpose(*single, *fan_in, *fan_out)
        taps = [int(p.axes[i].tap[0]) if p.axes[i].is_tapped else 0 for i in single]
        fans = [p.axes[i] for i in (*fan_in, *fan_out)]
        dims = [slice(int(a.tap[0]), int(a.tap[0]) + len(a)) for a in fans]
        return cls(view[(*taps, *dims)], len(fan_in), p.source_factor, p.target_factor)

    @property
    def key(self) -> tuple[object, ...] | None:
        """The same for the same weights, as recurrent layers use them at every step."""
        if self.source_factor is not None or self.target_factor is not None:
            return None
        interface = self.kernel.__array_interface__
        return (interface["data"], self.kernel.shape, self.kernel.strides, self.n_dims)

    @property
    def n_src(self) -> int:
        return prod(self.kernel.shape[: self.n_dims])

    @property
    def n_dst(self) -> int:
        return prod(self.kernel.shape[self.n_dims :])

    def row(self, i: int) -> np.ndarray:
        """``|w|`` out of a source."""
        at = np.unravel_index(i, self.kernel.shape[: self.n_dims])
        return self._magnitudes(self.kernel[at], self.source_factor, i, self.target_factor)

    def column(self, j: int) -> np.ndarray:
        """``|w|`` into a target."""
        at = np.unravel_index(j, self.kernel.shape[self.n_dims :])
        part = self.kernel[(slice(None),) * self.n_dims + at]
        return self._magnitudes(part, self.target_factor, j, self.source_factor)

    @staticmethod
    def _magnitudes(
        part: np.ndarray, own: np.ndarray | None, at: int, others: np.ndarray | None
    ) -> np.ndarray:
        values = np.abs(part).reshape(-1)
        if own is not None:
            values = values * np.abs(np.float64(own[at]))
        return values if others is None else values * np.abs(others, dtype=np.float64)

    def square_strengths(self) -> tuple[np.ndarray, np.ndarray]:
        """See `_square_strengths`; block by block, so that no second kernel is made."""
        ends = (self.kernel.shape[: self.n_dims], self.kernel.shape[self.n_dims :])
        shape, n = self.kernel.shape, self.n_dims
        before, after = (
            np.ones(end) if factor is None else _squared(factor).reshape(end)
            for factor, end in zip((self.source_factor, self.target_factor), ends, strict=True)
        )
        into, out = np.zeros(ends[1]), np.zeros(ends[0])
        for part in blocks(shape, 0, len(shape), BLOCK_WEIGHTS):
            squares = _squared(self.kernel[part])
            src, dst = part[:n], part[n:]
            into[dst] += np.tensordot(before[src], squares, n)
            out[src] += np.tensordot(squares, after[dst], len(dst))
        return (into * after).reshape(-1), (out * before).reshape(-1)

    def spanning_tree(self) -> np.ndarray:
        """``|w|`` of the edges of the maximum spanning tree, by Prim's algorithm; float64."""
        # The heaviest edge from the tree to each node; -1 once the node is in it.
        rows = self.column(0)
        columns = np.full(self.n_dst, -1, rows.dtype)
        # Nodes outside have no limit; those in the tree are kept at -1.
        row_limit, column_limit = np.full_like(rows, np.inf), np.full_like(columns, np.inf)
        column_limit[0] = -1
        tree = np.empty(self.n_src + self.n_dst - 1)
        for edge in range(len(tree)):
            i, j = int(rows.argmax()), int(columns.argmax())
            if rows[i] >= columns[j]:
                tree[edge] = rows[i]
                rows[i] = row_limit[i] = -1
                found, best, limit = self.row(i), columns, column_limit
            else:
                tree[edge] = columns[j]
                columns[j] = column_limit[j] = -1
                found, best, limit = self.column(j), rows, row_limit
            np.maximum(best, np.minimum(found, limit, out=found), out=best)
        return tree


def _with_persistence(
    rows: Sequence[ProjectionStatistics], projections: Sequence[Projection]
) -> list[ProjectionStatistics]:
    """Add neural persistence to the rows of dense projections."""
    trees: dict[int, np.ndarray] = {}
    known: dict[object, np.ndarray] = {}
    for at, (row, p) in enumerate(zip(rows, projections, strict=True)):
        dense = _Dense.of(p)
        if dense is None:
            continue
        if row.weight_mean is None or not isfinite(row.weight_mean):
            trees[at] = np.full(1, nan)
            continue
        key = dense.key or (at,)
        if key not in known:
            known[key] = dense.spanning_tree()
        trees[at] = known[key]
    # The heaviest edge of all is in the tree of its projection.
    largest = max((tree.max() for tree in trees.values() if isfinite(tree[0])), default=0.0) or 1.0
    result = list(rows)
    for at, tree in trees.items():
        size = sqrt(np.square(1 - tree / largest).sum())
        result[at] = replace(
            rows[at], neural_persistence=size, normalized_neural_persistence=size / sqrt(len(tree))
        )
    return result
