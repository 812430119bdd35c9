"""What measures ask of a graph before they start, and of their results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from gpugraph.arrays import Array, namespace_of
from gpugraph.errors import NonFiniteError, SelectionError, SignedWeightsError
from gpugraph.views import Weight, check_view

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph


def float_dtype(dtype: DTypeLike) -> np.dtype:
    """Return what is computed in; raise SelectionError where it is not float32 or float64."""
    try:
        number = np.dtype(dtype)
    except TypeError:
        number = None
    if number not in (np.float32, np.float64):
        raise SelectionError(
            f"Measures are computed in float64 or float32, not {number or repr(dtype)}."
        )
    return number


def require_view(weight: Weight) -> None:
    """Raise SelectionError where there is no such view of the weights."""
    check_view(weight)


def require_non_negative(graph: NeuronGraph, weight: Weight, measure: str) -> None:
    """Raise SignedWeightsError where the view holds weights below 0."""
    require_view(weight)
    if weight != "weight":
        return
    for p in graph.projections:
        if p.has_negative_weight:
            raise SignedWeightsError(
                f"{measure} needs weights of at least 0, but those from '{p.source.name}' to "
                f"'{p.target.name}' are signed. Choose weight='magnitude' for |weight|, 'positive' "
                "or 'negative' for one sign alone, or None to count edges."
            )


def require_finite(graph: NeuronGraph, values: Array, measure: str) -> None:
    """Raise NonFiniteError, naming the first population, where values per node are not finite."""
    xp = namespace_of(values)
    with np.errstate(over="ignore", invalid="ignore"):
        if bool(xp.isfinite(values.sum())):
            return
    for population in graph.populations.values():
        if not bool(xp.isfinite(values[population.slice]).all()):
            raise NonFiniteError(
                f"{measure} is not a finite number in population '{population.name}': "
                f"{_why_not_finite(graph)}."
            )


def require_finite_weights(graph: NeuronGraph, measure: str) -> None:
    """Raise NonFiniteError, naming where they are, if weights hold NaN or infinity."""
    cause = _weights_not_finite(graph)
    if cause is not None:
        raise NonFiniteError(f"{measure} cannot be computed: {cause}.")


def _why_not_finite(graph: NeuronGraph) -> str:
    return _weights_not_finite(graph) or "numbers on the way there are too large for the precision"


def _weights_not_finite(graph: NeuronGraph) -> str | None:
    for p in graph.projections:
        for weights in (p.weights, p.source_factor, p.target_factor):
            if weights is not None and not np.isfinite(weights).all():
                return f"weights from '{p.source.name}' to '{p.target.name}' hold NaN or infinity"
    return None
