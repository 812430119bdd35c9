"""What measures ask of a graph before they start, and of their results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpugraph.arrays import Array, namespace_of
from gpugraph.errors import NonFiniteError, SignedWeightsError
from gpugraph.views import Weight, weight_view

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph


def require_non_negative(graph: NeuronGraph, weight: Weight, measure: str) -> None:
    """Raise SignedWeightsError where the view holds weights below 0."""
    weight_view(np.zeros(0), weight)  # refuses a view that does not exist
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
    if bool(xp.isfinite(values.sum())):
        return
    for population in graph.populations.values():
        if not bool(xp.isfinite(values[population.slice]).all()):
            raise NonFiniteError(
                f"{measure} is not a finite number from population '{population.name}' on: "
                "weights out of or into it hold NaN or infinity, or are too large for the "
                "precision."
            )
