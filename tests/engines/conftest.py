import networkx as nx
import pytest

from tests.contracts import fakes


@pytest.fixture(autouse=True)
def no_warning_of_cached_conversions():
    """Let tests convert one graph more than once: networkx warns when it finds the first again."""
    with nx.config(warnings_to_ignore={"cache"}):
        yield


@pytest.fixture
def rapids(monkeypatch):
    """Stand-ins in the place of CuPy and RAPIDS; returns pylibcugraph's."""
    return fakes.install(monkeypatch)
