import keras
import numpy as np
import pytest
from keras import ops

import gpugraph as gg
from tests.layers.dependence import jacobians
from tests.operations import assert_refused

PAIR = ((3, 4), (3, 4))

ROWS = {
    "ops.FFT": (ops.fft, *PAIR),
    "ops.FFT2": (ops.fft2, *PAIR),
    "ops.IFFT2": (ops.ifft2, *PAIR),
    "ops.IRFFT": (ops.irfft, *PAIR),
    "ops.ISTFT": (lambda xs: ops.istft(xs, 8, 4, 8), (5, 5), (5, 5)),
    "ops.RFFT": (ops.rfft, (3, 4)),
    "ops.STFT": (lambda x: ops.stft(x, 8, 4, 8), (2, 20)),
}


def assert_transforms(function, *shapes):
    """Compare the Jacobian of all outputs with the graph's; return the graph."""
    inputs = [keras.Input(shape) for shape in shapes]
    model = keras.Model(inputs, function(inputs[0] if len(inputs) == 1 else inputs))
    graph = gg.from_keras(model)
    expected, got = jacobians(model, graph)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    assert {p.kind for p in graph.projections} == {"weight"}
    assert graph.verify().passed
    return graph


@pytest.mark.parametrize("shape", [(1,), (5,), (8,), (2, 3, 6)])
@pytest.mark.parametrize("function", [ops.fft, ops.irfft])
def test_pairs_along_the_last_axis(function, shape):
    shape = (*shape[:-1], shape[-1] + 1) if function is ops.irfft else shape
    assert_transforms(function, shape, shape)


@pytest.mark.parametrize("shape", [(1, 4), (3, 5), (2, 4, 3)])
@pytest.mark.parametrize("function", [ops.fft2, ops.ifft2])
def test_pairs_along_two_axes_one_after_the_other(function, shape):
    graph = assert_transforms(function, shape, shape)
    rows, columns = shape[-2:]
    # From two parts to two parts, every value to all of its row, then to all of its column.
    assert graph.n_edges == 4 * np.prod(shape) * (rows + columns)
    assert all(p.kernel.size in (rows**2, columns**2) for p in graph.projections)


@pytest.mark.parametrize("fft_length", [None, 1, 4, 5, 9])
def test_frequencies_of_real_values(fft_length):
    graph = assert_transforms(lambda x: ops.rfft(x, fft_length), (2, 6))
    length = fft_length or 6
    assert graph.n_edges == 2 * 2 * min(length, 6) * (length // 2 + 1)


@pytest.mark.parametrize("fft_length", [None, 2, 5, 12])
def test_real_values_of_frequencies(fft_length):
    graph = assert_transforms(lambda xs: ops.irfft(xs, fft_length), (2, 4), (2, 4))
    length = fft_length or 6
    assert graph.n_edges == 2 * 2 * min(length // 2 + 1, 4) * length


OPTIONS = [
    {},
    {"center": False},
    {"window": "hamming"},
    {"window": None},
    {"window": np.array([0.0, 1.0, 2.0, 0.0, 1.0, 0.5], np.float32)},
    {"center": False, "window": None},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("stride", [2, 5])
@pytest.mark.parametrize("fft_length", [6, 9])
def test_windows(fft_length, stride, options):
    assert_transforms(lambda x: ops.stft(x, 6, stride, fft_length, **options), (2, 23))


@pytest.mark.parametrize("options", [*OPTIONS, {"length": 11}])
@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize("fft_length", [6, 9])
def test_windows_put_together(fft_length, stride, options):
    shape = (2, 6, fft_length // 2 + 1)
    assert_transforms(lambda xs: ops.istft(xs, 6, stride, fft_length, **options), shape, shape)


def test_what_a_window_leaves_out_has_no_edge():
    graph = assert_transforms(lambda x: ops.stft(x, 4, 4, 8, center=False, window=None), (16,))
    whole = graph.n_edges
    window = np.array([0, 1, 1, 0], np.float32)
    graph = assert_transforms(lambda x: ops.stft(x, 4, 4, 8, center=False, window=window), (16,))
    assert graph.n_edges == whole / 8 * 2


def test_a_tensor_may_be_both_parts():
    graph = assert_transforms(lambda x: ops.fft((x, x)), (4,))
    assert graph.n_edges == 4 * 4 * 4


def test_a_signal_comes_back():
    x = keras.Input((24,))
    spectrum = ops.stft(x, 8, 4, 8)
    graph = gg.from_keras(keras.Model(x, ops.istft(spectrum, 8, 4, 8)))
    assert graph.verify().passed
    signal = np.random.default_rng(0).standard_normal((2, 24)).astype(np.float32)
    (*_, last) = graph.populations
    np.testing.assert_allclose(graph.evaluate(signal)[last], signal, atol=1e-5)


@pytest.mark.parametrize("function", [ops.fft, ops.irfft, ops.rfft])
def test_the_axis_of_the_batch_is_refused(function):
    def of_pair(x):
        return function(x if function is ops.rfft else (x, x))

    assert_refused(of_pair, (), why="the batch's", batch_size=3)


def test_two_axes_one_of_which_is_the_batchs_are_refused():
    assert_refused(lambda x: ops.fft2((x, x)), (4,), why="the batch's", batch_size=3)


def test_a_length_that_keras_notes_wrongly_is_refused():
    def function(x):
        return ops.istft((x, x), 6, 2, 6, length=90)

    assert_refused(function, (5, 4), why="Keras notes 90 values for")
