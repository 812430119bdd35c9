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

from gpugraph.algorithms.communities import Communities
from gpugraph.algorithms.requirements import (
    require_finite,
    require_finite_weights,
    require_non_negative,
)
from gpugraph.cuda_libraries import load_cugraph
from gpugraph.doctor import cuda_problem
from gpugraph.engines.cugraph_graph import import_library, translated_errors
from gpugraph.engines.dask.cluster import Cluster, connected, current_client
from gpugraph.engines.dask.frame import LONGEST_COLUMN, require_cudf, to_dask
from gpugraph.errors import (
    ConvergenceError,
    DeviceError,
    GraphTooLargeError,
    SelectionError,
    UndefinedMeasureError,
)
from gpugraph.node_values import NodeValues
from gpugraph.scalars import real
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
    GraphTooLargeError
        If the GPUs' memory ends, or parts would be longer than cuDF's columns.
    NonFiniteError
        If weights hold NaN or infinity.
    SelectionError
        If alpha is no probability.
    UndefinedMeasureError
        If the graph has no edges.
    """
    alpha = real(alpha, "alpha", 0, 1)
    with _gpus(graph, weight, cluster, "PageRank", directed=True) as (dcg, built):
        frame, converged = dcg.pagerank(
            built, alpha=alpha, max_iter=MOST_ITERATIONS, tol=tol, fail_on_nonconvergence=False
        )
        values, is_known = _by_id(graph, frame, "pagerank")
    if not converged:
        raise ConvergenceError(
            f"PageRank by cuGraph did not converge in {MOST_ITERATIONS} iterations: take a smaller "
            "alpha, or gpugraph.pagerank, which does not iterate."
        )
    # cuGraph sees no nodes without edges. They receive what every node does, and no more: as
    # much as the nodes that nothing leads to.
    values[~is_known] = values[is_known].min()
    require_finite(graph, values, "PageRank")
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
        Above 0, to 1.
    beta : float
        Above 0, for all nodes.
    weight : {"magnitude", "positive", "negative", None}
    cluster : str, Dask cluster or distributed.Client, optional
        As in `NeuronGraph.to_dask`.

    Raises
    ------
    SelectionError
        If alpha or beta is another number; else as in `pagerank`.
    """
    if not (0 < alpha <= 1 and beta > 0):
        raise SelectionError(
            f"cuGraph's Katz centrality takes alpha above 0, to 1, and beta above 0, not {alpha} "
            f"and {beta}. gpugraph.katz_centrality takes any."
        )
    with _gpus(graph, weight, cluster, "Katz centrality", directed=True) as (dcg, built):
        # Walks end: after as many rounds as a path has nodes nothing changes any more.
        rounds = len(graph.populations) + 2
        tol = float(np.finfo(np.float32).tiny)
        frame = dcg.katz_centrality(built, alpha=alpha, beta=beta, max_iter=rounds, tol=tol)
        values, is_known = _by_id(graph, frame, "katz_centrality")
    values[~is_known] = values[is_known].min()  # nodes without edges have beta, the least
    require_finite(graph, values, "Katz centrality")
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
        labels = _labels(graph, dcg.weakly_connected_components(built), "labels")
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
        labels = _labels(graph, frame, "partition")
    _, which = np.unique(labels, return_inverse=True)
    return Communities(
        graph, which.astype(np.int64), "louvain", modularity=float(np.ravel(modularity)[0])
    )


@contextmanager
def _gpus(
    graph: NeuronGraph, weight: Weight, cluster: Cluster, measure: str, *, directed: bool
) -> Iterator[tuple[Any, Any]]:
    """Give cuGraph's multi-GPU functions and the graph on the GPUs."""
    require_non_negative(graph, weight, measure)
    if not graph.n_edges:
        raise UndefinedMeasureError(f"{measure} by cuGraph needs edges; '{graph.name}' has none.")
    if weight is not None:
        require_finite_weights(graph, measure)
    require_cudf(f"{measure} by many GPUs", "take a measure of gpugraph's own, which needs no GPU")
    client = current_client() if cluster is None else cluster
    if client is None:
        raise DeviceError(
            f"{measure} by many GPUs needs a cluster: pass cluster=, such as "
            "dask_cuda.LocalCUDACluster() or a scheduler's address."
        )
    what = f"{measure} by cuGraph"
    cugraph, dcg = (import_library(name, what) for name in ("cugraph", "cugraph.dask"))
    with connected(client) as client, client.as_current(), translated_errors(graph, what):
        part_edges = _part_edges(graph, _n_gpus(client, measure))
        client.run(load_cugraph)  # workers import the script that started them, and its keras
        with _communication():
            edges = to_dask(graph, part_edges, backend="cudf", weight=weight, cluster=client)
            # cuGraph numbers edges with the type of ids, and adds every edge's opposite.
            if graph.n_edges * (1 if directed else 2) >= LONGEST_COLUMN:
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


def _n_gpus(client: Client, measure: str) -> int:
    """Return how many workers there are; raise DeviceError where one of them has no GPU."""
    problems = client.run(cuda_problem)
    if not problems:
        raise DeviceError(
            f"{measure} by many GPUs needs workers, and the cluster at "
            f"'{client.scheduler.address}' has none yet. Start one per GPU with 'dask cuda worker "
            "ADDRESS'."
        )
    for worker, problem in problems.items():
        if problem is not None:
            raise DeviceError(
                f"{measure} by many GPUs needs a GPU for each worker, but on {worker} "
                f"{problem.reason}. Start workers with 'dask cuda worker ADDRESS', or take a "
                "dask_cuda.LocalCUDACluster."
            )
    return len(problems)


def _part_edges(graph: NeuronGraph, n_gpus: int) -> int:
    part_edges = -(-graph.n_edges // (PARTS_PER_GPU * n_gpus))
    if part_edges > LONGEST_COLUMN:
        raise GraphTooLargeError(
            f"'{graph.name}' has {graph.n_edges:,} edges: {part_edges:,} in each of "
            f"{PARTS_PER_GPU} parts per GPU, of which cuDF holds {LONGEST_COLUMN:,}. Take more "
            "GPUs, or gpugraph's own functions, which make no edges."
        )
    return part_edges


@contextmanager
def _communication() -> Iterator[None]:
    """Have the workers talk to each other for cuGraph, unless they do already."""
    communication = import_library("cugraph.dask.comms.comms", "cuGraph on many GPUs")
    ours = not communication.is_initialized()
    if ours:
        communication.initialize(p2p=True)
    try:
        yield
    finally:
        if ours:
            communication.destroy()


def _by_id(graph: NeuronGraph, frame: Any, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a result by node id, in float64, and which nodes have one: those with edges."""
    values, is_known = np.zeros(graph.n_nodes), np.zeros(graph.n_nodes, bool)
    found = frame.to_backend("pandas").compute()
    values[found["vertex"].to_numpy()] = found[column].to_numpy()
    is_known[found["vertex"].to_numpy()] = True
    return values, is_known


def _labels(graph: NeuronGraph, frame: Any, column: str) -> np.ndarray:
    """Return labels by node id; each node without edges has one of its own."""
    labels, is_known = _by_id(graph, frame, column)
    labels[~is_known] = graph.n_nodes + np.arange((~is_known).sum())
    return labels
