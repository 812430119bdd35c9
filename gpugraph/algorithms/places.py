"""The graph of places, which is small enough to be solved: channels of one position together."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from gpugraph.arrays import Array, on_host
from gpugraph.axes import Axis, fan_in, fan_out
from gpugraph.edge_maker import outer_sum
from gpugraph.population import Population
from gpugraph.projection import Projection
from gpugraph.views import Weight, weight_view

if TYPE_CHECKING:
    from scipy import sparse

    from gpugraph.graph import NeuronGraph

# Most places: to factorise their matrix takes about half a minute, and a gigabyte.
MOST_PLACES = 400_000
# Matrices of so many rows are taken as dense.
DENSE = 200
# What makes the singular matrix regular.
SHIFT = 1e-8

INDEX = np.dtype(np.int64)

Triples = tuple[np.ndarray, np.ndarray, np.ndarray]


class Places:
    """The normalised Laplacian between places: all nodes of a population at one position.

    What varies slowly over a network hardly depends on the channel, because most layers mix
    channels. Restricted to values that are the same for all nodes of a place, up to the trivial
    eigenvector, the graph's Laplacian is that of the graph of places. Its weights are sums of
    the kernels over their channels; no edge is made. It only makes eigensolvers faster, so that
    approximations do no harm: neighbouring places are taken together where there are too many,
    and weights that depend on the nodes are averaged.

    Parameters
    ----------
    graph : NeuronGraph
    weight : {"magnitude", "positive", "negative", "weight", None}
    strength : float64 array of shape ``(n_nodes,)``, numpy or cupy
        In and out, of the undirected graph.
    xp : module
        numpy or cupy.
    """

    def __init__(self, graph: NeuronGraph, weight: Weight, strength: Array, xp: ModuleType) -> None:
        from scipy import sparse
        from scipy.sparse.linalg import splu

        self.xp = xp
        tiles = _tiles(list(graph.populations.values()))
        n = max((int(tile.max()) + 1 for tile in tiles.values() if tile.size), default=1)
        labels = np.empty(graph.n_nodes, np.int32)
        for name, population in graph.populations.items():
            labels[population.slice] = tiles[name][_place_of_nodes(population)]
        joined = _joined(graph, weight, tiles, n)
        volume = np.asarray(joined.sum(axis=0)).reshape(-1)
        root = np.sqrt(volume)
        inverse = sparse.diags_array(np.divide(1, root, out=np.zeros(n), where=volume > 0))
        self.trivial = root / (np.linalg.norm(root) or 1)
        self.matrix = (sparse.eye_array(n) * (1 + SHIFT) - inverse @ joined @ inverse).tocsc()
        self._factors = splu(
            self.matrix,
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
        self.labels = xp.asarray(labels)
        held = xp.sqrt(xp.bincount(self.labels, strength, n))
        self.shape = xp.sqrt(strength) / xp.where(held > 0, held, 1)[self.labels]
        self.shape = self.shape.astype(np.float32)

    def solve(self, residual: Array) -> Array:
        """Return what the inverse of the places' Laplacian makes of a residual, per node."""
        sums = self.xp.bincount(self.labels, residual * self.shape, len(self.trivial))
        return self.spread(self._solve(on_host(sums)))

    def spread(self, values: np.ndarray) -> Array:
        """Return values per place as values per node."""
        return self.xp.asarray(values)[self.labels] * self.shape

    def eigenvectors(self, k: int) -> np.ndarray:
        """Return the smallest eigenvectors of the places' Laplacian, the trivial one left out.

        At most k, the smallest first, roughly; shape ``(found, n_places)``.
        """
        n = len(self.trivial)
        if n <= max(DENSE, 2 * k + 2):
            dense = self.matrix.toarray() + 3 * np.outer(self.trivial, self.trivial)
            return np.linalg.eigh(dense)[1][:, : min(k, n - 1)].T
        from scipy.sparse.linalg import LinearOperator, eigsh

        inverse = LinearOperator((n, n), lambda x: self._solve(x.reshape(-1)), dtype=np.float64)
        start = np.random.default_rng(0).standard_normal(n)
        values, vectors = eigsh(inverse, k, which="LA", v0=start, tol=1e-3)
        return vectors.T[np.argsort(-values)]

    def _solve(self, sums: np.ndarray) -> np.ndarray:
        """Solve for values per place, apart from the trivial eigenvector."""
        found = self._factors.solve(sums - self.trivial * (self.trivial @ sums))
        return found - self.trivial * (self.trivial @ found)


def _tiles(populations: list[Population]) -> dict[str, np.ndarray]:
    """Return the number of the tile of each place: places are tiles where they are few."""
    edge = 1
    while True:
        counts = [[-(-n // edge) for n in _positions(p)] for p in populations]
        n_tiles = sum(map(prod, counts))
        if n_tiles <= MOST_PLACES or n_tiles == len(populations):
            break
        edge += 1
    # Where there are more populations than that, neighbours share a tile.
    merged = np.arange(n_tiles) * min(MOST_PLACES, n_tiles) // max(n_tiles, 1)
    tiles, start = {}, 0
    for population, count in zip(populations, counts, strict=True):
        tile = np.zeros((), np.int64)
        for n, length in zip(count, _positions(population), strict=True):
            tile = np.add.outer(tile * n, np.arange(length) * n // length)
        tiles[population.name] = merged[start + tile.reshape(-1)]
        start += prod(count)
    return tiles


def _positions(population: Population) -> list[int]:
    """Lengths of the dimensions that are not channels."""
    return [
        n
        for name, n in zip(population.axis_names, population.shape, strict=True)
        if name != "channel"
    ]


def _place(offsets: np.ndarray, population: Population) -> np.ndarray:
    """Place of a flat position in a population's shape."""
    if population.channels_first:
        return offsets % prod(_positions(population))
    return offsets // (population.shape[-1] if population.shape else 1)


def _place_of_nodes(population: Population) -> np.ndarray:
    """Place of each node of a population."""
    nodes = np.arange(population.size) if population.members is None else population.members
    return _place(nodes, population)


def _joined(
    graph: NeuronGraph, weight: Weight, tiles: dict[str, np.ndarray], n: int
) -> sparse.csc_array:
    """Sum of the weights between any two tiles, in both directions."""
    from scipy import sparse

    parts = []
    for p in graph.projections:
        if (found := _triples(p, weight)) is not None:
            source, target, sums = found
            parts.append((tiles[p.source.name][source], tiles[p.target.name][target], sums))
    if not parts:
        return sparse.csc_array((n, n))
    rows, columns, sums = (np.concatenate(column) for column in zip(*parts, strict=True))
    matrix = sparse.coo_array((sums, (rows, columns)), shape=(n, n)).tocsc()
    return matrix + matrix.T


def _triples(p: Projection, weight: Weight) -> Triples | None:
    """Places of sources, places of targets, and the sums of the weights between them.

    A pair of places can stand several times. None where axes do not lie along positions.
    """
    if p.is_listed:
        axis = p.axes[0]
        weights = (
            weight_view(p.listed_weight(), weight) if weight is not None else np.ones(len(axis))
        )
        return _place_of_nodes(p.source)[axis.src], _place_of_nodes(p.target)[axis.dst], weights
    sources = _along(p.source, [a.src * a.src_stride for a in p.axes])
    targets = _along(p.target, [a.dst * a.dst_stride for a in p.axes])
    if sources is None or targets is None:
        return None
    lying = [i for i in range(len(p.axes)) if sources[i].any() or targets[i].any()]
    sums = _summed(p, weight, [p.axes[i] for i in range(len(p.axes)) if i not in lying], lying)
    taps = [p.axes[i].tap if p.axes[i].is_tapped else 0 * p.axes[i].tap for i in lying]
    strides = np.cumprod([1, *(_n_taps(p.axes[i]) for i in reversed(lying))])[-2::-1]
    weights = sums[outer_sum([t * n for t, n in zip(taps, strides, strict=True)], INDEX)]
    source = outer_sum([sources[i] for i in lying], INDEX)
    target = outer_sum([targets[i] for i in lying], INDEX)
    if weight is not None:
        gains = np.ones(1)
        for i in lying:
            gain = p.axes[i].gain
            each = np.ones(len(p.axes[i])) if gain is None else np.abs(gain)
            gains = np.multiply.outer(gains, each).reshape(-1)
        weights = weights * gains
        for factor, population, place in (
            (p.source_factor, p.source, source),
            (p.target_factor, p.target, target),
        ):
            if factor is not None:
                weights = weights * _mean(np.abs(factor), _place_of_nodes(population))[place]
    return source, target, weights


def _along(population: Population, offsets: list[np.ndarray]) -> list[np.ndarray] | None:
    """Place of each offset of each axis; None where the place of a sum is not the sum of places."""
    places = [_place(offset, population) for offset in offsets]
    if population.channels_first:
        carry, most = places, prod(_positions(population))
    else:
        most = population.shape[-1] if population.shape else 1
        carry = [offset % most for offset in offsets]
    fits = population.members is None and sum(int(c.max(initial=0)) for c in carry) < most
    return places if fits else None


def _summed(p: Projection, weight: Weight, channels: list[Axis], lying: list[int]) -> np.ndarray:
    """Sum the weights over channels: per tap of the axes that lie along positions, flat.

    As the strength of a projection from one node to one node per tap.
    """
    axes = [fan_in(1), *(_to_one(axis) for axis in channels)]
    n = 1
    for i in reversed(lying):
        axis = p.axes[i]
        if axis.is_tapped:
            axes.append(fan_out(axis.n_tap).place(0, n, axis.tap_stride))
        n *= _n_taps(axis)
    taps = Population("taps", (n,), 0, "")
    summed = Projection(p.source, taps, tuple(axes), p.kernel, p.kind)
    return summed.in_strength(weight)


def _n_taps(axis: Axis) -> int:
    return axis.n_tap if axis.is_tapped else 1


def _to_one(axis: Axis) -> Axis:
    """Return an axis whose pairs all lead to one target."""
    if axis.is_plain:
        return fan_in(axis.n_tap).place(0, 0, axis.tap_stride)
    return replace(axis, kind="window", dst=0 * axis.dst, n_dst=1, src_stride=0, dst_stride=0)


def _mean(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean of the values of each label."""
    return np.bincount(labels, values) / np.maximum(np.bincount(labels), 1)
