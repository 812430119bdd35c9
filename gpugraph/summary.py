"""What a graph holds and what its forms would weigh, without making an edge."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugraph.arrays import format_bytes, free_memory
from gpugraph.text_table import printable, text_table

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph

# Bytes per edge and node, as measured on files of convolutional networks (benchmarks/files.py).
GRAPHML_EDGE, GRAPHML_NODE = 110, 250
CSV_EDGE = 30
PARQUET_EDGE = 3.7

HEADER = ("population", "layer", "shape", "nodes", "edges in", "kinds", "activation")
NUMERIC = (False, False, False, True, True, False, False)


@dataclass(frozen=True)
class Row:
    """One population.

    Attributes
    ----------
    name, layer : str
        The population's name and its Keras layer's class.
    shape : tuple of int
    nodes, edges : int
        Its nodes, and the edges into them.
    kinds : tuple of str
        Kinds of the projections into it, each once.
    activation : str
    """

    name: str
    layer: str
    shape: tuple[int, ...]
    nodes: int
    edges: int
    kinds: tuple[str, ...]
    activation: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text, one entry per column of `HEADER`."""
        return (
            self.name,
            self.layer,
            "x".join(map(str, self.shape)),
            f"{self.nodes:,}",
            f"{self.edges:,}",
            ", ".join(self.kinds),
            "" if self.activation == "linear" else self.activation,
        )


@dataclass(frozen=True)
class Summary:
    """A graph's populations and totals. ``str()`` gives a table.

    Attributes
    ----------
    model : str
        The model's name.
    rows : tuple of Row
        One per population, in topological order.
    n_nodes, n_edges : int
    n_parameters : int, optional
        Of the model; None for a part of a graph.
    edge_bytes : int
        Bytes of one edge as columns: two ids and a weight.
    file_bytes : dict of str to int
        Estimated size of the whole graph in each file format.
    free_memory : int
        Bytes of host memory that can be taken now.
    """

    model: str
    rows: tuple[Row, ...]
    n_nodes: int
    n_edges: int
    n_parameters: int | None
    edge_bytes: int
    file_bytes: dict[str, int]
    free_memory: int

    @property
    def columns_bytes(self) -> int:
        """Bytes of all edges as columns."""
        return self.n_edges * self.edge_bytes

    @property
    def total(self) -> tuple[str, ...]:
        """The table's last row."""
        return ("total", "", "", f"{self.n_nodes:,}", f"{self.n_edges:,}", "", "")

    @property
    def notes(self) -> tuple[str, ...]:
        """What stands under the table: parameters, memory and file sizes."""
        files = ", ".join(f"{name} {format_bytes(n)}" for name, n in self.file_bytes.items())
        notes = (
            f"All edges as columns: {format_bytes(self.columns_bytes)} ({self.edge_bytes} bytes "
            f"each); free memory: {format_bytes(self.free_memory)}.",
            f"As files, about: {files}.",
        )
        if self.n_parameters is None:
            return notes
        return (f"Parameters of the model: {self.n_parameters:,}.", *notes)

    def __str__(self) -> str:
        lines = [HEADER, *(row.cells for row in self.rows), self.total]
        return "\n".join([printable(self.model), "", *text_table(lines, NUMERIC), "", *self.notes])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as numbers, text, lists and dicts, as JSON has them."""
        return {
            "model": self.model,
            "n_nodes": self.n_nodes,
            "n_edges": self.n_edges,
            "n_parameters": self.n_parameters,
            "edge_bytes": self.edge_bytes,
            "columns_bytes": self.columns_bytes,
            "file_bytes": dict(self.file_bytes),
            "free_memory": self.free_memory,
            "populations": [
                asdict(row) | {"shape": list(row.shape), "kinds": list(row.kinds)}
                for row in self.rows
            ],
        }


def summarise(graph: NeuronGraph) -> Summary:
    """Summarise a graph: nodes and edges per population, memory and file sizes.

    Parameters
    ----------
    graph : NeuronGraph
        Of any size: nothing is materialised.

    Returns
    -------
    Summary
        Counts are exact, file sizes are estimates.

    Examples
    --------
    >>> print(graph.summary())  # doctest: +SKIP
    """
    edges = dict.fromkeys(graph.populations, 0)
    kinds: dict[str, dict[str, None]] = {name: {} for name in graph.populations}
    for projection in graph.projections:
        edges[projection.target.name] += projection.n_edges
        kinds[projection.target.name][projection.kind] = None
    rows = tuple(
        Row(
            name=name,
            layer=population.layer,
            shape=population.shape,
            nodes=population.size,
            edges=edges[name],
            kinds=tuple(kinds[name]),
            activation=population.activation.name,
        )
        for name, population in graph.populations.items()
    )
    return Summary(
        model=graph.name,
        rows=rows,
        n_nodes=graph.n_nodes,
        n_edges=graph.n_edges,
        n_parameters=None if graph.topology is None else graph.topology.n_parameters,
        edge_bytes=2 * graph.index_dtype.itemsize + np.dtype(graph.weight_dtype).itemsize,
        file_bytes={
            "GraphML": GRAPHML_EDGE * graph.n_edges + GRAPHML_NODE * graph.n_nodes,
            "CSV": CSV_EDGE * graph.n_edges,
            "Parquet": round(PARQUET_EDGE * graph.n_edges),
        },
        free_memory=free_memory(),
    )
