"""Parts of one piece of work, on all cores at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

Part = TypeVar("Part")


def n_cores() -> int:
    """Number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def for_each(function: Callable[[Part], None], parts: Sequence[Part]) -> None:
    """Call a function with each part; parts must write to different places.

    numpy lets go of Python's lock while it works on large arrays, and each call's matrix products
    run on one core: cores then wait for each other once per call of this, not once per product.
    Within a part, further calls go on one after another.
    """
    if len(parts) == 1 or n_cores() == 1 or getattr(_this_thread, "has_part", False):
        for part in parts:
            function(part)
        return
    # Each part in its own copy of the context: where numpy keeps what it may warn of.
    contexts = [copy_context() for _ in parts]
    with _blas().limit(limits=1, user_api="blas"):
        for _ in _pool().map(lambda context, part: context.run(function, part), contexts, parts):
            pass  # raises what a part raised


def _take_parts() -> None:
    _this_thread.has_part = True


_this_thread = threading.local()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_cores(), "gpugraph", initializer=_take_parts)


@cache
def _blas() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
