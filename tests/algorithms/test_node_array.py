"""Numbers per node in every form that users give them."""

import numpy as np
import pytest

import gpugraph as gg
from gpugraph.algorithms.node_array import node_array
from tests.algorithms.graphs import graph_of
from tests.models import several_outputs


@pytest.fixture
def graph():
    return graph_of(several_outputs)


def test_a_number_is_all_nodes(graph):
    for number in (3, 3.0, np.float32(3), np.array(3)):
        np.testing.assert_array_equal(node_array(graph, number, "x"), np.full(156, 3.0))


def test_an_array_is_taken_as_it_is(graph):
    for array in (np.arange(156), list(range(156)), np.arange(156, dtype=np.float32)):
        found = node_array(graph, array, "x")
        np.testing.assert_array_equal(found, np.arange(156.0))
        assert found.dtype == np.float64


def test_values_of_a_measure_are_taken_as_an_array(graph):
    ranks = gg.pagerank(graph)
    np.testing.assert_array_equal(node_array(graph, ranks, "x"), np.asarray(ranks))
    np.testing.assert_array_equal(node_array(graph, dict(ranks), "x"), np.asarray(ranks))


def test_a_mapping_names_nodes_and_populations(graph):
    image, vector = graph.populations["image"], graph.populations["vector"]
    per_channel = np.array([1.0, 2.0])
    found = node_array(
        graph, {"image": per_channel, "vector": 7, np.int64(vector.offset): 9, 155: 4}, "x"
    )
    expected = np.zeros(156)
    expected[image.slice] = np.tile(per_channel, 36)
    expected[vector.slice] = 7
    expected[vector.offset], expected[155] = 9, 4
    np.testing.assert_array_equal(found, expected)


def test_parts_take_arrays_of_the_whole_shape(graph):
    part = graph.ancestors(graph.node_id("features", (1, 1, 0)))
    members = part.populations["image"].members
    values = np.arange(72.0).reshape(6, 6, 2)
    found = node_array(part, {"image": values}, "x")
    np.testing.assert_array_equal(found[part.populations["image"].slice], members)


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        ({156: 1}, gg.SelectionError, "x names node 156, .* ids are 0 to 155"),
        ({-1: 1}, gg.SelectionError, "x names node -1"),
        ({2.0: 1}, gg.SelectionError, r"x names node 2\.0"),
        ({None: 1}, gg.SelectionError, "x names node None"),
        ({"conv": 1}, gg.SelectionError, "no population 'conv'"),
        ({"image": [1, 2, 3]}, gg.ShapeError, r"\(6, 6, 2\); got shape \(3,\)"),
        ({"image": "much"}, gg.ShapeError, "x for population 'image' must be a number"),
        ({3: "much"}, gg.ShapeError, "x for node 3 must be one number; got 'much'"),
        ({3: [1, 2]}, gg.ShapeError, "x for node 3 must be one number"),
        (np.ones(155), gg.ShapeError, r"shape \(156,\), not \(155,\)"),
        (np.ones((156, 1)), gg.ShapeError, r"not \(156, 1\)"),
        ([[1, 2], [3]], gg.SelectionError, "x must be a number, a mapping"),
        ("image", gg.SelectionError, "x must be a number, a mapping .* got 'image'"),
        (object(), gg.SelectionError, "x must be a number"),
    ],
)
def test_what_fits_nothing_is_refused(graph, given, error, match):
    with pytest.raises(error, match=match):
        node_array(graph, given, "x")
