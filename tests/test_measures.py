import inspect

import keras
import numpy as np
import pytest

import gpugraph as gg
from gpugraph import measures
from gpugraph.measures import MEASURES, View, measure_named, rank
from gpugraph.node_values import NodeValues
from tests.models import cnn, randomise


@pytest.fixture(scope="module")
def graph():
    return gg.from_keras(randomise(cnn()))


def function(measure):
    return getattr(gg, measure.function or measure.name)


def expected(measure, graph, **options):
    result = function(measure)(graph, **measure.fixed, **options)
    values = result if measure.part is None else result[measure.part]
    return values.log10() if measure.as_log10 else values


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_the_table_says_what_the_functions_take(measure):
    parameters = inspect.signature(function(measure)).parameters
    assert set(measure.options) == {"weight", "k", "device"} & set(parameters)
    assert measure.by_sources == ("seed" in parameters)
    if measure.view:
        assert measure.view.weight == parameters["weight"].default


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_measures_give_what_the_functions_give(graph, measure):
    values = measure(graph)
    assert values == expected(measure, graph)
    assert values.name == expected(measure, graph).name
    assert len(str(measure)) < 78


@pytest.mark.parametrize(
    "measure", [m for m in MEASURES.values() if m.view], ids=lambda measure: measure.name
)
@pytest.mark.parametrize("view", [View.POSITIVE, View.NEGATIVE, View.NONE])
def test_views(graph, measure, view):
    assert measure(graph, weight=view) == expected(measure, graph, weight=view.weight)


@pytest.mark.parametrize(
    "measure", [m for m in MEASURES.values() if m.by_sources], ids=lambda measure: measure.name
)
def test_sources_are_drawn_by_seed(graph, measure):
    assert measure(graph, k=5, seed=3) == expected(measure, graph, k=5, seed=3)


def test_sums_of_signed_products_stay_plain(graph):
    values = MEASURES["path_strength"](graph, weight=View.WEIGHT)
    assert values == gg.path_strength(graph, "weight")
    assert (np.asarray(values) < 0).any()


def test_values_beyond_floats_become_logarithms(graph, monkeypatch):
    huge = NodeValues(
        graph, np.ones(graph.n_nodes), "katz_centrality", dict.fromkeys(graph.populations, 5000)
    )
    monkeypatch.setattr(gg, "katz_centrality", lambda *args, **kwargs: huge)
    values = MEASURES["katz_centrality"](graph)
    assert values.name == "log10_katz_centrality"
    assert np.asarray(values) == pytest.approx(5000 * np.log10(2))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("pagerank", {"k": 3}, "pagerank takes no --k.* choose another measure: betweenness_"),
        ("path_count", {"weight": View.NONE}, "path_count takes no --weight.*pagerank"),
        ("in_degree", {"device": "cpu"}, "in_degree takes no --device"),
    ],
)
def test_options_that_a_measure_lacks_are_refused(graph, name, options, message):
    with pytest.raises(gg.SelectionError, match=message):
        MEASURES[name](graph, **options)


def test_a_large_graph_needs_k(graph, monkeypatch):
    monkeypatch.setattr(measures, "MOST_SOURCES", graph.n_nodes - 1)
    with pytest.raises(gg.SelectionError, match=rf"--k 100 .*--k {graph.n_nodes}"):
        MEASURES["betweenness_centrality"](graph)
    assert MEASURES["betweenness_centrality"](graph, k=2, seed=0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pagernak", "Did you mean 'pagerank'"),
        ("betweeness", "Did you mean 'betweenness_centrality'"),
        ("xyz", r"'xyz'\. Choose one of pagerank, "),
    ],
)
def test_unknown_measures(name, message):
    with pytest.raises(gg.SelectionError, match=message):
        measure_named(name)


# Rankings


def test_rank_of_the_whole_graph(graph):
    values = gg.pagerank(graph)
    assert rank(values, 7).nodes == values.top(7)


def test_rank_within_populations_keeps_ids(graph):
    values = gg.pagerank(graph)
    nodes = rank(values, 5, ["dense", "conv"]).nodes
    every = [n for n in values.top(graph.n_nodes) if n.population in ("dense", "conv")]
    assert nodes == every[:5]
    assert len(rank(values, 1000, ["dense"]).nodes) == 4


def test_rank_counts_who_else_has_the_last_value(graph):
    values = gg.in_degree(graph)
    ranking = rank(values, 3, ["conv"])
    assert [n.value for n in ranking.nodes] == [18, 18, 18]
    assert ranking.n_equal == graph.populations["conv"].size - 3
    assert rank(values, 1000).n_equal == 0


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_rankings_with_what_json_does_not_know(graph, bad):
    array = np.full(graph.n_nodes, bad)
    array[5] = 2.5
    ranking = rank(NodeValues(graph, array, "odd"), 3, ["image"])
    assert sorted(str(n["value"]) for n in ranking.to_dict()["nodes"]) == ["2.5", "None", "None"]
    assert sorted(row[3] for row in ranking.cells) == sorted(["2.5", str(bad), str(bad)])


def test_cells():
    array = np.array([1234567, 3])
    dense = keras.layers.Dense(1, name="y")
    graph = gg.from_keras(keras.Sequential([keras.Input((1,), name="x"), dense]))
    ranking = rank(NodeValues(graph, array, "count"), 2)
    assert ranking.header == ("rank", "population", "index", "count", "node")
    assert ranking.cells == [("1", "x", "0", "1,234,567", "0"), ("2", "y", "0", "3", "1")]
