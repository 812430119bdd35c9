import site
from importlib import metadata
from pathlib import Path

import pytest

from tests.contracts.collect import collect, parameters, wanted
from tests.contracts.fakes import SIGNATURES

SOURCE = """
def louvain(ResourceHandle handle, _GPUGraph graph,
            size_t max_level,  # levels, (all)
            const float* threshold, labels=None, *,
            bint check: bool = (1, 2)[0]):
    pass

cdef class SGGraph(_GPUGraph):
    class Part:
        def __init__(self, directed):
            pass
    def __cinit__(self, ResourceHandle handle, weight_array=None):
        pass

class Graph:
    def __init__(self, m_graph: int = 3):
        pass

    def read(self, input_df: "cudf.DataFrame", source="a,b") -> None:
        pass

class MultiGraph(Graph):
    pass

cpdef int version(int device) except? -1:
    pass
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SGGraph", "handle, weight_array=None"),
        ("Graph", "m_graph=None"),
        ("Graph.read", "input_df, source=None"),
        ("MultiGraph", "m_graph=None"),
        ("version", "device"),
    ],
)
def test_parameters_of_cython_and_python(name, expected):
    assert parameters(SOURCE, name) == expected


def test_parameters_of_a_function_with_c_types():
    source = SOURCE.replace("bint check: bool", "bint check")
    expected = "handle, graph, max_level, threshold, labels=None, *, check=None"
    assert parameters(source, "louvain") == expected


def test_what_is_missing_is_an_error():
    with pytest.raises(LookupError, match="there is no katz"):
        parameters(SOURCE, "katz")


def test_all_that_is_wanted_is_in_the_contract():
    assert SIGNATURES.keys() == wanted()


def test_installed_libraries_keep_the_contract():
    """On a machine with RAPIDS; elsewhere there is nothing to compare."""
    try:
        metadata.distribution("pylibcugraph-cu13")
    except metadata.PackageNotFoundError:
        pytest.skip("pylibcugraph is not installed")
    for folder in site.getsitepackages():
        found = collect([Path(folder)])["signatures"]
        assert found == {called: SIGNATURES[called] for called in found}
