"""Every call that gpugraph makes to CuPy and RAPIDS fits what they take, read from both sources."""

import ast
import re

import numpy as np
import pytest

from tests.contracts.calls import Use, uses, uses_in
from tests.contracts.cupy_sources import UFUNC, Sources
from tests.contracts.fakes import SIGNATURES, signature

# What a ufunc of CuPy's takes beside its operands; numpy's "where" is not among them.
UFUNC_OPTIONS = {"out", "dtype", "casting"}
USES = list(uses())
FOUND = sorted({use.name for use in USES})


def misfit(use: Use) -> str | None:
    """Return why a call does not fit, if it does not."""
    if use.name not in SIGNATURES:
        return f"{use.where}: no signature of {use.name}: see tests/contracts/collect.py"
    if use.call is None or SIGNATURES[use.name] is None:
        return None
    if any(isinstance(argument, ast.Starred) for argument in use.call.args):
        return None  # how many are given shows only in the run
    n_given = len(use.call.args)
    options = {keyword.arg: None for keyword in use.call.keywords if keyword.arg is not None}
    is_whole = len(options) == len(use.call.keywords)
    if SIGNATURES[use.name] == UFUNC:
        ufunc = getattr(np, use.name.removeprefix("cupy."))
        strange = options.keys() - UFUNC_OPTIONS
        if strange or not ufunc.nin <= n_given <= ufunc.nargs:
            return f"{use.where}: {use.name} is given {n_given} operands, {sorted(options)}"
        return None
    taken = signature(use.name)
    try:
        (taken.bind if is_whole else taken.bind_partial)(*[None] * n_given, **options)
    except TypeError as error:
        return f"{use.where}: {use.name}: {error}"
    return None


@pytest.mark.parametrize("name", FOUND)
def test_calls_fit(name):
    assert [why for use in USES if use.name == name and (why := misfit(use))] == []


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("xp.zeros(3)", "cupy.zeros"),
        ("self._xp.linalg.norm(x)", "cupy.linalg.norm"),
        ("namespace_of(x).abs(x)", "cupy.abs"),
        ("import cugraph.dask as many\nmany.pagerank(g)", "cugraph.dask.pagerank"),
        ("import cupy\ncupy.cuda.Device().synchronize()", "cupy.cuda.Device"),
        (
            "from cupyx.scipy.sparse.linalg import eigsh\neigsh(a)",
            "cupyx.scipy.sparse.linalg.eigsh",
        ),
        ("x, lib = namespace('cuda'), import_library('cudf', w)\nlib.Series(1)", "cudf.Series"),
        ("a, b = (import_library(n, w) for n in ('cudf', 'cugraph'))\nb.Graph()", "cugraph.Graph"),
        ("built.library.bfs(handle)", "pylibcugraph.bfs"),
    ],
)
def test_uses_are_found(source, name):
    assert [use.name for use in uses_in(source, "here")] == [name]


def test_modules_of_ours_are_not_taken_for_libraries():
    source = "from gpugraph.engines import cugraph\ncugraph.louvain(graph)"
    assert list(uses_in(source, "here")) == []


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ("xp.cbrt(x)", "no signature of cupy.cbrt"),
        ("xp.zeros(3, device='gpu')", "unexpected keyword argument 'device'"),
        ("xp.divide(1, x, where=x > 0)", r"given 2 operands, \['where'\]"),
        ("xp.maximum(x)", "given 1 operands"),
        ("xp.full(3)", "missing a required argument: 'fill_value'"),
        ("built.library.bfs(handle, **more, degree=2)", "unexpected keyword argument 'degree'"),
    ],
)
def test_calls_that_do_not_fit_are_named(call, why):
    (use,) = uses_in(call, "here")
    assert re.search(why, misfit(use))


SOURCES = {
    "cupy/__init__.py": """
from cupy import linalg
from numpy import float64
from cupy._core import add
from cupy._math import absolute as abs
from cupy._math import maximum
from cupy import runtime
def asnumpy(a, out=None): pass
""",
    "cupy/_math.py": """
from cupy import _core
absolute = _core.absolute
maximum = _core.create_ufunc(
    'cupy_maximum',
    '''Of two.

    ''', scatter_op='max')
""",
    "cupy/_core/__init__.py": "from cupy._core.m import add\nfrom cupy._core.m import absolute",
    "cupy/_core/m.pyx": "_add = create_arithmetic('add')\nadd = _add\nabsolute = create_ufunc(1)",
    "cupy/linalg/__init__.py": "def norm(x): pass",
    "cupy/fft/__init__.py": "from cupy.fft import compiled",
    "cupy/runtime.py": "from cupy_backends.runtime import *",
    "cupy_backends/runtime.pyx": "cpdef int driverGetVersion() except? -1:\n    pass",
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cupy.asnumpy", "(asnumpy)"),
        ("cupy.linalg.norm", "(norm)"),
        ("cupy.runtime.driverGetVersion", "(driverGetVersion)"),
        ("cupy.float64", None),
        ("cupy.add", UFUNC),
        ("cupy.abs", UFUNC),
        ("cupy.maximum.at", "(a, indices, b=None)"),
    ],
)
def test_names_are_followed_through_cupys_sources(name, expected):
    sources = Sources(SOURCES, lambda text, name: name if f"{name}(" in text else "")
    assert sources.signature(name) == expected


@pytest.mark.parametrize(
    "name", ["cupy.cbrt", "cupy.add.at", "cupy.ifft.fft", "cupy.fft.compiled.fft"]
)
def test_names_that_cupy_has_not_are_errors(name):
    with pytest.raises(LookupError, match="there is no"):
        Sources(SOURCES, lambda text, name: "").signature(name)
