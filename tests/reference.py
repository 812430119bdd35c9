"""Slow, obvious references: nested loops as in the textbook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import product
from math import ceil

Index = tuple[int, ...]


def window_pairs(
    n: int, size: int, stride: int, dilation: int = 1, padding: str = "valid"
) -> Iterator[tuple[int, int, int]]:
    """Yield (input, output, tap) of a window that slides over n inputs."""
    reach = (size - 1) * dilation + 1
    if padding == "same":
        n_out = ceil(n / stride)
        before = max((n_out - 1) * stride + reach - n, 0) // 2
    elif padding == "causal":
        n_out, before = ceil(n / stride), reach - 1
    else:
        n_out, before = (n - reach) // stride + 1, 0
    for output in range(n_out):
        for tap in range(size):
            position = output * stride + tap * dilation - before
            if 0 <= position < n:
                yield position, output, tap


def pooling_edges(
    shape: Sequence[int],
    pool_size: Sequence[int],
    strides: Sequence[int],
    padding: str,
    channels_first: bool = False,
) -> set[tuple[Index, Index]]:
    """Return every (input index, output index) pair of a pooling layer."""
    spatial = shape[1:] if channels_first else shape[:-1]
    channels = shape[0] if channels_first else shape[-1]
    per_dimension = [
        list(window_pairs(n, size, stride, padding=padding))
        for n, size, stride in zip(spatial, pool_size, strides, strict=True)
    ]
    edges = set()
    for combination in product(*per_dimension):
        inputs = tuple(pair[0] for pair in combination)
        outputs = tuple(pair[1] for pair in combination)
        for c in range(channels):
            if channels_first:
                edges.add(((c, *inputs), (c, *outputs)))
            else:
                edges.add(((*inputs, c), (*outputs, c)))
    return edges


Edge = tuple[int, int]


def dependencies(
    n_nodes: int, edges: Sequence[Edge], source: int
) -> tuple[list[Fraction], list[Fraction]]:
    """Return the shares of shortest paths from a source through each node, and along each edge.

    Brandes's algorithm on a multigraph, exactly: parallel edges make separate paths. A path's
    end counts as a node on it, its start does not.
    """
    out, into = [[[] for _ in range(n_nodes)] for _ in range(2)]
    for i, (src, dst) in enumerate(edges):
        out[src].append(dst)
        into[dst].append((i, src))
    distance, paths, order = {source: 0}, {source: 1}, [source]
    for node in order:  # which grows meanwhile
        for dst in out[node]:
            if dst not in distance:
                order.append(dst)
                distance[dst], paths[dst] = distance[node] + 1, 0
            if distance[dst] == distance[node] + 1:
                paths[dst] += paths[node]
    through = [Fraction(node in distance and node != source) for node in range(n_nodes)]
    along = [Fraction(0)] * len(edges)
    for node in reversed(order):
        for i, src in into[node]:
            if distance.get(src) == distance[node] - 1:
                along[i] = Fraction(paths[src], paths[node]) * through[node]
                if src != source:
                    through[src] += along[i]
    return through, along


def path_sums(
    n_nodes: int,
    edges: Sequence[tuple[int, int, Fraction | int]],
    starts: Sequence[int],
    ends: Sequence[int],
) -> tuple[list[Fraction | int], list[Fraction | int]]:
    """Sum products of weights over all paths from starts to ends: through each node, each edge.

    Exact, however large; sources of edges have smaller ids than their targets.
    """
    before = [Fraction(node in starts) for node in range(n_nodes)]
    after = [Fraction(node in ends) for node in range(n_nodes)]
    for src, dst, weight in sorted(edges, key=lambda edge: edge[1]):
        before[dst] += before[src] * weight
    for src, dst, weight in sorted(edges, key=lambda edge: -edge[0]):
        after[src] += weight * after[dst]
    nodes = [b * a for b, a in zip(before, after, strict=True)]
    return nodes, [before[src] * weight * after[dst] for src, dst, weight in edges]
