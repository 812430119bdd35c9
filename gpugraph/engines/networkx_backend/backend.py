"""What networkx's dispatch asks of a backend.

Functions that gpugraph has are answered by it (`functions`); for all others the graph becomes a
networkx graph, where it fits in memory, and networkx answers (`fallback`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from networkx.utils.backends import _registered_algorithms

from gpugraph.engines.networkx_backend.arguments import graphs_among
from gpugraph.engines.networkx_backend.fallback import by_networkx
from gpugraph.engines.networkx_backend.functions import ANSWERS
from gpugraph.engines.networkx_backend.labelled_graph import (
    LabelledGraph,
    from_networkx,
    generations,
)
from gpugraph.graph import NeuronGraph

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


class Backend:
    """What networkx asks of a backend: can it, should it, convert, and every function."""

    def can_run(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool | str:
        """Tell whether a call can be answered; a text says why not."""
        graphs = list(graphs_among(args, kwargs))
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
        for graph in graphs_among(args, kwargs):
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
        if answer is None:
            return by_networkx(name, args, kwargs, f"gpugraph has no {name} of its own")
        against = answer.reason_against(args, kwargs)
        if against is None:
            try:
                return answer(*args, **kwargs)
            except NotImplementedError as error:
                graphs = graphs_among(args, kwargs)
                if any(isinstance(graph, LabelledGraph) for graph in graphs):
                    raise  # networkx has the graph that it was made of
                against = str(error)
        return by_networkx(name, args, kwargs, f"gpugraph's {name} cannot ({against})")

    return call


backend = Backend()
