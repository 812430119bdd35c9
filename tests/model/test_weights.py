import json
import math

import keras
import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from keras import layers
from typer.testing import CliRunner

import gpugraph as gg
from gpugraph.cli import app
from gpugraph.cli.app import EXIT_CODES
from gpugraph.model import weights as model_weights
from tests import models
from tests.jacobian import randomise


class Composite(layers.Layer):
    """Holds an array of its own and two layers."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.before, self.after = layers.Dense(4, name="before"), layers.Dense(3, name="after")
        self.gain = self.add_weight(shape=(2, 3), name="gain", trainable=False)

    def call(self, x):
        return self.after(self.before(x)) * keras.ops.sum(self.gain, axis=0)


def recurrent():
    x = keras.Input((6, 8, 8, 3))
    y = layers.ConvLSTM2D(4, 3, name="conv_lstm")(x)
    y = layers.Reshape((36, 4))(y)
    y = layers.Bidirectional(layers.LSTM(3, return_sequences=True, name="lstm"), name="both")(y)
    y = layers.MultiHeadAttention(2, 3, name="heads")(y, y)
    cells = [layers.GRUCell(4, name="a"), layers.SimpleRNNCell(3, name="b")]
    y = layers.RNN(layers.StackedRNNCells(cells, name="cells"), return_sequences=True, name="rnn")(
        y
    )
    y = layers.TimeDistributed(layers.Dense(4, name="dense"), name="each")(y)
    return keras.Model(x, layers.GRU(3, name="gru")(y))


def convolutions():
    x = keras.Input((4, 8, 8, 2))
    y = layers.Conv3D(3, 2, name="conv3")(x)
    y = layers.Reshape((7, 7 * 3, 3))(y)
    y = layers.Conv2D(6, 2, groups=3, name="grouped")(y)
    y = layers.DepthwiseConv2D(2, depth_multiplier=2, name="depthwise")(y)
    y = layers.SeparableConv2D(3, 2, name="separable")(y)
    y = layers.Conv2DTranspose(2, 3, name="transposed")(y)
    y = layers.BatchNormalization(name="norm")(y)
    y = layers.Reshape((-1, 2))(y)
    y = layers.Conv1D(2, 3, name="conv1")(y)
    return keras.Model(
        x, layers.EinsumDense("abc,cd->abd", (None, 4), bias_axes="d", name="einsum")(y)
    )


def embedding():
    x = keras.Input((5,), dtype="int32")
    y = layers.Embedding(11, 4, name="words")(x)
    return keras.Model(x, Composite(name="own")(y))


def subclassed():
    class Mine(keras.Model):
        def __init__(self):
            super().__init__(name="mine")
            self.first, self.second = layers.Dense(3, name="first"), layers.Dense(2, name="second")

        def call(self, x):
            return self.second(self.first(x) ** 2)

    model = Mine()
    model(np.ones((1, 4)))
    return model


BUILDERS = [*models.EVERY_KIND, recurrent, convolutions, embedding, subclassed]


def arrays(model):
    """Every array of a model by the layer attribute that Keras lists it in."""
    return {id(v): keras.ops.convert_to_numpy(v).astype(np.float64) for v in model.weights}


def rows_of(model):
    return {(row.layer, row.role): row for row in gg.weights_table(model).rows}


@pytest.mark.parametrize("build", BUILDERS)
def test_numbers_are_those_of_numpy(build, monkeypatch):
    monkeypatch.setattr(model_weights, "BLOCK_WEIGHTS", 7)  # so that blocks are joined
    model = build()
    randomise(model)
    seen = []
    for owner in model_weights.owners(model):
        seen += [v for v in model_weights._own(owner.holder) if all(v is not w for w in seen)]
    table = gg.weights_table(model)
    # Each of Keras's own list once, and nothing else.
    assert sorted(map(id, seen)) == sorted(map(id, model.weights))
    assert table.n_parameters == model.count_params()
    values = arrays(model)
    trainable = [id(v) for v in model.trainable_weights]
    for row, variable in zip(table.rows, seen, strict=True):
        x = values[id(variable)]
        assert (row.role, row.shape) == (variable.name, x.shape)
        assert row.trainable is (id(variable) in trainable)
        got = (row.mean, row.std, row.min, row.max, row.norm, row.sparsity)
        want = (x.mean(), x.std(), x.min(), x.max(), np.linalg.norm(x), np.mean(x == 0))
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)
        assert row.n_nonfinite == 0


@pytest.mark.parametrize("build", [*models.EVERY_KIND, convolutions])
def test_layers_are_called_as_in_the_topology(build):
    model = build()
    calls = gg.topology(model)
    table = gg.weights_table(model)
    names = [call.name for call in calls]
    assert {row.layer for row in table.rows} <= set(names)
    assert table.n_parameters == calls.n_parameters
    for row in table.rows:
        assert row.layer_class == calls[row.layer].layer_class


def test_a_shared_layer_stands_once():
    (kernel, bias) = (r for r in gg.weights_table(models.shared_layer()).rows if r.trainable)
    assert (kernel.role, bias.role) == ("kernel", "bias")


@pytest.mark.parametrize(
    ("build", "layer", "role", "axes"),
    [
        (convolutions, "conv3", "kernel", "depth height width in out"),
        (convolutions, "conv3", "bias", "out"),
        (convolutions, "grouped", "kernel", "height width in/groups out"),
        (convolutions, "depthwise", "kernel", "height width in multiplier"),
        (convolutions, "separable", "depthwise_kernel", "height width in multiplier"),
        (convolutions, "separable", "pointwise_kernel", "height width in*multiplier out"),
        (convolutions, "transposed", "kernel", "height width out in"),
        (convolutions, "norm", "moving_mean", "channel"),
        (convolutions, "conv1", "kernel", "time in out"),
        (convolutions, "einsum", "kernel", "c d"),
        (convolutions, "einsum", "bias", "d"),
        (recurrent, "conv_lstm", "kernel", "height width in gate*out"),
        (recurrent, "conv_lstm", "recurrent_kernel", "height width out gate*out"),
        (recurrent, "both/forward_lstm", "kernel", "in gate*unit"),
        (recurrent, "both/backward_lstm", "recurrent_kernel", "unit gate*unit"),
        (recurrent, "gru", "bias", "input/recurrent gate*unit"),
        (recurrent, "heads/query", "kernel", "c d e"),
        (recurrent, "each/dense", "kernel", "in out"),
        (recurrent, "rnn/cells/a", "kernel", "in gate*unit"),
        (recurrent, "rnn/cells/b", "kernel", "in unit"),
        (embedding, "words", "embeddings", "token feature"),
        (embedding, "own", "gain", "axis0 axis1"),
        (embedding, "own/before", "kernel", "in out"),
    ],
)
def test_axes_have_names(build, layer, role, axes):
    assert rows_of(build())[layer, role].axes == tuple(axes.split())


def test_a_subclass_has_the_axes_of_keras_own():
    class MyConv(layers.Conv2D):
        pass

    model = keras.Sequential([keras.Input((5, 5, 2)), MyConv(3, 2, name="mine")])
    row = rows_of(model)["mine", "kernel"]
    assert (row.layer_class, row.axes) == ("MyConv", ("height", "width", "in", "out"))


def test_frozen_layers_are_not_trainable():
    model = models.cnn()
    model.get_layer("conv").trainable = False
    trainable = {key: row.trainable for key, row in rows_of(model).items()}
    assert trainable == {
        ("conv", "kernel"): False,
        ("conv", "bias"): False,
        ("dense", "kernel"): True,
        ("dense", "bias"): True,
    }


def test_what_is_not_finite_is_counted_and_left_out():
    model = models.cnn()
    x = np.arange(-10.0, 98.0).reshape(27, 4)
    x[0, 0], x[1, 1], x[2, 2] = np.nan, np.inf, -np.inf
    model.get_layer("dense").kernel.assign(x)
    row = rows_of(model)["dense", "kernel"]
    finite = x[np.isfinite(x)]
    assert row.n_nonfinite == 3
    np.testing.assert_allclose(
        (row.mean, row.std, row.min, row.max, row.norm),
        (finite.mean(), finite.std(), -9, 97, np.linalg.norm(finite)),
    )
    assert row.sparsity == np.mean(x == 0)
    model.get_layer("dense").kernel.assign(np.full((27, 4), np.nan))
    row = rows_of(model)["dense", "kernel"]
    assert (row.mean, row.std, row.min, row.norm, row.n_nonfinite) == (None,) * 4 + (108,)
    assert math.isnan(gg.weights_table(model).to_pandas().loc[2, "mean"])


def test_a_large_mean_does_not_hide_the_deviation():
    model = keras.Sequential([keras.Input((4096,)), layers.Dense(256, name="dense")])
    x = (4096 + np.random.default_rng(0).integers(0, 2, (4096, 256))).astype(np.float32)
    model.get_layer("dense").kernel.assign(x)
    row = rows_of(model)["dense", "kernel"]
    np.testing.assert_allclose(row.std, x.astype(np.float64).std(), rtol=1e-12)


def test_half_precision_is_read():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, dtype="bfloat16", name="d")])
    model.get_layer("d").kernel.assign([[0.5, 0], [1, -2], [0, 4]])
    row = rows_of(model)["d", "kernel"]
    assert (row.dtype, row.min, row.max, row.mean) == ("bfloat16", -2, 4, 3.5 / 6)
    assert row.sparsity == 2 / 6


def test_a_large_array_is_not_copied():
    import psutil

    if keras.backend.backend() == "torch":
        pytest.skip("torch's allocator gives back what it likes")
    model = keras.Sequential([keras.Input((8192,)), layers.Dense(8192)])  # 268 MB
    process = psutil.Process()
    gg.weights_table(models.cnn())
    before = process.memory_info().rss
    gg.weights_table(model)
    assert process.memory_info().rss - before < 100e6


def test_a_table_is_text_arrow_pandas_and_json():
    table = gg.weights_table(models.cnn())
    lines = str(table).splitlines()
    assert lines[0] == "cnn"
    assert lines[2].split()[:5] == ["layer", "class", "role", "shape", "axes"]
    assert lines[3].split()[:4] == ["conv", "Conv2D", "kernel", "3x3x2x3"]
    assert lines[-1].split() == ["total", str(3 * 3 * 2 * 3 + 3 + 27 * 4 + 4)]
    arrow = table.to_arrow()
    assert arrow["shape"].to_pylist() == ["3x3x2x3", "3", "27x4", "4"]
    assert arrow["axes"][0].as_py() == "height, width, in, out"
    assert arrow["std"].to_pylist() == [row.std for row in table.rows]
    assert list(table.to_pandas()["trainable"]) == [True] * 4
    document = json.loads(json.dumps(table.to_dict()))
    assert document["weights"][0]["shape"] == [3, 3, 2, 3]
    assert [w["layer"] for w in document["weights"]] == ["conv", "conv", "dense", "dense"]


def test_a_model_that_is_not_built_is_refused():
    with pytest.raises(gg.ModelError, match=r"'empty' is not built.*model\.build"):
        gg.weights_table(keras.Sequential([layers.Dense(3)], name="empty"))


def test_a_file_is_read(tmp_path):
    models.cnn().save(tmp_path / "m.keras")
    assert gg.weights_table(tmp_path / "m.keras").n_parameters == models.cnn().count_params()


# The command


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def path(tmp_path):
    models.cnn().save(tmp_path / "m.keras")
    return tmp_path / "m.keras"


def test_the_command_shows_the_table(path):
    result = run("weights", path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "height, width, in, out" in result.stdout
    document = json.loads(run("weights", path, "--json").stdout)
    assert document.pop("path") is None
    assert document == gg.weights_table(path).to_dict()


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_the_command_writes_the_table(path, tmp_path, ending):
    out = tmp_path / f"weights{ending}"
    result = run("weights", path, "--out", out)
    assert result.exit_code == 0, result.stderr
    written = pq.read_table(out) if ending == ".parquet" else pyarrow.csv.read_csv(out)
    assert written.to_pylist() == gg.weights_table(path).to_arrow().to_pylist()
    assert run("weights", path, "--out", out).exit_code == EXIT_CODES[gg.OutputError]
    assert run("weights", path, "--out", out, "--overwrite").exit_code == 0
