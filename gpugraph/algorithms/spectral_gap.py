"""Spectral gap: how far the undirected graph is from falling apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpugraph.algorithms.laplacian import Laplacian
from gpugraph.arrays import Device, namespace
from gpugraph.fallback import falls_back
from gpugraph.scalars import real
from gpugraph.views import Weight

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph


@falls_back
def spectral_gap(
    graph: NeuronGraph,
    weight: Weight = "magnitude",
    *,
    tol: float = 1e-2,
    device: Device = "auto",
) -> float:
    """Return the second-smallest eigenvalue of the undirected graph's normalised Laplacian.

    Parameters
    ----------
    graph : NeuronGraph
    weight : {"magnitude", "positive", "negative", "weight", None}
        View of the weights; ``"weight"`` where none is negative, None for all alike. Parallel
        edges add up.
    tol : float
        Largest error, as a share of the result; the usual error is about its square.
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    float
        From 0, where the graph falls into parts, to 2. Nodes that no edge above 0 leads to or
        from are no part: they are left out.

    Raises
    ------
    SignedWeightsError
        If the view holds negative weights.
    NonFiniteError
        If weights hold NaN or infinity.
    UndefinedMeasureError
        If no weight is above 0.
    GraphTooLargeError
        If the eigenvector's basis would not fit in memory.
    ConvergenceError
        If the tolerance is out of reach.

    Notes
    -----
    Of ``L = I - D^-1/2 (A + A^T) D^-1/2``, where D holds each node's strength, in and out [1]_. A
    random walk on the undirected graph forgets where it began in about ``1 / gap`` steps, and
    deep networks have small gaps: a walk must cross all layers. No edge is made. Extra memory:
    about 37 numbers per node, 28 where memory is short.

    References
    ----------
    .. [1] Chung (1997). Spectral graph theory. American Mathematical Society.

    Examples
    --------
    >>> gg.spectral_gap(graph)  # doctest: +SKIP
    4.2e-05
    """
    tol = real(tol, "tol", 0)
    laplacian = Laplacian(graph, weight, namespace(device), "The spectral gap")
    if not laplacian.is_connected():
        return 0.0
    values, _ = laplacian.smallest(1, tol)
    return max(0.0, float(values[0]))
