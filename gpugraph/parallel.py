"""Parts of one piece of work, on all cores at once."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

Part = TypeVar("Part")


@cache
def n_cores() -> int:
    """Number of cores that this process may use, as it starts."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def for_each(function: Callable[[Part], None], parts: Sequence[Part], xp: ModuleType = np) -> None:
    """Call a function with each part; parts must write to different places.

    numpy lets go of Python's lock while it works on large arrays, and each call's matrix products
    run on one core: cores then wait for each other once per call of this, not once per product.
    Within a part, further calls go on one after another. So do all parts on a GPU (``xp`` is
    cupy), which shares out the work of each by itself, and whose memory they would share.
    """
    helpers = min(n_cores(), len(parts)) - 1 if xp is np else 0
    if helpers < 1 or getattr(_this_thread, "has_part", False):
        for part in parts:
            function(part)
        return
    rest = iter(parts)  # each core takes the next part when it is done with one

    def work() -> None:
        _this_thread.has_part = True
        try:
            for part in rest:
                function(part)
        finally:
            _this_thread.has_part = False
            deque(rest, maxlen=0)  # after an error the other parts are of no use

    with _blas().limit(limits=1, user_api="blas"):
        # Each in its own copy of the context: where numpy keeps what it may warn of.
        helping = [_pool().submit(copy_context().run, work) for _ in range(helpers)]
        try:
            work()
        finally:
            wait(helping)
        for helper in helping:
            helper.result()  # raises what a part raised


_this_thread = threading.local()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_cores() - 1, "gpugraph")


@cache
def _blas() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
