"""What measures ask of a graph, and of their results."""

from dataclasses import replace

import numpy as np
import pytest

import gpugraph as gg
from gpugraph.algorithms.requirements import (
    float_dtype,
    require_finite,
    require_non_negative,
    require_view,
)
from tests.algorithms.graphs import VIEWS, graph_of, layered, with_nan
from tests.models import cnn


@pytest.mark.parametrize("dtype", ["float32", np.float64, float, np.dtype(np.float32)])
def test_floats_are_taken(dtype):
    assert float_dtype(dtype) == np.dtype(dtype)


@pytest.mark.parametrize("dtype", [np.float16, "int32", bool, complex])
def test_other_types_are_refused(dtype):
    with pytest.raises(gg.SelectionError, match=f"not {np.dtype(dtype)}"):
        float_dtype(dtype)


def test_views():
    for view in VIEWS:
        require_view(view)
    with pytest.raises(gg.SelectionError, match="no view 'abs'"):
        require_view("abs")


def test_signed_weights_are_refused_where_they_are_seen():
    graph = graph_of(cnn)
    with pytest.raises(gg.SignedWeightsError, match=r"Rank needs .*'image' to 'conv' are signed"):
        require_non_negative(graph, "weight", "Rank")
    for view in VIEWS[1:]:
        require_non_negative(graph, view, "Rank")
    require_non_negative(layered([2, 2]), "weight", "Rank")


def test_signs_of_factors_are_seen():
    graph = layered([2, 2])
    signed = replace(graph.projections[0], source_factor=np.array([1.0, -1.0]))
    graph = gg.NeuronGraph("signed", graph.populations, [signed])
    with pytest.raises(gg.SignedWeightsError):
        require_non_negative(graph, "weight", "Rank")


@pytest.mark.parametrize("values", [[1, 2, 3, 4], [1e308] * 4, [-1e308, 0, 0, -1e308]])
def test_finite_values_pass(values):
    """Even where their sum is not."""
    require_finite(layered([2, 2]), np.array(values, float), "Rank")


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_name_their_population(wrong):
    values = np.array([1, 2, wrong, 4])
    with pytest.raises(gg.NonFiniteError, match=r"Rank .* 'p1': numbers .* too large"):
        require_finite(layered([2, 2]), values, "Rank")
    with pytest.raises(gg.NonFiniteError, match="'p1'"):
        require_finite(layered([2, 2]), np.array([1, 2, np.inf, -np.inf]), "Rank")


def test_weights_that_are_not_finite_are_named():
    graph = with_nan("hidden")
    values = np.full(graph.n_nodes, np.nan)
    with pytest.raises(gg.NonFiniteError, match="'x': weights from 'x' to 'hidden' hold NaN"):
        require_finite(graph, values, "Rank")


@pytest.mark.parametrize("end", ["source_factor", "target_factor"])
def test_factors_that_are_not_finite_are_named(end):
    graph = layered([2, 2])
    (projection,) = graph.projections
    graph = gg.NeuronGraph(
        "n", graph.populations, [replace(projection, **{end: np.array([1, np.inf])})]
    )
    with pytest.raises(gg.NonFiniteError, match="weights from 'p0' to 'p1' hold NaN"):
        require_finite(graph, np.full(4, np.inf), "Rank")
