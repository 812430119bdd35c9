"""Nodes and edges as Arrow record batches, for Parquet and CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gpugraph.edges import Edges
from gpugraph.projection import Kind

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph
    from gpugraph.node_values import NodeValues
    from gpugraph.population import Population

CHUNK_NODES = 2**18
KINDS: tuple[Kind, ...] = ("weight", "scale", "choice", "mean", "copy", "dynamic")
WORD = pa.dictionary(pa.int32(), pa.string())


def node_schema(graph: NeuronGraph) -> pa.Schema:
    """Columns of the node table: one per kind of index and attribute that any population has."""
    extra = dict.fromkeys(name for p in graph.populations.values() for name in p.attributes)
    number = pa.from_numpy_dtype(graph.weight_dtype)
    return pa.schema(
        [
            *_place_schema(graph),
            ("bias", number),
            ("activation", WORD),
            ("subset", pa.int32()),
            *((name, number) for name in extra),
        ]
    )


def _place_schema(graph: NeuronGraph) -> pa.Schema:
    """Columns that tell where a node stands."""
    axes = dict.fromkeys(name for p in graph.populations.values() for name in p.axis_names)
    return pa.schema(
        [
            ("id", pa.from_numpy_dtype(graph.index_dtype)),
            ("population", WORD),
            ("layer", WORD),
            *((name, pa.int32()) for name in axes),
        ]
    )


def _place(graph: NeuronGraph, p: Population, start: int, stop: int) -> dict[str, Any]:
    """Where nodes ``start:stop`` of a population stand."""
    return {
        "id": np.arange(p.offset + start, p.offset + stop, dtype=graph.index_dtype),
        "population": _word(p.name, stop - start),
        "layer": _word(p.layer, stop - start),
        **dict(zip(p.axis_names, p.positions(start, stop), strict=True)),
    }


def _batch(columns: Mapping[str, Any], schema: pa.Schema, n: int) -> pa.RecordBatch:
    """Return columns of length n as a record batch; those that are missing are null."""
    arrays = [
        pa.array(columns[field.name]).cast(field.type)
        if field.name in columns
        else pa.nulls(n, field.type)
        for field in schema
    ]
    return pa.record_batch(arrays, schema=schema)


def value_schema(values: NodeValues) -> pa.Schema:
    """Columns of a table of node values."""
    # Where numbers outgrow floats, they are put together in float64.
    number = values.array.dtype if values.exponents is None else np.dtype(np.float64)
    return _place_schema(values.graph).append(pa.field(values.name, pa.from_numpy_dtype(number)))


def value_batches(values: NodeValues) -> Iterator[pa.RecordBatch]:
    """Yield all nodes with their value, in the order of their ids."""
    schema, flat = value_schema(values), np.asarray(values)
    for p in values.graph.populations.values():
        for start in range(0, p.size, CHUNK_NODES):
            stop = min(start + CHUNK_NODES, p.size)
            columns = _place(values.graph, p, start, stop)
            columns[values.name] = flat[p.offset + start : p.offset + stop]
            yield _batch(columns, schema, stop - start)


def node_batches(graph: NeuronGraph) -> Iterator[pa.RecordBatch]:
    """Yield all nodes in the order of their ids; a column that a population lacks is null."""
    schema = node_schema(graph)
    for p in graph.populations.values():
        per_node = {name: p.values(v) for name, v in p.node_values.items()}
        for start in range(0, p.size, CHUNK_NODES):
            stop = min(start + CHUNK_NODES, p.size)
            columns = {
                **_place(graph, p, start, stop),
                "activation": _word(p.activation.name, stop - start),
                "subset": np.full(stop - start, p.depth),
                **{name: v[start:stop] for name, v in per_node.items()},
            }
            yield _batch(columns, schema, stop - start)


def edge_schema(graph: NeuronGraph, parameters: bool) -> pa.Schema:
    """Columns of the edge table."""
    ids = pa.from_numpy_dtype(graph.index_dtype)
    fields = [("src", ids), ("dst", ids), ("weight", pa.from_numpy_dtype(graph.weight_dtype))]
    fields.append(("kind", pa.dictionary(pa.int8(), pa.string())))
    if parameters:
        fields += [("parameter", pa.int64()), ("tap", pa.int32())]
    return pa.schema(fields)


def edge_batch(edges: Edges, schema: pa.Schema) -> pa.RecordBatch:
    """Return a chunk of edges as a record batch that shares its memory."""
    kind = np.full(len(edges), KINDS.index(edges.kind), np.int8)
    arrays = [pa.array(edges.src), pa.array(edges.dst)]
    arrays.append(pa.array(edges.weight).cast(schema.field("weight").type))
    arrays.append(pa.DictionaryArray.from_arrays(kind, pa.array(KINDS)))
    if "parameter" in schema.names:
        arrays += [pa.array(edges.parameter), pa.array(edges.tap.astype(np.int32))]
    return pa.record_batch(arrays, schema=schema)


def _word(word: str, n: int) -> pa.DictionaryArray:
    """Return one word, n times."""
    return pa.DictionaryArray.from_arrays(np.zeros(n, np.int32), pa.array([word]))
