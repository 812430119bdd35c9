"""Path count: how many input-to-output paths lead through each node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpugraph.algorithms.path_strength import through
from gpugraph.arrays import Device, namespace
from gpugraph.fallback import falls_back
from gpugraph.node_values import NodeValues

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph


@falls_back
def path_count(graph: NeuronGraph, *, device: Device = "auto") -> NodeValues:
    """Return the number of input-to-output paths through each node.

    Parallel edges make separate paths, and so does every choice of a pooling window.

    Parameters
    ----------
    graph : NeuronGraph
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    NodeValues
        Float64: exact to 2**53, within rounding beyond. VGG16 has 10^55 paths, deeper networks
        more than a float holds: the values then carry exponents, and ``log10()`` reads them.

    Notes
    -----
    Where paths start and end, and the cost, are as in `path_strength`.
    """
    return through(graph, None, np.dtype(np.float64), namespace(device), "path_count")
