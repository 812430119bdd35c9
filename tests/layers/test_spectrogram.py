import pytest
from keras import layers

import gpugraph as gg
from tests.jacobian import assert_forward, assert_linear, single

ROWS = {"STFTSpectrogram": (layers.STFTSpectrogram(frame_length=8), (20, 2))}

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
