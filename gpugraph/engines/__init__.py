"""Engines: who computes a measure. Sweeps do by default; others check them."""

from __future__ import annotations

from typing import Literal

from gpugraph.errors import SelectionError

Engine = Literal["auto", "sweep", "networkx", "cugraph"]


def is_networkx(engine: Engine) -> bool:
    """Whether networkx is asked for; "auto" and "sweep" are the sweeps.

    Measures that cuGraph has too ask `is_cugraph` first.

    Raises
    ------
    SelectionError
        If there is no such engine, or not for this measure.
    """
    if engine == "cugraph":
        raise SelectionError(
            "gpugraph takes this measure from its sweeps or from networkx, not from cuGraph: "
            "choose engine='sweep' or 'networkx'."
        )
    if engine not in ("auto", "sweep", "networkx"):
        raise SelectionError(
            f"There is no engine {engine!r}: choose 'auto', 'sweep', 'networkx' or 'cugraph'."
        )
    return engine == "networkx"


def is_cugraph(engine: Engine) -> bool:
    """Whether cuGraph is asked for, which needs an NVIDIA GPU and makes all edges there."""
    return engine == "cugraph"
