"""Eigenvector centrality: of the undirected graph, because the directed one has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpugraph.algorithms.requirements import require_non_negative
from gpugraph.algorithms.singular_values import largest_eigenpairs
from gpugraph.arrays import Array, Device, namespace
from gpugraph.errors import UndefinedMeasureError
from gpugraph.fallback import falls_back
from gpugraph.node_values import NodeValues
from gpugraph.scalars import real
from gpugraph.views import Weight

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph


@falls_back
def eigenvector_centrality(
    graph: NeuronGraph,
    weight: Weight = "magnitude",
    *,
    directed: bool = True,
    tol: float = 1e-8,
    device: Device = "auto",
) -> NodeValues:
    """Return the leading eigenvector of the undirected graph, ``A + A^T``.

    Parameters
    ----------
    graph : NeuronGraph
    weight : {"magnitude", "positive", "negative", "weight", None}
        View of the weights, which must not be negative; None counts edges. Parallel edges add up.
    directed : bool
        Whether edges keep their direction, as networkx takes them: then there is no such vector.
    tol : float
        Relative error of the eigenvalue.
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    NodeValues
        At least 0, of length 1. Where the graph falls into parts, 0 outside the part of the
        largest eigenvalue; among equal parts it is not unique, and evenly spread.

    Raises
    ------
    UndefinedMeasureError
        If ``directed``: the adjacency matrix of a graph without cycles has no eigenvalue but 0.
        Also if no weight is above 0.
    SignedWeightsError
        If the view holds negative weights.
    GraphTooLargeError, ConvergenceError, NonFiniteError
        If Lanczos's basis does not fit in memory, the tolerance is out of reach, or weights hold
        NaN or infinity.

    References
    ----------
    Bonacich (1972). Factoring and weighting approaches to status scores and clique
    identification. Journal of Mathematical Sociology 2(1).
    """
    if directed:
        raise UndefinedMeasureError(
            f"'{graph.name}' has no cycle, so all eigenvalues of its adjacency matrix are 0 and "
            "eigenvector centrality is undefined. Take gpugraph.katz_centrality, which adds a "
            "source to every node, or directed=False for the undirected graph."
        )
    require_non_negative(graph, weight, "Eigenvector centrality")
    tol = real(tol, "tol", 0)
    xp, n = namespace(device), graph.n_nodes

    def multiply(x: Array) -> Array:
        y = xp.zeros(n)
        for p in graph.projections:
            p.apply(x[p.source.slice], weight, out=y[p.target.slice])
            p.transposed.apply(x[p.target.slice], weight, out=y[p.source.slice])
        return y

    what = f"Eigenvector centrality of '{graph.name}'"
    if not graph.n_edges or not float(multiply(xp.ones(n)).sum()):
        raise UndefinedMeasureError(
            f"{what} is undefined: in the view weight={weight!r} no edge weighs more than 0."
        )
    if n < 4:
        vector = xp.linalg.eigh(xp.stack([multiply(row) for row in xp.eye(n)]))[1][:, -1]
    else:
        vector = largest_eigenpairs(multiply, n, 1, xp, tol, what)[1][:, 0]
    return NodeValues(graph, np.abs(vector), "eigenvector_centrality")
