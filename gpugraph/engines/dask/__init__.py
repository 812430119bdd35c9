"""Dask: edges made in partitions by the workers of a cluster, and multi-GPU measures on them."""
