"""networkx's own function, on graphs of ours that become networkx's."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import networkx as nx
from networkx.utils.backends import _registered_algorithms

from gpugraph.engines.networkx_backend.arguments import is_graph
from gpugraph.engines.networkx_backend.functions import ANSWERS
from gpugraph.errors import GpugraphError, GraphTooLargeError
from gpugraph.graph import NeuronGraph
from gpugraph.views import Weight


class FrozenGraphError(GpugraphError, nx.NetworkXError):  # type: ignore[misc]
    """A function of networkx's would change the graph, which follows from its model."""


def by_networkx(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], why: str) -> Any:
    """Call networkx's own function on graphs that are converted to networkx's."""
    function = _registered_algorithms[name]
    signature = inspect.signature(function.orig_func)
    ours_alone = ANSWERS[name].signature.parameters if name in ANSWERS else {}
    kwargs = {k: v for k, v in kwargs.items() if k in signature.parameters or k not in ours_alone}
    try:
        given = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{name}() {error}") from None
    given.apply_defaults()
    if _changes_its_graph(function.mutates_input, given.arguments):
        raise FrozenGraphError(
            f"networkx's {name} would change the graph, but a neuron graph follows from its model "
            "and cannot be changed. Change what graph.to_networkx() returns."
        )
    views = _views(function.edge_attrs, given.arguments)

    def converted(value: Any) -> Any:
        if isinstance(value, NeuronGraph):
            return _with_views(value, views)
        if isinstance(value, list | tuple) and any(map(is_graph, value[:1])):
            return [converted(v) for v in value]
        return value

    try:
        args = tuple(converted(value) for value in args)
        kwargs = {key: converted(value) for key, value in kwargs.items()}
    except GraphTooLargeError as error:
        measures = ", ".join(sorted(name for name, own in ANSWERS.items() if own.worth_converting))
        raise GraphTooLargeError(
            f"{why}, so networkx would have to hold the graph. {error} gpugraph "
            f"needs no such graph for {measures}."
        ) from error
    return function.orig_func(*args, **kwargs)


def _changes_its_graph(rule: bool | Mapping[str, int], given: Mapping[str, Any]) -> bool:
    """Tell whether a call changes its graph: always, never, or as one of its arguments says."""
    if isinstance(rule, bool):
        return rule
    return any(
        not given[name.removeprefix("not ")] if name.startswith("not ") else given[name] is not None
        for name in rule
    )


def _views(attributes: str | Mapping[str, Any] | None, given: Mapping[str, Any]) -> list[Weight]:
    """Return the views of the weights that a call's arguments name as edge attributes."""
    names = [attributes] if isinstance(attributes, str) else list(attributes or {})
    asked = [given.get(name) for name in names]
    return [view for view in ("magnitude", "positive", "negative") if view in asked]


def _with_views(graph: NeuronGraph, views: list[Weight]) -> nx.DiGraph:
    """Return a networkx graph whose edges have views of their weights as attributes, too."""
    built = graph.to_networkx()
    for view in views:
        nx.set_edge_attributes(built, 0.0, view)
        matrix = graph.to_scipy(view).tocoo()
        rows = zip(*(column.tolist() for column in (*matrix.coords, matrix.data)), strict=True)
        for src, dst, weight in rows:
            built[src][dst][view] = weight
    return built
