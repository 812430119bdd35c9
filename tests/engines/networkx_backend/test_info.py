"""What networkx is told of the backend."""

import subprocess
import sys

import networkx as nx

from gpugraph.engines.networkx_backend.functions import ANSWERS
from gpugraph.engines.networkx_backend.info import DOCS, EXTRA, get_info


def test_the_info_names_what_is_answered():
    assert set(DOCS) == set(ANSWERS)
    assert set(EXTRA) <= set(DOCS)
    assert set(get_info()["functions"]) == set(ANSWERS)
    assert "`max_iter`, `tol` and `nstart`" in nx.pagerank.__doc__
    assert "dtype : {'float64', 'float32'}" in nx.pagerank.__doc__


def test_importing_networkx_loads_the_info_alone():
    code = """
import sys, networkx as nx
assert nx.utils.backends.backend_info["gpugraph"]["project"] == "gpugraph"
heavy = {"keras", "tensorflow", "numpy", "scipy", "pandas", "pyarrow", "gpugraph.graph"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
