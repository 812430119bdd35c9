"""Spectral clustering: groups of neurons with little weight between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gpugraph.algorithms.laplacian import Laplacian, add_undirected
from gpugraph.arrays import Device, namespace, on_host
from gpugraph.errors import SelectionError, UndefinedMeasureError
from gpugraph.fallback import falls_back
from gpugraph.node_values import NodeValues
from gpugraph.scalars import real, whole
from gpugraph.views import Weight

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph

# k-means looks for its centres among so many nodes, drawn at random; then all nodes are labelled.
SAMPLE = 2**17
RESTARTS = 10
# Nodes that are labelled at a time.
CHUNK = 2**20


@dataclass(frozen=True)
class Clustering:
    """Nodes in groups.

    Attributes
    ----------
    labels : NodeValues
        Int64: the group of each node, the largest group (by strength) 0; -1 for nodes that no edge
        above 0 leads to or from.
    cut : float
        The n-cut: over all groups, the sum of the weight that leaves it as a share of its
        strength. From 0, where no edge leaves any, to the number of groups.
    eigenvalues : tuple of float
        The smallest of the normalised Laplacian after 0, one fewer than there are groups.
    """

    labels: NodeValues
    cut: float
    eigenvalues: tuple[float, ...]


@falls_back
def normalized_cut(
    graph: NeuronGraph,
    n_clusters: int = 4,
    weight: Weight = "magnitude",
    *,
    seed: int = 0,
    tol: float = 1e-2,
    device: Device = "auto",
) -> Clustering:
    """Cut the undirected graph into groups with as little weight between them as possible.

    Parameters
    ----------
    graph : NeuronGraph
    n_clusters : int
    weight : {"magnitude", "positive", "negative", "weight", None}
        View of the weights, which must not be negative; None counts edges. Parallel edges add up.
    seed : int
        Of the k-means algorithm.
    tol : float
        Relative error of the eigenvalues.
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    Clustering
        The best of several starts. Its cut is exact; that no other cut is better is not promised,
        for that is NP-hard.

    Raises
    ------
    SelectionError
        If there are fewer than 2 groups, or not as many nodes.
    SignedWeightsError, NonFiniteError, UndefinedMeasureError
        If weights are negative, NaN or infinite, or none is above 0.
    GraphTooLargeError, ConvergenceError
        If the eigenvectors' basis does not fit in memory, or the tolerance is out of reach.

    Notes
    -----
    Each node becomes a point, its entries in the eigenvectors ``D^-1/2 v`` of the normalised
    Laplacian's smallest eigenvalues, and points are grouped by k-means [2]_. How much smaller the
    cut is than that of ``graph.shuffled(seed)`` says how clusterable training made a network
    [1]_. No edge is made.

    References
    ----------
    .. [1] Filan, Casper, Hod, Wild, Critch, Russell (2021). Clusterability in neural networks.
       arXiv:2103.03386.
    .. [2] Shi, Malik (2000). Normalized cuts and image segmentation. IEEE PAMI 22(8).
       von Luxburg (2007). A tutorial on spectral clustering. Statistics and Computing 17(4).
    """
    n_clusters, seed = whole(n_clusters, "n_clusters"), whole(seed, "seed")
    tol = real(tol, "tol", 0)
    laplacian = Laplacian(graph, weight, namespace(device), "The normalised cut")
    if not 2 <= n_clusters <= laplacian.n_active:
        raise SelectionError(
            f"n_clusters must be from 2 to the {laplacian.n_active} nodes that have edges, not "
            f"{n_clusters}."
        )
    values, vectors = laplacian.smallest(n_clusters - 1, tol)
    vectors *= laplacian.factor
    points, strength = on_host(vectors), on_host(laplacian.strength)
    best: tuple[float, np.ndarray] | None = None
    for labels in _groupings(points, strength > 0, n_clusters, seed):
        cut = _cut(laplacian, labels, strength, n_clusters)
        if best is None or cut < best[0]:
            best = cut, labels
    if best is None:
        raise UndefinedMeasureError(
            f"The nodes of '{graph.name}' do not fall into {n_clusters} groups: too few of them "
            "differ. Ask for fewer."
        )
    cut, labels = best
    volumes = np.bincount(labels[labels >= 0], strength[labels >= 0], n_clusters)
    rank = np.empty(n_clusters + 1, np.int64)
    rank[np.argsort(-volumes, kind="stable")] = np.arange(n_clusters)
    rank[-1] = -1  # what label -1 becomes
    return Clustering(
        NodeValues(graph, rank[labels], "cluster"), cut, tuple(np.maximum(values, 0).tolist())
    )


def _groupings(
    points: np.ndarray, is_active: np.ndarray, n_clusters: int, seed: int
) -> Iterator[np.ndarray]:
    """Yield groupings of the nodes by k-means, each as labels; -1 for inactive nodes.

    Starts that end at the same centres give one.
    """
    from scipy.cluster.vq import ClusterError, kmeans2

    rng = np.random.default_rng(seed)
    active = np.flatnonzero(is_active)
    drawn = active if len(active) <= SAMPLE else rng.choice(active, SAMPLE, replace=False)
    sample = np.ascontiguousarray(points[:, drawn].T)
    known: list[np.ndarray] = []
    for _ in range(RESTARTS):
        try:
            centres, _ = kmeans2(sample, n_clusters, minit="++", missing="raise", rng=rng)
        except ClusterError:  # a group ran empty
            continue
        centres = centres[np.lexsort(centres.T)]
        if not any(np.allclose(centres, other, rtol=1e-6, atol=0) for other in known):
            known.append(centres)
            yield _nearest(points, centres, is_active)


def _nearest(points: np.ndarray, centres: np.ndarray, is_active: np.ndarray) -> np.ndarray:
    """Return the nearest centre of each node."""
    labels = np.empty(points.shape[1], np.int64)
    for start in range(0, len(labels), CHUNK):
        part = points[:, start : start + CHUNK]
        apart = (centres**2).sum(axis=1)[:, None] - 2 * centres @ part
        labels[start : start + CHUNK] = apart.argmin(axis=0)
    labels[~is_active] = -1
    return labels


def _cut(laplacian: Laplacian, labels: np.ndarray, strength: np.ndarray, n_clusters: int) -> float:
    """Return the n-cut of a grouping, exactly; infinite where a group is empty."""
    xp, total = laplacian.xp, 0.0
    for cluster in range(n_clusters):
        member = labels == cluster
        volume = float(strength[member].sum())
        if not volume:
            return np.inf
        inside = xp.zeros(len(labels))
        add_undirected(
            laplacian.graph, laplacian.weight, xp.asarray(member.astype(np.float64)), inside
        )
        total += 1 - float(inside[xp.asarray(member)].sum()) / volume
    return total
