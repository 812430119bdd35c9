"""The graph as a networkx DiGraph or MultiDiGraph."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gpugraph.arrays import require_memory

if TYPE_CHECKING:
    import networkx as nx

    from gpugraph.edges import Edges
    from gpugraph.graph import NeuronGraph
    from gpugraph.population import Population

CHUNK_EDGES = 2**17
# Measured: an edge is an attribute dictionary and its place in two adjacency dictionaries.
BYTES_PER_EDGE = 400
BYTES_PER_KEYED_EDGE = 550  # a MultiDiGraph has one more dictionary
BYTES_PER_NODE = 1500


def to_networkx(
    graph: NeuronGraph, *, multigraph: bool = False, parameters: bool = False
) -> nx.DiGraph:
    """Build a networkx graph in memory; see `NeuronGraph.to_networkx`."""
    import networkx as nx

    require_networkx_memory(graph, BYTES_PER_KEYED_EDGE if multigraph else BYTES_PER_EDGE)
    built = nx.MultiDiGraph(name=graph.name) if multigraph else nx.DiGraph(name=graph.name)
    with _no_collection():
        for population in graph.populations.values():
            built.add_nodes_from(_nodes(population))
        if multigraph:
            _add_parallel_edges(built, graph, parameters)
        else:
            _add_edges(built, graph, parameters)
    return built


def require_networkx_memory(graph: NeuronGraph, per_edge: int = BYTES_PER_EDGE) -> None:
    """Raise GraphTooLargeError where the graph would not fit in memory as networkx holds it."""
    from gpugraph.graph import SMALLER

    n_bytes = graph.n_edges * per_edge + graph.n_nodes * BYTES_PER_NODE
    what = f"'{graph.name}' in networkx ({graph.n_nodes:,} nodes, {graph.n_edges:,} edges)"
    require_memory(n_bytes, what, SMALLER)


def _nodes(population: Population) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each node and its attributes, as Python's own numbers and words."""
    shared = {"population": population.name, "layer": population.layer}
    rest = {"activation": population.activation.name, "subset": population.depth}
    values = population.node_values
    names = [*population.axis_names, *values]
    columns = [i.tolist() for i in population.positions()]
    columns += [population.values(v).tolist() for v in values.values()]
    for node, row in zip(population.ids, zip(*columns, strict=True), strict=True):
        yield node, {**shared, **dict(zip(names, row, strict=True)), **rest}


def _add_edges(built: nx.DiGraph, graph: NeuronGraph, parameters: bool) -> None:
    """Fill the adjacency; an edge that is there already gets the sum of the weights.

    Writes to the dictionaries behind `add_edge`, which for each edge looks up what we know.
    """
    succ, pred = built._succ, built._pred
    for edges in graph.edges(chunk_edges=CHUNK_EDGES, device="cpu"):
        attributes = _attributes(edges, parameters)
        for src, dst, data in zip(edges.src.tolist(), edges.dst.tolist(), attributes, strict=True):
            targets = succ[src]
            if dst in targets:
                targets[dst]["weight"] += data["weight"]
            else:
                targets[dst] = pred[dst][src] = data


def _add_parallel_edges(built: nx.MultiDiGraph, graph: NeuronGraph, parameters: bool) -> None:
    """Add every edge, parallel ones beside each other."""
    for edges in graph.edges(chunk_edges=CHUNK_EDGES, device="cpu"):
        attributes = _attributes(edges, parameters)
        built.add_edges_from(zip(edges.src.tolist(), edges.dst.tolist(), attributes, strict=True))


def _attributes(edges: Edges, parameters: bool) -> list[dict[str, Any]]:
    """Return the attributes of each edge, as Python's own numbers and words."""
    kind, weights = edges.kind, edges.weight.tolist()
    if not parameters:
        return [{"weight": weight, "kind": kind} for weight in weights]
    rows = zip(weights, edges.parameter.tolist(), edges.tap.tolist(), strict=True)
    return [{"weight": w, "kind": kind, "parameter": p, "tap": t} for w, p, t in rows]


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python's garbage collector from walking millions of live dictionaries."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
