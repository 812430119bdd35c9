"""Dask: edges made by the workers of a cluster, and measures by all GPUs of one."""

from __future__ import annotations

from gpugraph.engines.dask.measures import (
    katz_centrality,
    louvain,
    pagerank,
    weakly_connected_components,
)

__all__ = ["katz_centrality", "louvain", "pagerank", "weakly_connected_components"]
