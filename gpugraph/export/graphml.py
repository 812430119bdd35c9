"""GraphML, written in bounded memory; networkx, igraph and Gephi read it back."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from gpugraph.edges import Edges
from gpugraph.export.files import Progress, new_file, no_progress, open_output
from gpugraph.export.text import Rows, fields
from gpugraph.population import Population
from gpugraph.projection import Projection

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph

CHUNK_EDGES = 2**17
LEAST_BYTES_PER_EDGE = 50
# Weights that are used many times are put into words once; a table takes 16 bytes each.
LARGEST_TABLE = 2**23

# What every edge repeats is kept short; with a character that no name of Python's has, so that no
# attribute of a node is called the same.
EDGE_KEYS = {"weight": "w:", "kind": "k:", "parameter": "p:", "tap": "t:"}

# XML 1.0 has no way to write these, escaped or not.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def write_graphml(
    graph: NeuronGraph,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    parameters: bool = False,
    progress: Progress = no_progress,
) -> None:
    """Write nodes and edges as GraphML; see `NeuronGraph.write_graphml`."""
    least = graph.n_edges * LEAST_BYTES_PER_EDGE
    with (
        new_file(path, overwrite=overwrite, least_bytes=least) as to,
        open_output(to) as file,
    ):
        file.write(_head(graph, parameters))
        for population in graph.populations.values():
            for text in _nodes(population):
                file.write(text)
        for projection in graph.projections:
            for text, n_edges in _edges(graph, projection, parameters):
                file.write(text)
                progress(n_edges)
        file.write(b"</graph>\n</graphml>\n")


def _text(value: str) -> str:
    """Escape a name for XML; what XML cannot hold becomes U+FFFD."""
    return escape(FORBIDDEN.sub("\ufffd", value))


def _quoted(value: str) -> str:
    """Quote a name as an XML attribute."""
    return quoteattr(FORBIDDEN.sub("\ufffd", value))


def _head(graph: NeuronGraph, parameters: bool) -> bytes:
    """Everything before the first node: the keys, each with its type."""
    axes = [n for p in graph.populations.values() for n in p.axis_names]
    extra = [n for p in graph.populations.values() for n in p.attributes]
    keys = [("node", "population", "string"), ("node", "layer", "string")]
    keys += [("node", name, "int") for name in dict.fromkeys(axes)]
    keys += [
        ("node", "bias", "double"),
        ("node", "activation", "string"),
        ("node", "subset", "int"),
    ]
    keys += [("node", name, "double") for name in dict.fromkeys(extra)]
    number = "float" if graph.weight_dtype == np.float32 else "double"
    keys += [("edge", "weight", number), ("edge", "kind", "string")]
    if parameters:
        keys += [("edge", "parameter", "long"), ("edge", "tap", "long")]
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xsi:schemaLocation="http://graphml.graphdrawing.org/xmlns'
        ' http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">',
        *(
            f'<key id={_quoted(EDGE_KEYS[name] if where == "edge" else name)} for="{where}"'
            f' attr.name={_quoted(name)} attr.type="{kind}"/>'
            for where, name, kind in keys
        ),
        f'<graph id={_quoted(graph.name)} edgedefault="directed">',
    ]
    return ("\n".join(lines) + "\n").encode()


def _nodes(population: Population) -> Iterator[memoryview]:
    """Node elements of one population, in chunks."""
    attributes = population.node_values
    values = [population.values(v) for v in attributes.values()]
    names = [*population.axis_names, *attributes]
    start, *between = [f"<data key={_quoted(name)}>" for name in names]
    fixed = {"population": _text(population.name), "layer": _text(population.layer)}
    last = {"activation": _text(population.activation.name), "subset": str(population.depth)}
    rows = Rows(['<node id="', _data(fixed) + start, *between, _data(last) + "</node>\n"])
    for first in range(0, population.size, CHUNK_EDGES):
        stop = min(first + CHUNK_EDGES, population.size)
        columns = [*population.positions(first, stop), *(v[first:stop] for v in values)]
        ids = fields(_ids(population)[first:stop], '">')
        yield rows.join([ids, *(fields(column, "</data>") for column in columns)])


def _data(values: dict[str, str]) -> str:
    """Data elements of ready text."""
    return "".join(f"<data key={_quoted(key)}>{value}</data>" for key, value in values.items())


def _edges(
    graph: NeuronGraph, projection: Projection, parameters: bool
) -> Iterator[tuple[memoryview, int]]:
    """Edge elements of one projection, in chunks, and how many they are."""
    source = fields(_ids(projection.source), '"')
    target = fields(_ids(projection.target), '">')
    last = f'<data key="k:">{projection.kind}</data></edge>\n'
    pieces = ['<edge source="', ' target="', '<data key="w:">', last]
    if parameters:
        pieces[3:] = ['<data key="p:">', '<data key="t:">', last]
    weight, rows = _WeightFields(projection), Rows(pieces)
    for edges in projection.chunks(CHUNK_EDGES, graph.index_dtype):
        columns = [
            source[edges.src - projection.source.offset],
            target[edges.dst - projection.target.offset],
            weight(edges),
        ]
        if parameters:
            columns += [fields(edges.parameter, "</data>"), fields(edges.tap, "</data>")]
        yield rows.join(columns), len(edges)


def _ids(population: Population) -> np.ndarray:
    return np.arange(population.ids.start, population.ids.stop)


class _WeightFields:
    """Weights as text: from a table of the kernel where each entry serves many edges."""

    def __init__(self, projection: Projection) -> None:
        kernel = np.ones(1, np.float32) if projection.kernel is None else projection.kernel
        often = projection.n_edges > 2 * kernel.size and kernel.size <= LARGEST_TABLE
        self._table = fields(kernel, "</data>") if often and projection.is_unscaled else None

    def __call__(self, edges: Edges) -> np.ndarray:
        if self._table is None:
            return fields(edges.weight, "</data>")
        if len(self._table) == 1:
            return np.broadcast_to(self._table, len(edges))
        return self._table[edges.parameter]
