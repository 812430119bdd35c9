"""Measures of the graph, one per file, on sweeps; named and parametrised as in networkx."""
