"""TimeDistributed: a layer, or a model, at every time step on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gpugraph.conversion import Conversion, check_outputs, convert_calls
from gpugraph.layers.opened import is_opened, opened
from gpugraph.layers.steps import step_by_step
from gpugraph.model.expansion import is_plain
from gpugraph.model.layer_call import TensorRef
from gpugraph.model.topology import topology
from gpugraph.population import Tensor
from gpugraph.registry import converts


@converts("TimeDistributed")
def time_distributed(call: Conversion) -> tuple[Tensor, ...]:
    """As the layer that it wraps, with a dimension for time in front: steps do not meet."""
    source = call.sources[0]  # a mask may follow, where what is wrapped takes none
    return step_by_step(
        [source],
        call.draft,
        lambda steps, draft: _one_step(replace(call, sources=tuple(steps), draft=draft)),
    )


def _one_step(call: Conversion) -> Sequence[Tensor]:
    """Convert what is wrapped, for one time step."""
    layer = call.layer.layer
    if is_opened(call, layer):
        return opened(call, layer, None, *call.sources)
    if not is_plain(layer):
        return call.convert(layer, None, call.sources, [s[1:] for s in call.call.output_shapes])
    shapes = [tensor.shape for tensor in call.sources]
    calls = topology(layer, shapes, trace=call.draft.trace)
    tensors = dict(zip((TensorRef(n, 0) for n in calls.inputs), call.sources, strict=True))
    inner = [x for x in calls if x.name not in calls.inputs]
    convert_calls(inner, tensors, call.draft, prefix=f"{call.call.name}/")
    check_outputs(inner, calls.outputs)
    return [tensors[ref] for ref in calls.outputs]
