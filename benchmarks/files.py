"""Writing files, against the writers of networkx, igraph and pyarrow."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import igraph
import networkx as nx
import pyarrow as pa
import pyarrow.parquet as pq

import gpugraph as gg
from benchmarks.measure import Figures, extra_memory, side_by_side
from benchmarks.models import cnn, vgg16_32
from gpugraph.export.parquet import OPTIONS, ROW_GROUP_EDGES
from gpugraph.export.tables import edge_batch, edge_schema


def run() -> Figures:
    """Write GraphML and Parquet all ways."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            "what": "files, from the factored graph against from ready graphs and columns",
            # Memory first: what other runs leave free would hide what this one takes.
            "graphml_memory": _memory(Path(folder)),
            "graphml": _graphml(Path(folder)),
            "parquet": _parquet(Path(folder)),
        }


def _graphml(folder: Path) -> Figures:
    graph = gg.from_keras(cnn())
    ready = graph.to_networkx()
    os.sync()
    start = time.perf_counter()
    nx.write_graphml_lxml(ready, folder / "networkx.graphml")
    networkx_s = time.perf_counter() - start
    in_igraph = igraph.Graph.from_networkx(ready)
    del ready
    ours, igraph_s = side_by_side(
        lambda: graph.write_graphml(folder / "ours.graphml", overwrite=True),
        lambda: in_igraph.write_graphml(str(folder / "igraph.graphml")),
        before=os.sync,  # the others leave their files to be written later; we wait for ours
    )
    sizes = {n: (folder / f"{n}.graphml").stat().st_size for n in ("ours", "networkx", "igraph")}
    return {
        "edges": graph.n_edges,
        "s": ours,
        "M_edges_per_s": graph.n_edges / ours / 1e6,
        "times_networkx": networkx_s / ours,
        "times_igraph": igraph_s / ours,
        "bytes_per_edge": {name: size / graph.n_edges for name, size in sizes.items()},
    }


def _parquet(folder: Path) -> Figures:
    graph = gg.from_keras(vgg16_32()).between("block1_conv2", "block3_conv1")
    schema = edge_schema(graph, parameters=False)
    batches = (edge_batch(edges, schema) for edges in graph.edges(chunk_edges=2**20, device="cpu"))
    table = pa.Table.from_batches(list(batches)).combine_chunks()
    columns = {"src": "DELTA_BINARY_PACKED", "dst": "DELTA_BINARY_PACKED"}

    def pyarrow_same_options() -> None:
        options = {**OPTIONS, "column_encoding": columns}
        pq.write_table(table, folder / "same.parquet", row_group_size=ROW_GROUP_EDGES, **options)

    def pyarrow_as_it_comes() -> None:
        pq.write_table(table, folder / "plain.parquet")

    def ours() -> None:
        graph.write_parquet(folder / "ours.parquet", overwrite=True)

    mine, same = side_by_side(ours, pyarrow_same_options, 3, os.sync)
    again, plain = side_by_side(ours, pyarrow_as_it_comes, 3, os.sync)
    size = sum(p.stat().st_size for p in (folder / "ours.parquet").rglob("*.parquet"))
    return {
        "edges": graph.n_edges,
        "M_edges_per_s": graph.n_edges / mine / 1e6,
        "rate_against_pyarrow_same_options": same / mine,
        "rate_against_pyarrow_as_it_comes": plain / again,
        "bytes_per_edge": size / graph.n_edges,
        "pyarrow_bytes_per_edge": (folder / "plain.parquet").stat().st_size / graph.n_edges,
    }


def _memory(folder: Path) -> Figures:
    """Memory that writing takes beyond the model, on ten times the edges of the comparison."""
    graph = gg.from_keras(vgg16_32()).between("block1_conv2", "block2_conv1")
    memory = extra_memory(lambda: graph.write_graphml(folder / "large.graphml"))
    return {"edges": graph.n_edges, "extra_memory_MB": memory / 1e6}
