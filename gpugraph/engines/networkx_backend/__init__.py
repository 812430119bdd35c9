"""gpugraph as a backend of networkx: ``nx.pagerank(graph)`` is `gpugraph.pagerank`.

networkx finds `backend.backend` and `info.get_info` through the package's entry points. A function
that gpugraph answers is written in `functions` and described in `info`, which a test compares;
nothing else lists it.
"""
