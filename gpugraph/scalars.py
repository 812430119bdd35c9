"""Single numbers as users give them: taken, or refused in words."""

from __future__ import annotations

from math import inf, nan
from operator import index
from typing import Any

import numpy as np

from gpugraph.errors import SelectionError


def real(value: Any, what: str, least: float = -inf, most: float = inf) -> float:
    """Return a number as a float.

    Raises
    ------
    SelectionError
        If it is no number, NaN, or not between ``least`` and ``most``.
    """
    try:
        number = nan if isinstance(value, (str, bytes)) or np.ndim(value) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = nan
    if not least <= number <= most:
        raise SelectionError(f"{what} must be a number{_range(least, most)}, not {value!r}.")
    return number


def whole(value: Any, what: str, least: int = 0) -> int:
    """Return a whole number as an int.

    Raises
    ------
    SelectionError
        If it is none, as 2.0 is none, or less than ``least``.
    """
    try:
        number = index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise SelectionError(f"{what} must be a whole number of at least {least}, not {value!r}.")
    return number


def _range(least: float, most: float) -> str:
    if most < inf:
        return f" from {least:g} to {most:g}"
    return f" of at least {least:g}" if least > -inf else ""
