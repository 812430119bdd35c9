"""The strongest input-to-output paths: those with the largest product of weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal

import numpy as np

from gpugraph.arrays import require_memory
from gpugraph.errors import SelectionError
from gpugraph.scalars import whole

if TYPE_CHECKING:
    from gpugraph.edges import Edges
    from gpugraph.graph import NeuronGraph
    from gpugraph.population import Population

NonNegative = Literal["magnitude", "positive", "negative"]

# Candidates are sorted per chunk; larger chunks sort no faster.
CHUNK_EDGES = 2**18


@dataclass(frozen=True)
class NodePath:
    """A path from an input node to an output node.

    Attributes
    ----------
    nodes : tuple of (str, tuple of int)
        Population and index of each node, the input first.
    weights : tuple of float
        Signed weight of each edge: one fewer than there are nodes.
    """

    nodes: tuple[tuple[str, tuple[int, ...]], ...]
    weights: tuple[float, ...]

    @property
    def product(self) -> float:
        """Product of the weights, with its sign."""
        return prod(self.weights)

    def __str__(self) -> str:
        nodes = " -> ".join(f"{name}{list(index)}" for name, index in self.nodes)
        return f"{nodes}, product {self.product:.3g}"


def strongest_paths(
    graph: NeuronGraph,
    k: int = 5,
    weight: NonNegative = "magnitude",
    into: Sequence[int] | None = None,
) -> list[NodePath]:
    """Return the k input-to-output paths with the largest product of weights, exactly.

    One forward sweep in the max-product semiring: every node keeps its k best ways from an
    input. Choices of a pooling window and copies count 1; edges of weight 0 are left out.

    Parameters
    ----------
    graph : NeuronGraph
        Its edges are all made once, chunk by chunk.
    k : int
        Number of paths; fewer are returned where the graph has fewer.
    weight : {"magnitude", "positive", "negative"}
        "magnitude" ranks by the product of ``|weight|``; the others admit only edges of that
        sign, and rank likewise.
    into : sequence of int, optional
        Ids of the nodes at which paths may end, each given once; by default all output nodes.

    Returns
    -------
    list of NodePath
        The strongest first. Equal products come in a fixed order, the same in every run.
        Parallel edges make separate paths.

    Raises
    ------
    SelectionError
        If k is less than 1, the weight view is not one of the three, or ``into`` holds an id
        that the graph does not have.
    GraphTooLargeError
        If the k best ways of all nodes do not fit in memory.

    Notes
    -----
    Takes ``24 * k`` bytes per node, and time in proportion to ``k * n_edges``: a second for a
    million edges or so. Paths start at the model's inputs and end at its outputs; in a part of
    a graph, at populations without edges in, and without edges out. Activations are left
    aside: the product says how strongly the weights couple the two ends, not how much passes
    for one input.

    Examples
    --------
    >>> import keras, gpugraph as gg
    >>> from gpugraph.algorithms.strongest_paths import strongest_paths
    >>> layer = keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(-4), name="y")
    >>> graph = gg.from_keras(keras.Sequential([keras.Input((2,), name="x"), layer]))
    >>> for path in strongest_paths(graph):
    ...     print(path)
    x[0] -> y[0], product -4
    x[1] -> y[0], product -4
    """
    k = whole(k, "k", 1)
    if weight not in ("magnitude", "positive", "negative"):
        raise SelectionError(
            f"Paths are ranked by weight='magnitude', 'positive' or 'negative', not {weight!r}."
        )
    require_memory(
        WAY.itemsize * k * graph.n_nodes,
        f"Searching the {k} strongest paths through {graph.n_nodes:,} nodes",
        "Ask for fewer paths, or for those of a subgraph.",
    )
    last = np.concatenate([np.arange(p.offset, p.ids.stop) for p in graph.outputs])
    if into is not None:
        last = np.array([i for i in into if graph.node(i)], np.int64)
    ways = _Ways(graph, k)
    for population in graph.inputs:
        ways.start(population)
    for edges in graph.edges(chunk_edges=CHUNK_EDGES, device="cpu"):
        ways.extend(edges, weight)
    scores = ways.best["score"][last].reshape(-1)
    best = np.argsort(-scores, kind="stable")[:k]
    return [ways.path(int(last[i // k]), int(i % k)) for i in best if scores[i] > -np.inf]


# A way to a node: logarithm of its product, because products over hundreds of layers leave the
# range of float64; its last edge, and which of the ways to that edge's source it continues.
WAY = np.dtype([("score", "f8"), ("edge", "i8"), ("projection", "i4"), ("rank", "i4")])


class _Ways:
    """The k best ways to each node, the best first."""

    def __init__(self, graph: NeuronGraph, k: int) -> None:
        self.graph, self.k = graph, k
        self._numbers = {projection: i for i, projection in enumerate(graph.projections)}
        self.best = np.full((graph.n_nodes, k), np.array((-np.inf, 0, -1, 0), WAY))

    def start(self, population: Population) -> None:
        """Let ways start at these nodes."""
        self.best["score"][population.slice, 0] = 0.0

    def extend(self, edges: Edges, weight: NonNegative) -> None:
        """Take edges into account. The ways to their sources must be complete."""
        src, dst, w = edges
        factor = {"magnitude": np.abs, "positive": np.positive, "negative": np.negative}
        size = factor[weight](w.astype(np.float64))
        edge = np.flatnonzero(size > 0)
        scores = np.log(size[edge])[:, None] + self.best["score"][src[edge]]
        # Only what beats a target's worst way is worth sorting.
        at, rank = np.nonzero(scores > self.best["score"][dst[edge], -1][:, None])
        ways = np.empty(len(at), WAY)
        ways["score"], ways["rank"] = scores[at, rank], rank
        ways["edge"] = edges.start + edge[at]
        ways["projection"] = self._numbers[edges.projection]
        self._insert(dst[edge[at]], ways)

    def _insert(self, dst: np.ndarray, ways: np.ndarray) -> None:
        """Merge new ways with those that their targets have, and keep the k best of each."""
        nodes = np.unique(dst)
        dst = np.concatenate([np.repeat(nodes, self.k), dst])
        ways = np.concatenate([self.best[nodes].reshape(-1), ways])
        # lexsort is stable: among equals the way found first stays first.
        order = np.lexsort((-ways["score"], dst))
        first = np.searchsorted(dst[order], nodes)
        self.best[nodes] = ways[order[first[:, None] + np.arange(self.k)]]

    def path(self, node: int, rank: int) -> NodePath:
        """Follow one way back to its input."""
        nodes, weights = [self.graph.node(node)], []
        while (way := self.best[node, rank])["projection"] >= 0:
            edge = int(way["edge"])
            src, _, weight = self.graph.projections[way["projection"]].edges(edge, edge + 1)
            node, rank = int(src[0]), int(way["rank"])
            nodes.append(self.graph.node(node))
            weights.append(float(weight[0]))
        return NodePath(tuple(reversed(nodes)), tuple(reversed(weights)))
