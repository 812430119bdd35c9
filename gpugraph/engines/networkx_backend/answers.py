"""The register of networkx's functions that gpugraph answers; `functions` fills it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gpugraph.engines.networkx_backend.labelled_graph import LabelledGraph
from gpugraph.errors import GpugraphError

# Why arguments must keep their default.
HOPS_ONLY = "gpugraph counts paths in edges, not in weights"
ON_WHOLE_GRAPH = "gpugraph answers for the whole graph"


@dataclass(frozen=True)
class Answer:
    """One of networkx's functions, as gpugraph computes it.

    Attributes
    ----------
    function : callable
    plain : mapping of str to str
        Arguments that must keep their default, and why.
    simple_graph : bool
        Whether it needs a graph without parallel edges, where networkx tells them apart.
    worth_converting : bool
        Whether it can be faster than networkx on networkx's own graphs.
    """

    function: Callable[..., Any]
    plain: Mapping[str, str]
    simple_graph: bool
    worth_converting: bool

    @cached_property
    def signature(self) -> inspect.Signature:
        """Signature of the function."""
        return inspect.signature(self.function)

    def reason_against(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
        """Tell why these arguments cannot be answered; None where they can."""
        try:
            given = self.signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            return str(error)
        for name, why in self.plain.items():
            default = self.signature.parameters[name].default
            if name in given and given[name] is not default and given[name] != default:
                return f"{name}={given[name]!r}: {why}"
        graph = given["G"]
        if self.simple_graph and graph.is_multigraph():
            return "gpugraph takes parallel edges for separate paths"
        return None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Answer, or raise NotImplementedError where only networkx can."""
        graph = self.signature.bind(*args, **kwargs).arguments["G"]
        try:
            return self.function(*args, **kwargs)
        except GpugraphError as error:
            if isinstance(graph, LabelledGraph):  # networkx may still make something of it
                raise NotImplementedError(str(error)) from error
            raise


ANSWERS: dict[str, Answer] = {}


def answers(
    *,
    plain: Mapping[str, str] | None = None,
    simple_graph: bool = False,
    worth_converting: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as the answer to networkx's of the same name; see `Answer`."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        ANSWERS[function.__name__] = Answer(function, plain or {}, simple_graph, worth_converting)
        return function

    return register
