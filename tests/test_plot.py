import builtins
import json

import keras
import numpy as np
import pytest
from keras import layers
from matplotlib.collections import PolyCollection
from matplotlib.image import AxesImage
from numpy.testing import assert_array_equal
from typer.testing import CliRunner

import gpugraph as gg
from gpugraph import plot
from gpugraph.cli import app
from gpugraph.cli.app import EXIT_CODES
from gpugraph.cli.plot import FIGURE_ENDINGS
from tests import models
from tests.jacobian import randomise


def built(layer, *shape):
    layer.build((None, *shape))
    randomise(layer)
    return layer


def kernel_of(layer, name="kernel"):
    return keras.ops.convert_to_numpy(getattr(layer, name))


def images(figure):
    """Pictures of a figure, in the order in which they were drawn, by their label."""
    found = [a for a in figure.axes[0].get_children() if isinstance(a, AxesImage)]
    return {image.get_label(): image for image in found}


def pictures(figure):
    return [np.ma.getdata(image.get_array()) for image in images(figure).values()]


def texts(figure):
    return [text.get_text() for text in figure.texts]


# What is drawn


def test_the_first_layer_of_an_autoencoder():
    layer = built(layers.Conv2D(32, 3, name="encoder"), 28, 28, 1)
    figure = gg.plot_kernels(layer)
    drawn = images(figure)
    assert list(drawn) == [str(i) for i in range(32)]
    for i, image in enumerate(drawn.values()):
        assert_array_equal(image.get_array(), kernel_of(layer)[:, :, 0, i])
    assert texts(figure)[0] == "encoder (Conv2D): height 3 × width 3 × in 1 × out 32"  # noqa: RUF001
    assert len({image.norm for image in drawn.values()}) == 1
    (outlines,) = [a for a in figure.axes[0].collections if isinstance(a, PolyCollection)]
    assert len(outlines.get_paths()) == 32


def test_one_scale_that_is_white_at_zero():
    layer = built(layers.Conv2D(5, 3), 9, 9, 1)
    figure = gg.plot_kernels(layer)
    largest = abs(kernel_of(layer)).max()
    for image in images(figure).values():
        assert image.norm.vmin == -largest
        assert image.norm.vmax == largest
        assert image.cmap(image.norm(0.0)) == (1.0, 1.0, 1.0, 1.0)
        assert image.cmap(image.norm(largest))[0] > image.cmap(image.norm(largest))[2]  # red
        assert image.cmap(image.norm(-largest))[2] > image.cmap(image.norm(-largest))[0]  # blue
    bar = figure.axes[1]
    assert bar.get_ylim() == pytest.approx((-largest, largest))


@pytest.mark.parametrize("channel", ["mean", 0, 2, np.int64(1)])
def test_a_channel_or_their_mean(channel):
    layer = built(layers.Conv2D(6, (2, 3)), 9, 9, 4)
    kernel = kernel_of(layer)
    expected = kernel.mean(axis=2) if channel == "mean" else kernel[:, :, channel]
    drawn = pictures(gg.plot_kernels(layer, channel=channel))
    np.testing.assert_allclose(drawn, expected.transpose(2, 0, 1), rtol=1e-6)


def test_all_channels_as_rows():
    layer = built(layers.Conv2D(5, 3), 9, 9, 3)
    drawn = images(gg.plot_kernels(layer, channel=None))
    assert len(drawn) == 15
    for label, image in drawn.items():
        number, channel = label.split(", in ")
        assert_array_equal(image.get_array(), kernel_of(layer)[:, :, int(channel), int(number)])


def test_a_volume_by_slices_of_depth():
    layer = built(layers.Conv3D(4, (3, 2, 5)), 9, 9, 9, 2)
    drawn = images(gg.plot_kernels(layer, channel=1))
    assert len(drawn) == 12
    for label, image in drawn.items():
        number, depth = label.split(", depth ")
        assert_array_equal(image.get_array(), kernel_of(layer)[int(depth), :, :, 1, int(number)])
    assert "4, depth" not in "".join(drawn)


def test_time_as_strips():
    layer = built(layers.Conv1D(4, 7), 20, 2)
    drawn = pictures(gg.plot_kernels(layer, channel=0))
    assert_array_equal(drawn, kernel_of(layer)[:, 0].T[:, None])


def test_transposed_kernels_have_out_before_in():
    layer = built(layers.Conv2DTranspose(5, 3), 9, 9, 2)
    drawn = pictures(gg.plot_kernels(layer, channel=1))
    assert_array_equal(drawn, kernel_of(layer)[:, :, :, 1].transpose(2, 0, 1))


def test_depthwise_filters_are_one_per_channel_and_multiplier():
    layer = built(layers.DepthwiseConv2D(3, depth_multiplier=2), 9, 9, 3)
    kernel = kernel_of(layer)
    drawn = pictures(gg.plot_kernels(layer))
    assert_array_equal(drawn, [kernel[:, :, c, m] for c in range(3) for m in range(2)])


def test_separable_and_grouped_convolutions():
    layer = built(layers.SeparableConv2D(4, 3), 9, 9, 3)
    drawn = pictures(gg.plot_kernels(layer))
    assert_array_equal(drawn, kernel_of(layer, "depthwise_kernel")[:, :, :, 0].transpose(2, 0, 1))
    layer = built(layers.Conv2D(4, 3, groups=2), 9, 9, 4)
    drawn = pictures(gg.plot_kernels(layer, channel=1))
    assert_array_equal(drawn, kernel_of(layer)[:, :, 1].transpose(2, 0, 1))


def test_a_dense_layer_is_one_matrix():
    layer = built(layers.Dense(7, name="dense"), 5)
    (drawn,) = pictures(gg.plot_kernels(layer))
    assert_array_equal(drawn, kernel_of(layer))


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (2, 4, 3), (24,), (2, 3, 2, 2)])
def test_units_of_a_dense_layer_as_images(shape):
    layer = built(layers.Dense(5), 24)
    drawn = images(gg.plot_kernels(layer, input_shape=shape, channel=0))
    kernel = kernel_of(layer).reshape(*(shape if len(shape) > 2 else (*shape, 1)), 5)[..., 0, :]
    for label, image in drawn.items():
        number, _, depth = label.partition(", depth ")
        expected = kernel[..., int(number)]
        expected = expected[int(depth)] if depth else np.atleast_2d(expected)
        assert_array_equal(image.get_array(), expected)
    assert len(drawn) == 5 * (shape[0] if len(shape) == 4 else 1)


def test_zeros_and_nan_can_be_drawn(tmp_path):
    layer = built(layers.Conv2D(3, 3), 9, 9, 1)
    kernel = np.zeros((3, 3, 1, 3))
    layer.kernel.assign(kernel)
    (limit,) = {image.norm.vmax for image in images(gg.plot_kernels(layer)).values()}
    assert limit == 1
    kernel[0, 0, 0, 0], kernel[1, 1, 0, 1] = np.nan, 2
    layer.kernel.assign(kernel)
    for sort in (None, "norm", "similarity"):
        figure = gg.plot_kernels(layer, sort=sort)
        assert {image.norm.vmax for image in images(figure).values()} == {2}
        figure.savefig(tmp_path / "nan.png")


# Order and extent


def order_of(figure):
    return [int(label) for label in images(figure)]


def test_sorted_by_norm():
    layer = built(layers.Conv2D(12, 3), 9, 9, 2)
    figure = gg.plot_kernels(layer, channel=1, sort="norm")
    norms = np.linalg.norm(kernel_of(layer)[:, :, 1].reshape(9, 12), axis=0)
    assert order_of(figure) == np.argsort(-norms).tolist()
    assert "sorted by norm" in texts(figure)[1]


def test_sorted_by_similarity():
    rng = np.random.default_rng(0)
    layer = built(layers.Conv2D(20, 5), 9, 9, 1)
    kinds = rng.standard_normal((5, 5, 4))
    kind = rng.permutation(np.arange(20) % 4)
    sizes = rng.uniform(0.5, 3, 20)
    noise = 0.05 * rng.standard_normal((5, 5, 20))
    layer.kernel.assign(((kinds[:, :, kind] + noise) * sizes)[:, :, None])
    order = order_of(gg.plot_kernels(layer, sort="similarity"))
    assert sorted(order) == list(range(20))
    changes = np.count_nonzero(np.diff(kind[order]))
    assert changes == 3  # each kind stands together, whatever the size of its filters


def test_a_sorted_matrix():
    layer = built(layers.Dense(9), 4)
    (drawn,) = pictures(gg.plot_kernels(layer, sort="norm"))
    order = np.argsort(-np.linalg.norm(kernel_of(layer), axis=0))
    assert_array_equal(drawn, kernel_of(layer)[:, order])


@pytest.mark.parametrize(
    ("layer", "shape", "options", "note", "n"),
    [
        (layers.Conv2D(300, 1), (9, 9, 1), {}, "first 256 of 300 filters", 256),
        (layers.Conv2D(300, 1), (9, 9, 1), {"sort": "norm"}, "largest 256 of 300 filters", 256),
        (layers.Conv2D(300, 1), (9, 9, 1), {"sort": "similarity"}, "first 256 of 300", 256),
        (layers.Conv2D(30, 1), (9, 9, 20), {"channel": None}, "first 12 of 30 filters", 240),
        (layers.Conv2D(30, 1), (9, 9, 99), {"channel": None}, "first 32 of 99 rows", 256),
        (layers.Dense(600), (700,), {}, "first 512 of 600 units; first 512 of 700 inputs", 1),
        (layers.Dense(300), (4,), {"input_shape": (2, 2)}, "first 256 of 300 units", 256),
    ],
)
def test_large_layers_are_drawn_in_part(layer, shape, options, note, n):
    layer = built(layer.from_config(layer.get_config()), *shape)
    figure = gg.plot_kernels(layer, **options)
    assert note in texts(figure)[1]
    assert len(images(figure)) == n
    assert figure.get_figwidth() <= 15
    assert figure.get_figheight() <= 11
    assert max(image.get_array().size for image in images(figure).values()) <= 512 * 512


@pytest.mark.parametrize("columns", [1, 3, 7, 100])
def test_columns(columns):
    layer = built(layers.Conv2D(7, 3), 9, 9, 1)
    drawn = images(gg.plot_kernels(layer, columns=columns)).values()
    lefts = {image.get_extent()[0] for image in drawn}
    assert len(lefts) == min(columns, 7)
    boxes = [image.get_extent() for image in drawn]
    assert len({(x0, y1) for x0, _, _, y1 in boxes}) == 7  # none upon another


# Which layer


def test_the_first_layer_with_a_kernel():
    figure = gg.plot_kernels(models.cnn(), channel=0)
    assert texts(figure)[0].startswith("conv (Conv2D)")


def test_a_layer_by_name_or_itself(tmp_path):
    x = keras.Input((8, 8, 1))
    model = keras.Model(x, layers.Dense(3, name="head")(models.encoder(name="inner")(x)))
    model.save(tmp_path / "m.keras")
    for source in (model, tmp_path / "m.keras"):
        assert texts(gg.plot_kernels(source, "inner/conv"))[0].startswith("inner/conv (Conv2D)")
    head = model.get_layer("head")
    assert texts(gg.plot_kernels(model, head))[0].startswith("head (Dense)")
    with pytest.raises(gg.SelectionError, match=r"no layer 'norm'.* It has: inner/conv, head\."):
        gg.plot_kernels(model, "norm")


# What is refused


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"channel": 2}, gg.SelectionError, "have 2 input channels; .* not 2"),
        ({"channel": "first"}, gg.SelectionError, "not 'first'"),
        ({"channel": 0.5}, gg.SelectionError, r"not 0\.5"),
        ({"sort": "size"}, gg.SelectionError, "'norm', 'similarity' or None, not 'size'"),
        ({"columns": 0}, gg.SelectionError, "at least 1, not 0"),
        ({"input_shape": (3, 3)}, gg.ShapeError, "is for dense layers"),
        ({"layer": "nothing"}, gg.SelectionError, "no layer 'nothing'"),
    ],
)
def test_wrong_options(options, error, message):
    with pytest.raises(error, match=message):
        gg.plot_kernels(models.cnn(), **options)


@pytest.mark.parametrize("shape", [(5, 5), (24, 1, 1, 1, 1)])
def test_inputs_that_are_no_such_image(shape):
    with pytest.raises(gg.ShapeError, match="24 inputs, which are no image of shape"):
        gg.plot_kernels(built(layers.Dense(5), 24), input_shape=shape)


def test_layers_without_a_kernel_to_draw():
    with pytest.raises(gg.SelectionError, match="has no kernel to draw"):
        gg.plot_kernels(built(layers.BatchNormalization(), 4))
    with pytest.raises(gg.ModelError, match=r"'bare' is not built"):
        gg.plot_kernels(layers.Dense(3, name="bare"))


def test_without_matplotlib(monkeypatch):
    imports = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return imports(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(gg.MissingDependencyError, match=r"pip install 'gpugraph\[plots\]'"):
        gg.plot_kernels(models.cnn())


def test_no_window_and_no_backend_are_touched():
    import matplotlib
    from matplotlib import pyplot

    before = dict.__getitem__(matplotlib.rcParams, "backend")
    figure = gg.plot_kernels(built(layers.Dense(3), 4))
    assert figure.canvas.manager is None
    assert pyplot.get_fignums() == []
    assert dict.__getitem__(matplotlib.rcParams, "backend") is before


# The command


def run(*arguments):
    return CliRunner().invoke(app, ["plot", "kernels", *map(str, arguments)])


@pytest.fixture
def path(tmp_path):
    models.cnn().save(tmp_path / "m.keras")
    return tmp_path / "m.keras"


@pytest.mark.parametrize("ending", FIGURE_ENDINGS)
def test_the_command_writes_a_picture(path, tmp_path, ending):
    out = tmp_path / f"kernels{ending}"
    result = run(path, out, "--sort", "norm", "--channel", "all", "--columns", 2)
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"Wrote {out}" in result.stdout
    start = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}[ending]
    assert out.read_bytes().startswith(start)
    assert sorted(tmp_path.iterdir()) == sorted([path, out])


def test_the_command_draws_units_as_images(path, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        plot, "plot_kernels", lambda *a, _f=plot.plot_kernels, **k: drawn.append(k) or _f(*a, **k)
    )
    out = tmp_path / "units.png"
    options = ["--layer", "dense", "--input-shape", "3x3x3", "--channel", 1, "--json"]
    result = run(path, out, *options)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"path": str(out), "bytes": out.stat().st_size}
    assert (drawn[0]["channel"], drawn[0]["input_shape"]) == (1, (3, 3, 3))


def test_the_command_keeps_what_exists(path, tmp_path):
    out = tmp_path / "kernels.png"
    out.write_text("precious")
    result = run(path, out)
    assert result.exit_code == EXIT_CODES[gg.OutputError]
    assert out.read_text() == "precious"
    assert run(path, out, "--overwrite").exit_code == 0
    assert out.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "options",
    [["--channel", "red"], ["--channel", "7"], ["--layer", "x"], ["--columns", "0"]],
)
def test_the_command_refuses_wrong_options(path, tmp_path, options):
    assert run(path, tmp_path / "k.png", *options).exit_code == 2
    assert not (tmp_path / "k.png").exists()


def test_the_command_refuses_unknown_endings(path, tmp_path):
    result = run(path, tmp_path / "k.gif")
    assert result.exit_code == 2
    assert ".svg" in result.stderr
