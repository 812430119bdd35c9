"""Views of the weights: signed, magnitude, one sign only, or 1 each."""

from __future__ import annotations

from typing import Literal

import numpy as np

from gpugraph.axes import Axis
from gpugraph.errors import SelectionError

# Most weights to look at at a time: no second kernel may stand beside a large one.
BLOCK_WEIGHTS = 2**20

Weight = Literal["weight", "magnitude", "positive", "negative"] | None


def weight_view(kernel: np.ndarray, weight: Weight) -> np.ndarray:
    """Return the kernel as the weight view sees it."""
    if weight == "magnitude":
        return np.abs(kernel)
    if weight == "positive":
        return np.maximum(kernel, 0)
    if weight == "negative":
        return np.maximum(-kernel, 0)
    if weight not in ("weight", None):
        raise SelectionError(
            f"There is no view {weight!r} of the weights: choose 'weight', 'magnitude', "
            "'positive', 'negative' or None."
        )
    return kernel


def gain_view(axis: Axis, weight: Weight) -> np.ndarray | None:
    """Gains of an axis as the weight view sees them."""
    if axis.gain is None or weight is None:
        return None
    return axis.gain if weight == "weight" else np.abs(axis.gain)
