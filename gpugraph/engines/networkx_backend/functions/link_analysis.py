"""PageRank and HITS."""

from __future__ import annotations

from typing import Any

from gpugraph.algorithms.hits import hits as exact_hits
from gpugraph.algorithms.pagerank import pagerank as exact_pagerank
from gpugraph.engines.networkx_backend.answers import answers
from gpugraph.engines.networkx_backend.nodes import PerNode, by_id, per_node, view_of
from gpugraph.graph import NeuronGraph


@answers(worth_converting=True)
def pagerank(
    G: NeuronGraph,
    alpha: float = 0.85,
    personalization: Any = None,
    max_iter: int = 100,
    tol: float = 1.0e-6,
    nstart: Any = None,
    weight: str | None = "weight",
    dangling: Any = None,
    *,
    dtype: Any = "float64",
    device: Any = "auto",
) -> PerNode:
    """Return `gpugraph.pagerank`."""
    if not G.n_nodes:
        return {}
    jump, hang = by_id(G, personalization), by_id(G, dangling)
    view = view_of(G, weight, default="magnitude")
    return per_node(G, exact_pagerank(G, alpha, jump, view, hang, dtype=dtype, device=device))


@answers(worth_converting=True)
def hits(
    G: NeuronGraph,
    max_iter: int = 100,
    tol: float = 1.0e-8,
    nstart: Any = None,
    normalized: bool = True,
    *,
    device: Any = "auto",
) -> tuple[PerNode, PerNode]:
    """Return `gpugraph.hits`."""
    if not G.n_nodes:
        return {}, {}
    view = view_of(G, "weight", default="magnitude")
    hubs, authorities = exact_hits(G, view, normalized, tol=tol, device=device)
    return per_node(G, hubs), per_node(G, authorities)
