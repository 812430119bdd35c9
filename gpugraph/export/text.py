"""Numbers and rows as text, many at a time.

Fields have a fixed width and are filled up with NUL bytes; rows are put together as one
structured array, and `bytes.translate` drops the NULs. That is memory speed, where formatting
row by row is not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Piece = bytes | np.ndarray


def decimals(values: np.ndarray) -> np.ndarray:
    """Return non-negative integers as fixed-width text; 8 bytes each while they fit, else 16 or 24."""
    top = int(values.max(initial=0))
    digits = len(str(top))
    width = -(-digits // 8) * 8
    text = np.zeros((len(values), width), np.uint8)
    for place in range(digits):
        power = 10**place
        digit = (values // power % 10 + ord("0")).astype(np.uint8)
        if place:
            digit[values < power] = 0  # no leading zeros
        text[:, width - 1 - place] = digit
    return text.view(f"S{width}")[:, 0]


def floats(values: np.ndarray) -> np.ndarray:
    """Return floats as fixed-width text: the shortest that reads back as the same number."""
    width = 16 if values.dtype == np.float32 else 24
    text = pc.cast(pa.array(values), pa.string())
    padded = pc.ascii_rpad(text, width=width, padding="\0")
    offset, data = padded.offset * width, padded.buffers()[2]
    if data is None:
        return np.zeros(0, f"S{width}")
    return np.frombuffer(data, f"S{width}", count=len(values), offset=offset)


class Rows:
    """Rows of text from constant pieces and columns of fixed-width fields.

    Parameters
    ----------
    pieces : sequence of bytes or numpy dtype
        Constant text, or the type of a column, in the order of the row.
    """

    def __init__(self, pieces: Sequence[bytes | np.dtype]) -> None:
        self._pieces = pieces
        kinds = [f"S{len(p)}" if isinstance(p, bytes) else _raw(p) for p in pieces]
        self._dtype = np.dtype([(f"f{i}", kind) for i, kind in enumerate(kinds)])
        self._rows = np.zeros(0, self._dtype)

    def join(self, columns: Sequence[np.ndarray]) -> bytes:
        """Return the rows of these columns, which fill the places given by a dtype in order."""
        n = len(columns[0])
        if n > len(self._rows):
            self._rows = np.zeros(n, self._dtype)
            for i, piece in enumerate(self._pieces):
                if isinstance(piece, bytes):
                    self._rows[f"f{i}"] = piece
        rows = self._rows[:n]
        places = [i for i, piece in enumerate(self._pieces) if not isinstance(piece, bytes)]
        for i, column in zip(places, columns, strict=True):
            rows[f"f{i}"] = column.view(self._dtype[i])
        return rows.tobytes().translate(None, b"\0")


def _raw(dtype: np.dtype) -> np.dtype:
    """Type that numpy copies as a number instead of byte by byte."""
    return {8: np.dtype(np.uint64), 16: np.dtype(np.complex128)}.get(dtype.itemsize, dtype)
