"""Communities: groups of nodes with more weight among themselves than chance would have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpugraph.algorithms.requirements import require_non_negative
from gpugraph.arrays import Array
from gpugraph.engines.choice import EdgeEngine, by_cugraph_or_networkx
from gpugraph.errors import SelectionError, UndefinedMeasureError
from gpugraph.node_values import NodeValues
from gpugraph.scalars import real, whole
from gpugraph.views import Weight

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph


class Communities(NodeValues):
    """Labels of communities per node, from 0, and how good the partition is.

    Parameters
    ----------
    graph : NeuronGraph
    array : whole numbers of shape ``(n_nodes,)``
    name : str
        Of the method.
    modularity : float
        Of the partition, on the undirected graph.
    """

    def __init__(self, graph: NeuronGraph, array: Array, name: str, modularity: float) -> None:
        super().__init__(graph, array, name)
        self.modularity = modularity


def louvain(
    graph: NeuronGraph,
    weight: Weight = "magnitude",
    *,
    resolution: float = 1.0,
    threshold: float = 1e-7,
    max_level: int = 100,
    engine: EdgeEngine = "auto",
) -> Communities:
    """Return communities of the undirected graph by the Louvain method.

    All edges are made: by cuGraph on a GPU, else by networkx.

    Parameters
    ----------
    graph : NeuronGraph
    weight : {"magnitude", "positive", "negative", "weight", None}
        View of the weights; parallel edges add up.
    resolution : float
        Larger values give smaller communities.
    threshold : float
        Least gain of modularity for another level.
    max_level : int
        Most levels.
    engine : {"auto", "cugraph", "networkx"}
        "auto" takes cuGraph if there is a GPU that it has memory on. The two find different
        communities of about the same modularity.

    Raises
    ------
    SelectionError
        If a number is not above 0, or not whole where it counts.
    SignedWeightsError
        If the view holds negative weights, which cuGraph would not notice.
    UndefinedMeasureError
        If no edge weighs more than 0.
    DeviceError
        If cuGraph is asked for and there is no usable NVIDIA GPU; it says what is missing.
    MissingDependencyError
        If cuGraph is asked for and not installed.
    GraphTooLargeError
        If all edges would not fit in memory: the GPU's, where cuGraph is asked for.

    References
    ----------
    Blondel, Guillaume, Lambiotte, Lefebvre (2008). Fast unfolding of communities in large
    networks. Journal of Statistical Mechanics P10008.
    """
    _require_positive(resolution=resolution, threshold=threshold)
    max_level = whole(max_level, "max_level", 1)
    _require_weight(graph, weight, "Louvain")
    options = (weight, resolution, threshold, max_level)
    return by_cugraph_or_networkx(engine, "louvain", graph, *options)


def leiden(
    graph: NeuronGraph,
    weight: Weight = "magnitude",
    *,
    resolution: float = 1.0,
    theta: float = 1.0,
    max_level: int = 100,
    seed: int | None = None,
) -> Communities:
    """Return communities by the Leiden method, by cuGraph alone; otherwise as `louvain`.

    ``theta`` is the randomness of the refinement.

    References
    ----------
    Traag, Waltman, van Eck (2019). From Louvain to Leiden. Scientific Reports 9, 5233.
    """
    from gpugraph.engines import cugraph

    _require_positive(resolution=resolution, theta=theta)
    max_level, seed = whole(max_level, "max_level", 1), _seed(seed)
    _require_weight(graph, weight, "Leiden")
    return cugraph.leiden(graph, weight, resolution, theta, max_level, seed)


def ecg(
    graph: NeuronGraph,
    weight: Weight = "magnitude",
    *,
    min_weight: float = 1e-4,
    ensemble_size: int = 100,
    resolution: float = 1.0,
    threshold: float = 1e-7,
    max_level: int = 10,
    seed: int | None = None,
) -> Communities:
    """Return communities by ensemble clustering (ECG), by cuGraph alone; otherwise as `louvain`.

    An ensemble of truncated Louvain runs weighs each edge by how often it joins nodes of one
    community, from ``min_weight`` up; Louvain on these weights decides. ``resolution`` is 1 at
    most.

    References
    ----------
    Poulin, Théberge (2018). Ensemble clustering for graphs. arXiv:1809.05578.
    """
    from gpugraph.engines import cugraph

    _require_positive(resolution=resolution, threshold=threshold)
    real(resolution, "resolution", 0, 1)
    real(threshold, "threshold", 0, 1)
    real(min_weight, "min_weight", 0)
    ensemble_size = whole(ensemble_size, "ensemble_size", 1)
    max_level, seed = whole(max_level, "max_level", 1), _seed(seed)
    _require_weight(graph, weight, "ECG")
    return cugraph.ecg(
        graph, weight, min_weight, ensemble_size, resolution, threshold, max_level, seed
    )


def spectral_modularity(
    graph: NeuronGraph,
    n_clusters: int,
    weight: Weight = "magnitude",
    *,
    n_eigenvectors: int = 2,
    seed: int | None = None,
) -> NodeValues:
    """Return ``n_clusters`` clusters from the modularity matrix's eigenvectors, by cuGraph alone.

    Otherwise as `louvain`; for graphs of fewer than 2**30 edges.

    References
    ----------
    Newman (2006). Modularity and community structure in networks. PNAS 103(23).
    """
    from gpugraph.engines import cugraph

    n_clusters, seed = whole(n_clusters, "n_clusters", 2), _seed(seed)
    n_eigenvectors = whole(n_eigenvectors, "n_eigenvectors", 1)
    if not n_eigenvectors <= n_clusters < graph.n_nodes:
        raise SelectionError(
            f"cuGraph's spectral clustering takes fewer n_clusters than the {graph.n_nodes} nodes "
            f"and n_eigenvectors up to n_clusters, not {n_clusters} and {n_eigenvectors}."
        )
    _require_weight(graph, weight, "Spectral modularity")
    return cugraph.spectral_modularity(graph, n_clusters, weight, n_eigenvectors, seed)


def _require_weight(graph: NeuronGraph, weight: Weight, what: str) -> None:
    """Raise an error where weights are below 0, or all 0."""
    require_non_negative(graph, weight, what)
    if not graph.out_strength(weight).any():
        raise UndefinedMeasureError(
            f"{what} finds no communities in '{graph.name}': in the view weight={weight!r} no edge "
            "weighs more than 0."
        )


def _require_positive(**options: float) -> None:
    for name, value in options.items():
        if not real(value, name) > 0:
            raise SelectionError(f"{name} must be above 0, not {value}.")


def _seed(seed: int | None) -> int | None:
    """Return a seed as a plain int: pylibcugraph's arithmetic overflows numpy's."""
    return None if seed is None else whole(seed, "The seed")
