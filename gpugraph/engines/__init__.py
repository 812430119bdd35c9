"""Who computes: cuGraph, networkx, Dask; and networkx asking us."""
