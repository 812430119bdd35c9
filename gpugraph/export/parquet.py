"""Parquet: a folder with ``nodes.parquet`` and ``edges/part-*.parquet``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gpugraph.edges import chunks
from gpugraph.export.files import Progress, new_file, new_folder, no_progress
from gpugraph.export.tables import (
    edge_batch,
    edge_schema,
    node_batches,
    node_schema,
    value_batches,
    value_schema,
)
from gpugraph.partition import Range, cut
from gpugraph.projection import Projection

if TYPE_CHECKING:
    from gpugraph.engines.dask.cluster import Cluster
    from gpugraph.graph import NeuronGraph
    from gpugraph.node_values import NodeValues

ROW_GROUP_EDGES = 2**20
# Files of about 60 MB: enough of them to share among cores, few enough to open.
PART_EDGES = 2**24
MOST_THREADS = 8
# A convolution's edges repeat their weights and compress to this little.
LEAST_BYTES_PER_EDGE = 0.1
# Ids rise in even steps: differences take half the space and time of pyarrow's default.
OPTIONS: dict[str, Any] = {
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
    cluster: Cluster = None,
) -> None:
    """Write nodes and edges as Parquet; see `NeuronGraph.write_parquet`.

    Any range of edges can be made on its own, so the parts are made and written in parallel.
    """
    least = int(graph.n_edges * LEAST_BYTES_PER_EDGE)
    schema = edge_schema(graph, parameters)
    parts = cut(graph, PART_EDGES)
    ours = {"nodes.parquet", "edges"}
    with new_folder(folder, overwrite=overwrite, least_bytes=least, contents=ours) as to:
        with pq.ParquetWriter(to / "nodes.parquet", node_schema(graph)) as nodes:
            for batch in node_batches(graph):
                nodes.write_batch(batch)
        (to / "edges").mkdir()
        paths = [to / "edges" / f"part-{i:05}.parquet" for i in range(len(parts))]
        if cluster is None:
            _write_parts(graph, list(zip(parts, paths, strict=True)), schema, progress)
        else:
            from gpugraph.engines.dask.parquet import write_parts

            write_parts(graph, list(zip(parts, paths, strict=True)), schema, cluster, progress)


def _write_parts(
    graph: NeuronGraph,
    parts: Sequence[tuple[Sequence[Range], Path]],
    schema: pa.Schema,
    progress: Progress,
) -> None:
    """Write parts of the edges as one file each, on all cores."""
    turn = Lock()

    def report(n_edges: int) -> None:
        with turn:
            progress(n_edges)

    threads = ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1))
    try:
        written = [
            threads.submit(
                write_part,
                [(graph.projections[i], start, stop) for i, start, stop in part],
                path,
                schema,
                report,
            )
            for part, path in parts
        ]
        for part_written in written:
            part_written.result()
    finally:
        threads.shutdown(cancel_futures=True)


def write_values(
    values: NodeValues, path: str | os.PathLike[str], *, overwrite: bool = False
) -> None:
    """Write one number per node as a Parquet file; see `NodeValues.write_parquet`."""
    with (
        new_file(path, overwrite=overwrite, least_bytes=len(values)) as partial,
        pq.ParquetWriter(partial, value_schema(values), compression="zstd") as writer,
    ):
        for batch in value_batches(values):
            writer.write_batch(batch)


def write_part(
    ranges: Sequence[tuple[Projection, int, int]], path: Path, schema: pa.Schema, report: Progress
) -> None:
    """Write one part, in row groups of about `ROW_GROUP_EDGES` however small projections are."""
    ids = np.dtype(schema.field("src").type.to_pandas_dtype())
    encoding = {k: v for k, v in OPTIONS["column_encoding"].items() if k in schema.names}
    with pq.ParquetWriter(path, schema, **{**OPTIONS, "column_encoding": encoding}) as writer:
        batches: list[pa.RecordBatch] = []
        for edges in chunks(ranges, ROW_GROUP_EDGES, ids):
            batches.append(edge_batch(edges, schema))
            if sum(map(len, batches)) >= ROW_GROUP_EDGES:
                _write_group(writer, batches, report)
                batches = []
        if batches:
            _write_group(writer, batches, report)


def _write_group(writer: pq.ParquetWriter, batches: list[pa.RecordBatch], report: Progress) -> None:
    table = pa.Table.from_batches(batches)
    writer.write_table(table, row_group_size=table.num_rows)
    report(table.num_rows)
