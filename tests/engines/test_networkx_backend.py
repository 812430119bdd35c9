"""networkx's functions on a model's graph: gpugraph's answers, or networkx's own where it fits."""

import inspect
import subprocess
import sys

import keras
import networkx as nx
import numpy as np
import pytest
from networkx.utils.backends import _registered_algorithms

import gpugraph as gg
from gpugraph.engines.networkx import digraph
from gpugraph.engines.networkx_backend import FrozenGraphError, backend
from gpugraph.engines.networkx_functions import ANSWERS
from gpugraph.engines.networkx_info import DOCS, EXTRA, get_info
from tests.models import (
    EVERY_KIND,
    cnn,
    one_size_convolutional,
    randomise,
    shared_layer,
    siamese,
    squeeze_excite,
    u_net,
)

# Without parallel edges, which networkx does not have in a DiGraph.
SIMPLE = [cnn, one_size_convolutional, siamese, squeeze_excite]


def graph_of(model):
    return gg.from_keras(randomise(model()))


def assert_same(found, expected, tolerance=1e-9):
    assert set(found) == set(expected)
    nodes = list(expected)
    np.testing.assert_allclose(
        [found[n] for n in nodes], [expected[n] for n in nodes], rtol=tolerance, atol=1e-12
    )


# Our answers


@pytest.mark.parametrize("model", EVERY_KIND)
def test_pagerank(model):
    graph = graph_of(model)
    found = nx.pagerank(graph)
    assert isinstance(found, gg.NodeValues)
    assert found == gg.pagerank(graph)
    assert_same(found, nx.pagerank(digraph(graph, "magnitude"), tol=1e-14, max_iter=1000))


@pytest.mark.parametrize("options", [{"weight": None}, {"weight": "positive"}, {"alpha": 0.5}])
def test_pagerank_takes_arguments_by_networkxs_names(options):
    graph = graph_of(cnn)
    assert nx.pagerank(graph, max_iter=1, tol=1.0, nstart={}, **options) == gg.pagerank(
        graph, **options
    )


def test_pagerank_takes_personalization_by_position_and_by_population():
    graph = graph_of(cnn)
    found = nx.pagerank(graph, 0.9, {"image": 1, 200: 0.5}, dangling={"dense": 1})
    assert found == gg.pagerank(graph, 0.9, {"image": 1, 200: 0.5}, {"dense": 1})


def test_further_arguments_reach_gpugraph():
    values = nx.pagerank(graph_of(cnn), dtype="float32", device="cpu")
    assert np.asarray(values).dtype == np.float32


def test_a_view_that_does_not_exist_is_refused_and_not_taken_for_an_attribute():
    with pytest.raises(gg.SelectionError, match="no view 'magnitud'"):
        nx.pagerank(graph_of(cnn), weight="magnitud")


@pytest.mark.parametrize("model", EVERY_KIND)
@pytest.mark.parametrize("options", [{}, {"alpha": 0.3, "normalized": False}, {"beta": 2}])
def test_katz(model, options):
    graph = graph_of(model)
    found = nx.katz_centrality(graph, **options)
    assert found == gg.katz_centrality(graph, **options)
    if model is not shared_layer:  # parallel edges count each
        assert_same(
            found, nx.katz_centrality(digraph(graph, "magnitude"), tol=1e-14, **options), 1e-6
        )


@pytest.mark.parametrize("model", SIMPLE)
@pytest.mark.parametrize(
    "options", [{}, {"normalized": False}, {"endpoints": True}, {"k": 1, "normalized": False}]
)
def test_betweenness(model, options):
    graph = graph_of(model)
    options = {"k": 5, "seed": 3, **options}
    found = nx.betweenness_centrality(graph, **options)
    np.testing.assert_array_equal(found, gg.betweenness_centrality(graph, **options))
    assert_same(found, nx.betweenness_centrality(digraph(graph, None), **options))


def test_betweenness_of_all_sources():
    graph = graph_of(cnn)
    assert_same(nx.betweenness_centrality(graph), nx.betweenness_centrality(digraph(graph, None)))


@pytest.mark.parametrize("model", SIMPLE)
def test_edge_betweenness(model):
    graph = graph_of(model)
    found = dict(nx.edge_betweenness_centrality(graph, k=5, seed=3).items())
    expected = nx.edge_betweenness_centrality(digraph(graph, None), k=5, seed=3)
    assert_same(found, expected)


@pytest.mark.parametrize("model", [cnn, squeeze_excite])
@pytest.mark.parametrize("wf_improved", [True, False])
def test_closeness(model, wf_improved):
    graph, expected = graph_of(model), None
    found = nx.closeness_centrality(graph, wf_improved=wf_improved)
    expected = nx.closeness_centrality(digraph(graph, None), wf_improved=wf_improved)
    assert_same(found, expected)
    for node in (0, graph.n_nodes // 2, graph.n_nodes - 1):
        one = nx.closeness_centrality(graph, node, wf_improved=wf_improved)
        assert one == pytest.approx(expected[node])


@pytest.mark.parametrize("model", [cnn, squeeze_excite])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"nbunch": [3, 250]},
        {"nbunch": 250},
        {"sources": [0, 7, 100]},
        {"nbunch": [200, 250, 10**6, 3], "sources": [0, 7]},
        {"nbunch": [250], "sources": [0, 7]},
        {"nbunch": [], "sources": [0, 7]},
    ],
)
def test_harmonic(model, options):
    graph = graph_of(model)
    assert_same(
        nx.harmonic_centrality(graph, **options),
        nx.harmonic_centrality(digraph(graph, None), **options),
    )


@pytest.mark.parametrize("model", SIMPLE)
@pytest.mark.parametrize(
    "name", ["degree_centrality", "in_degree_centrality", "out_degree_centrality"]
)
def test_degree_centralities(model, name):
    graph = graph_of(model)
    found = getattr(nx, name)(graph)
    assert found == getattr(gg, name)(graph)
    assert_same(found, getattr(nx, name)(digraph(graph, None)))


WITH_A_NODE = [
    "ancestors",
    "descendants",
    "single_source_shortest_path_length",
    "single_target_shortest_path_length",
    "local_reaching_centrality",
    "is_isolate",
]
OF_THE_GRAPH = [
    "attracting_components",
    "dag_longest_path_length",
    "flow_hierarchy",
    "is_attracting_component",
    "is_directed_acyclic_graph",
    "is_empty",
    "is_strongly_connected",
    "is_weakly_connected",
    "isolates",
    "kosaraju_strongly_connected_components",
    "number_attracting_components",
    "number_of_isolates",
    "number_of_selfloops",
    "number_strongly_connected_components",
    "number_weakly_connected_components",
    "overall_reciprocity",
    "reciprocity",
    "simple_cycles",
    "strongly_connected_components",
    "topological_generations",
    "weakly_connected_components",
]


def in_any_order(result):
    """See components and generations as sets, since their order says nothing."""
    if isinstance(result, (dict, set, bool, int, float)):
        return result
    return {item if isinstance(item, int) else frozenset(item) for item in result}


@pytest.mark.parametrize("model", [cnn, squeeze_excite, u_net, shared_layer])
@pytest.mark.parametrize("name", OF_THE_GRAPH)
def test_what_is_asked_of_the_whole_graph(model, name):
    graph = graph_of(model)
    options = {"weight": None} if name == "dag_longest_path_length" else {}
    found, expected = getattr(nx, name)(graph, **options), None
    expected = getattr(nx, name)(graph.to_networkx(), **options)
    assert type(found) is type(expected) or inspect.isgenerator(expected)
    assert in_any_order(found) == in_any_order(expected)


@pytest.mark.parametrize("model", [cnn, squeeze_excite])
@pytest.mark.parametrize("name", WITH_A_NODE)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_what_is_asked_of_a_node(model, name, share):
    graph = graph_of(model)
    node = int(share * graph.n_nodes)
    found = getattr(nx, name)(graph, node)
    expected = getattr(nx, name)(graph.to_networkx(), node)
    assert type(found) is type(expected)
    assert found == expected


@pytest.mark.parametrize("name", WITH_A_NODE)
def test_a_node_that_is_not_there_is_what_it_is_in_networkx(name):
    graph = graph_of(cnn)
    with pytest.raises(nx.NetworkXException) as expected:
        getattr(nx, name)(graph.to_networkx(), 10**6)
    with pytest.raises(type(expected.value)):
        getattr(nx, name)(graph, 10**6)


def test_paths_and_distances_between_two_nodes():
    graph = graph_of(cnn)
    theirs = graph.to_networkx()
    for source, target in [(0, 266), (266, 0), (5, 5), (0, 130), (127, 128)]:
        assert nx.has_path(graph, source, target) == nx.has_path(theirs, source, target)
    for distance in range(5):
        found = nx.descendants_at_distance(graph, 30, distance)
        assert found == nx.descendants_at_distance(theirs, 30, distance)
    found = nx.single_source_shortest_path_length(graph, 30, cutoff=2)
    assert found == nx.single_source_shortest_path_length(theirs, 30, cutoff=2)
    with pytest.raises(nx.NodeNotFound):
        nx.has_path(graph, 0, 10**6)


def test_a_topological_sort_is_one():
    graph = graph_of(u_net)
    place = {node: i for i, node in enumerate(nx.topological_sort(graph))}
    assert len(place) == graph.n_nodes
    assert all(place[src] < place[dst] for src, dst, _ in graph.edge_tuples())


def test_there_is_no_cycle_to_find():
    with pytest.raises(nx.NetworkXNoCycle):
        nx.find_cycle(graph_of(cnn))


def test_counts_by_networkxs_names():
    graph = graph_of(cnn)
    assert nx.number_of_nodes(graph) == graph.n_nodes
    assert nx.number_of_edges(graph) == graph.n_edges
    assert nx.density(graph) == nx.density(graph.to_networkx())
    assert nx.is_directed(graph)


# networkx's own, on the converted graph


def test_what_gpugraph_has_not_runs_in_networkx():
    graph = graph_of(squeeze_excite)
    theirs = graph.to_networkx()
    assert nx.transitivity(graph) == nx.transitivity(theirs)
    assert nx.dag_longest_path(graph) == nx.dag_longest_path(theirs)
    assert nx.adjacency_matrix(graph).nnz == graph.n_edges
    assert isinstance(nx.transitive_reduction(graph), nx.DiGraph)
    assert nx.to_dict_of_lists(graph) == nx.to_dict_of_lists(theirs)
    assert nx.number_of_edges(nx.compose_all([graph, graph])) == graph.n_edges


def test_arguments_that_gpugraph_has_not_run_in_networkx():
    graph = graph_of(cnn)
    theirs = graph.to_networkx()
    assert nx.dag_longest_path_length(graph) == nx.dag_longest_path_length(theirs)
    found = nx.kosaraju_strongly_connected_components(graph, source=200)
    expected = nx.kosaraju_strongly_connected_components(theirs, source=200)
    assert in_any_order(found) == in_any_order(expected)


def test_views_are_edge_attributes_to_networkx():
    graph = graph_of(cnn)
    expected = nx.betweenness_centrality(digraph(graph, "magnitude"), weight="weight", k=5, seed=1)
    assert_same(nx.betweenness_centrality(graph, weight="magnitude", k=5, seed=1), expected)
    assert nx.dag_longest_path_length(graph, "positive") == pytest.approx(
        nx.dag_longest_path_length(digraph(graph, "positive"))
    )


def test_what_networkx_does_not_take_is_left_out_for_it():
    graph = graph_of(cnn)
    found = nx.betweenness_centrality(graph, k=2, weight="positive", seed=1, device="cpu")
    assert_same(found, nx.betweenness_centrality(graph, k=2, weight="positive", seed=1))


@pytest.mark.parametrize("function", [nx.pagerank, nx.transitivity])
def test_an_argument_that_does_not_exist_is_a_type_error(function):
    with pytest.raises(TypeError, match=r"\(\) got an unexpected keyword argument 'alpa'"):
        function(graph_of(cnn), alpa=0.5)


def test_the_backend_can_be_networkx():
    graph = graph_of(cnn)
    found = nx.pagerank(graph, weight=None, backend="networkx")
    assert isinstance(found, dict)
    assert_same(found, gg.pagerank(graph, weight=None), 1e-3)


def test_nothing_needs_to_be_configured():
    assert not nx.config.fallback_to_nx
    assert not nx.config.backend_priority.algos


@pytest.fixture(scope="module")
def vgg16():
    """Return 15 billion edges."""
    return gg.from_keras(keras.applications.VGG16(weights=None))


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (nx.transitivity, "has no transitivity of its own"),
        (nx.dag_longest_path_length, "finds the longest path in edges: weight=None"),
        (
            lambda graph: nx.betweenness_centrality(graph, k=2, weight="magnitude"),
            r"weight='magnitude': gpugraph counts paths in edges",
        ),
        (lambda graph: nx.closeness_centrality(graph, distance="weight"), "distance='weight'"),
    ],
)
@pytest.mark.xdist_group("vgg16")
def test_a_graph_too_large_for_networkx_is_refused_with_what_to_do(vgg16, call, why):
    with pytest.raises(gg.GraphTooLargeError, match=why) as refused:
        call(vgg16)
    assert "TB" in str(refused.value)
    assert "smaller input_shape" in str(refused.value)
    assert "needs no such graph for pagerank" in str(refused.value)


@pytest.mark.xdist_group("vgg16")
def test_large_graphs_are_measured(vgg16):
    assert nx.is_directed_acyclic_graph(vgg16)
    assert nx.dag_longest_path_length(vgg16, weight=None) == 21
    assert np.asarray(nx.pagerank(vgg16)).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    "change",
    [
        lambda graph: nx.set_node_attributes(graph, 1, "name"),
        lambda graph: nx.relabel_nodes(graph, {0: "a"}, copy=False),
        lambda graph: nx.recursive_simple_cycles(graph),
        lambda graph: nx.set_node_attributes(graph, 1, "name", backend="gpugraph"),
    ],
)
def test_a_call_that_would_change_the_graph_is_refused(change):
    with pytest.raises(FrozenGraphError, match=r"Change what graph\.to_networkx"):
        change(graph_of(cnn))


def test_a_call_that_changes_a_copy_is_not():
    changed = nx.relabel_nodes(graph_of(cnn), {0: "a"})
    assert "a" in changed
    assert 0 not in changed


def test_a_call_with_a_graph_of_networkxs_beside_ours_is_left_to_networkx():
    graph = graph_of(cnn)
    assert "give graph.to_networkx()" in backend.can_run("compose", (graph, nx.DiGraph()), {})
    with pytest.raises(TypeError, match="Unable to convert inputs"):
        nx.compose(graph, nx.DiGraph())


# What networkx is told


@pytest.mark.parametrize("name", ANSWERS)
def test_signatures_are_networkxs(name):
    ours = inspect.signature(getattr(backend, name)).parameters
    theirs = inspect.signature(_registered_algorithms[name].orig_func).parameters
    shared = {n: p for n, p in ours.items() if n in theirs}
    assert list(shared) == list(theirs)
    assert {n: (p.default, p.kind) for n, p in shared.items()} == {
        n: (p.default, p.kind) for n, p in theirs.items()
    }
    extra = {n: p for n, p in ours.items() if n not in theirs}
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in extra.values())
    assert {text.split(" :")[0] for text in EXTRA.get(name, {})} == set(extra)


def test_the_info_names_what_is_answered():
    assert list(DOCS) == list(ANSWERS)
    assert set(EXTRA) <= set(DOCS)
    assert set(get_info()["functions"]) == set(ANSWERS)
    assert "`max_iter`, `tol` and `nstart`" in nx.pagerank.__doc__
    assert "dtype : {'float64', 'float32'}" in nx.pagerank.__doc__


def test_the_backend_has_what_networkx_has_and_nothing_else():
    assert hasattr(backend, "pagerank")
    assert hasattr(backend, "transitivity")
    assert not hasattr(backend, "no_such_function")


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
