"""STFTSpectrogram and MelSpectrogram: windows of a signal seen as frequencies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpugraph.axes import fan_in, fan_out, one_to_one, pairs, window
from gpugraph.conversion import Conversion
from gpugraph.layers.layout import Layout, padding_before
from gpugraph.layers.weights import array
from gpugraph.population import LINEAR, Activation, Tensor, strides
from gpugraph.registry import converts


@converts("STFTSpectrogram")
def stft_spectrogram(call: Conversion) -> Tensor:
    """A Fourier transform (`weight`), its squares (``name/squares``: products) and their sums."""
    mode = call.layer.mode
    if mode == "angle":
        raise call.unsupported('an angle (mode="angle") turns round with the sign of a rounding')
    if mode in ("real", "imag", "stft"):
        target = call.population()
        _project_spectrum(call, target, *_strides(call))
        return target
    steps, channels, frequencies = _sizes(call)
    # Real parts first, then imaginary ones.
    shape = (steps, channels, 2 * frequencies)
    spectrum = call.population("spectrum", shape)
    _project_spectrum(call, spectrum, *strides(shape))
    squares = call.population("squares", shape, reduce="product", sources=[spectrum])
    call.project_elementwise(spectrum, squares)
    call.project_elementwise(spectrum, squares)
    target = call.population(activation=ACTIVATIONS[mode], sources=[squares])
    _project_power(call, squares, target)
    return target


@converts("MelSpectrogram")
def mel_spectrogram(call: Conversion) -> Tensor:
    """ops.STFT (``name/spectrum``), ``name/magnitudes`` of it (`dynamic`), in bands (`weight`)."""
    layer, source = call.layer, call.source
    if layer.power_to_db:
        raise call.unsupported(
            "its decibels depend on the loudest sample of the whole batch (power_to_db=True)"
        )
    spectrum, (steps, frequencies) = _transform(call)
    bands = array(
        layer.linear_to_mel_weight_matrix(
            num_mel_bins=layer.num_mel_bins,
            num_spectrogram_bins=frequencies,
            sampling_rate=layer.sampling_rate,
            lower_edge_hertz=layer.min_freq,
            upper_edge_hertz=layer.max_freq,
        )
    )
    if call.output_shape != (layer.num_mel_bins, steps):
        raise call.unsupported(
            f"Keras notes the shape {call.output_shape} for {layer.num_mel_bins} bands in {steps} "
            "steps"
        )
    parts = call.convert(spectrum, "spectrum", [source], [(steps, frequencies)] * 2)
    magnitudes = call.population(
        "magnitudes", (steps, frequencies), dynamics=Magnitudes(layer.mag_exp), sources=parts
    )
    for part in parts:
        call.project_elementwise(part, magnitudes, kind="dynamic")
    target = call.population(sources=[magnitudes])
    src, dst = np.nonzero(bands)
    share = bands[src, dst]
    axis = pairs(src, dst, np.zeros_like(src), frequencies, layer.num_mel_bins, 1, share)
    axes = [one_to_one(steps).place(frequencies, 1), axis.place(src=1, dst=steps)]
    call.project(magnitudes, target, axes)
    return target


def _transform(call: Conversion) -> tuple[Any, tuple[int, int]]:
    """Return the operation that transforms the windows of a signal, and what shape it gives."""
    import keras

    layer = call.layer
    if len(call.source.shape) != 1:
        raise call.unsupported(f"Keras notes a wrong shape for an input {call.source.shape}")
    real, _ = keras.ops.stft(
        keras.KerasTensor((1, *call.source.shape), dtype=call.dtype.name),
        sequence_length=layer.sequence_length,
        sequence_stride=layer.sequence_stride,
        fft_length=layer.fft_length,
        window=layer.window,
    )
    return real._keras_history.operation, real.shape[1:]


@dataclass(frozen=True)
class Magnitudes:
    """Sizes of complex numbers, raised to a power.

    Attributes
    ----------
    power : float
    """

    power: float

    def __call__(self, real: np.ndarray, imaginary: np.ndarray) -> np.ndarray:
        """Return the sizes, from both parts."""
        return np.hypot(real, imaginary) ** self.power


def _magnitude(power: np.ndarray) -> np.ndarray:
    import keras

    return np.sqrt(np.maximum(power, keras.config.epsilon()))


def _log_magnitude(power: np.ndarray) -> np.ndarray:
    import keras

    return np.log(np.maximum(_magnitude(power), keras.config.epsilon()))


ACTIVATIONS = {
    "magnitude": Activation("magnitude", _magnitude),
    "log": Activation("log_magnitude", _log_magnitude),
    "psd": LINEAR,
}


def _sizes(call: Conversion) -> tuple[int, int, int]:
    """Frames, channels, and numbers per frame and channel that the layer gives."""
    layout, shape = Layout.of(call.layer), call.output_shape
    channels = layout.channels(call.source.shape)
    # Frames come first, or last, or between channels and frequencies.
    at = 0 if not layout.channels_first else 1 if call.layer.expand_dims else -1
    return shape[at], channels, int(np.prod(shape)) // shape[at] // channels


def _strides(call: Conversion) -> tuple[int, int, int]:
    """Elements from one frame, channel and frequency to the next in what the layer gives."""
    steps, channels, numbers = _sizes(call)
    if Layout.of(call.layer).channels_first:
        channel, step, frequency = strides((channels, steps, numbers))
        if not call.layer.expand_dims:
            channel, frequency, step = strides((channels, numbers, steps))
    elif call.layer.expand_dims:
        step, frequency, channel = strides((steps, numbers, channels))
    else:
        step, channel, frequency = strides((steps, channels, numbers))
    return step, channel, frequency


def _project_spectrum(
    call: Conversion, target: Tensor, step: int, channel: int, frequency: int
) -> None:
    """Project every frame of a channel to its frequencies."""
    layer, layout, source = call.layer, Layout.of(call.layer), call.source
    parts = {"real": ["real"], "imag": ["imag"]}.get(layer.mode, ["real", "imag"])
    kernel = np.concatenate([array(getattr(layer, f"{part}_kernel")) for part in parts], axis=-1)
    (n_src,) = layout.spatial(source.shape)
    (src,) = layout.spatial(source.strides)
    length, stride, numbers = layer.frame_length, layer._frame_step, kernel.shape[-1]
    n_dst, channels, _ = _sizes(call)
    before = padding_before(layer.padding, n_src, n_dst, length, stride)
    axes = [
        window(n_src, n_dst, length, stride, before=before).place(src, step, numbers),
        one_to_one(channels).place(layout.channel_stride(source.shape), channel),
        fan_out(numbers).place(dst=frequency, tap=1),
    ]
    call.project(source, target, axes, kernel)


def _project_power(call: Conversion, squares: Tensor, target: Tensor) -> None:
    """Add the squares of both parts; a density counts all but the ends twice."""
    steps, channels, frequencies = _sizes(call)
    (step, channel, frequency), into = squares.strides, _strides(call)
    twice = call.layer.mode == "psd"
    weights = np.array([1] + [2] * (frequencies - 2) + [1]) if twice else None
    axes = [
        one_to_one(steps).place(step, into[0]),
        one_to_one(channels).place(channel, into[1]),
        one_to_one(frequencies).place(frequency, into[2], 1),
        fan_in(2).place(src=frequencies),
    ]
    call.project(squares, target, axes, weights, kind="scale" if twice else "copy")
