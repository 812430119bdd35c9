"""Isolates by their names in networkx."""

import pytest

from tests.algorithms.graphs import graph_of
from tests.engines.networkx_backend.compare import (
    assert_answered_as_by_networkx,
    assert_node_is_answered_as_by_networkx,
    assert_node_is_missing_as_in_networkx,
)
from tests.models import cnn, shared_layer, squeeze_excite


@pytest.mark.parametrize("model", [cnn, squeeze_excite, shared_layer])
@pytest.mark.parametrize("name", ["is_empty", "isolates", "number_of_isolates"])
def test_a_whole_graph(model, name):
    assert_answered_as_by_networkx(graph_of(model), name)


@pytest.mark.parametrize("model", [cnn, squeeze_excite])
@pytest.mark.parametrize("name", ["is_isolate"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_node(model, name, share):
    assert_node_is_answered_as_by_networkx(graph_of(model), name, share)


@pytest.mark.parametrize("name", ["is_isolate"])
def test_a_node_that_is_not_there(name):
    assert_node_is_missing_as_in_networkx(graph_of(cnn), name)
