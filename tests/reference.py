"""Slow, obvious references: nested loops as in the textbook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
