"""Times, peak memory, and the machine they belong to."""

from __future__ import annotations

import gc
import os
import platform
import statistics
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import psutil

Figures = dict[str, Any]

VERSIONS = ("numpy", "scipy", "networkx", "pyarrow", "keras", "tensorflow", "igraph")


def seconds(function: Callable[[], object], repeats: int = 5) -> float:
    """Return the median time of some runs after one that does not count."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def side_by_side(
    ours: Callable[[], object],
    rival: Callable[[], object],
    repeats: int = 5,
    before: Callable[[], object] = lambda: None,
) -> tuple[float, float]:
    """Return the median times of two functions run in turn, so that a drift hits both.

    ``before`` runs, untimed, ahead of each: what one leaves behind must not cost the other.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeats + 1):  # the first does not count
        for function, counted in zip((ours, rival), times, strict=True):
            before()
            start = time.perf_counter()
            function()
            if turn:
                counted.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def extra_memory(function: Callable[[], object]) -> int:
    """Return by how many bytes the process grew at most while a function ran."""
    process = psutil.Process()
    before = peak = process.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        function()
    finally:
        done.set()
        watcher.join()
    return max(peak, process.memory_info().rss) - before


def once(function: Callable[[], object]) -> Figures:
    """Return time and extra memory of a single run."""
    gc.collect()
    start = time.perf_counter()
    peak = extra_memory(function)
    return {"s": time.perf_counter() - start, "extra_MB": peak / 1e6}


def machine() -> Figures:
    """Describe what the figures were measured on."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as info:
            model = next(line.split(":")[1].strip() for line in info if "model name" in line)
    except (OSError, StopIteration):
        pass
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_GB": round(psutil.virtual_memory().total / 1e9, 1),
        "python": platform.python_version(),
        "system": platform.system(),
        **versions(VERSIONS),
    }


def versions(names: Iterable[str]) -> Figures:
    """Return the versions of the packages that are installed."""
    found = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
