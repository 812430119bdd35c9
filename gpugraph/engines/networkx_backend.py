"""gpugraph as a backend of networkx: ``nx.pagerank(graph)`` is `gpugraph.pagerank`.

networkx finds `backend` through the package's entry points. Functions that gpugraph has are
answered by it (`networkx_functions`); for all others the graph becomes a networkx graph, where it
fits in memory, and networkx answers.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import networkx as nx
from networkx.utils.backends import _registered_algorithms

from gpugraph.engines.labelled_graph import LabelledGraph, from_networkx, generations
from gpugraph.engines.networkx_functions import ANSWERS
from gpugraph.errors import GpugraphError, GraphTooLargeError
from gpugraph.graph import NeuronGraph
from gpugraph.views import Weight

# Below these, networkx is done before a graph is converted and swept over: a sweep costs per pair
# of generations that edges join, networkx costs per edge.
WORTH_CONVERTING_EDGES = 10_000
WORTH_CONVERTING_EDGES_PER_PAIR = 100

# Tests of networkx's that cannot hold for a backend, by file and name.
NOT_FOR_BACKENDS = {
    ("test_dag.py", "test_topological_sort6"): "changes the graph while it is being sorted, but "
    "a backend sorts a copy",
    ("test_betweenness_centrality_subset.py", "test_equivalence_non_subset"): "compares two "
    "functions' results to the last digit, of which a backend has one",
}


class FrozenGraphError(GpugraphError, nx.NetworkXError):  # type: ignore[misc]
    """A function of networkx's would change the graph, which follows from its model."""


class Backend:
    """What networkx asks of a backend: can it, should it, convert, and every function."""

    def can_run(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool | str:
        """Tell whether a call can be answered; a text says why not."""
        graphs = list(_graphs(args, kwargs))
        ours = [isinstance(graph, NeuronGraph) for graph in graphs]
        if not graphs:
            return "there is no graph to work on"
        if all(ours):
            return True
        if name not in ANSWERS:
            if any(ours):
                return "gpugraph leaves it to networkx: give graph.to_networkx() for its graphs"
            return "gpugraph has no answer of its own"
        if not all(graph.is_directed() for graph in graphs):
            return "an undirected edge is a cycle, and gpugraph's graphs have none"
        return ANSWERS[name].reason_against(args, kwargs) or True

    def should_run(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool | str:
        """Tell whether a call is worth converting networkx's graphs; a text says why not."""
        if not ANSWERS[name].worth_converting:
            return "networkx is done before the graph is converted"
        for graph in _graphs(args, kwargs):
            n_edges = graph.number_of_edges()
            if n_edges < WORTH_CONVERTING_EDGES:
                return f"the graph has fewer than {WORTH_CONVERTING_EDGES:,} edges"
            try:
                n_generations = len(generations(graph))
            except NotImplementedError as error:
                return str(error)
            if n_edges < WORTH_CONVERTING_EDGES_PER_PAIR * n_generations**2:
                return f"the graph has {n_generations:,} generations for its {n_edges:,} edges"
        return True

    def convert_from_nx(
        self,
        graph: Any,
        *,
        edge_attrs: Mapping[str, Any] | None = None,
        node_attrs: Mapping[str, Any] | None = None,
        preserve_edge_attrs: bool = False,
        preserve_node_attrs: bool = False,
        preserve_graph_attrs: bool = False,
        name: str | None = None,
        graph_name: str | None = None,
    ) -> NeuronGraph:
        """Return a networkx DiGraph without cycles as a `LabelledGraph`.

        Raises
        ------
        NotImplementedError
            If the graph has no such form; networkx then goes on without us.
        """
        if preserve_edge_attrs or len(edge_attrs or {}) > 1:
            raise NotImplementedError("gpugraph keeps one attribute of edges: the weights.")
        attribute, default = next(iter((edge_attrs or {}).items()), (None, 1))
        return from_networkx(graph, attribute, default)

    def convert_to_nx(self, result: Any, *, name: str | None = None) -> Any:
        """Return a graph as a networkx graph, and any other result as it is.

        Raises
        ------
        GraphTooLargeError
            If it would not fit in memory.
        """
        return result.to_networkx() if isinstance(result, NeuronGraph) else result

    def on_start_tests(self, items: list[Any]) -> None:
        """Mark the tests of networkx's that cannot hold for a backend."""
        import pytest

        for item in items:
            reason = NOT_FOR_BACKENDS.get((item.path.name, item.name))
            if reason is not None:
                item.add_marker(pytest.mark.skip(reason=reason))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return any function of networkx's, by its name in the dispatch."""
        if name not in _registered_algorithms:
            raise AttributeError(f"gpugraph's backend has no attribute '{name}'")
        return _function(name)


@functools.cache
def _function(name: str) -> Callable[..., Any]:
    """Return a function that answers where gpugraph can, and else lets networkx."""
    answer = ANSWERS.get(name)
    original = _registered_algorithms[name].orig_func

    @functools.wraps(original if answer is None else answer.function)
    def call(*args: Any, **kwargs: Any) -> Any:
        why = f"gpugraph has no {name} of its own"
        if answer is not None:
            against = answer.reason_against(args, kwargs)
            if against is None:
                try:
                    return answer(*args, **kwargs)
                except NotImplementedError as error:
                    if any(isinstance(graph, LabelledGraph) for graph in _graphs(args, kwargs)):
                        raise  # networkx has the graph that it was made of
                    against = str(error)
            why = f"gpugraph's {name} cannot ({against})"
        return _by_networkx(name, args, kwargs, why)

    return call


def _by_networkx(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], why: str) -> Any:
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
        if isinstance(value, list | tuple) and any(map(_is_graph, value[:1])):
            return [converted(v) for v in value]
        return value

    try:
        args = tuple(converted(value) for value in args)
        kwargs = {key: converted(value) for key, value in kwargs.items()}
    except GraphTooLargeError as error:
        measures = ", ".join(name for name, own in ANSWERS.items() if own.worth_converting)
        raise GraphTooLargeError(
            f"{why}, so networkx would have to hold the graph. {error} gpugraph "
            f"needs no such graph for {measures}."
        ) from error
    return function.orig_func(*args, **kwargs)


def _graphs(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the graphs among arguments, and those in lists of graphs."""
    for value in (*args, *kwargs.values()):
        if _is_graph(value):
            yield value
        elif isinstance(value, list | tuple) and any(map(_is_graph, value[:1])):
            yield from value


def _is_graph(value: Any) -> bool:
    return hasattr(value, "__networkx_backend__")


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


backend = Backend()
