"""Sweeps: the order of visits, what they are given, and how long it lives."""

import copy
import pickle
import weakref

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from keras import layers

import gpugraph as gg
from gpugraph.algorithms.sweep import sweep
from tests.algorithms.graphs import adjacency, graph_of, ladder, single_node, without_edges
from tests.models import EVERY_KIND, auxiliary, several_outputs, shared_layer, u_net
from tests.strategies import any_graph, graphs_of_models

ways = pytest.mark.parametrize("backward", [False, True])


def walks(graph, backward):
    """Count all walks to each node (or from it), by values sent along projections."""
    counts = np.zeros(graph.n_nodes)

    def visit(population, incoming):
        values = np.ones(population.size)
        for projection, sent in incoming:
            assert projection.target is population
            projection.apply(sent, None, out=values)
        counts[population.slice] = values
        return values

    sweep(graph, visit, backward=backward)
    return counts


def assert_walks(graph, backward):
    matrix = adjacency(graph)
    matrix = matrix if backward else matrix.T
    expected = np.linalg.solve(np.eye(graph.n_nodes) - matrix, np.ones(graph.n_nodes))
    np.testing.assert_allclose(walks(graph, backward), expected, 1e-9)


@ways
@pytest.mark.parametrize("kind", [several_outputs, shared_layer])
def test_sweeps_of_models_solve_what_others_iterate(kind, backward):
    assert_walks(graph_of(kind), backward)


@ways
@given(graph=any_graph())
def test_sweeps_of_any_graph(graph, backward):
    assert_walks(graph, backward)


@ways
@given(graph=graphs_of_models())
@settings(max_examples=5)
def test_sweeps_of_drawn_models(graph, backward):
    assert_walks(graph, backward)


@ways
@pytest.mark.parametrize("make", [single_node, without_edges, lambda: ladder(5, 2, jump=2)])
def test_sweeps_of_other_graphs(make, backward):
    assert_walks(make(), backward)


@ways
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_population_is_visited_once_after_what_it_depends_on(kind, backward):
    graph = graph_of(kind)
    seen, n_projections = [], 0

    def visit(population, incoming):
        nonlocal n_projections
        for projection, sent in incoming:
            assert sent in seen
            assert (projection.source.name, projection.target) == (sent, population)
        seen.append(population.name)
        n_projections += len(incoming)
        return population.name

    sweep(graph, visit, backward=backward)
    assert sorted(seen) == sorted(graph.populations)
    assert n_projections == len(graph.projections)
    assert seen == (list(graph.populations)[::-1] if backward else list(graph.populations))


class Value:
    """Something to be held on to."""


@ways
def test_what_is_sent_lives_until_its_last_reader_is_done(backward):
    graph = graph_of(u_net)
    alive = weakref.WeakValueDictionary()
    readers = graph.projections_into if backward else graph.projections_from
    last = {}
    order = list(graph.populations)[::-1] if backward else list(graph.populations)
    for name in order:
        ends = [p.source.name if backward else p.target.name for p in readers[name]]
        last[name] = max((order.index(end) for end in ends), default=-1)

    def visit(population, incoming):
        at = order.index(population.name)
        assert set(alive) == {name for name in order[:at] if last[name] >= at}
        alive[population.name] = value = Value()
        return value

    sweep(graph, visit, backward=backward)
    assert not alive


def test_numbers_that_are_not_finite_raise_no_warnings_on_the_way():
    def visit(population, incoming):
        return np.array([np.inf]) - np.inf + np.float64(1e308) * 10

    sweep(single_node(), visit)


# Where sweeps start and end


def names(populations):
    return [population.name for population in populations]


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_inputs_are_the_models(kind):
    model = kind()
    inputs = [tensor._keras_history.operation.name for tensor in model.inputs]
    assert sorted(names(gg.from_keras(model).inputs)) == sorted(inputs)


def test_outputs_are_the_models_and_what_leads_nowhere_else():
    assert names(graph_of(several_outputs).outputs) == ["features", "mask", "label"]
    x, unread = keras.Input((3,), name="x"), keras.Input((2,), name="unread")
    hidden = layers.Dense(2, name="hidden")(x)
    end = layers.Flatten()(layers.Reshape((2, 1))(hidden))
    graph = gg.from_keras(keras.Model([x, unread], [end, x, layers.Dense(1, name="last")(hidden)]))
    assert names(graph.inputs) == ["x", "unread"]
    assert names(graph.outputs) == ["x", "unread", "hidden", "last"]


@pytest.mark.parametrize("make", [single_node, without_edges])
def test_without_a_model_ends_are_where_no_projection_goes_on(make):
    graph = make()
    assert names(graph.inputs) == names(graph.outputs) == list(graph.populations)


def test_parts_start_and_end_where_they_were_cut():
    part = graph_of(several_outputs).subgraph(["features", "pooled", "mask"])
    assert names(part.inputs) == ["features"]
    assert names(part.outputs) == ["features", "pooled", "mask"]  # the first is the model's too


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_projections_by_their_ends(kind):
    graph = graph_of(kind)
    assert list(graph.projections_into) == list(graph.projections_from) == list(graph.populations)
    for found, end in ((graph.projections_into, "target"), (graph.projections_from, "source")):
        for name, projections in found.items():
            assert projections == [p for p in graph.projections if getattr(p, end).name == name]


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda graph: pickle.loads(pickle.dumps(graph)),
    "given": lambda graph: graph.given([np.ones((1, *p.shape)) for p in graph.inputs]),
}


@pytest.mark.parametrize("kind", [several_outputs, auxiliary, shared_layer])
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_copies_start_and_end_where_their_model_does(kind, copied):
    graph = gg.from_keras(kind())
    again = copied(graph)
    assert again.topology is None
    assert names(again.inputs) == names(graph.inputs)
    assert names(again.outputs) == names(graph.outputs)
    assert all(again.populations[p.name] is p for p in (*again.inputs, *again.outputs))
