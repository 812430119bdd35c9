"""Views of the weights: signed, magnitude, one sign only, or 1 each."""

from __future__ import annotations

from typing import Literal

import numpy as np

from gpugraph.arrays import Array, blocks, namespace_of
from gpugraph.axes import Axis
from gpugraph.errors import SelectionError
from gpugraph.parallel import for_each

# Most weights to look at at a time: no second kernel may stand beside a large one, and a view of
# so many stays in a core's cache. Measured.
BLOCK_WEIGHTS = 2**18

Weight = Literal["weight", "magnitude", "positive", "negative"] | None

VIEWS = ("weight", "magnitude", "positive", "negative", None)

OPPOSITE: dict[Weight, Weight] = {"positive": "negative", "negative": "positive"}


def check_view(weight: object) -> None:
    """Raise SelectionError where there is no such view."""
    if weight not in VIEWS:
        raise SelectionError(
            f"There is no view {weight!r} of the weights: choose 'weight', 'magnitude', "
            "'positive', 'negative' or None."
        )


def weight_view(kernel: np.ndarray, weight: Weight) -> np.ndarray:
    """Return the kernel as the weight view sees it."""
    if weight == "magnitude":
        return np.abs(kernel)
    if weight == "positive":
        return np.maximum(kernel, 0)
    if weight == "negative":
        return np.maximum(-kernel, 0)
    check_view(weight)
    return kernel


def view_as(kernel: Array, weight: Weight, dtype: np.dtype) -> Array:
    """Return the kernel as the weight view sees it, in a dtype; by all cores where it is large."""
    is_as_it_stands = weight in ("weight", None) and kernel.dtype == dtype
    if is_as_it_stands or kernel.size <= BLOCK_WEIGHTS or namespace_of(kernel) is not np:
        return weight_view(kernel, weight).astype(dtype, copy=False)
    seen = np.empty_like(kernel, dtype)

    def see(part: tuple[slice, ...]) -> None:
        seen[part] = weight_view(kernel[part], weight)

    for_each(see, list(blocks(kernel.shape, 0, kernel.ndim, BLOCK_WEIGHTS)))
    return seen


def factor_shares(
    factor: np.ndarray | None, weight: Weight
) -> list[tuple[np.ndarray | None, Weight]]:
    """Take a view of weights times a factor per node apart, into products of views.

    Where a factor is negative, it makes positive weights of negative ones, and the other way
    round.

    Returns
    -------
    list of (array, str)
        Factors of at least 0 (signed in the view "weight"; None: 1) and the view of the weights
        to be multiplied by each; the view of the products is the sum of these.
    """
    if factor is None or weight is None:
        return [(None, weight)]
    if weight == "magnitude":
        return [(np.abs(factor), weight)]
    if weight not in OPPOSITE or not (factor < 0).any():
        return [(factor, weight)]
    return [(np.maximum(factor, 0), weight), (np.maximum(-factor, 0), OPPOSITE[weight])]


def gain_view(axis: Axis, weight: Weight) -> np.ndarray | None:
    """Gains of an axis as the weight view sees them."""
    if axis.gain is None or weight is None:
        return None
    return axis.gain if weight == "weight" else np.abs(axis.gain)
