"""Which engine is taken: cuGraph where there is a GPU, networkx where there is not."""

import sys

import pytest

import gpugraph as gg
from tests.algorithms.graphs import of_edges
from tests.contracts import fakes

pytestmark = pytest.mark.usefixtures("_look_for_cupy_anew")

EDGES = [(0, 1, 2.0), (0, 2, 1.0), (1, 2, 0.5), (2, 3, 1.0)]
calls = pytest.mark.parametrize(
    "call", [gg.louvain, gg.core_number, gg.triangle_count], ids=lambda f: f.__name__
)


@calls
def test_a_gpu_takes_cugraph(rapids, call):
    found = call(of_edges(EDGES))
    assert call.__name__ in [name for name, _ in rapids.calls]
    assert found == call(of_edges(EDGES), engine="cugraph")


@calls
def test_without_a_gpu_networkx_computes(monkeypatch, call):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert call(of_edges(EDGES)) == call(of_edges(EDGES), engine="networkx")
    with pytest.raises(gg.DeviceError, match="needs a GPU"):
        call(of_edges(EDGES), engine="cugraph")


@calls
def test_networkx_takes_over_where_the_gpu_is_too_small(rapids, monkeypatch, call):
    def fail(built, given):
        raise MemoryError("std::bad_alloc")

    monkeypatch.setattr(fakes._Answers, call.__name__, fail)
    expected = call(of_edges(EDGES), engine="networkx")
    with pytest.warns(RuntimeWarning, match=r"takes networkx after all.*ran out of memory"):
        assert call(of_edges(EDGES)) == expected
    with pytest.raises(gg.GraphTooLargeError, match="ran out of memory"):
        call(of_edges(EDGES), engine="cugraph")


@calls
def test_networkx_takes_over_where_cugraph_is_missing(rapids, monkeypatch, call):
    monkeypatch.setitem(sys.modules, "pylibcugraph", None)
    expected = call(of_edges(EDGES), engine="networkx")
    with pytest.warns(RuntimeWarning, match=r"takes networkx after all.*needs pylibcugraph"):
        assert call(of_edges(EDGES)) == expected
