"""Tables as text: cells in columns."""

from __future__ import annotations

from collections.abc import Sequence


def text_table(lines: Sequence[Sequence[str]], numeric: Sequence[bool]) -> list[str]:
    """Lay cells out in columns as wide as their longest cell, numbers to the right.

    Parameters
    ----------
    lines : sequence of sequences of str
        The header first; each as long as ``numeric``.
    numeric : sequence of bool
        Which columns hold numbers.
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    ]
