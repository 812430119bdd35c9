"""Fourier transforms of keras.ops: complex numbers are pairs of tensors, real and imaginary parts.

A transform is linear, and its kernel one small matrix of cosines and sines, along one axis after
the other. All of that matrix are edges, those of weight 0 (the sine of a half turn) too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from gpugraph.axes import Axis, fan_in, fan_out, one_to_one, pairs
from gpugraph.conversion import Conversion
from gpugraph.layers.weights import array
from gpugraph.population import Tensor
from gpugraph.registry import converts

# Decimals of a kernel: what lies below is the rounding of a cosine or sine that is 0.
DECIMALS = 15

Transform = Callable[[np.ndarray], np.ndarray]


@converts("ops.FFT")
def fft(call: Conversion) -> list[Tensor]:
    """Both parts of all values along the axis to both parts of each (`weight`: cosines, sines)."""
    return _transformed(call, call.sources, -1, np.fft.fft, (None, "1"))


@converts("ops.FFT2", "ops.IFFT2")
def fft2(call: Conversion) -> list[Tensor]:
    """As ops.FFT along rows (``name/rows``, ``name/rows/1``), then along columns."""
    transform = np.fft.ifft if call.call.layer_class == "IFFT2" else np.fft.fft
    rows = _transformed(call, call.sources, -1, transform, ("rows", "rows/1"))
    return _transformed(call, rows, -2, transform, (None, "1"))


@converts("ops.RFFT")
def rfft(call: Conversion) -> list[Tensor]:
    """All values along the axis to both parts of each frequency (`weight`: cosines, sines)."""
    call.dimensions(-1, len(call.source.shape))
    n = call.source.shape[-1]
    length = call.layer.fft_length or n
    waves = np.fft.rfft(np.eye(min(n, length)), length)
    return _spectrum(call, fan_in(len(waves)).place(src=1, tap=waves.shape[1]), waves)


@converts("ops.IRFFT")
def irfft(call: Conversion) -> Tensor:
    """Both parts of all frequencies to each value along the axis (`weight`: cosines, sines)."""
    call.dimensions(-1, len(call.sources[0].shape))
    length = call.output_shape[-1]
    return _signal(call, length, fan_out(length).place(dst=1, tap=1))


@converts("ops.STFT")
def stft(call: Conversion) -> list[Tensor]:
    """As ops.RFFT, of each window along the axis; a border that is reflected is read twice."""
    layer, source = call.layer, call.source
    call.dimensions(-1, len(source.shape))
    n, length, (steps, frequencies) = (
        source.shape[-1],
        layer.fft_length,
        call.call.output_shapes[0][-2:],
    )
    window = _window(call)
    origin = np.pad(np.arange(n), length // 2 if layer.center else 0, mode="reflect")
    step, tap = np.indices((steps, length))[:, :, window != 0].reshape(2, -1)
    axis = pairs(origin[step * layer.sequence_stride + tap], step, tap, n, steps, length)
    waves = window[:, None] * np.fft.rfft(np.eye(length))
    return _spectrum(call, axis.place(1, frequencies, frequencies), waves)


@converts("ops.ISTFT")
def istft(call: Conversion) -> Tensor:
    """As ops.IRFFT, to each value of a window; windows add up, with their shares as weights."""
    layer, source = call.layer, call.sources[0]
    call.dimensions((-2, -1), len(source.shape))
    steps, frequencies = source.shape[-2:]
    length, n = layer.fft_length, call.output_shape[-1]
    start = length // 2 if layer.center else 0
    step, tap = np.indices((steps, length)).reshape(2, -1)
    at = step * layer.sequence_stride + tap - start
    inside = (at >= 0) & (at < n)
    step, tap, at = step[inside], tap[inside], at[inside]
    share = _shares(call)[step, at]
    weighs = share != 0
    step, tap, at, share = step[weighs], tap[weighs], at[weighs], share[weighs]
    axis = pairs(step, at, tap, steps, n, length, share)
    return _signal(call, length, axis.place(frequencies, 1, 1))


def _transformed(
    call: Conversion,
    sources: Sequence[Tensor],
    axis: int,
    transform: Transform,
    parts: Sequence[str | None],
) -> list[Tensor]:
    """Add both parts of a transform along an axis of a complex tensor."""
    shape = sources[0].shape
    (dimension,) = call.dimensions(axis, len(shape))
    n, behind = shape[dimension], prod(shape[dimension + 1 :])
    axes = [
        one_to_one(prod(shape[:dimension])).place(n * behind, n * behind),
        one_to_one(behind).place(1, 1),
        fan_in(n).place(src=behind, tap=n),
        fan_out(n).place(dst=behind, tap=1),
    ]
    real, imaginary = _parts(transform(np.eye(n)))
    targets = [call.population(part, shape, sources=sources) for part in parts]
    # (a + bi) (c + di) = (ac - bd) + (ad + bc) i
    kernels = [(real, imaginary), (-imaginary, real)]
    for source, of_source in zip(sources, kernels, strict=True):
        for target, kernel in zip(targets, of_source, strict=True):
            call.project(source, target, axes, kernel)
    return targets


def _spectrum(call: Conversion, axis: Axis, waves: np.ndarray) -> list[Tensor]:
    """Add both parts of frequencies, each of which reads the last axis by a complex wave."""
    frequencies = fan_out(waves.shape[1]).place(dst=1, tap=1)
    targets = [
        call.population(part, shape)
        for part, shape in zip((None, "1"), call.call.output_shapes, strict=True)
    ]
    for target, kernel in zip(targets, _parts(waves), strict=True):
        leading = _leading(call.source, target, len(call.source.shape) - 1)
        call.project(call.source, target, [leading, axis, frequencies], kernel)
    return targets


def _signal(call: Conversion, length: int, axis: Axis) -> Tensor:
    """Add real values that both parts of frequencies make up, each by a wave of this length."""
    target = call.population()
    n = min(call.sources[0].shape[-1], length // 2 + 1)
    frequencies = fan_in(n).place(src=1, tap=length)
    for source, unit in zip(call.sources, (1, 1j), strict=True):
        kernel, _ = _parts(np.fft.irfft(unit * np.eye(n), length))
        leading = _leading(source, target, len(target.shape) - 1)
        call.project(source, target, [leading, axis, frequencies], kernel)
    return target


def _leading(source: Tensor, target: Tensor, n_dimensions: int) -> Axis:
    """Return the axis of the first dimensions, which source and target share."""
    n = prod(target.shape[:n_dimensions])
    return one_to_one(n).place(prod(source.shape) // n, prod(target.shape) // n)


def _parts(waves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return real and imaginary parts."""
    return np.round(waves.real, DECIMALS), np.round(waves.imag, DECIMALS)


def _window(call: Conversion) -> np.ndarray:
    """Ask Keras what ops.STFT multiplies each value of a window by: what a unit vector sums to."""
    layer, length = call.layer, call.layer.fft_length
    bare = type(layer)(layer.sequence_length, 1, length, layer.window, center=False)
    real, _ = bare(np.eye(length, dtype=call.dtype))
    return array(real)[:, 0, 0]


def _shares(call: Conversion) -> np.ndarray:
    """Ask Keras what ops.ISTFT multiplies each value of a window by; shape ``(step, value)``.

    A constant makes every value of its window the same. Windows that do not meet are asked about
    together.
    """
    steps, frequencies = call.sources[0].shape[-2:]
    length = call.layer.fft_length
    apart = -(-length // call.layer.sequence_stride)
    constant = np.zeros((apart, steps, frequencies), call.dtype)
    step = np.arange(steps)
    constant[step % apart, step, 0] = length
    found = array(call.layer((constant, np.zeros_like(constant))))
    if found.shape[1:] != call.output_shape[-1:]:
        raise call.unsupported(f"Keras notes {call.output_shape[-1]} values for {found.shape[1]}")
    return found[step % apart]
