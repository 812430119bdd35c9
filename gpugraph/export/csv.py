"""CSV: one file of edges, and one of nodes beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv

from gpugraph.export.files import (
    Progress,
    check_output,
    new_file,
    no_progress,
    open_output,
    output_path,
)
from gpugraph.export.tables import edge_batch, edge_schema, node_batches, node_schema

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph

CHUNK_EDGES = 2**17
LEAST_BYTES_PER_EDGE = 12


def write_csv(
    graph: NeuronGraph,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    parameters: bool = False,
    progress: Progress = no_progress,
) -> None:
    """Write edges and nodes as CSV; see `NeuronGraph.write_csv`."""
    nodes_path = node_file(path)
    check_output(nodes_path, overwrite)
    least = graph.n_edges * LEAST_BYTES_PER_EDGE
    schema = edge_schema(graph, parameters)
    with (
        new_file(nodes_path, overwrite=overwrite, least_bytes=0) as nodes_to,
        new_file(path, overwrite=overwrite, least_bytes=least) as edges_to,
    ):
        with (
            open_output(nodes_to) as sink,
            pyarrow.csv.CSVWriter(sink, _plain(node_schema(graph))) as writer,
        ):
            for batch in node_batches(graph):
                writer.write(batch.cast(_plain(batch.schema)))
        with (
            open_output(edges_to) as sink,
            pyarrow.csv.CSVWriter(sink, _plain(schema)) as writer,
        ):
            for edges in graph.edges(chunk_edges=CHUNK_EDGES, device="cpu"):
                writer.write(edge_batch(edges, schema).cast(_plain(schema)))
                progress(len(edges))


def node_file(path: str | os.PathLike[str]) -> Path:
    """Return the name of the node file beside an edge file: ``net.csv``, ``net.nodes.csv``."""
    path = output_path(path)
    ending = ".csv.gz" if path.name.endswith(".csv.gz") else path.suffix
    return path.with_name(f"{path.name.removesuffix(ending)}.nodes{ending}")


def _plain(schema: pa.Schema) -> pa.Schema:
    """Return the schema with words in place of dictionaries, which CSV does not have."""
    return pa.schema(
        [
            pa.field(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type)
            for f in schema
        ]
    )
