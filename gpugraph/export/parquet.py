"""Parquet: a folder with ``nodes.parquet`` and ``edges/part-*.parquet``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from gpugraph.export.files import Progress, new_folder, no_progress
from gpugraph.export.tables import edge_batch, edge_schema, node_batches, node_schema

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph

ROW_GROUP_EDGES = 2**20
# Below cuDF's limit of 2**31 rows, and small enough for a worker or a GPU to read one whole.
PART_EDGES = 2**26
# A convolution's edges repeat their weights and compress to this little.
LEAST_BYTES_PER_EDGE = 0.1
# Ids rise in even steps: differences take half the space and time of pyarrow's default.
OPTIONS = {
    "compression": "zstd",
    "use_dictionary": ["kind"],
    "column_encoding": dict.fromkeys(("src", "dst", "parameter", "tap"), "DELTA_BINARY_PACKED"),
}


def write_parquet(
    graph: NeuronGraph,
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    parameters: bool = False,
    progress: Progress = no_progress,
) -> None:
    """Write nodes and edges as Parquet; see `NeuronGraph.write_parquet`."""
    least = int(graph.n_edges * LEAST_BYTES_PER_EDGE)
    with new_folder(folder, overwrite=overwrite, least_bytes=least) as to:
        with pq.ParquetWriter(to / "nodes.parquet", node_schema(graph)) as nodes:
            for batch in node_batches(graph):
                nodes.write_batch(batch)
        (to / "edges").mkdir()
        schema = edge_schema(graph, parameters)
        with _Parts(to / "edges", schema) as parts:
            for group in _row_groups(graph, schema):
                parts.write(group)
                progress(group.num_rows)


def _row_groups(graph: NeuronGraph, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield all edges in tables of about a row group, however small the projections are."""
    batches: list[pa.RecordBatch] = []
    for edges in graph.chunks(graph.projections, ROW_GROUP_EDGES):
        batches.append(edge_batch(edges, schema))
        if sum(len(batch) for batch in batches) >= ROW_GROUP_EDGES:
            yield pa.Table.from_batches(batches)
            batches = []
    yield pa.Table.from_batches(batches, schema)


class _Parts:
    """Writes tables to ``part-00000.parquet``, ``part-00001.parquet`` ... of bounded size."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._folder, self._schema = folder, schema
        self._n_parts = self._n_edges = 0
        self._writer = self._next()

    def __enter__(self) -> _Parts:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def _next(self) -> pq.ParquetWriter:
        path = self._folder / f"part-{self._n_parts:05}.parquet"
        options = {**OPTIONS, "column_encoding": _known(OPTIONS["column_encoding"], self._schema)}
        return pq.ParquetWriter(path, self._schema, **options)

    def write(self, table: pa.Table) -> None:
        if self._n_edges + table.num_rows > PART_EDGES:
            self._writer.close()
            self._n_parts, self._n_edges = self._n_parts + 1, 0
            self._writer = self._next()
        self._writer.write_table(table, row_group_size=2 * ROW_GROUP_EDGES)
        self._n_edges += table.num_rows


def _known(by_column: Any, schema: pa.Schema) -> dict[str, str]:
    """Keep the settings of columns that the schema has."""
    return {name: value for name, value in by_column.items() if name in schema.names}
