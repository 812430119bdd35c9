"""The same graph with the weights of another checkpoint of its model."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from gpugraph.convert import from_keras
from gpugraph.errors import ModelError, ShapeError
from gpugraph.model.layer_call import TensorRef, shapes_text, substitute
from gpugraph.model.load import load_model
from gpugraph.model.topology import Topology

if TYPE_CHECKING:
    from gpugraph.axes import Axis
    from gpugraph.graph import NeuronGraph
    from gpugraph.population import Population

# What must be the same in both graphs, and how to tell a person of it.
Part = tuple[Hashable, str]


def with_weights(graph: NeuronGraph, model: Any, *, allow_nonfinite: bool = False) -> NeuronGraph:
    """Hold another checkpoint's weights; see `NeuronGraph.with_weights`."""
    from gpugraph.graph import NeuronGraph

    ours = graph.topology
    if ours is None:
        raise ModelError(
            f"'{graph.name}' is not a whole model's graph, so no model has its weights. Call "
            "with_weights() on the graph that from_keras gives, and take the part afterwards."
        )
    other = _converted(graph, ours, model, allow_nonfinite)
    assert other.topology is not None
    difference = (
        _difference("layer call", _calls(ours), _calls(other.topology))
        or _difference("population", _populations(graph), _populations(other))
        or _difference("projection", _projections(graph), _projections(other))
    )
    if difference is not None:
        raise _misfit(graph, other.name, difference)
    populations = _with_values(graph, other)
    return NeuronGraph(
        name=other.name,
        populations=populations,
        projections=[
            replace(
                p,
                source=populations[p.source.name],
                target=populations[p.target.name],
                kernel=q.kernel,
            )
            for p, q in zip(graph.projections, other.projections, strict=True)
        ],
        tensors={
            name: replace(tensor, population=populations[tensor.population.name])
            for name, tensor in graph.tensors.items()
        },
        topology=_renamed(other.topology, ours),
        couplings=graph.couplings,
    )


def _converted(
    graph: NeuronGraph, topology: Topology, model: Any, allow_nonfinite: bool
) -> NeuronGraph:
    """Convert a model at a graph's input shapes, and as the graph was converted."""
    shapes = [topology[name].output_shapes[0] for name in topology.inputs]
    model = load_model(model, shapes)
    try:
        return from_keras(
            model,
            shapes,
            couplings=graph.couplings,
            probe=True,  # no effect where our own model needed none
            trace=topology.traced,
            allow_nonfinite=allow_nonfinite,
        )
    except ShapeError as error:
        raise _misfit(graph, model.name, f"at the inputs' shapes, {error}") from error


def _with_values(graph: NeuronGraph, other: NeuronGraph) -> dict[str, Population]:
    """Return the populations of a graph with what another's compute."""
    populations: dict[str, Population] = {}
    for p, q in zip(graph.populations.values(), other.populations.values(), strict=True):
        dynamics = None
        if p.dynamics is not None and q.dynamics is not None:
            sources = (
                replace(s, population=populations[s.population.name]) for s in p.dynamics.sources
            )
            dynamics = replace(q.dynamics, sources=tuple(sources))
        populations[p.name] = replace(
            p, bias=q.bias, activation=q.activation, attributes=q.attributes, dynamics=dynamics
        )
    return populations


def _misfit(graph: NeuronGraph, name: str, difference: str) -> ModelError:
    return ModelError(
        f"Model '{name}' does not have the structure of '{graph.name}': {difference.rstrip('.')}. "
        "Take a checkpoint of the same architecture, or convert this one with from_keras."
    )


def _difference(what: str, ours: Iterable[Part], theirs: Iterable[Part]) -> str | None:
    """Say where two lists of parts differ first; None where they are the same."""
    missing = (None, "nothing")
    for i, (here, there) in enumerate(zip_longest(ours, theirs, fillvalue=missing)):
        if here[0] != there[0]:
            if here[1] == there[1]:
                return f"{what} {i}, {here[1]}, connects other places there"
            return f"{what} {i} is {here[1]} here and {there[1]} there"
    return None


def _calls(topology: Topology) -> Iterator[Part]:
    """Class, shapes and wiring of every layer call, then the model's outputs; names may differ."""
    numbers = {call.name: i for i, call in enumerate(topology)}

    def places(refs: Iterable[TensorRef]) -> tuple[tuple[int, int], ...]:
        return tuple((numbers[ref.call], ref.output) for ref in refs)

    for call in topology:
        read = ", ".join(f"'{ref.call}'" for ref in call.inputs) or "the input"
        text = f"'{call.name}' ({call.layer_class} of {read}, {shapes_text(call.output_shapes)})"
        yield (call.layer_class, call.output_shapes, places(call.reads)), text
    outputs = ", ".join(f"'{ref.call}'" for ref in topology.outputs)
    yield places(topology.outputs), f"the end, with the outputs {outputs}"


def _populations(graph: NeuronGraph) -> Iterator[Part]:
    for name, p in graph.populations.items():
        same = (p.shape, p.layer, p.reduce, p.channels_first)
        yield same, f"'{name}' ({p.layer} of shape {p.shape}, {p.reduce})"


def _projections(graph: NeuronGraph) -> Iterator[Part]:
    numbers = {name: i for i, name in enumerate(graph.populations)}
    for p in graph.projections:
        n_weights = 0 if p.kernel is None else p.kernel.size
        ends = (numbers[p.source.name], numbers[p.target.name])
        same = (*ends, p.kind, n_weights, tuple(map(_pairs, p.axes)))
        counts = f"({p.n_edges:,} edges of {n_weights:,} weights)"
        yield same, f"'{p.source.name}' -> '{p.target.name}' {counts}"


def _pairs(axis: Axis) -> Hashable:
    """Everything that an axis says."""
    arrays = (axis.src, axis.dst, axis.tap, axis.gain)
    return (
        (axis.kind, axis.n_src, axis.n_dst, axis.n_tap),
        (axis.src_stride, axis.dst_stride, axis.tap_stride),
        tuple(None if a is None else a.tobytes() for a in arrays),
    )


def _renamed(theirs: Topology, ours: Topology) -> Topology:
    """Call a model's layer calls by the names that another's have in the same places."""
    names = {call.name: own.name for call, own in zip(theirs, ours, strict=True)}
    refs = {
        TensorRef(call.name, i): TensorRef(names[call.name], i)
        for call in theirs
        for i in range(len(call.output_shapes))
    }
    calls = tuple(
        replace(
            call,
            name=names[call.name],
            args=substitute(call.args, refs),
            kwargs=substitute(dict(call.kwargs), refs),
            inputs=tuple(refs[ref] for ref in call.inputs),
            masks=substitute(dict(call.masks), refs),
        )
        for call in theirs
    )
    return replace(
        theirs,
        calls=calls,
        inputs=ours.inputs,
        outputs=ours.outputs,
        arguments=ours.arguments,
    )
