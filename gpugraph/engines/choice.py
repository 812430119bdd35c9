"""Which engine computes a measure: sweeps by default, where there are any; others check them."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from gpugraph.arrays import namespace
from gpugraph.errors import GraphTooLargeError, MissingDependencyError, SelectionError

Engine = Literal["auto", "sweep", "networkx", "cugraph"]
# Of measures that gpugraph has no sweeps for.
EdgeEngine = Literal["auto", "networkx", "cugraph"]


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


def require_sweep(engine: Engine) -> None:
    """Raise SelectionError where neither the sweeps nor cuGraph are asked for."""
    if engine not in ("auto", "sweep"):
        raise SelectionError(
            f"gpugraph takes this measure from its sweeps or from cuGraph, not from {engine!r}: "
            "choose engine='sweep' or 'cugraph'."
        )


def by_cugraph_or_networkx(engine: EdgeEngine, function: str, *args: Any) -> Any:
    """Return a measure that all edges are made for, on the GPU or on the CPU.

    Parameters
    ----------
    engine : {"auto", "networkx", "cugraph"}
        "auto" takes cuGraph if there is a GPU, and networkx after all, with a RuntimeWarning, if
        cuGraph is not installed or the GPU has too little memory.
    function : str
        What computes it, in `gpugraph.engines.cugraph` and in `gpugraph.engines.networkx`.
    *args
        What both are called with.

    Raises
    ------
    SelectionError
        If there is no such engine, or not for this measure.
    """
    if engine not in ("auto", "networkx", "cugraph"):
        raise SelectionError(
            f"gpugraph takes this measure from cuGraph or from networkx, not from {engine!r}: "
            "choose engine='auto', 'cugraph' or 'networkx'."
        )
    if engine == "networkx" or (engine == "auto" and namespace() is np):
        return _engine("networkx", function)(*args)
    try:
        return _engine("cugraph", function)(*args)
    except (GraphTooLargeError, MissingDependencyError) as error:
        if engine == "cugraph":
            raise
        reason = str(error)
    # Only out of the handler: its traceback keeps what lies on the GPU.
    warnings.warn(
        f"engine='auto' takes networkx after all, on the CPU. {reason}",
        RuntimeWarning,
        stacklevel=3,
    )
    return _engine("networkx", function)(*args)


def _engine(name: str, function: str) -> Callable[..., Any]:
    """Return a function of an engine, loaded on use."""
    return getattr(importlib.import_module(f"gpugraph.engines.{name}"), function)
