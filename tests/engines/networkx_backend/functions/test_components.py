"""Components by their names in networkx."""

import pytest

from tests.algorithms.graphs import graph_of
from tests.engines.networkx_backend.compare import assert_answered_as_by_networkx
from tests.models import cnn, shared_layer, squeeze_excite, u_net


@pytest.mark.parametrize("model", [cnn, squeeze_excite, u_net, shared_layer])
@pytest.mark.parametrize(
    "name",
    [
        "attracting_components",
        "is_attracting_component",
        "is_strongly_connected",
        "is_weakly_connected",
        "kosaraju_strongly_connected_components",
        "number_attracting_components",
        "number_strongly_connected_components",
        "number_weakly_connected_components",
        "strongly_connected_components",
        "weakly_connected_components",
    ],
)
def test_a_whole_graph(model, name):
    assert_answered_as_by_networkx(graph_of(model), name)
