"""GraphML, written in bounded memory; networkx, igraph and Gephi read it back."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from gpugraph.edges import Edges
from gpugraph.export.files import Progress, new_file, no_progress, open_output
from gpugraph.export.text import Rows, decimals, floats
from gpugraph.population import Population
from gpugraph.projection import Projection

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph

CHUNK_EDGES = 2**17
LEAST_BYTES_PER_EDGE = 50
# Weights that are used many times are put into words once; a table takes 16 bytes each.
LARGEST_TABLE = 2**23

# What every edge repeats is kept short.
EDGE_KEYS = {"weight": "w", "kind": "k", "parameter": "p", "tap": "t"}

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
    keys += [("node", "bias", "double"), ("node", "activation", "string"), ("node", "subset", "int")]
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
            f'<key id={_quoted(EDGE_KEYS.get(name, name))} for="{where}"'
            f' attr.name={_quoted(name)} attr.type="{kind}"/>'
            for where, name, kind in keys
        ),
        f'<graph id={_quoted(graph.name)} edgedefault="directed">',
    ]
    return ("\n".join(lines) + "\n").encode()


def _nodes(population: Population) -> Iterator[bytes]:
    """Node elements of one population, in chunks."""
    before = [b'<node id="']
    after = [f'"><data key="population">{_text(population.name)}</data>']
    after[0] += f'<data key="layer">{_text(population.layer)}</data>'
    names = [*population.axis_names, "bias", *population.attributes]
    pieces: list[str] = [after[0]]
    for name in names:
        pieces[-1] += f"<data key={_quoted(name)}>"
        pieces.append("</data>")
    pieces[-1] += (
        f'<data key="activation">{_text(population.activation.name)}</data>'
        f'<data key="subset">{population.depth}</data></node>\n'
    )
    values = [0.0 if population.bias is None else population.bias, *population.attributes.values()]
    per_node = [population.values(np.asarray(v)) for v in values]
    rows: Rows | None = None
    for start in range(0, population.size, CHUNK_EDGES):
        stop = min(start + CHUNK_EDGES, population.size)
        columns = [decimals(np.arange(start, stop) + population.offset)]
        columns += [decimals(i) for i in population.positions(start, stop)]
        columns += [floats(v[start:stop]) for v in per_node]
        constants = [before[0], *(p.encode() for p in pieces)]
        rows = Rows(_interleave(constants, columns))
        yield rows.join(columns)


def _interleave(
    constants: Sequence[bytes], columns: Sequence[np.ndarray]
) -> list[bytes | np.dtype]:
    """Constant, column, constant ... constant."""
    pieces: list[bytes | np.dtype] = []
    for constant, column in zip(constants, columns, strict=False):
        pieces += [constant, column.dtype]
    return [*pieces, constants[-1]]


def _edges(
    graph: NeuronGraph, projection: Projection, parameters: bool
) -> Iterator[tuple[bytes, int]]:
    """Edge elements of one projection, in chunks, and how many they are."""
    source = decimals(np.asarray(projection.source.ids))
    target = decimals(np.asarray(projection.target.ids))
    constants = [
        b'<edge source="',
        b'" target="',
        b'"><data key="w">',
        f'</data><data key="k">{projection.kind}</data>'.encode(),
    ]
    if parameters:
        constants[-1] += b'<data key="p">'
        constants += [b'</data><data key="t">', b"</data>"]
    constants[-1] += b"</edge>\n"
    weight_text = _WeightText(projection)
    rows, shape = None, None
    for edges in graph.chunks([projection], CHUNK_EDGES):
        columns = [
            source[edges.src - projection.source.offset],
            target[edges.dst - projection.target.offset],
            weight_text(edges),
        ]
        if parameters:
            columns += [_signed(edges.parameter), decimals(edges.tap)]
        if rows is None or shape != [c.dtype for c in columns]:
            shape = [c.dtype for c in columns]
            rows = Rows(_interleave(constants, columns))
        yield rows.join(columns), len(edges)


class _WeightText:
    """Weights as text: from a table of the kernel where each entry serves many edges."""

    def __init__(self, projection: Projection) -> None:
        kernel = projection.kernel
        plain = all(axis.gain is None for axis in projection.axes)
        self._table: np.ndarray | None = None
        if kernel is None and plain:
            self._table = floats(np.ones(1, np.float32))
        elif kernel is not None and plain and kernel.size <= LARGEST_TABLE:
            if projection.n_edges > 2 * kernel.size:
                self._table = floats(kernel)

    def __call__(self, edges: Edges) -> np.ndarray:
        if self._table is None:
            return floats(edges.weight)
        if len(self._table) == 1:
            return np.broadcast_to(self._table, len(edges)).copy()
        return self._table[edges.parameter]


def _signed(values: np.ndarray) -> np.ndarray:
    """Parameter indices as text; they are all -1 or none is."""
    if values.size and values[0] < 0:
        return np.full(len(values), b"-1", "S8")
    return decimals(values)
