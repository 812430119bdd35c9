"""networkx's functions by gpugraph's, grouped as in networkx; importing this registers them.

Each has networkx's name, arguments and results. It takes a NeuronGraph, whose nodes are ids and
whose results are NodeValues, or a LabelledGraph, whose nodes are networkx's own and whose results
are dicts.
"""

from gpugraph.engines.networkx_backend.answers import ANSWERS
from gpugraph.engines.networkx_backend.functions import (  # noqa: F401
    centrality,
    components,
    cycles,
    dag,
    isolates,
    link_analysis,
    shortest_paths,
)

__all__ = ["ANSWERS"]
