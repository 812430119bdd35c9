"""Every measure that gives one number per node, by name, and rankings by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from enum import StrEnum
from math import isfinite
from typing import TYPE_CHECKING, Any, cast

from gpugraph.errors import SelectionError

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph
    from gpugraph.node_values import NodeValues, RankedNode
    from gpugraph.views import Weight

# Taking every node as a source of shortest paths takes minutes here, and days for a large graph.
MOST_SOURCES = 50_000

# Columns of a ranking's table that hold numbers.
NUMERIC = (True, False, False, True, True)


class View(StrEnum):
    """Views of the weights, by words that a shell can say."""

    MAGNITUDE = "magnitude"
    POSITIVE = "positive"
    NEGATIVE = "negative"
    WEIGHT = "weight"
    NONE = "none"

    @property
    def weight(self) -> Weight:
        """The view as measures take it."""
        return None if self is View.NONE else cast("Weight", self.value)


@dataclass(frozen=True)
class Measure:
    """A function of `gpugraph` that gives one number per node, and what it can be asked.

    Attributes
    ----------
    name : str
    about : str
        What the number says, for a list.
    view : View, optional
        The view of the weights by default; None where weights do not matter.
    by_sources : bool
        Whether it goes from source to source and takes ``k`` drawn ones.
    on_device : bool
        Whether it can be computed on a GPU.
    as_log10 : bool
        Whether numbers are read as logarithms, because they outgrow floats.
    function : str
        Its name in `gpugraph`, where it is another.
    part : int, optional
        Which part of the function's result it is.
    fixed : mapping
        What the function is always called with.
    """

    name: str
    about: str
    view: View | None = None
    by_sources: bool = False
    on_device: bool = True
    as_log10: bool = False
    function: str = ""
    part: int | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options that it takes."""
        takes = {"weight": self.view, "k": self.by_sources, "device": self.on_device}
        return tuple(name for name, is_taken in takes.items() if is_taken)

    def __str__(self) -> str:
        takes = self.view or ("--k" if self.by_sources else "")
        return f"{self.name:<22}  {takes:<9}  {self.about}"

    def __call__(
        self,
        graph: NeuronGraph,
        *,
        weight: View | None = None,
        k: int | None = None,
        seed: int | None = None,
        device: str | None = None,
    ) -> NodeValues:
        """Measure a graph.

        Parameters
        ----------
        graph : NeuronGraph
        weight : View, optional
            By default the measure's own.
        k : int, optional
            Estimate from k nodes drawn at random.
        seed : int, optional
            Of the draw.
        device : {"auto", "cpu", "cuda"}, optional

        Returns
        -------
        NodeValues
            Plain numbers: logarithms where values outgrow floats.

        Raises
        ------
        SelectionError
            If the measure does not take an option, or would take days without k.
        """
        import gpugraph

        self.check(weight=weight, k=k, device=device)
        options: dict[str, Any] = dict(self.fixed)
        if self.view is not None:
            options["weight"] = (weight or self.view).weight
        if self.by_sources:
            if k is None and graph.n_nodes > MOST_SOURCES:
                raise SelectionError(
                    f"{self.name} takes the paths from every node, one by one: from the "
                    f"{graph.n_nodes:,} nodes of '{graph.name}' that takes very long. Estimate it "
                    f"from some, drawn at random: --k 100 (or from all: --k {graph.n_nodes})."
                )
            options |= {"k": k, "seed": seed}
        if self.on_device:
            options["device"] = device or "auto"
        result = getattr(gpugraph, self.function or self.name)(graph, **options)
        values: NodeValues = result if self.part is None else result[self.part]
        # Sums of signed products have no logarithm.
        if options.get("weight") != "weight" and (self.as_log10 or values.exponents is not None):
            return values.log10()
        return values

    def check(self, **given: object) -> None:
        """Raise SelectionError where an option is given, not None, that the measure lacks."""
        for option, value in given.items():
            if value is not None and option not in self.options:
                others = [m.name for m in MEASURES.values() if option in m.options]
                raise SelectionError(
                    f"{self.name} takes no --{option}. Leave it out, or choose another measure: "
                    f"{', '.join(others)}."
                )


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("pagerank", "where a walk along the edges is found", view=View.MAGNITUDE),
        Measure("katz_centrality", "walks that arrive, fewer per edge", view=View.NONE),
        Measure(
            "eigenvector_centrality",
            "leading eigenvector, edges both ways",
            view=View.MAGNITUDE,
            fixed={"directed": False},
        ),
        Measure("hubs", "points to good authorities", View.MAGNITUDE, function="hits", part=0),
        Measure("authorities", "good hubs point to it", View.MAGNITUDE, function="hits", part=1),
        Measure("betweenness_centrality", "shortest paths that lead through", by_sources=True),
        Measure("closeness_centrality", "how near the nodes that reach it are", by_sources=True),
        Measure("harmonic_centrality", "sum of 1 / distance from them", by_sources=True),
        Measure("path_count", "input-to-output paths, log10", as_log10=True),
        Measure("path_strength", "their products of weights, log10", View.MAGNITUDE, as_log10=True),
        Measure("longest_path_length", "edges of the longest path to it"),
        Measure("core_number", "the densest core that it is in", on_device=False),
        Measure("triangle_count", "triangles that it is in", on_device=False),
        Measure("in_degree", "edges into it", on_device=False),
        Measure("out_degree", "edges out of it", on_device=False),
        Measure("in_strength", "sum of the weights into it", View.WEIGHT, on_device=False),
        Measure("out_strength", "sum of the weights out of it", View.WEIGHT, on_device=False),
        Measure("degree_centrality", "degree / (nodes - 1)", on_device=False),
        Measure("in_degree_centrality", "in-degree / (nodes - 1)", on_device=False),
        Measure("out_degree_centrality", "out-degree / (nodes - 1)", on_device=False),
    )
}


def measure_named(name: str) -> Measure:
    """Return the measure of this name.

    Raises
    ------
    SelectionError
        If there is none: it says which there are, and which was likely meant.
    """
    if name in MEASURES:
        return MEASURES[name]
    near = get_close_matches(name, MEASURES, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise SelectionError(
        f"There is no measure '{name}'.{hint} Choose one of {', '.join(MEASURES)}."
    )


@dataclass(frozen=True)
class Ranking:
    """The nodes of the largest values.

    Attributes
    ----------
    name : str
        Of the value.
    nodes : list of RankedNode
        The largest first; among equals by id.
    n_equal : int
        Nodes that have the last one's value too, and stand below it for their id alone.
    """

    name: str
    nodes: list[RankedNode]
    n_equal: int

    @property
    def header(self) -> tuple[str, ...]:
        """Names of the columns of `cells`."""
        return ("rank", "population", "index", self.name, "node")

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """The nodes as rows of text."""
        return [
            (
                str(i),
                node.population,
                ", ".join(map(str, node.index)),
                f"{node.value:,}" if isinstance(node.value, int) else f"{node.value:.6g}",
                str(node.node),
            )
            for i, node in enumerate(self.nodes, 1)
        ]

    @property
    def notes(self) -> list[str]:
        """What stands under the table."""
        if not self.n_equal:
            return []
        nodes = "node has" if self.n_equal == 1 else "nodes have"
        return [f"{self.n_equal:,} more {nodes} the last value too."]

    def to_dict(self) -> dict[str, Any]:
        """Return numbers, text, lists and dicts, as JSON has them."""
        return {
            "value": self.name,
            "nodes": [
                {
                    "rank": i,
                    "node": node.node,
                    "population": node.population,
                    "index": list(node.index),
                    # JSON knows neither infinity nor NaN.
                    "value": node.value if isfinite(node.value) else None,
                }
                for i, node in enumerate(self.nodes, 1)
            ],
            "n_equal_to_last": self.n_equal,
        }


def rank(values: NodeValues, k: int, populations: Sequence[str] = ()) -> Ranking:
    """Return the k nodes of the largest values, in the whole graph or in some populations.

    Raises
    ------
    SelectionError
        If a population does not exist.
    """
    import numpy as np

    from gpugraph.node_values import NodeValues

    graph, part = values.graph, values
    if populations:
        subgraph = graph.subgraph(populations)
        flat = np.asarray(values)
        array = np.concatenate([flat[graph.populations[n].slice] for n in subgraph.populations])
        part = NodeValues(subgraph, array, values.name)
    found = part.top(k)
    nodes = [replace(node, node=graph.node_id(node.population, node.index)) for node in found]
    n_equal = 0
    if nodes:
        last = nodes[-1].value
        n_equal = int((np.asarray(part) == last).sum()) - sum(n.value == last for n in nodes)
    return Ranking(values.name, nodes, n_equal)
