"""Cycles by their names in networkx, and what follows from there being none."""

import networkx as nx
import pytest

from tests.algorithms.graphs import graph_of
from tests.engines.networkx_backend.compare import assert_answered_as_by_networkx
from tests.models import cnn, shared_layer


@pytest.mark.parametrize("model", [cnn, shared_layer])
@pytest.mark.parametrize(
    "name",
    [
        "flow_hierarchy",
        "number_of_selfloops",
        "overall_reciprocity",
        "reciprocity",
        "simple_cycles",
    ],
)
def test_a_whole_graph(model, name):
    assert_answered_as_by_networkx(graph_of(model), name)


def test_there_is_no_cycle_to_find():
    with pytest.raises(nx.NetworkXNoCycle):
        nx.find_cycle(graph_of(cnn))
