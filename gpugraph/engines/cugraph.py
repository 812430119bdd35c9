"""The cuGraph engine: measures by NVIDIA's cuGraph on the edges made on the GPU.

Measures that gpugraph computes by sweeps come here on ``engine="cugraph"``, for comparison;
communities, cores and triangles wherever there is a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite, log, log10
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugraph.algorithms.communities import Communities
from gpugraph.algorithms.distances import Distances
from gpugraph.algorithms.edge_lengths import Length
from gpugraph.algorithms.shortest_paths import pivots
from gpugraph.arrays import Array
from gpugraph.engines.cugraph_graph import (
    DeviceGraph,
    device_graph,
    edge_range,
    translated_errors,
)
from gpugraph.errors import (
    ConvergenceError,
    GraphTooLargeError,
    RangeError,
    SelectionError,
    UndefinedMeasureError,
)
from gpugraph.node_values import NodeValues
from gpugraph.views import Weight

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
MOST_ITERATIONS = 1000


# Measures that gpugraph has sweeps for


def pagerank(
    graph: NeuronGraph, alpha: float, jump: np.ndarray | None, weight: Weight, dtype: np.dtype
) -> NodeValues:
    """Return `gpugraph.pagerank` by cuGraph's power iteration.

    ``jump`` is where jumps land and what walks go on from at nodes without out-strength.
    """
    what = "PageRank by cuGraph"
    tolerance = 1e-12 if dtype == FLOAT64 else 1e-6
    rounds = _rounds(alpha, tolerance)
    built = device_graph(graph, weight, dtype, what, transposed=True)
    options: dict[str, Any] = {
        "precomputed_vertex_out_weight_vertices": None,
        "precomputed_vertex_out_weight_sums": None,
        "initial_guess_vertices": None,
        "initial_guess_values": None,
        "alpha": alpha,
        "epsilon": tolerance,
        "max_iterations": rounds,
        "do_expensive_check": False,
        "fail_on_nonconvergence": False,
    }
    with translated_errors(graph, what):
        if jump is None:
            result = built.library.pagerank(**built.given, **options)
        else:
            result = built.library.personalized_pagerank(
                **built.given,
                personalization_vertices=built.xp.arange(graph.n_nodes, dtype=built.ids),
                personalization_values=built.xp.asarray(jump.astype(dtype)),
                **options,
            )
    vertices, values, converged = result
    if not converged and rounds == MOST_ITERATIONS:
        raise ConvergenceError(
            f"{what} did not converge in {MOST_ITERATIONS} iterations. Take a smaller alpha, or "
            "engine='sweep', which does not iterate."
        )
    return built.node_values(vertices, values, "pagerank")


def _rounds(alpha: float, tolerance: float) -> int:
    """Return how many rounds bring PageRank's change below a tolerance, if no rounding is there.

    Two distributions differ by 2 at most, and every round multiplies that by alpha at most. What
    cuGraph still sees to change after these rounds are last digits.
    """
    if alpha == 0:
        return 3
    if alpha == 1:
        return MOST_ITERATIONS
    return min(MOST_ITERATIONS, ceil(log(tolerance / 2) / log(alpha)) + 3)


def katz_centrality(
    graph: NeuronGraph,
    alpha: float,
    beta: np.ndarray,
    normalized: bool,
    weight: Weight,
    dtype: np.dtype,
) -> NodeValues:
    """Return `gpugraph.katz_centrality` by cuGraph, which takes one beta for all nodes.

    cuGraph always scales to a sum of squares of 1; nodes that nothing leads to, which have
    beta itself, say by how much.
    """
    first = float(beta[0]) if len(beta) else 1.0
    if (beta != first).any() or first == 0 or not 0 <= alpha <= 1:
        raise SelectionError(
            "cuGraph's Katz centrality takes one beta other than 0 for all nodes and alpha from 0 "
            "to 1. Choose engine='sweep' for others."
        )
    what = "Katz centrality by cuGraph"
    built = device_graph(graph, weight, dtype, what, transposed=True)
    with translated_errors(graph, what):
        vertices, values = built.library.katz_centrality(
            **built.given,
            betas=None,  # cuGraph's C library does not pass them on
            alpha=alpha,
            beta=first,
            # Walks end: after as many rounds as a path has nodes nothing changes any more.
            epsilon=float(np.finfo(dtype).tiny),
            max_iterations=len(graph.populations) + 2,
            do_expensive_check=False,
        )
    result = built.by_id(vertices, values)
    if graph.n_nodes:
        start = float(result[int(np.flatnonzero(graph.in_degree() == 0)[0])])
        if not start or not isfinite(float(result.sum())):
            raise RangeError(
                f"{what}: the sum of its squares, which it scales by, is beyond the range of "
                f"{dtype}. Choose engine='sweep', or a smaller alpha."
            )
        if not normalized:
            result *= first / start
    return NodeValues(graph, result, "katz_centrality")


def hits(
    graph: NeuronGraph, weight: Weight = None, normalized: bool = True
) -> tuple[NodeValues, NodeValues]:
    """Return hubs and authorities by cuGraph, which counts edges alike whatever their weight."""
    if weight is not None or not normalized:
        raise SelectionError(
            "cuGraph's HITS does not read weights, and scales its results: choose weight=None and "
            "normalized=True, or engine='sweep'."
        )
    if not graph.n_edges:
        raise UndefinedMeasureError(f"HITS of '{graph.name}' is undefined: it has no edges.")
    what = "HITS by cuGraph"
    built = device_graph(graph, None, FLOAT64, what, transposed=True)
    with translated_errors(graph, what):
        vertices, hubs, authorities = built.library.hits(
            **built.given,
            tol=1e-12,
            max_iter=MOST_ITERATIONS,
            initial_hubs_guess_vertices=None,
            initial_hubs_guess_values=None,
            normalized=True,
            do_expensive_check=False,
        )
    return (
        built.node_values(vertices, hubs, "hubs"),
        built.node_values(vertices, authorities, "authorities"),
    )


def betweenness_centrality(
    graph: NeuronGraph, sources: Sequence[int] | None, normalized: bool, endpoints: bool
) -> NodeValues:
    """Return `gpugraph.betweenness_centrality` by cuGraph; ``sources`` None: from all nodes."""
    what = "Betweenness by cuGraph"
    others = graph.n_nodes if endpoints else graph.n_nodes - 1
    if others < 2 or (sources is not None and len(sources) == others < graph.n_nodes):
        raise SelectionError(
            "cuGraph's betweenness divides by 0 for graphs of 2 nodes, and takes all nodes but one "
            "for all: choose another k, or engine='sweep'."
        )
    built = device_graph(graph, None, FLOAT64, what, wide=_counts_need_int64(graph))
    with translated_errors(graph, what):
        vertices, values = built.library.betweenness_centrality(
            **built.given,
            k=_vertices(built, sources),
            random_state=None,
            normalized=normalized,
            include_endpoints=endpoints,
            do_expensive_check=False,
        )
    return built.node_values(vertices, values, "betweenness_centrality")


def edge_betweenness_centrality(
    graph: NeuronGraph,
    k: int | None = None,
    normalized: bool = True,
    seed: Any = None,
    sources: Sequence[int] | None = None,
) -> Array:
    """Return, per edge, the share of shortest paths that lead along it, by cuGraph.

    Parameters as in `gpugraph.edge_betweenness_centrality`.

    Returns
    -------
    cupy array of shape ``(n_edges,)``
        In the order of `NeuronGraph.edges`.
    """
    what = "Edge betweenness by cuGraph"
    chosen = None if k is None and sources is None else pivots(graph, k, sources, seed)
    built = device_graph(graph, None, FLOAT64, what, wide=_counts_need_int64(graph))
    xp = built.xp
    with translated_errors(graph, what):
        src, dst, values, _ = built.library.edge_betweenness_centrality(
            **built.given,
            k=_vertices(built, chosen),
            random_state=None,
            normalized=True,  # else it leaves out how many nodes were drawn
            do_expensive_check=False,
        )
        if not normalized:
            values *= graph.n_nodes * (graph.n_nodes - 1.0)
        # cuGraph has an order of its own; parallel edges have the same value.
        ours = edge_range(graph, 0, graph.n_edges, built.ids, FLOAT32, xp)
        result = xp.empty(graph.n_edges, values.dtype)
        theirs = xp.lexsort(xp.stack([dst, src]))
        result[xp.lexsort(xp.stack([ours.dst, ours.src]))] = values[theirs]
    return result


def weakly_connected_components(graph: NeuronGraph) -> NodeValues:
    """Return `gpugraph.weakly_connected_components` by cuGraph: the smallest id of each."""
    what = "Weak components by cuGraph"
    built = device_graph(graph, None, FLOAT32, what, undirected=True, merge=False)
    with translated_errors(graph, what):
        vertices, labels = built.library.weakly_connected_components(
            **built.given,
            offsets=None,
            indices=None,
            weights=None,
            labels=None,
            do_expensive_check=False,
        )
        labels = built.by_id(vertices, labels)
        _, first, group = built.xp.unique(labels, return_index=True, return_inverse=True)
    return NodeValues(graph, first[group].astype(np.int64), "weakly_connected_component")


# Measures that gpugraph has no sweeps for, or other ones


def bfs(graph: NeuronGraph, start: np.ndarray, depth_limit: int | None) -> Distances:
    """Return `gpugraph.bfs` from the marked nodes."""
    what = "Breadth-first search by cuGraph"
    built = device_graph(graph, None, FLOAT32, what)
    with translated_errors(graph, what):
        distances, predecessors, vertices = built.library.bfs(
            handle=built.given["resource_handle"],
            graph=built.given["graph"],
            sources=_vertices(built, np.flatnonzero(start).tolist()),
            direction_optimizing=False,
            # No path is longer, and cuGraph takes an int32.
            depth_limit=min(depth_limit or len(graph.populations), len(graph.populations)),
            compute_predecessors=True,
            do_expensive_check=False,
        )
    is_reached = distances < np.iinfo(distances.dtype).max
    distances = built.xp.where(is_reached, distances.astype(np.float64), np.inf)
    return _distances(built, vertices, distances, predecessors)


def sssp(
    graph: NeuronGraph, source: int, length: Length, weight: Weight, number: np.dtype
) -> Distances:
    """Return `gpugraph.sssp`.

    cuGraph goes on by steps of 32 mean lengths divided by the mean degree: it takes long where a
    node can only be reached by an edge that is longer by many orders of magnitude, as behind a
    weight that is nearly 0 and "inverse".
    """
    what = "Shortest paths by cuGraph"
    if weight is None and number == FLOAT32:
        number = FLOAT64  # cuGraph wants weights for lengths
    built = device_graph(graph, weight, number, what, length=length)
    with translated_errors(graph, what):
        vertices, distances, predecessors = built.library.sssp(
            **built.given,
            source=source,
            cutoff=np.inf,
            compute_predecessors=True,
            do_expensive_check=False,
        )
    unreached = distances == np.finfo(distances.dtype).max
    distances = built.xp.where(unreached, np.inf, distances)
    return _distances(built, vertices, distances, predecessors)


def core_number(graph: NeuronGraph) -> NodeValues:
    """Return `gpugraph.core_number`."""
    what = "Core numbers by cuGraph"
    built = device_graph(graph, None, FLOAT32, what, undirected=True, merge=False)
    with translated_errors(graph, what):
        vertices, values = built.library.core_number(
            **built.given, degree_type="outgoing", do_expensive_check=False
        )
    return built.node_values(vertices, values, "core_number")


def triangle_count(graph: NeuronGraph) -> NodeValues:
    """Return `gpugraph.triangle_count`."""
    what = "Triangles by cuGraph"
    built = device_graph(graph, None, FLOAT32, what, undirected=True, merge=False)
    with translated_errors(graph, what):
        vertices, values = built.library.triangle_count(
            **built.given, start_list=None, do_expensive_check=False
        )
    return built.node_values(vertices, values, "triangle_count")


def louvain(
    graph: NeuronGraph, weight: Weight, resolution: float, threshold: float, max_level: int
) -> Communities:
    """Return `gpugraph.louvain`."""
    built = _undirected(graph, weight, "Louvain")
    with translated_errors(graph, "Louvain"):
        result = built.library.louvain(
            **built.given,
            max_level=max_level,
            threshold=threshold,
            resolution=resolution,
            do_expensive_check=False,
        )
    return _communities(built, result, "louvain")


def leiden(
    graph: NeuronGraph,
    weight: Weight,
    resolution: float,
    theta: float,
    max_level: int,
    seed: int | None,
) -> Communities:
    """Return `gpugraph.leiden`."""
    built = _undirected(graph, weight, "Leiden")
    with translated_errors(graph, "Leiden"):
        result = built.library.leiden(
            **built.given,
            random_state=seed,
            max_level=max_level,
            resolution=resolution,
            theta=theta,
            do_expensive_check=False,
        )
    return _communities(built, result, "leiden")


def ecg(
    graph: NeuronGraph,
    weight: Weight,
    min_weight: float,
    ensemble_size: int,
    resolution: float,
    threshold: float,
    max_level: int,
    seed: int | None,
) -> Communities:
    """Return `gpugraph.ecg`."""
    built = _undirected(graph, weight, "ECG")
    with translated_errors(graph, "ECG"):
        result = built.library.ecg(
            **built.given,
            random_state=seed,
            min_weight=min_weight,
            ensemble_size=ensemble_size,
            max_level=max_level,
            threshold=threshold,
            resolution=resolution,
            do_expensive_check=False,
        )
    return _communities(built, result, "ecg")


def spectral_modularity(
    graph: NeuronGraph, n_clusters: int, weight: Weight, n_eigenvectors: int, seed: int | None
) -> NodeValues:
    """Return `gpugraph.spectral_modularity`; cuGraph computes it with int32 ids alone."""
    what = "Spectral modularity"
    if 2 * graph.n_edges >= 2**31 or graph.n_nodes >= 2**31:
        raise GraphTooLargeError(
            f"cuGraph's spectral clustering takes fewer than 2**30 edges; '{graph.name}' has "
            f"{graph.n_edges:,}. Take a part of the graph, or gpugraph.louvain or leiden."
        )
    built = _undirected(graph, weight, what)
    with translated_errors(graph, what):
        vertices, clusters = built.library.spectral_modularity_maximization(
            **built.given,
            num_clusters=n_clusters,
            num_eigen_vects=n_eigenvectors,
            evs_tolerance=1e-5,
            evs_max_iter=100,
            kmean_tolerance=1e-5,
            kmean_max_iter=100,
            do_expensive_check=False,
            random_state=seed,
        )
    return built.node_values(vertices, clusters, "spectral_modularity")


def _undirected(graph: NeuronGraph, weight: Weight, what: str) -> DeviceGraph:
    """Build the undirected graph of communities."""
    return device_graph(graph, weight, graph.weight_dtype, what, undirected=True)


def _communities(built: DeviceGraph, result: tuple[Array, Array, float], name: str) -> Communities:
    vertices, labels, modularity = result
    return Communities(built.graph, built.by_id(vertices, labels), name, float(modularity))


def _distances(
    built: DeviceGraph, vertices: Array, distances: Array, predecessors: Array
) -> Distances:
    by_id = built.by_id(vertices, predecessors)
    return Distances(built.graph, built.by_id(vertices, distances), lambda: by_id)


def _vertices(built: DeviceGraph, nodes: Sequence[int] | None) -> Array | None:
    """Return node ids as cuGraph takes them."""
    return None if nodes is None else built.xp.asarray(np.asarray(nodes, built.ids))


def _counts_need_int64(graph: NeuronGraph) -> bool:
    """Tell whether numbers of paths may outgrow int32, in which cuGraph counts them.

    Raises
    ------
    RangeError
        If they may outgrow int64.
    """
    from gpugraph.algorithms.katz import katz_centrality as walks

    # Walks of any length from any node: no fewer than the shortest paths from one.
    counts = walks(graph, alpha=1.0, normalized=False, device="cpu").log10()
    most = float(np.asarray(counts).max(initial=0.0))
    if most >= log10(2**63):
        raise RangeError(
            f"'{graph.name}' has about 10^{most:.0f} paths to one node; cuGraph counts them in "
            "int64 and would overflow unnoticed. Choose engine='sweep', or a part of the graph."
        )
    return most >= log10(2**31)
