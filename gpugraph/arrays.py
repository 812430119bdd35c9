"""Where arrays live: numpy or cupy, their index type, and the memory at hand."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from math import prod
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gpugraph.cuda_libraries import import_cupy
from gpugraph.errors import DeviceError, GraphTooLargeError

if TYPE_CHECKING:
    from gpugraph.doctor import Problem

Device = Literal["auto", "cpu", "cuda"]
Array = Any  # numpy.ndarray or cupy.ndarray

SHARE_OF_FREE_MEMORY = 0.8


def namespace(device: Device = "auto") -> ModuleType:
    """Return numpy, or cupy where ``device`` is "cuda", or "auto" and a GPU is there.

    Raises
    ------
    DeviceError
        If "cuda" is asked for and cupy finds no GPU, or the name is unknown.
    """
    if device == "cpu":
        return np
    if device not in ("auto", "cuda"):
        raise DeviceError(f"Unknown device {device!r}: choose 'auto', 'cpu' or 'cuda'.")
    cupy = _cupy()
    # cupy imports without a driver; only is_available() tells.
    if cupy is not None and cupy.is_available():
        return cupy
    if device == "auto":
        return np
    reason, step = _problem()
    raise DeviceError(f"device='cuda' was asked for, but {reason}. {step}")


def require_gpu(what: str, instead: str) -> ModuleType:
    """Return cupy, for what a GPU alone does.

    Raises
    ------
    DeviceError
        If cupy finds no GPU; it says what to do ``instead``.
    """
    xp = namespace()
    if xp is np:
        raise DeviceError(
            f"{what} needs a GPU, but {_problem().reason}. gpugraph doctor says what to do; or "
            f"{instead}."
        )
    return xp


def _problem() -> Problem:
    """Return why there is no GPU to compute on."""
    from gpugraph.doctor import Problem, cuda_problem

    return cuda_problem() or Problem("CuPy finds no usable GPU", "Run gpugraph doctor.")


@cache
def _cupy() -> ModuleType | None:
    """Return cupy if it is installed and whole; looked for once, because looking takes its time."""
    try:
        return import_cupy()
    except Exception:  # a broken installation may raise anything; gpugraph doctor says what
        return None


def namespace_of(array: Array) -> ModuleType:
    """Return the module, numpy or cupy, that made this array."""
    if isinstance(array, np.ndarray):
        return np
    cupy = _cupy()
    return np if cupy is None else cupy.get_array_module(array)


def may_hold(condition: Array) -> bool:
    """Tell whether a condition holds anywhere; on a GPU, where to ask is to wait, that it may."""
    return not isinstance(condition, np.ndarray) or bool(condition.any())


def on_host(array: Array) -> np.ndarray:
    """Return the array, or a copy of it where it lies on a GPU."""
    return array if isinstance(array, np.ndarray) else array.get()


_on_gpu: dict[int, tuple[weakref.ref[np.ndarray], Array]] = {}


def kept(array: np.ndarray, xp: ModuleType) -> Array:
    """Return an array that lives as long as its owner, a kernel say, where ``xp`` works.

    On a GPU it is copied once, and stays as long as the original does.
    """
    if xp is np:
        return array
    key = id(array)
    if key not in _on_gpu:
        gone = weakref.ref(array, lambda _: _on_gpu.pop(key, None))
        _on_gpu[key] = (gone, xp.asarray(array))
    return _on_gpu[key][1]


class Layout:
    """How the last, contiguous dimension of an array is seen as dimensions of given strides.

    Parameters
    ----------
    sizes, strides : sequence of int
        Positions, and elements from one position to the next, per dimension.
    """

    def __init__(self, sizes: Sequence[int], strides: Sequence[int]) -> None:
        self.sizes, self.strides = tuple(sizes), tuple(strides)
        steps = [prod(self.sizes[i + 1 :]) for i in range(len(self.sizes))]
        self._size = prod(self.sizes)
        self._in_order = all(
            n == 1 or stride == step
            for n, stride, step in zip(self.sizes, self.strides, steps, strict=True)
        )

    def view(self, array: Array) -> Array:
        """Return the view; leading dimensions stay."""
        if self._in_order and array.shape[-1] == self._size:
            # The same, in a tenth of the time.
            return array.reshape((*array.shape[:-1], *self.sizes))
        return namespace_of(array).lib.stride_tricks.as_strided(
            array,
            (*array.shape[:-1], *self.sizes),
            (*array.strides[:-1], *(s * array.itemsize for s in self.strides)),
        )


def cached_block(xp: ModuleType, n: int) -> int:
    """Values to work on at a time: n that stay in a processor's cache, many more on a GPU."""
    return n if xp is np else 2**26


def blocks(shape: Sequence[int], first: int, last: int, most: int) -> Iterator[tuple[slice, ...]]:
    """Cut dimensions ``first:last`` of an array, outer ones first, into blocks of that size."""
    whole = slice(None)
    size = prod(shape)
    if size <= most:
        yield (whole,) * len(shape)
        return
    cut: list[list[slice]] = []
    for n in shape[first:last]:
        step = max(1, min(n, most * n // size)) if size else n
        cut.append([slice(at, at + step) for at in range(0, n, step)] if step < n else [whole])
        size = size // n * step if size else 0
    rest = (whole,) * (len(shape) - last)
    for inner in product(*cut):
        yield (*(whole,) * first, *inner, *rest)


def index_dtype(n_nodes: int) -> np.dtype:
    """int32 while every node id fits, else int64."""
    return np.dtype(np.int32 if n_nodes < 2**31 else np.int64)


def free_memory(xp: ModuleType = np) -> int:
    """Bytes that can still be taken: of the GPU, or of the host and the container around us."""
    if xp is not np:
        give_back(xp)
        return int(xp.cuda.runtime.memGetInfo()[0])
    import psutil

    free = int(psutil.virtual_memory().available)
    limit, used = _cgroup("memory.max"), _cgroup("memory.current")
    if limit is not None and used is not None:
        free = min(free, limit - used)
    return free


def give_back(xp: ModuleType) -> None:
    """Return what CuPy keeps of the GPU's memory for its next arrays, so that all may have it."""
    xp.get_default_memory_pool().free_all_blocks()


def _cgroup(name: str) -> int | None:
    """Return a number of this container's memory controller (cgroup v2), if it sets one."""
    try:
        return int((Path("/sys/fs/cgroup") / name).read_text())
    except (OSError, ValueError):  # no such file, or "max": no limit
        return None


def require_memory(n_bytes: int, what: str, advice: str, xp: ModuleType = np) -> None:
    """Raise GraphTooLargeError where ``n_bytes`` are more than a safe share of what is free."""
    free = free_memory(xp)
    budget = int(free * SHARE_OF_FREE_MEMORY)
    if n_bytes > budget:
        raise GraphTooLargeError(
            f"{what} needs about {format_bytes(n_bytes)}, but only {format_bytes(free)} of "
            f"{'GPU ' if xp is not np else ''}memory are free, of which gpugraph takes at most "
            f"{SHARE_OF_FREE_MEMORY:.0%}. {advice}",
            device="cpu" if xp is np else "cuda",
        )


def format_bytes(n: float) -> str:
    """Bytes as people read them, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if abs(n) < 999.5 or unit == "PB":  # what rounds to 1000 is one of the next unit
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.3g} {unit}"
        n /= 1000
    raise AssertionError  # unreachable: the loop returns at PB
