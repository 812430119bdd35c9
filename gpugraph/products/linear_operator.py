"""The adjacency matrix, transposed, as an operator that makes no edges."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from gpugraph.arrays import Array, Device, namespace, namespace_of
from gpugraph.fallback import SMALLER, gpu_memory_errors
from gpugraph.views import Weight, check_view

if TYPE_CHECKING:
    from types import ModuleType

    from scipy.sparse.linalg import LinearOperator

    from gpugraph.graph import NeuronGraph


def linear_operator(graph: NeuronGraph, weight: Weight, device: Device) -> LinearOperator:
    """Send node values along the edges; see `NeuronGraph.as_linear_operator`."""
    check_view(weight)
    xp = namespace(device)
    if xp is np:
        from scipy.sparse.linalg import LinearOperator
    else:
        from cupyx.scipy.sparse.linalg import LinearOperator

    def forward(x: Array) -> Array:
        y = namespace_of(x).zeros(graph.n_nodes, x.dtype)
        for p in graph.projections:
            p.apply(x[p.source.slice], weight, out=y[p.target.slice])
        return y

    def backward(y: Array) -> Array:
        x = namespace_of(y).zeros(graph.n_nodes, y.dtype)
        for p in graph.projections:
            p.transposed.apply(y[p.target.slice], weight, out=x[p.source.slice])
        return x

    there, back = _of_any_vector(forward, xp), _of_any_vector(backward, xp)
    if xp is not np:
        checked = gpu_memory_errors(f"as_linear_operator of '{graph.name}'", SMALLER)
        there, back = checked(there), checked(back)
    return LinearOperator(
        (graph.n_nodes, graph.n_nodes), matvec=there, rmatvec=back, dtype=np.float64
    )


def _of_any_vector(function: Callable[[Array], Array], xp: ModuleType) -> Callable[[Array], Array]:
    """Let a function of flat float64 vectors take columns, and other types of numbers."""

    def product(x: Array) -> Array:
        x = xp.ravel(x)
        if xp.iscomplexobj(x):
            return product(x.real) + 1j * product(x.imag)
        return function(x.astype(xp.float64))

    return product
