"""How results are compared with networkx's."""

import inspect

import networkx as nx
import numpy as np
import pytest


def assert_same(found, expected, tolerance=1e-9):
    assert set(found) == set(expected)
    nodes = list(expected)
    np.testing.assert_allclose(
        [found[n] for n in nodes], [expected[n] for n in nodes], rtol=tolerance, atol=1e-12
    )


def in_any_order(result):
    """See components and generations as sets, since their order says nothing."""
    if isinstance(result, (dict, set, bool, int, float)):
        return result
    return {item if isinstance(item, int) else frozenset(item) for item in result}


def assert_answered_as_by_networkx(graph, name, **options):
    """Compare what is asked of a whole graph with networkx on its own graph."""
    found = getattr(nx, name)(graph, **options)
    expected = getattr(nx, name)(graph.to_networkx(), **options)
    assert type(found) is type(expected) or inspect.isgenerator(expected)
    assert in_any_order(found) == in_any_order(expected)


def assert_node_is_answered_as_by_networkx(graph, name, share):
    """Compare what is asked of a node, so far into a graph, with networkx on its own graph."""
    node = int(share * graph.n_nodes)
    found = getattr(nx, name)(graph, node)
    expected = getattr(nx, name)(graph.to_networkx(), node)
    assert type(found) is type(expected)
    assert found == expected


def assert_node_is_missing_as_in_networkx(graph, name):
    """Compare the error of a node that is not in a graph with networkx's."""
    with pytest.raises(nx.NetworkXException) as expected:
        getattr(nx, name)(graph.to_networkx(), 10**6)
    with pytest.raises(type(expected.value)):
        getattr(nx, name)(graph, 10**6)
