"""Recurrent layers, unrolled over time so that the graph stays acyclic.

Every step has populations of its own, named after the input's time step (``name/t3/gates``), and
all steps share the layer's kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from gpugraph.axes import one_to_one, pairs
from gpugraph.conversion import Conversion
from gpugraph.layers.cell import Cell, Reading, States
from gpugraph.layers.cells import make_cell
from gpugraph.layers.masked_steps import Change, MaskedSteps
from gpugraph.model.layer_call import substitute
from gpugraph.population import Tensor
from gpugraph.registry import converts

NOT_TENSORS = "the states that it starts from are constants, not tensors of the model"


@converts("SimpleRNN", masks=True)
def simple_rnn(call: Conversion) -> tuple[Tensor, ...]:
    """Units per time step: all of the step's inputs and all units of the one before (`weight`)."""
    return unrolled(call, make_cell(call, call.layer.cell))


@converts("LSTM", masks=True)
def lstm(call: Conversion) -> tuple[Tensor, ...]:
    """Four gates per unit and time step (`weight`), cell and hidden states (`dynamic`)."""
    return unrolled(call, make_cell(call, call.layer.cell))


@converts("GRU", masks=True)
def gru(call: Conversion) -> tuple[Tensor, ...]:
    """Gates and candidates per time step (`weight`), what is reset and updated (`dynamic`)."""
    return unrolled(call, make_cell(call, call.layer.cell))


@converts("RNN", masks=True)
def rnn(call: Conversion) -> tuple[Tensor, ...]:
    """As the layer of its cell; stacked cells one upon the other in every time step."""
    return unrolled(call, make_cell(call, call.layer.cell))


@converts("SimpleRNNCell", "LSTMCell", "GRUCell", "StackedRNNCells")
def single_step(call: Conversion) -> tuple[Tensor, ...]:
    """One time step of the layer of this cell (``name/step/gates`` ...), called on its states."""
    cell = make_cell(call, call.layer)
    x, *states = call.sources
    if len(states) != cell.n_states:
        raise call.unsupported(NOT_TENSORS)
    output, after = cell.step("step", None, Reading(x), states)
    return (output, *after)


def unrolled(call: Conversion, cell: Cell) -> tuple[Tensor, ...]:
    """Convert a recurrent layer step by step; return its output, and its states if asked for."""
    layer = call.layer
    if layer.stateful:
        raise call.unsupported("it is stateful: its states carry over from batch to batch")
    sequence, initial = arguments(call)
    states: States = initial or [None] * cell.n_states
    n_steps = sequence.shape[0]
    if not n_steps:
        raise call.unsupported("its input has no time steps")
    masked = MaskedSteps(call, n_steps) if call.masks else None
    outputs: list[Tensor] = []
    for t in reversed(range(n_steps)) if layer.go_backwards else range(n_steps):
        is_last = len(outputs) == n_steps - 1
        is_result = is_last and not layer.return_sequences
        if masked is None:
            name = None if is_result else f"t{t}/hidden"
            output, states = cell.step(f"t{t}", name, Reading(sequence, t), states)
        else:
            new, after = cell.step(f"t{t}", f"t{t}/hidden", Reading(sequence, t), states)
            change = Change(new, outputs[-1] if outputs else None)
            are_read = layer.return_state or not is_last
            changes = list(map(Change, after, states))
            output, states = masked.step(t, is_result, change, changes, are_read)
        outputs.append(output)
    result = _sequence(call, outputs) if layer.return_sequences else outputs[-1]
    return (result, *(s for s in states if s is not None)) if layer.return_state else (result,)


def arguments(call: Conversion) -> tuple[Tensor, Sequence[Tensor]]:
    """Return the sequence that a recurrent layer is called on, and its initial states, if any.

    Raises
    ------
    UnsupportedLayerError
        If it is called on initial states that are no tensors of the model.
    """
    import keras

    if not call.call.inputs:  # wrapped by another layer, which gives them in this order
        return call.sources[0], call.sources[1:]
    given = dict(zip(("sequences", "initial_state"), call.call.args, strict=False))
    given = substitute(given | dict(call.call.kwargs), call.tensors)
    initial = given.get("initial_state")
    states = [] if initial is None else keras.tree.flatten(initial)
    if not all(isinstance(state, Tensor) for state in states):
        raise call.unsupported(NOT_TENSORS)
    return given["sequences"], states


def _sequence(call: Conversion, outputs: Sequence[Tensor]) -> Tensor:
    """Add the output of every step, in the order in which they were made (`copy`)."""
    n, size = len(outputs), prod(outputs[0].shape)
    target = call.population(shape=(n, *outputs[0].shape), channels_first=False, sources=outputs)
    for i, output in enumerate(outputs):
        step = pairs([0], [i], [0], 1, n, 1).place(dst=size)
        call.project(output, target, [step, one_to_one(size).place(1, 1)], kind="copy")
    return target
