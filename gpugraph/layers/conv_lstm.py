"""Convolutional LSTMs: windows where an LSTM has dense sums."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpugraph.axes import fan_in, fan_out, window
from gpugraph.conversion import Conversion
from gpugraph.layers.cell import Reading, bias, of_cell
from gpugraph.layers.layout import Layout, padding_before
from gpugraph.layers.lstm import LSTMCell
from gpugraph.layers.recurrent import unrolled
from gpugraph.population import Tensor, strides
from gpugraph.registry import converts


@converts("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", masks=True)
def conv_lstm(call: Conversion) -> tuple[Tensor, ...]:
    """As LSTM, with each window of the step's input and of the hidden state before (`weight`)."""
    return unrolled(call, ConvLSTMCell(of_cell(call, call.layer.cell)))


class ConvLSTMCell(LSTMCell):
    """An LSTM's cell at every position, whose sums are convolutions."""

    def __init__(self, call: Conversion) -> None:
        self.layout = Layout.of(call.layer)
        self.channels_first = self.layout.channels_first
        self.rank = call.layer.rank + 1
        self.gate_axis = 0 if self.channels_first else call.layer.rank
        super().__init__(call)
        # The kernel's columns hold the gates one after the other, as in an LSTM.
        ones = [1] * call.layer.rank
        self.bias = bias(call, 4, -1, *(ones if self.channels_first else []))

    def state_shape(self, x: Reading) -> tuple[int, ...]:
        """Shape of the states: as a convolution of the input gives it."""
        shape = self.call.layer.compute_output_shape((None, *x.shape))[0]
        return tuple(shape[1:])

    def project_input(self, x: Reading, gates: Tensor) -> None:
        """Add the edges from the windows of what is read to the gates."""
        layer = self.call.layer
        options = (layer.padding, layer.strides, layer.dilation_rate)
        self._project(x, gates, self.kernel, *options)

    def project_hidden(self, before: Tensor, gates: Tensor) -> None:
        """Add the edges from the windows of the hidden state before to the gates."""
        ones = (1,) * self.call.layer.rank
        self._project(Reading(before), gates, self.recurrent, "same", ones, ones)

    def _project(
        self,
        x: Reading,
        gates: Tensor,
        weights: np.ndarray,
        padding: str,
        steps: Sequence[int],
        dilations: Sequence[int],
    ) -> None:
        """Project every window to the four gates of every filter."""
        call, layout = self.call, self.layout
        *sizes, channels, columns = weights.shape
        if layout.channels(x.shape) != channels:
            raise call.misfit(f"{channels} channels")
        at = self.gate_axis
        state_shape = (*gates.shape[:at], *gates.shape[at + 1 :])
        into = (*gates.strides[:at], *gates.strides[at + 1 :])
        axes = x.axes
        for n_src, n_dst, size, stride, dilation, src, dst, tap in zip(
            layout.spatial(x.shape),
            layout.spatial(state_shape),
            sizes,
            steps,
            dilations,
            layout.spatial(strides(x.shape)),
            layout.spatial(into),
            strides(weights.shape)[:-2],
            strict=True,
        ):
            before = padding_before(padding, n_src, n_dst, size, stride, dilation)
            axes.append(window(n_src, n_dst, size, stride, dilation, before).place(src, dst, tap))
        axes.append(fan_in(channels).place(src=layout.channel_stride(x.shape), tap=columns))
        # In either layout, a gate's filters follow one another, and the gates too.
        axes.append(fan_out(columns).place(dst=layout.channels(into), tap=1))
        call.project(x.tensor, gates, axes, weights)
