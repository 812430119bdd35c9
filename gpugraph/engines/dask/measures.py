"""Measures by many GPUs: cuGraph's multi-GPU functions on edges that the workers make.

The workers are those of a `dask_cuda` cluster, one per GPU. Weights are views of at least 0, as
in gpugraph's own functions of the same names, which need no edges and are exact: these are for
comparing, and for communities, for which there is no sweep.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugraph.algorithms.requirements import require_non_negative
from gpugraph.engines.cugraph import Communities
from gpugraph.engines.dask.cluster import Cluster, connected, current_client
from gpugraph.engines.dask.frame import LONGEST_COLUMN, partition_size, to_dask
from gpugraph.errors import ConvergenceError, DeviceError, GraphTooLargeError, UndefinedMeasureError
from gpugraph.node_values import NodeValues
from gpugraph.views import Weight

if TYPE_CHECKING:
    from distributed import Client

    from gpugraph.graph import NeuronGraph

MOST_ITERATIONS = 1000
# cuGraph brings edges together into so many parts per GPU.
PARTS_PER_GPU = 2


def pagerank(
    graph: NeuronGraph,
    alpha: float = 0.85,
    *,
    tol: float = 1e-6,
    weight: Weight = "magnitude",
    cluster: Cluster = None,
) -> NodeValues:
    """Return `gpugraph.pagerank` by cuGraph's power iteration on all GPUs of a cluster.

    Parameters
    ----------
    graph : NeuronGraph
    alpha : float
    tol : float
        Iteration ends where values change by less, summed over all nodes.
    weight : {"magnitude", "positive", "negative", None}
    cluster : str, Dask cluster or distributed.Client, optional
        As in `NeuronGraph.to_dask`.

    Raises
    ------
    ConvergenceError
        If 1000 iterations do not come that close.
    DeviceError
        If there is no cluster, or no GPU.
    UndefinedMeasureError
        If the graph has no edges.
    """
    with _gpus(graph, weight, cluster, "PageRank", directed=True) as (dcg, built):
        frame, converged = dcg.pagerank(
            built, alpha=alpha, max_iter=MOST_ITERATIONS, tol=tol, fail_on_nonconvergence=False
        )
        if not converged:
            raise ConvergenceError(
                f"PageRank by cuGraph did not converge in {MOST_ITERATIONS} iterations: take a "
                "smaller alpha, or gpugraph.pagerank, which does not iterate."
            )
        values = _by_id(graph, frame, "pagerank")
    # cuGraph sees no nodes without edges. They receive what every node does, and no more: as
    # much as the nodes that nothing leads to.
    values[np.isnan(values)] = np.nanmin(values)
    return NodeValues(graph, values / values.sum(), "pagerank")


def katz_centrality(
    graph: NeuronGraph,
    alpha: float = 0.1,
    *,
    beta: float = 1.0,
    weight: Weight = None,
    cluster: Cluster = None,
) -> NodeValues:
    """Return `gpugraph.katz_centrality`, normalized, by cuGraph on all GPUs of a cluster.

    Parameters
    ----------
    graph : NeuronGraph
    alpha : float
    beta : float
    weight : {"magnitude", "positive", "negative", None}
    cluster : str, Dask cluster or distributed.Client, optional
        As in `NeuronGraph.to_dask`.
    """
    with _gpus(graph, weight, cluster, "Katz centrality", directed=True) as (dcg, built):
        # Walks end: after as many rounds as a path has nodes nothing changes any more.
        rounds = len(graph.populations) + 2
        tol = float(np.finfo(np.float32).tiny)
        frame = dcg.katz_centrality(built, alpha=alpha, beta=beta, max_iter=rounds, tol=tol)
        values = _by_id(graph, frame, "katz_centrality")
    values[np.isnan(values)] = np.nanmin(values)  # nodes without edges have beta, the least
    return NodeValues(graph, values / np.linalg.norm(values), "katz_centrality")


def weakly_connected_components(graph: NeuronGraph, *, cluster: Cluster = None) -> NodeValues:
    """Return `gpugraph.weakly_connected_components` by cuGraph on all GPUs of a cluster.

    Parameters
    ----------
    graph : NeuronGraph
    cluster : str, Dask cluster or distributed.Client, optional
        As in `NeuronGraph.to_dask`.
    """
    with _gpus(graph, None, cluster, "Components", directed=False) as (dcg, built):
        labels = _by_id(graph, dcg.weakly_connected_components(built), "labels")
    alone = np.isnan(labels)
    labels[alone] = graph.n_nodes + np.arange(alone.sum())
    _, first, which = np.unique(labels, return_index=True, return_inverse=True)
    return NodeValues(graph, first[which].astype(np.int64), "weakly_connected_component")


def louvain(
    graph: NeuronGraph,
    *,
    resolution: float = 1.0,
    max_level: int = 100,
    threshold: float = 1e-7,
    weight: Weight = "magnitude",
    cluster: Cluster = None,
) -> Communities:
    """Return communities by the Louvain method, by cuGraph on all GPUs of a cluster.

    Parameters
    ----------
    graph : NeuronGraph
        Seen without its edges' directions.
    resolution : float
        Above 1: more and smaller communities.
    max_level : int
    threshold : float
        A level that improves modularity by less is the last.
    weight : {"magnitude", "positive", "negative", None}
    cluster : str, Dask cluster or distributed.Client, optional
        As in `NeuronGraph.to_dask`.

    Returns
    -------
    Communities
        Labels from 0; nodes without edges are communities of their own.
    """
    with _gpus(graph, weight, cluster, "Louvain", directed=False) as (dcg, built):
        frame, modularity = dcg.louvain(
            built, max_level=max_level, resolution=resolution, threshold=threshold
        )
        labels = _by_id(graph, frame, "partition")
    alone = np.isnan(labels)
    labels[alone] = graph.n_nodes + np.arange(alone.sum())
    _, which = np.unique(labels, return_inverse=True)
    communities = Communities(graph, which.astype(np.int64), "louvain")
    communities.modularity = float(np.ravel(modularity)[0])
    return communities


@contextmanager
def _gpus(
    graph: NeuronGraph, weight: Weight, cluster: Cluster, measure: str, *, directed: bool
) -> Iterator[tuple[Any, Any]]:
    """Give cuGraph's multi-GPU functions and the graph on the GPUs."""
    require_non_negative(graph, weight, measure)
    if not graph.n_edges:
        raise UndefinedMeasureError(f"{measure} by cuGraph needs edges; '{graph.name}' has none.")
    partition_size(None, "cudf")  # raises where cuDF or a GPU is missing
    client = current_client() if cluster is None else cluster
    if client is None:
        raise DeviceError(
            f"{measure} by many GPUs needs a cluster: pass cluster=, such as "
            "dask_cuda.LocalCUDACluster() or a scheduler's address."
        )
    with connected(client) as client, client.as_current(), _communication(client):
        import cugraph
        import cugraph.dask as dcg

        part_edges = -(-graph.n_edges // (PARTS_PER_GPU * _n_workers(client)))
        if part_edges > LONGEST_COLUMN:
            raise GraphTooLargeError(
                f"'{graph.name}' has {graph.n_edges:,} edges: {part_edges:,} in each of "
                f"{PARTS_PER_GPU} parts per GPU, of which cuDF holds {LONGEST_COLUMN:,}. Take more "
                "GPUs, or gpugraph's own functions, which make no edges."
            )
        edges = to_dask(
            graph,
            part_edges,
            backend="cudf",
            weight=weight,
            cluster=client,
        )
        if graph.n_edges >= LONGEST_COLUMN:  # cuGraph numbers edges with the type of ids
            edges = edges.astype({"src": np.int64, "dst": np.int64})
        built = cugraph.MultiGraph(directed=directed)  # a Graph would drop parallel edges
        built.from_dask_cudf_edgelist(
            edges,
            source="src",
            destination="dst",
            weight="weight",
            store_transposed=directed,
        )
        yield dcg, built


@contextmanager
def _communication(client: Client) -> Iterator[None]:
    """Have the workers talk to each other for cuGraph, unless they do already."""
    import cugraph.dask.comms.comms as communication

    ours = not communication.is_initialized()
    if ours:
        communication.initialize(p2p=True)
    try:
        yield
    finally:
        if ours:
            communication.destroy()


def _n_workers(client: Client) -> int:
    return max(len(client.nthreads()), 1)


def _by_id(graph: NeuronGraph, frame: Any, column: str) -> np.ndarray:
    """Return a result by node id, in float64; NaN for nodes that no edge touches."""
    values = np.full(graph.n_nodes, np.nan)
    found = frame.to_backend("pandas").compute()
    values[found["vertex"].to_numpy()] = found[column].to_numpy()
    return values
