"""Tables as text: cells in columns."""

from __future__ import annotations

from collections.abc import Sequence


def printable(text: str) -> str:
    """Return text with control characters spelled out: names come from untrusted files."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def text_table(lines: Sequence[Sequence[str]], numeric: Sequence[bool]) -> list[str]:
    """Lay cells out in columns as wide as their longest cell, numbers to the right.

    Parameters
    ----------
    lines : sequence of sequences of str
        The header first; each as long as ``numeric``.
    numeric : sequence of bool
        Which columns hold numbers.
    """
    lines = [[printable(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    ]
