"""A graph's edges as a Dask DataFrame whose partitions the workers make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from gpugraph.arrays import namespace
from gpugraph.doctor import cuda_problem
from gpugraph.edges import edge_maker
from gpugraph.engines.dask.cluster import Cluster, client_of, current_client, require_dask
from gpugraph.engines.dask.shipping import open_parcels, send, stay
from gpugraph.errors import DeviceError, MissingDependencyError, SelectionError
from gpugraph.export.tables import KINDS
from gpugraph.partition import cut
from gpugraph.projection import Projection
from gpugraph.views import Weight, check_view, weight_view

if TYPE_CHECKING:
    import dask.dataframe as dd

    from gpugraph.graph import NeuronGraph

Backend = Literal["pandas", "cudf"]

COLUMNS = ("src", "dst", "weight", "kind", "parameter", "tap")
# 200 MB of src, dst and weight; on a GPU, where starting a task costs more than its edges, 800 MB.
PARTITION_EDGES: dict[Backend, int] = {"pandas": 2**24, "cudf": 2**26}
LONGEST_COLUMN = 2**31 - 1  # of cuDF


def to_dask(
    graph: NeuronGraph,
    partition_edges: int | None = None,
    *,
    backend: Backend = "pandas",
    columns: Sequence[str] = ("src", "dst", "weight"),
    weight: Weight = "weight",
    cluster: Cluster = None,
) -> dd.DataFrame:
    """Return all edges as a Dask DataFrame; see `NeuronGraph.to_dask`."""
    require_dask()
    import dask
    import dask.dataframe as dd

    size = partition_size(partition_edges, backend)
    recipe = Recipe(graph.index_dtype, graph.weight_dtype, tuple(columns), weight, backend)
    recipe.check()
    meta = recipe.frame(0, [])

    client = current_client() if cluster is None else client_of(cluster)
    parcels = stay(graph.projections) if client is None else send(client, graph.projections)
    parts = cut(graph, size)
    pieces = [
        Piece(i * size, [(len(parcels[r.projection]), r.start, r.stop) for r in part])
        for i, part in enumerate(parts)
    ]
    contents = [[thing for r in part for thing in parcels[r.projection]] for part in parts]
    with dask.config.set({"dataframe.convert-string": False}):  # kinds are no strings
        return dd.from_map(
            recipe.partition,
            pieces,
            *map(list, zip_longest(*contents)),
            meta=meta,
            divisions=(*(piece.start for piece in pieces), max(graph.n_edges - 1, 0)),
            label="edges",
        )


class Piece(NamedTuple):
    """What one partition holds: the number of its first edge, and ranges of projections.

    A range is told by how many things its projection's parcel holds, its first edge, and one past
    its last.
    """

    start: int
    cut: list[tuple[int, int, int]]


@dataclass(frozen=True)
class Recipe:
    """How partitions are made.

    Attributes
    ----------
    ids, number : numpy.dtype
        Of node ids and weights.
    columns : tuple of str
    weight : {"weight", "magnitude", "positive", "negative", None}
    backend : {"pandas", "cudf"}
    """

    ids: np.dtype
    number: np.dtype
    columns: tuple[str, ...]
    weight: Weight
    backend: Backend

    def check(self) -> None:
        """Raise SelectionError where columns or view do not exist."""
        strange = [name for name in self.columns if name not in COLUMNS]
        if strange or not self.columns:
            raise SelectionError(
                f"There is no column {strange[0]!r}: choose among {', '.join(COLUMNS)}."
                if strange
                else f"columns must name at least one of {', '.join(COLUMNS)}."
            )
        check_view(self.weight)

    def partition(self, piece: Piece, *contents: Any) -> Any:
        """Make one partition, on a worker, from its parcels' contents."""
        return self.frame(piece.start, open_parcels(piece.cut, contents))

    def frame(self, first: int, parts: Sequence[tuple[Projection, int, int]]) -> Any:
        """Make ranges of projections' edges as one frame, indexed from ``first``."""
        xp = np if self.backend == "pandas" else namespace("cuda")
        n = sum(stop - start for _, start, stop in parts)
        made = {
            name: xp.empty(n, dtype)
            for name, dtype in {
                "src": self.ids,
                "dst": self.ids,
                "weight": self.number,
                "kind": np.int8,
                "parameter": np.int64,
                "tap": np.int32,
            }.items()
            if name in {"src", "dst", "weight", *self.columns}
        }
        at = 0
        for projection, start, stop in parts:
            here = slice(at, at + stop - start)
            out = [made[name][here] for name in ("src", "dst", "weight")]
            edges = edge_maker(projection, self.ids, xp).make(start, stop, out)
            if "kind" in made:
                made["kind"][here] = KINDS.index(projection.kind)
            if "parameter" in made:
                made["parameter"][here] = edges.parameter
            if "tap" in made:
                made["tap"][here] = edges.tap
            at = here.stop
        made["weight"] = (
            xp.ones_like(made["weight"])
            if self.weight is None
            else weight_view(made["weight"], self.weight)
        )
        frame = _pandas if self.backend == "pandas" else _cudf
        return frame({name: made[name] for name in self.columns}, range(first, first + n))


def _pandas(columns: dict[str, Any], numbers: range) -> Any:
    import pandas as pd

    if "kind" in columns:
        columns["kind"] = pd.Categorical.from_codes(columns["kind"], KINDS)
    return pd.DataFrame(columns, index=pd.RangeIndex(numbers), copy=False)


def _cudf(columns: dict[str, Any], numbers: range) -> Any:
    import cudf
    import pandas as pd

    frame = cudf.DataFrame(
        {name: column for name, column in columns.items() if name != "kind"}, nan_as_null=False
    )
    if "kind" in columns:
        kind = pd.Categorical.from_codes(namespace("cuda").asnumpy(columns["kind"]), KINDS)
        frame["kind"] = cudf.Series(kind)
    frame.index = cudf.RangeIndex(numbers.start, numbers.stop)
    return frame[list(columns)]


def partition_size(partition_edges: int | None, backend: Backend) -> int:
    """Return how many edges a partition has, once the backend is there."""
    if backend not in PARTITION_EDGES:
        raise SelectionError(f"There is no backend {backend!r}: choose 'pandas' or 'cudf'.")
    if backend == "cudf":
        require_cudf("backend='cudf'", "use backend='pandas'")
    if partition_edges is None:
        return PARTITION_EDGES[backend]
    limit = f"1 to {LONGEST_COLUMN}, the longest column of cuDF"
    most = LONGEST_COLUMN if backend == "cudf" else None
    if (
        isinstance(partition_edges, bool)
        or not hasattr(partition_edges, "__index__")
        or partition_edges < 1
        or (most is not None and partition_edges > most)
    ):
        raise SelectionError(
            f"partition_edges must be a whole number of {limit if most else 'at least 1'}, not "
            f"{partition_edges!r}."
        )
    return int(partition_edges)


def require_cudf(what: str, instead: str) -> None:
    """Raise where this process, which describes what workers make, has no GPU or no cuDF.

    Raises
    ------
    DeviceError
        If there is no GPU.
    MissingDependencyError
        If Dask's cuDF is not installed.
    """
    problem = cuda_problem()  # importing cuDF would not tell
    if problem is not None:
        raise DeviceError(
            f"{what} needs a GPU here, too, but {problem.reason}. gpugraph doctor says what to do; "
            f"or {instead}."
        )
    try:
        import dask_cudf  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"{what} needs cuDF ({error}): pip install 'gpugraph[cuda13]' (or [cuda12]), or "
            f"{instead}."
        ) from error
