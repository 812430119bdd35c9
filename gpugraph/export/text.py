"""Rows of text, many at a time.

Every field has a fixed width, filled up with spaces after its last character, so that rows are
one structured array: put together and written at memory speed, where formatting row by row is
not. The format must allow spaces there, as XML does between attributes and between elements.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def fields(values: np.ndarray, after: str = "") -> np.ndarray:
    """Return numbers as fixed-width text, each with ``after`` behind it.

    Floats are the shortest text that reads back as the same number of the same type; NaN and
    infinities are the words of XML Schema.

    Returns
    -------
    array of bytes (dtype ``S``) of shape ``(n,)``
    """
    text = pc.binary_join_element_wise(_words(values), after, "")
    width = pc.max(pc.binary_length(text)).as_py() or 1
    padded = pc.ascii_rpad(text, width=width)
    return np.frombuffer(padded.buffers()[2], f"S{width}", len(values), padded.offset * width)


def _words(values: np.ndarray) -> pa.StringArray:
    """Return numbers in words: Arrow's, but NaN, INF and -INF where it says nan, inf and -inf."""
    array = pa.array(values)
    text = pc.cast(array, pa.string())
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return text
    infinite = pc.if_else(pc.greater(array, 0), "INF", "-INF")
    return pc.if_else(pc.is_finite(array), text, pc.if_else(pc.is_nan(array), "NaN", infinite))


class Rows:
    """Rows of constant pieces of text with fields between them.

    Parameters
    ----------
    pieces : sequence of str
        One more than there are fields: before, between and after them.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces = [piece.encode() for piece in pieces]
        self._rows = np.zeros(0, [])

    def join(self, columns: Sequence[np.ndarray]) -> memoryview:
        """Return the rows of these columns of fields; good until the next call."""
        kinds = [f"S{len(self._pieces[0])}"]
        for column, piece in zip(columns, self._pieces[1:], strict=True):
            kinds += [column.dtype.str, f"S{len(piece)}"]
        dtype = np.dtype([(str(i), kind) for i, kind in enumerate(kinds)])
        n = len(columns[0])
        if dtype != self._rows.dtype or n > len(self._rows):
            self._rows = np.empty(n, dtype)
            for i, piece in enumerate(self._pieces):
                self._rows[str(2 * i)] = piece
        rows = self._rows[:n]
        for i, column in enumerate(columns):
            rows[str(2 * i + 1)] = column
        return rows.view(np.uint8).data
