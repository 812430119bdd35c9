"""One row per registered converter, and what is refused whatever the converter."""

from importlib import import_module
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops

import gpugraph as gg
from gpugraph import registry
from tests.jacobian import randomise
from tests.layers.dependence import dependence, is_affine, jacobians, reach

ROWS: dict[str, tuple] = {
    "Activation": (layers.Activation("tanh"), (2, 3)),
    "ActivityRegularization": (layers.ActivityRegularization(), (2, 3)),
    "Add": (layers.Add(), (2, 3), (2, 3)),
    "AlphaDropout": (layers.AlphaDropout(0.5), (2, 3)),
    "Average": (layers.Average(), (2, 3), (2, 3)),
    "AveragePooling1D": (layers.AveragePooling1D(2), (5, 2)),
    "AveragePooling2D": (layers.AveragePooling2D(2), (5, 4, 2)),
    "AveragePooling3D": (layers.AveragePooling3D(2), (2, 3, 4, 2)),
    "BatchNormalization": (layers.BatchNormalization(), (2, 3)),
    "Concatenate": (layers.Concatenate(), (2, 3), (2, 1)),
    "Conv1D": (layers.Conv1D(3, 2), (5, 2)),
    "Conv1DTranspose": (layers.Conv1DTranspose(3, 2), (5, 2)),
    "Conv2D": (layers.Conv2D(3, 2), (3, 4, 2)),
    "Conv2DTranspose": (layers.Conv2DTranspose(3, 2), (3, 4, 2)),
    "Conv3D": (layers.Conv3D(3, 2), (2, 3, 4, 2)),
    "Conv3DTranspose": (layers.Conv3DTranspose(3, 2), (2, 3, 4, 2)),
    "Cropping1D": (layers.Cropping1D(1), (5, 2)),
    "Cropping2D": (layers.Cropping2D(1), (3, 4, 2)),
    "Cropping3D": (layers.Cropping3D(1), (3, 3, 4, 2)),
    "Dense": (layers.Dense(4), (2, 3)),
    "DepthwiseConv1D": (layers.DepthwiseConv1D(2), (5, 2)),
    "DepthwiseConv2D": (layers.DepthwiseConv2D(2), (3, 4, 2)),
    "Dropout": (layers.Dropout(0.5), (2, 3)),
    "ELU": (layers.ELU(), (2, 3)),
    "EinsumDense": (layers.EinsumDense("abc,cd->abd", (None, 4)), (2, 3)),
    "Flatten": (layers.Flatten(), (2, 3)),
    "GaussianDropout": (layers.GaussianDropout(0.5), (2, 3)),
    "GaussianNoise": (layers.GaussianNoise(0.5), (2, 3)),
    "GlobalAveragePooling1D": (layers.GlobalAveragePooling1D(), (5, 2)),
    "GlobalAveragePooling2D": (layers.GlobalAveragePooling2D(), (3, 4, 2)),
    "GlobalAveragePooling3D": (layers.GlobalAveragePooling3D(), (2, 3, 4, 2)),
    "GlobalMaxPooling1D": (layers.GlobalMaxPooling1D(), (5, 2)),
    "GlobalMaxPooling2D": (layers.GlobalMaxPooling2D(), (3, 4, 2)),
    "GlobalMaxPooling3D": (layers.GlobalMaxPooling3D(), (2, 3, 4, 2)),
    "Identity": (layers.Identity(), (2, 3)),
    "InputLayer": (layers.Identity(), (2, 3)),
    "LeakyReLU": (layers.LeakyReLU(), (2, 3)),
    "MaxPooling1D": (layers.MaxPooling1D(2), (5, 2)),
    "MaxPooling2D": (layers.MaxPooling2D(2), (5, 4, 2)),
    "MaxPooling3D": (layers.MaxPooling3D(2), (2, 3, 4, 2)),
    "Maximum": (layers.Maximum(), (2, 3), (2, 3)),
    "Minimum": (layers.Minimum(), (2, 3), (2, 3)),
    "Multiply": (layers.Multiply(), (2, 3), (2, 3)),
    "Normalization": (layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[0.5, 1, 2]), (2, 3)),
    "PReLU": (layers.PReLU(), (2, 3)),
    "Permute": (layers.Permute((2, 1)), (2, 3)),
    "ReLU": (layers.ReLU(), (2, 3)),
    "RepeatVector": (layers.RepeatVector(2), (3,)),
    "Rescaling": (layers.Rescaling(0.5, 1.0), (2, 3)),
    "Reshape": (layers.Reshape((3, 2)), (2, 3)),
    "SeparableConv1D": (layers.SeparableConv1D(3, 2), (5, 2)),
    "SeparableConv2D": (layers.SeparableConv2D(3, 2), (3, 4, 2)),
    "Softmax": (layers.Softmax(), (2, 3)),
    "SpatialDropout1D": (layers.SpatialDropout1D(0.5), (5, 2)),
    "SpatialDropout2D": (layers.SpatialDropout2D(0.5), (3, 4, 2)),
    "SpatialDropout3D": (layers.SpatialDropout3D(0.5), (2, 3, 4, 2)),
    "Subtract": (layers.Subtract(), (2, 3), (2, 3)),
    "UpSampling1D": (layers.UpSampling1D(), (5, 2)),
    "UpSampling2D": (layers.UpSampling2D(), (3, 4, 2)),
    "UpSampling3D": (layers.UpSampling3D(), (2, 3, 4, 2)),
    "ZeroPadding1D": (layers.ZeroPadding1D(), (5, 2)),
    "ZeroPadding2D": (layers.ZeroPadding2D(), (3, 4, 2)),
    "ZeroPadding3D": (layers.ZeroPadding3D(), (2, 3, 4, 2)),
    "ops.Add": (lambda xs: xs[0] + xs[1], (2, 3), (2, 3)),
    "ops.Divide": (lambda x: ops.divide(x, 3.0), (2, 3)),
    "ops.Maximum": (lambda xs: ops.maximum(*xs), (2, 3), (2, 3)),
    "ops.Minimum": (lambda xs: ops.minimum(*xs), (2, 3), (2, 3)),
    "ops.Multiply": (lambda xs: xs[0] * xs[1], (2, 3), (2, 3)),
    "ops.Negative": (lambda x: -x, (2, 3)),
    "ops.Subtract": (lambda xs: xs[0] - xs[1], (2, 3), (2, 3)),
    "ops.TrueDivide": (lambda x: x / 3.0, (2, 3)),
}


for _file in sorted(Path(__file__).parent.glob("test_*.py")):
    if _file != Path(__file__):
        ROWS |= getattr(import_module(f"tests.layers.{_file.stem}"), "ROWS", {})


def model_of(function, *shapes):
    inputs = [s if isinstance(s, keras.KerasTensor) else keras.Input(s) for s in shapes]
    model = keras.Model(inputs, function(inputs[0] if len(inputs) == 1 else inputs))
    randomise(model)
    return model


@pytest.mark.parametrize("name", ROWS)
def test_graph_computes_what_the_layer_computes(name):
    graph = gg.from_keras(model_of(*ROWS[name]))
    assert name.removeprefix("ops.") in {call.layer_class for call in graph.topology}
    assert graph.verify().passed


# Their arguments name the batch's size.
OF_ONE_SAMPLE = ("ops.BroadcastTo", "ops.Rearrange")


# Keras takes 20 seconds for each of them; their edges are made as those of ops.Median.
SLOW = ("ops.Nanmedian", "ops.Nanpercentile", "ops.Nanquantile")


@pytest.mark.parametrize("name", [name for name in ROWS if name not in SLOW])
def test_edges_are_the_jacobian_or_lead_wherever_an_input_matters(name):
    model = model_of(*ROWS[name])
    graph = gg.from_keras(model, couplings=True)
    if is_affine(graph):
        expected, got = jacobians(model, graph, one_by_one=name in OF_ONE_SAMPLE)
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)
    else:
        assert not (dependence(model) & ~reach(graph)).any()


def test_every_converter_has_a_row():
    own = {
        name
        for name in gg.supported_layers()
        if registry._CONVERTERS[name].__module__.startswith("gpugraph.layers")
    }
    assert own == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_every_converter_says_what_a_layer_becomes(name):
    assert gg.supported_layers()[name]


class MyConv(layers.Conv2D):
    def call(self, inputs):
        return super().call(inputs) * 2


class Dense(layers.Layer):
    def call(self, inputs):
        return inputs**2


@pytest.mark.parametrize(
    ("layer", "shape", "advice"),
    [
        (MyConv(2, 3), (4, 4, 1), r'@gpugraph.converts\("MyConv"\)'),
        (layers.Lambda(lambda x: x), (3,), r'@gpugraph.converts\("Lambda"\)'),
        # Not Keras's own, whatever its name.
        (Dense(), (3,), r"for .*test_every_layer\.Dense\. Give your class a name that"),
    ],
)
def test_unknown_classes_are_refused_with_advice(layer, shape, advice):
    with pytest.raises(gg.UnsupportedLayerError, match=advice):
        gg.from_keras(model_of(layer, shape))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(value):
    model = model_of(layers.Dense(2, name="broken"), (3,))
    kernel = np.ones((3, 2), np.float32)
    kernel[1, 0] = value
    model.layers[1].kernel.assign(kernel)
    with pytest.raises(gg.NonFiniteError, match="weights of layer 'broken'"):
        gg.from_keras(model)
    assert gg.from_keras(model, allow_nonfinite=True).n_edges == 6


@pytest.mark.parametrize("dtype", ["float64", "float16", "mixed_float16"])
def test_other_dtypes(dtype):
    if keras.config.backend() == "jax" and dtype == "float64":
        pytest.skip("jax computes in float32 unless told otherwise before it starts")
    model = model_of(layers.Dense(2, dtype=dtype), (3,))
    (edges,) = gg.from_keras(model).edges(device="cpu")
    expected = np.float64 if dtype == "float64" else np.float32
    assert edges.weight.dtype == expected
    kernel = keras.ops.convert_to_numpy(model.layers[1].kernel)
    np.testing.assert_array_equal(edges.weight, kernel.ravel().astype(expected))
