"""CuPy and cuGraph, with CUDA's libraries and not TensorFlow's functions of the same names.

TensorFlow exports functions named as those of cuBLAS, cuSPARSE, NCCL and others, which pass calls
on to the libraries of its own CUDA version if these are installed, and fail if not. Once it is
imported, whatever is loaded later finds them first: of the 76 functions that cuBLAS 13 calls in
cuBLASLt, 58 are then TensorFlow 2.21's, and so are all of cuBLAS and cuSPARSE that cuGraph 26.10
and its RAFT call.

What is loaded here finds first what it is linked to, the C library's malloc and free, too. Of
cuGraph that is the libraries alone: the Python modules around it may free what another malloc gave
them, where one is preloaded.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from operator import attrgetter
from types import ModuleType
from typing import Any

# What CuPy loads when it is first needed.
LIBRARIES = ("cublas", "cusolver", "cusparse")


def import_cupy() -> ModuleType:
    """Import CuPy and, where there is a GPU, the libraries it calls; raise what they do."""
    with _own_dependencies_first() if _is_beside_tensorflow() else nullcontext():
        import cupy

        if cupy.is_available():
            load_libraries(cupy)
    return cupy


def load_libraries(cupy: ModuleType) -> None:
    """Load CuPy's compiler and the libraries that it calls; raise what they do."""
    cupy.cuda.nvrtc.getVersion()
    for name in LIBRARIES:
        attrgetter(f"cuda.{name}")(cupy)  # to ask is to load


def load_cugraph() -> None:
    """Load cuGraph's libraries, beside TensorFlow, before Python's modules of it do."""
    if not _is_beside_tensorflow():
        return
    with _own_dependencies_first(), suppress(Exception):  # raised again by those modules
        try:
            libcugraph = importlib.import_module("libcugraph")
        except ModuleNotFoundError:  # conda puts the libraries where they are found
            ctypes.CDLL("libcugraph_c.so")
        else:
            libcugraph.load_library()


def _is_beside_tensorflow() -> bool:
    """Tell whether TensorFlow is there to be looked past, and the system can."""
    return "tensorflow" in sys.modules and hasattr(os, "RTLD_DEEPBIND")


@contextmanager
def _own_dependencies_first() -> Iterator[None]:
    """Have what is loaded look for functions first in the libraries that it is linked to."""
    flags, plain = sys.getdlopenflags(), ctypes.CDLL

    class Library(plain):  # type: ignore[misc, valid-type]
        def __init__(self, name: Any, mode: int = ctypes.DEFAULT_MODE, *args: Any, **kwargs: Any):
            super().__init__(name, mode | os.RTLD_DEEPBIND, *args, **kwargs)

    # Python's own modules are loaded with these flags, CUDA's libraries through ctypes.
    sys.setdlopenflags(flags | os.RTLD_DEEPBIND)
    ctypes.CDLL = Library  # type: ignore[misc]
    try:
        yield
    finally:
        ctypes.CDLL = plain  # type: ignore[misc]
        sys.setdlopenflags(flags)
