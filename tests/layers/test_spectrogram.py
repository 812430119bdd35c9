import pytest
from keras import layers

import gpugraph as gg
from tests.jacobian import assert_forward, assert_linear, single

MEL = {
    "fft_length": 16,
    "sequence_stride": 5,
    "sampling_rate": 100,
    "num_mel_bins": 6,
    "min_freq": 1,
    "power_to_db": False,
}

ROWS = {
    "MelSpectrogram": (layers.MelSpectrogram(**MEL), (40,)),
    "STFTSpectrogram": (layers.STFTSpectrogram(frame_length=8), (20, 2)),
}

OPTIONS = [
    {},
    {"expand_dims": True},
    {"padding": "same", "frame_step": 3},
    {"frame_step": 5, "fft_length": 16, "scaling": "spectrum"},
]


def shape_of(data_format):
    return (2, 21) if data_format == "channels_first" else (21, 2)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("mode", ["real", "imag", "stft"])
def test_transform(mode, options, data_format):
    layer = layers.STFTSpectrogram(mode, frame_length=8, data_format=data_format, **options)
    graph = assert_linear(layer, shape_of(data_format))
    assert [p.kind for p in graph.projections] == ["weight"]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("mode", ["magnitude", "log", "psd"])
def test_power(mode, options, data_format):
    layer = layers.STFTSpectrogram(mode, frame_length=8, data_format=data_format, **options)
    graph = assert_forward(layer, shape_of(data_format))
    assert [p.reduce for p in graph.populations.values()] == ["sum", "sum", "product", "sum"]


def test_an_angle_is_refused():
    model = single(layers.STFTSpectrogram("angle", frame_length=8), (20, 1))
    with pytest.raises(gg.UnsupportedLayerError, match=r'an angle \(mode="angle"\)'):
        gg.from_keras(model)


@pytest.mark.parametrize(
    "options", [{}, {"mag_exp": 1.0}, {"sequence_length": 10}, {"window": "hamming"}]
)
def test_bands(options):
    layer = layers.MelSpectrogram(**MEL, **options, name="mel")
    graph = assert_forward(layer, (40,))
    assert [*graph.populations][1:] == [
        "mel/spectrum",
        "mel/spectrum/1",
        "mel/magnitudes",
        "mel",
    ]
    assert [p.kind for p in graph.projections] == ["weight"] * 2 + ["dynamic"] * 2 + ["weight"]
    # A band has an edge from what its triangle covers.
    assert graph.projections[-1].n_edges < 9 * 9 * 6 / 2


@pytest.mark.parametrize(
    ("options", "shape", "why"),
    [
        ({"power_to_db": True}, (40,), "loudest sample of the whole batch"),
        ({}, (39,), "Keras notes the shape"),
        ({}, (2, 40), "Keras notes a wrong shape"),
    ],
)
def test_bands_that_are_refused(options, shape, why):
    model = single(layers.MelSpectrogram(**MEL | options), shape)
    with pytest.raises(gg.UnsupportedLayerError, match=why):
        gg.from_keras(model)
