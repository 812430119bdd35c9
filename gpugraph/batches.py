"""Where samples stand in the tensors of a traced layer: not always in the first axis alone.

Layers fold positions into the batch axis, ``ops.reshape(x, (-1, d))``, and move it, as vision
transformers do that make queries, keys and values at once: ``ops.transpose(x, (2, 0, 3, 1, 4))``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from gpugraph.layer_call import Batch, LayerCall, Shape, TensorRef, substitute

# Operations that may do so to tensors whose first axis is the batch's.
MOVING_BATCHES = ("Reshape", "Transpose", "Moveaxis", "Swapaxes")


def batches_of_outputs(
    call: LayerCall,
    given: Sequence[Batch],
    inputs: Mapping[TensorRef, Any],
    outputs: Sequence[Any],
) -> tuple[Batch, ...]:
    """Return where samples stand in what a traced call gives; empty where that cannot be told.

    Parameters
    ----------
    call : LayerCall
    given : sequence of Batch
        Of its inputs.
    inputs : mapping of TensorRef to KerasTensor
    outputs : sequence of KerasTensor
        What it gives for one sample.
    """
    import keras

    shapes = [tuple(spec.shape) for spec in outputs]
    if isinstance(call.layer, keras.Layer):
        return _in_front(given, shapes)
    if call.layer_class == "Reshape":
        return _reshaped(given[0], shapes[0])
    return _in_front(given, shapes) or _asked(call, given, inputs, shapes)


def _in_front(given: Sequence[Batch], shapes: Sequence[Shape]) -> tuple[Batch, ...]:
    """Say that samples stand in the first axis, where as many positions are folded with them."""
    n = given[0].n
    if {batch[:2] for batch in given} == {(0, n)} and all(shape[0] == n for shape in shapes):
        return tuple(Batch(0, n, shape) for shape in shapes)
    return ()


def _reshaped(given: Batch, shape: Shape) -> tuple[Batch, ...]:
    """Say in which axis samples are after a reshape: behind as many elements as before."""
    if given.axis == 0:
        return (Batch(0, shape[0], shape),)
    before = prod(given.shape[: given.axis])
    found = [i for i in range(len(shape)) if prod(shape[:i]) == before]
    return (Batch(found[0], shape[found[0]], shape),) if len(found) == 1 else ()


def _asked(
    call: LayerCall,
    given: Sequence[Batch],
    inputs: Mapping[TensorRef, Any],
    shapes: Sequence[Shape],
) -> tuple[Batch, ...]:
    """Ask an operation what it would give for two samples: which axes are then twice as long."""
    import keras

    def for_two(ref: TensorRef, batch: Batch) -> Any:
        shape = [m * (2 if i == batch.axis else 1) for i, m in enumerate(batch.shape)]
        return keras.KerasTensor(shape, dtype=inputs[ref].dtype)

    twice = {ref: for_two(ref, batch) for ref, batch in zip(call.inputs, given, strict=True)}
    args, kwargs = substitute((call.args, dict(call.kwargs)), twice)
    try:
        specs = keras.tree.flatten(call.layer.compute_output_spec(*args, **kwargs))
    except Exception:  # it was told sizes that fit one sample
        return ()
    found = []
    for one, two in zip(shapes, specs, strict=True):
        grown = [i for i, (n, m) in enumerate(zip(one, two.shape, strict=True)) if m == 2 * n]
        if len(grown) != 1:
            return ()
        found.append(Batch(grown[0], one[grown[0]], one))
    return tuple(found)
