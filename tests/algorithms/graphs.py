"""Graphs that the tests of every measure share, and their dense forms."""

from functools import cache
from itertools import pairwise

import keras
import numpy as np
from keras import layers

import gpugraph as gg
from gpugraph.axes import fan_in, fan_out, pairs
from gpugraph.graph import NeuronGraph
from gpugraph.population import Population
from gpugraph.projection import Projection
from tests.models import randomise

VIEWS = ["weight", "magnitude", "positive", "negative", None]


@cache
def graph_of(kind):
    """Return the graph of one of tests.models, with the same weights every time."""
    keras.utils.set_random_seed(0)
    return gg.from_keras(randomise(kind()))


def adjacency(graph, view=None):
    """Return ``A[src, dst]`` as a dense float64 array; parallel edges add up."""
    return graph.to_scipy(view).toarray().astype(np.float64)


def edge_columns(graph):
    """Return src, dst and weight of all edges."""
    chunks = [[c.copy() for c in edges] for edges in graph.edges(device="cpu")]
    none = [np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)]
    return [np.concatenate(column) for column in zip(none, *chunks, strict=True)]


def has_parallel_edges(graph):
    """Tell whether two edges join the same nodes, which a DiGraph cannot hold."""
    return graph.to_scipy(None).nnz < graph.n_edges


def layered(widths, weight=1.0):
    """Return every node of a layer to every one of the next, all of one weight."""
    populations, offset = [], 0
    for depth, width in enumerate(widths):
        populations.append(Population(f"p{depth}", (width,), offset, "Layer", depth))
        offset += width
    projections = []
    for source, target in pairwise(populations):
        n, m = source.size, target.size
        axes = (fan_in(n).place(1, 0, m), fan_out(m).place(0, 1, 1))
        kernel = np.full(n * m, weight, np.float64)
        projections.append(Projection(source, target, axes, kernel, "weight"))
    return NeuronGraph("layered", {p.name: p for p in populations}, projections)


def of_edges(edges, sizes=None):
    """Return nodes joined by ``(src, dst, weight)``, sources before their targets.

    Each node is a population of its own, or populations have some sizes.
    """
    sizes = sizes or [1] * (1 + max(dst for _, dst, _ in edges))
    offsets = np.cumsum([0, *sizes])
    together = {}
    for src, dst, weight in edges:
        at = np.searchsorted(offsets, [dst, src], side="right") - 1
        row = (src - offsets[at[1]], dst - offsets[at[0]], weight)
        together.setdefault(tuple(at.tolist()), []).append(row)
    depth = [0] * len(sizes)
    for target, source in sorted(together):
        depth[target] = max(depth[target], depth[source] + 1)
    populations = [
        Population(f"p{i}", (size,), int(offset), "Layer", d)
        for i, (size, offset, d) in enumerate(zip(sizes, offsets, depth, strict=False))
    ]
    projections = []
    for (target, source), rows in sorted(together.items()):
        n, (src, dst, weights) = len(rows), zip(*rows, strict=True)
        axis = pairs(src, dst, range(n), sizes[source], sizes[target], n).place(1, 1, 1)
        ends = (populations[source], populations[target])
        projections.append(Projection(*ends, (axis,), np.array(weights, np.float64), "weight"))
    return NeuronGraph("drawn by hand", {p.name: p for p in populations}, projections)


def ladder(n_steps, n_parallel, jump=None):
    """Return nodes in a row, each with parallel edges to the next, and one edge over ``jump``."""
    edges = [(i, i + 1, 1.0) for i in range(n_steps) for _ in range(n_parallel)]
    if jump:
        edges += [(i, i + jump, 1.0) for i in range(n_steps + 1 - jump)]
    return of_edges(edges)


def without_edges(n=3):
    """Return a graph of two populations that nothing joins."""
    populations = [Population("a", (n,), 0, "Layer"), Population("b", (1,), n, "Layer")]
    return NeuronGraph("apart", {p.name: p for p in populations}, [])


def single_node():
    """Return one node."""
    return NeuronGraph("one", {"a": Population("a", (1,), 0, "Layer")}, [])


def two_branches(seed=0):
    """Return a model of two branches that never meet."""
    left, right = keras.Input((3, 3, 1), name="left"), keras.Input((2,), name="right")
    conv = layers.Conv2D(2, 2, name="conv")(left)
    dense = layers.Dense(3, name="dense")(right)
    return gg.from_keras(randomise(keras.Model([left, right], [conv, dense]), seed))


def with_nan(layer="dense", values=(np.nan,)):
    """Return a small model's graph with a weight, or a few, that are no finite numbers."""
    x = keras.Input((3,), name="x")
    hidden = layers.Dense(4, name="hidden")(x)
    model = keras.Model(x, layers.Dense(2, name="dense")(hidden))
    kernel, bias = model.get_layer(layer).get_weights()
    kernel.flat[: len(values)] = values
    model.get_layer(layer).set_weights([kernel, bias])
    return gg.from_keras(model, allow_nonfinite=True)


def with_dead_channels():
    """Return a model in which some nodes send nothing on, and some hear nothing."""
    image = keras.Input((4, 4, 1), name="image")
    x = layers.Conv2D(3, 2, name="conv")(image)
    x = layers.Flatten()(x)
    model = randomise(keras.Model(image, layers.Dense(4, name="dense")(x)))
    kernel, bias, second, bias2 = model.get_weights()
    kernel[..., 0] = 0
    second[np.arange(27) % 3 == 1] = 0
    model.set_weights([kernel, bias, second, bias2])
    return gg.from_keras(model)
