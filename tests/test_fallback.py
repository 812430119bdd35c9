"""A GPU that runs out of memory at any point: the CPU takes over, or an error says what fits.

The GPU is a stand-in whose n-th allocation fails.
"""

import sys
import types

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator

import gpugraph as gg
from gpugraph import graph
from gpugraph.edge_maker import EdgeMaker
from gpugraph.fallback import gpu_memory_errors
from tests.algorithms.graphs import two_branches
from tests.contracts import fakes

pytestmark = pytest.mark.usefixtures("_look_for_cupy_anew")

ALLOCATING = (
    "empty",
    "zeros",
    "ones",
    "full",
    "arange",
    "asarray",
    "concatenate",
    "stack",
    "ravel",
)


class OutOfMemoryError(MemoryError):
    """As CuPy's."""


class Array(np.ndarray):
    """Has what brings CuPy's arrays to the host."""

    def get(self):
        return np.asarray(self)


class Full:
    """Counts allocations, and fails the n-th."""

    def __init__(self, cupy, error):
        self.count, self.failing, self.error = 0, None, error
        for name in ALLOCATING:
            setattr(cupy, name, self.counted(getattr(cupy, name)))

    def counted(self, function):
        def call(*args, **kwargs):
            self.count += 1
            if self.failing is not None and self.count >= self.failing:
                raise self.error
            return function(*args, **kwargs).view(Array)

        return call

    def at(self, n):
        """Fail at the n-th allocation from now on, and at all after it; None: at none."""
        self.count, self.failing = 0, n


@pytest.fixture(
    params=[
        OutOfMemoryError("Out of memory allocating 8 bytes (allocated so far: 0 bytes)."),
        MemoryError("std::bad_alloc: out_of_memory: CUDA error"),
        RuntimeError("cudaErrorMemoryAllocation: out of memory"),
    ],
    ids=["cupy", "rmm", "cuda"],
)
def full(request, monkeypatch):
    cupy = fakes.cupy()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    linalg = types.SimpleNamespace(LinearOperator=LinearOperator)
    monkeypatch.setitem(sys.modules, "cupyx.scipy.sparse.linalg", linalg)
    monkeypatch.setattr(
        "gpugraph.edges.edge_maker", lambda projection, ids, xp: EdgeMaker(projection, ids)
    )
    monkeypatch.setattr(graph, "edge_maker", lambda p, ids, xp: EdgeMaker(p, ids))
    return Full(cupy, request.param)


MEASURES = {
    "pagerank": gg.pagerank,
    "personalized": lambda g, **on: gg.pagerank(g, dangling={0: 1}, **on),
    "katz": gg.katz_centrality,
    "hits": gg.hits,
    "betweenness": lambda g, **on: gg.betweenness_centrality(g, k=3, seed=0, **on),
    "edge_betweenness": lambda g, **on: gg.edge_betweenness_centrality(g, k=3, seed=0, **on),
    "closeness": gg.closeness_centrality,
    "harmonic": gg.harmonic_centrality,
    "path_count": gg.path_count,
    "path_strength": gg.path_strength,
    "edge_path_strength": gg.edge_path_strength,
    "longest_path": gg.longest_path_length,
    "components": gg.weakly_connected_components,
    "eigenvector": lambda g, **on: gg.eigenvector_centrality(g, directed=False, **on),
    "spectral_gap": gg.spectral_gap,
    "normalized_cut": lambda g, **on: gg.normalized_cut(g, 2, **on).labels,
    "materialise": lambda g, **on: g.materialise(**on),
    "edges": lambda g, **on: next(g.edges(**on)).weight,
}


def numbers(result):
    return [np.asarray(part) for part in (result if isinstance(result, tuple) else (result,))]


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_the_cpu_takes_over_wherever_memory_ends(full, measure):
    g = two_branches()
    expected = numbers(measure(g, device="cpu"))
    full.at(None)
    measure(g, device="cuda")
    n = full.count
    assert n
    for failing in {1, 2, (n + 1) // 2, n} & set(range(1, n + 1)):
        full.at(failing)
        with pytest.warns(RuntimeWarning, match=r"takes the CPU after all.*ran out of memory"):
            got = measure(g)
        for a, b in zip(numbers(got), expected, strict=True):
            np.testing.assert_array_equal(a, b)
        full.at(failing)
        message = r"GPU ran out of memory in .*(smaller input_shape|smaller chunk_edges).* free\."
        with pytest.raises(gg.GraphTooLargeError, match=message) as caught:
            measure(g, device="cuda")
        assert caught.value.device == "cuda"


def test_chunks_after_the_first_stay_on_the_gpu_or_fail(full):
    full.at(4)  # three columns of the first chunk
    chunks = two_branches().edges(chunk_edges=1)
    next(chunks)
    with pytest.raises(gg.GraphTooLargeError, match="let go of chunks"):
        next(chunks)


def test_products_that_do_not_fit_say_so(full):
    operator = two_branches().as_linear_operator(device="cuda")
    full.at(1)
    with pytest.raises(gg.GraphTooLargeError, match="ran out of memory in as_linear_operator"):
        operator @ np.ones(operator.shape[1])


def test_what_is_known_not_to_fit_falls_back_too(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", fakes.cupy(free=10))
    g = two_branches()
    with pytest.warns(RuntimeWarning, match="only 10 B of GPU memory are free"):
        columns = g.materialise()
    np.testing.assert_array_equal(columns.src, g.materialise("cpu").src)
    with pytest.raises(gg.GraphTooLargeError, match="only 10 B of GPU memory are free") as caught:
        g.materialise("cuda")
    assert caught.value.device == "cuda"


def test_the_hosts_own_lack_of_memory_is_no_matter_of_the_gpus(full, monkeypatch):
    def fail(*_):
        raise gg.GraphTooLargeError("too large for the host")

    monkeypatch.setattr("gpugraph.algorithms.path_count.through", fail)
    with pytest.raises(gg.GraphTooLargeError, match="for the host"):
        gg.path_count(two_branches())


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="illegal memory access"), gpu_memory_errors("x", "y"):
        raise RuntimeError("an illegal memory access was encountered")


def test_the_cpus_own_memory_errors_pass(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)

    def fail(*_):
        raise MemoryError("the host's")

    monkeypatch.setattr("gpugraph.algorithms.path_count.through", fail)
    with pytest.raises(MemoryError, match="the host's"):
        gg.path_count(two_branches())
