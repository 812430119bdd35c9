"""How long an edge is, by its weight: a large weight means near to some, and far to others."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from gpugraph.arrays import Array, namespace_of
from gpugraph.errors import SelectionError

Length = Literal["inverse", "negative_log", "weight"]


def check_length(length: object) -> None:
    """Raise SelectionError where there is no such rule."""
    if length not in get_args(Length):
        raise SelectionError(
            f"There is no rule {length!r} for lengths: choose 'inverse', 'negative_log' or "
            "'weight'."
        )


def require_at_most_one(largest: float) -> None:
    """Raise SelectionError where weights have no logarithm that could be a length."""
    if largest > 1:
        raise SelectionError(
            "length='negative_log' needs weights of at most 1, such as probabilities, but the "
            f"largest is {largest:.6g}. Choose length='inverse'."
        )


def turn_into_lengths(weights: Array, length: Length) -> None:
    """Turn weights of at least 0 into lengths, in place.

    Infinite where an edge leads nowhere: "inverse" and "negative_log" of 0, or of what is so near
    to it that 1 / weight may be infinite.
    """
    if length == "weight":
        return
    xp = namespace_of(weights)
    leads_nowhere = weights < np.finfo(weights.dtype).tiny
    with np.errstate(divide="ignore", over="ignore"):
        if length == "inverse":
            xp.divide(1, weights, out=weights)
        else:
            xp.abs(xp.log(weights, out=weights), out=weights)
    xp.copyto(weights, np.inf, where=leads_nowhere)
