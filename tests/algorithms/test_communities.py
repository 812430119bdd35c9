"""Communities, cores and triangles on the CPU, against networkx and by hand."""

import networkx as nx
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import gpugraph as gg
from tests.algorithms.graphs import graph_of, layered, of_edges, two_branches, without_edges
from tests.models import cnn, squeeze_excite

# Two groups that hold together, one weak edge between them, and a node of its own.
EDGES = [(0, 1, 2.0), (0, 2, 1.0), (1, 2, -3.0), (2, 3, 0.1), (3, 4, 1.0), (3, 5, 1.0), (4, 5, 2.0)]


def grouped():
    return of_edges(EDGES, [1] * 7)


def test_louvain_finds_what_holds_together():
    found = gg.louvain(grouped())
    assert_array_equal(found, [0, 0, 0, 1, 1, 1, 2])
    undirected = nx.Graph(nx.DiGraph(grouped().to_scipy("magnitude")))
    parts = [{0, 1, 2}, {3, 4, 5}, {6}]
    assert found.modularity == pytest.approx(nx.community.modularity(undirected, parts))
    assert found.name == "louvain"


@pytest.mark.parametrize("build", [two_branches, lambda: graph_of(squeeze_excite)])
@pytest.mark.parametrize("weight", ["magnitude", None])
@pytest.mark.parametrize("resolution", [0.5, 1.0])
def test_louvain_has_the_modularity_that_it_says(build, weight, resolution):
    graph = build()
    found = gg.louvain(graph, weight, resolution=resolution)
    labels = np.asarray(found)
    assert set(labels) == set(range(labels.max() + 1))
    parts = [set(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)]
    undirected = nx.Graph(nx.DiGraph(graph.to_scipy(weight)))
    expected = nx.community.modularity(undirected, parts, resolution=resolution)
    assert found.modularity == pytest.approx(expected, rel=1e-6)
    assert gg.louvain(graph, weight, resolution=resolution) == found


def test_louvain_by_one_sign():
    found = gg.louvain(grouped(), "negative")  # one edge is negative, from 1 to 2
    assert found[1] == found[2]
    assert len(set(np.asarray(found).tolist())) == 6


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda g: gg.louvain(g, "weight"), gg.SignedWeightsError, "weight='magnitude'"),
        (lambda g: gg.louvain(g, resolution=0), gg.SelectionError, "resolution must be above 0"),
        (lambda g: gg.louvain(g, max_level=0), gg.SelectionError, "max_level"),
        (lambda g: gg.louvain(g, engine="sweep"), gg.SelectionError, "not from 'sweep'"),
        (lambda g: gg.louvain(without_edges()), gg.UndefinedMeasureError, "no edge weighs more"),
        (lambda g: gg.core_number(g, engine="sweep"), gg.SelectionError, "not from 'sweep'"),
        (lambda g: gg.k_core(g, -1), gg.SelectionError, "k must be a whole number"),
    ],
)
def test_what_there_is_not(call, error, message):
    with pytest.raises(error, match=message):
        call(grouped())


BUILDS = [grouped, two_branches, lambda: graph_of(cnn), lambda: graph_of(squeeze_excite)]


@pytest.mark.parametrize("build", [*BUILDS, without_edges, lambda: layered([3, 4])])
def test_cores_and_triangles_are_those_of_the_undirected_graph(build):
    graph = build()
    undirected = nx.Graph()
    undirected.add_nodes_from(range(graph.n_nodes))
    undirected.add_edges_from((src, dst) for src, dst, _ in graph.edge_tuples())
    cores, triangles = nx.core_number(undirected), nx.triangles(undirected)
    assert dict(gg.core_number(graph)) == cores
    assert dict(gg.triangle_count(graph)) == triangles
    assert gg.triangle_count(graph).name == "triangle_count"
    for k in (0, 2):
        kept = nx.k_core(undirected, k)
        assert set(np.flatnonzero(gg.k_core(graph, k)).tolist()) == set(kept)
    assert gg.k_core(graph, 2).name == "2_core"


def test_parallel_edges_count_once():
    graph = of_edges([(0, 1, 1.0), (0, 1, 1.0), (1, 2, 1.0)])
    assert_array_equal(gg.core_number(graph), [1, 1, 1])
