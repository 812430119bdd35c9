"""The graphs among the arguments of a call of networkx's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def graphs_among(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the graphs among arguments, and those in lists of graphs."""
    for value in (*args, *kwargs.values()):
        if is_graph(value):
            yield value
        elif isinstance(value, list | tuple) and any(map(is_graph, value[:1])):
            yield from value


def is_graph(value: Any) -> bool:
    """Tell whether a value is a graph, of any of networkx's backends."""
    return hasattr(value, "__networkx_backend__")
