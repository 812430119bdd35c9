"""Axes between two lengths of which neither need divide the other."""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np

from gpugraph.axes import Axis, pairs
from gpugraph.conversion import Conversion

# Smaller shares are rounding: a filter's zero, where the backend computes in float32.
SMALLEST_SHARE = 1e-6


def shares(
    call: Conversion, n_src: int, n_dst: int, interpolation: str, antialias: bool = False
) -> np.ndarray:
    """Return what each position gives to each position of a line of another length.

    The interpolations are linear and separable, so resizing unit vectors shows the shares that
    the backend itself uses.

    Returns
    -------
    float32 array of shape ``(n_dst, n_src)``

    Raises
    ------
    UnsupportedLayerError
        If the backend has no such interpolation.
    """
    import keras

    unit_vectors = np.eye(n_src, dtype=np.float32)[None, :, None, :]
    try:
        resized = keras.ops.image.resize(
            unit_vectors,
            (n_dst, 1),
            interpolation=interpolation,
            antialias=antialias,
            data_format="channels_last",
        )
    except ValueError as error:
        raise call.unsupported(f"this backend has no '{interpolation}' interpolation") from error
    found = np.array(keras.ops.convert_to_numpy(resized))[0, :, 0, :]
    found[np.abs(found) < SMALLEST_SHARE] = 0
    return found


def shared(found: np.ndarray, n_src: int, frame: range | None = None) -> Axis:
    """Return the axis of some shares.

    Parameters
    ----------
    found : array of shape ``(n_dst, len(frame))``
    n_src : int
    frame : range, optional
        The source positions that the columns stand for, all by default; what lies beyond the
        source is padding.
    """
    frame = range(n_src) if frame is None else frame
    dst, column = np.nonzero(found)
    src = frame.start + column
    inside = (src >= 0) & (src < n_src)
    dst, src = dst[inside], src[inside]
    gain = found[dst, column[inside]]
    return resampled(src, dst, n_src, len(found), len(frame), None if (gain == 1).all() else gain)


def resampled(src: Any, dst: Any, n_src: int, n_dst: int, length: int, gain: Any = None) -> Axis:
    """Pairs of positions on two lines, the first of them ``length`` positions for all targets.

    The tap tells the phase and the distance, so that equal taps step evenly.
    """
    period = n_dst // gcd(length, n_dst)
    distance = src - dst * length // n_dst
    distance -= distance.min(initial=0)
    tap = dst % period * (distance.max(initial=0) + 1) + distance
    return pairs(src, dst, tap, n_src, n_dst, int(tap.max(initial=0)) + 1, gain)
