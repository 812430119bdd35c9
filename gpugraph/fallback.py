"""What becomes of work for which a GPU has too little memory: the CPU's, or a clear error."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import signature
from types import ModuleType
from typing import ParamSpec, TypeVar

import numpy as np

from gpugraph.arrays import Device, format_bytes, free_memory, namespace
from gpugraph.errors import GraphTooLargeError

P = ParamSpec("P")
T = TypeVar("T")

# CuPy and RMM raise MemoryError; CUDA's libraries and cuGraph say it in words.
OUT_OF_MEMORY = re.compile(
    r"out[ _]of[ _]memory|bad_alloc|MemoryAllocation|ALLOC_FAILED|get_temporary_buffer",
    re.IGNORECASE,
)

SMALLER = (
    "choose device='cpu', dtype='float32' or fewer sources (k) where the function takes them, a "
    "smaller input_shape, or a part of the graph (subgraph, between)."
)
SMALLER_CHUNKS = (
    "let go of chunks that are done with, give a smaller chunk_edges, or choose device='cpu'."
)


@contextmanager
def gpu_memory_errors(what: str, advice: str) -> Iterator[None]:
    """Raise GraphTooLargeError where a GPU runs out of memory, whoever asked for it."""
    try:
        yield
    except GraphTooLargeError:
        raise
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not OUT_OF_MEMORY.search(str(error)):
            raise
        said = str(error).rstrip(".")
        raise GraphTooLargeError(
            f"The GPU ran out of memory in {what} ({said}). Free what else is on it (nvidia-smi "
            f"tells), or {advice} The host has {format_bytes(free_memory())} free.",
            device="cuda",
        ) from error


def falls_back(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate what takes a ``device``, and the GPU's memory may be too small for.

    With ``device="auto"`` the CPU then does it all again, and a RuntimeWarning says so; with
    "cuda" it ends in GraphTooLargeError. Other engines than sweeps are left alone.
    """
    takes = signature(function)

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        given = takes.bind(*args, **kwargs).arguments
        device, engine = given.get("device", "auto"), given.get("engine", "auto")
        if engine not in ("auto", "sweep") or device == "cpu" or namespace() is np:
            return function(*args, **kwargs)
        try:
            with gpu_memory_errors(function.__name__, SMALLER):
                return function(*args, **kwargs)
        except GraphTooLargeError as error:
            if device != "auto" or error.device == "cpu":
                raise
            reason = str(error)
        # Only out of the handler: its traceback keeps what lies on the GPU.
        _warn(reason)
        call = takes.bind(*args, **kwargs)
        call.arguments["device"] = "cpu"
        return function(*call.args, **call.kwargs)

    return run


def chunks_fall_back(
    make: Callable[[ModuleType], Iterator[T]], device: Device, what: str
) -> Iterator[T]:
    """Return what ``make(xp)`` yields: from the CPU where the GPU has no memory for the first.

    Later ones end in GraphTooLargeError, so that all lie on one device.
    """
    xp = namespace(device)
    return make(np) if xp is np else _chunks(make, xp, device, what)


def _chunks(
    make: Callable[[ModuleType], Iterator[T]], xp: ModuleType, device: Device, what: str
) -> Iterator[T]:
    is_first = True
    try:
        with gpu_memory_errors(what, SMALLER_CHUNKS):
            for chunk in make(xp):
                is_first = False
                yield chunk
        return
    except GraphTooLargeError as error:
        if device != "auto" or not is_first:
            raise
        reason = str(error)
    _warn(reason)
    yield from make(np)


def _warn(reason: str) -> None:
    message = f"device='auto' takes the CPU after all, and begins again. {reason}"
    warnings.warn(message, RuntimeWarning, stacklevel=3)
