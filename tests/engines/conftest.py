import networkx as nx
import pytest


@pytest.fixture(autouse=True)
def no_warning_of_cached_conversions():
    """Let tests convert one graph more than once: networkx warns when it finds the first again."""
    with nx.config(warnings_to_ignore={"cache"}):
        yield
