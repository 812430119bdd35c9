"""Which axes of a model's tensors are positions, and which one is the channel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gpugraph.layers.layout import Layout
from gpugraph.model.layer_call import LayerCall, TensorRef

# Their outputs' axes are not those of their inputs.
REORDER = {"Permute", "Reshape", "ops.Transpose", "Transpose", "Moveaxis", "Swapaxes"}


def layouts(calls: Sequence[LayerCall]) -> dict[TensorRef, Layout]:
    """Find the data format of every tensor that has positions.

    Layers with a ``data_format`` tell; what others pass on is laid out as what they are given.
    Where nothing tells, Flatten's data format does, and else the channels are last.
    """
    shapes = {TensorRef(c.name, i): shape for c in calls for i, shape in enumerate(c.output_shapes)}
    found: dict[TensorRef, Layout] = {}

    def note(refs: Iterable[TensorRef], layout: Layout) -> None:
        for ref in refs:
            if len(shapes[ref]) > 1:
                found.setdefault(ref, layout)

    def outputs(call: LayerCall) -> list[TensorRef]:
        return [TensorRef(call.name, i) for i in range(len(call.output_shapes))]

    def pass_on(call: LayerCall, given: Iterable[TensorRef], to: Iterable[TensorRef]) -> None:
        if call.layer_class in REORDER or call.layer_class == "Flatten":
            return
        known = {len(shapes[ref]): found[ref] for ref in given if ref in found}
        for ref in to:
            if len(shapes[ref]) in known:
                note([ref], known[len(shapes[ref])])

    for call in calls:
        if hasattr(call.layer, "data_format") and call.layer_class != "Flatten":
            note([*call.inputs, *outputs(call)], Layout.of(call.layer))
    for _ in range(2):  # what is only known behind a branch reaches its other arm the second time
        for call in calls:
            pass_on(call, call.inputs, outputs(call))
        for call in reversed(calls):
            pass_on(call, outputs(call), call.inputs)
        for call in calls:
            if call.layer_class == "Flatten":
                note(call.inputs, Layout.of(call.layer))
    note(shapes, Layout(channels_first=False))
    return found


def positions(
    calls: Sequence[LayerCall], inputs: Iterable[str], known: dict[TensorRef, Layout]
) -> dict[str, tuple[int, ...]]:
    """Return, per input, its axes (without the batch's) along which its size may change.

    All but the channels; the only one of a list of tokens, which is read by Embedding alone;
    none of any other vector.
    """
    found = {}
    for call in calls:
        if call.name not in inputs:
            continue
        rank = len(call.output_shapes[0])
        ref = TensorRef(call.name, 0)
        if rank > 1:
            first = 1 if known[ref].channels_first else 0
            found[call.name] = tuple(range(first, first + rank - 1))
        else:
            readers = {c.layer_class for c in calls if ref in c.inputs}
            found[call.name] = (0,) if "Embedding" in readers and rank == 1 else ()
    return found
