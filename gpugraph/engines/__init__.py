"""Engines: who computes a measure. Sweeps do by default; others check them."""

from __future__ import annotations

from typing import Literal

from gpugraph.errors import SelectionError

Engine = Literal["auto", "sweep", "networkx"]


def is_networkx(engine: Engine) -> bool:
    """Whether networkx is asked for; "auto" and "sweep" are the sweeps.

    Raises
    ------
    SelectionError
        If there is no such engine.
    """
    if engine not in ("auto", "sweep", "networkx"):
        raise SelectionError(
            f"There is no engine {engine!r}: choose 'auto', 'sweep' or 'networkx'."
        )
    return engine == "networkx"
