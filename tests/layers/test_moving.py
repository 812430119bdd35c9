import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from keras.src.ops.numpy import Conj

import gpugraph as gg
from gpugraph.model.symbolic_calls import Constant
from tests.operations import assert_affine, assert_refused, operation_model

IMAGE = (4, 6, 3)

ROWS = {
    "ops.Append": (lambda x: ops.append(x, x, axis=1), (2, 3)),
    "ops.Array": (ops.array, (2, 3)),
    "ops.ArraySplit": (lambda x: ops.array_split(x, 2, axis=2), (2, 3)),
    "ops.BroadcastTo": (lambda x: ops.broadcast_to(x, (1, 2, 3)), (1, 3)),
    "ops.Concatenate": (lambda xs: ops.concatenate(xs, axis=1), (2, 3), (1, 3)),
    "ops.Cast": (lambda x: ops.cast(x, "float64"), (2, 3)),
    "ops.Constant": (Constant(np.arange(6.0, dtype="float32").reshape(1, 3, 2)), (2, 3)),
    "ops.Conj": (lambda x: Conj()(x), (2, 3)),
    "ops.Conjugate": (ops.conjugate, (2, 3)),
    "ops.ConvertToTensor": (ops.convert_to_tensor, (2, 3)),
    "ops.Copy": (ops.copy, (2, 3)),
    "ops.CropImages": (lambda x: ops.image.crop_images(x, 1, 1, 1, 1), IMAGE),
    "ops.DepthToSpace": (lambda x: ops.depth_to_space(x, 2), (2, 3, 8)),
    "ops.Diagonal": (lambda x: ops.diagonal(x, 0, 1, 2), (3, 3, 2)),
    "ops.Dsplit": (lambda x: ops.dsplit(x, 3), IMAGE),
    "ops.Dstack": (ops.dstack, (2, 3), (2, 3)),
    "ops.ExpandDims": (lambda x: ops.expand_dims(x, 1), (2, 3)),
    "ops.ExtractPatches": (lambda x: ops.image.extract_patches(x, 2), IMAGE),
    "ops.ExtractSequences": (lambda x: ops.extract_sequences(x, 4, 3), (9,)),
    "ops.Flip": (lambda x: ops.flip(x, axis=1), (2, 3)),
    "ops.Fliplr": (ops.fliplr, (2, 3)),
    "ops.FullLike": (lambda x: x + ops.full_like(x, 2.5), (2, 3)),
    "ops.GetItem": (lambda x: x[:, 1, ::-1], (2, 3)),
    "ops.Hsplit": (lambda x: ops.hsplit(x, 2), (2, 3)),
    "ops.Hstack": (ops.hstack, (2, 3), (1, 3)),
    "ops.Imag": (lambda x: x + ops.imag(x), (2, 3)),
    "ops.Isreal": (lambda x: x + ops.cast(ops.isreal(x), "float32"), (2, 3)),
    "ops.Moveaxis": (lambda x: ops.moveaxis(x, 1, -1), IMAGE),
    "ops.OnesLike": (lambda x: x + ops.ones_like(x), (2, 3)),
    "ops.Pad": (lambda x: ops.pad(x, ((0, 0), (1, 0), (0, 2))), (2, 3)),
    "ops.PadImages": (lambda x: ops.image.pad_images(x, 1, 1, 1, 1), IMAGE),
    "ops.Real": (ops.real, (2, 3)),
    "ops.Rearrange": (
        lambda x: ops.rearrange(ops.broadcast_to(x, (1, 4, 3)), "b (h p) c -> b h (p c)", p=2),
        (4, 3),
    ),
    "ops.Repeat": (lambda x: ops.repeat(x, 2, axis=1), (2, 3)),
    "ops.Reshape": (lambda x: ops.reshape(x, (-1, 6)), (2, 3)),
    "ops.Roll": (lambda x: ops.roll(x, 2, axis=2), (2, 3)),
    "ops.Rot90": (lambda x: ops.rot90(x, axes=(1, 2)), IMAGE),
    "ops.SaturateCast": (lambda x: ops.saturate_cast(x, "float32"), (2, 3)),
    "ops.SliceUpdate": (lambda x: ops.slice_update(x, (0, 1, 0), x[:, :1, 1:]), (2, 3)),
    "ops.SpaceToDepth": (lambda x: ops.space_to_depth(x, 2), IMAGE),
    "ops.Split": (lambda x: ops.split(x, 3, axis=-1), (2, 3)),
    "ops.Squeeze": (lambda x: ops.squeeze(x, axis=1), (1, 3)),
    "ops.Stack": (lambda xs: ops.stack(xs, axis=1), (2, 3), (2, 3)),
    "ops.StopGradient": (ops.stop_gradient, (2, 3)),
    "ops.Swapaxes": (lambda x: ops.swapaxes(x, 1, 2), (2, 3)),
    "ops.Tile": (lambda x: ops.tile(x, (1, 2, 3)), (2, 3)),
    "ops.Transpose": (lambda x: ops.transpose(x, (0, 2, 1)), (2, 3)),
    "ops.Tril": (ops.tril, (3, 3)),
    "ops.Triu": (lambda x: ops.triu(x, 1), (2, 3)),
    "ops.Unfold": (lambda x: ops.unfold(x, 2), (2, 3, 4)),
    "ops.Unstack": (lambda x: ops.unstack(x, axis=1), (2, 3)),
    "ops.ZerosLike": (lambda x: x + ops.zeros_like(x), (2, 3)),
}


@pytest.mark.parametrize("name", ROWS)
def test_every_value_comes_from_where_keras_takes_it(name):
    function, *shapes = ROWS[name]
    if len(shapes) > 1:
        function = joined(function, shapes)
        shapes = [(sum(np.prod(shape) for shape in shapes),)]
    model = operation_model(function, *shapes)
    for i in range(len(model.outputs)):
        assert_affine(lambda x, i=i: as_list(function(x))[i], *shapes)


@pytest.mark.parametrize("name", ROWS)
def test_what_is_sent_back_arrives_where_it_came_from(name):
    function, *shapes = ROWS[name]
    inputs = [keras.Input(shape) for shape in shapes]
    graph = gg.from_keras(keras.Model(inputs, function(inputs if len(inputs) > 1 else inputs[0])))
    for projection in graph.projections:
        src, dst, weight = projection.edges()
        y = np.random.default_rng(0).uniform(size=projection.target.size)
        x = np.zeros(projection.source.size)
        at = dst - projection.target.offset
        np.add.at(x, src - projection.source.offset, weight * y[at])
        np.testing.assert_allclose(projection.apply_transposed(y), x)
        np.testing.assert_array_equal(
            projection.in_degree(), np.bincount(at, minlength=projection.target.size)
        )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_that_is_asked_for_is_tolerated(dtype):
    graph = gg.from_keras(operation_model(lambda x: ops.relu(ops.cast(x, dtype)), (40, 30)))
    assert graph.verify().passed
    assert not graph.verify(tolerance=1e-6).passed


def test_after_a_transposition_channels_are_last():
    pool = keras.layers.MaxPooling2D(2, data_format="channels_first")
    model = operation_model(lambda x: ops.transpose(pool(x), (0, 2, 3, 1)), (3, 4, 6))
    graph = gg.from_keras(model)
    _, before, after = graph.populations.values()
    assert (before.channels_first, after.channels_first) == (True, False)


def as_list(outputs):
    return outputs if isinstance(outputs, list) else [outputs]


def joined(function, shapes):
    """Make of a function of several tensors one of all of them end to end."""
    ends = np.cumsum([np.prod(shape) for shape in shapes])

    def of_one(x):
        parts = [x[:, end - np.prod(s) : end] for end, s in zip(ends, shapes, strict=True)]
        return function([ops.reshape(p, (-1, *s)) for p, s in zip(parts, shapes, strict=True)])

    return of_one


@pytest.mark.parametrize(
    "function",
    [
        ops.copy,
        ops.stop_gradient,
        lambda x: ops.reshape(x, (-1, 6)),
        lambda x: ops.expand_dims(x, -1),
        lambda x: ops.transpose(ops.expand_dims(x, 1), (0, 2, 1, 3)),
        lambda x: x[:, :, None, ::1],
        lambda x: ops.split(x, 1, axis=1)[0],
        lambda x: ops.tile(x, (1, 1, 1)),
    ],
)
def test_values_in_order_make_no_nodes(function):
    graph = assert_affine(function, (2, 3))
    assert graph.n_nodes == 6
    assert graph.n_edges == 0


@pytest.mark.parametrize(
    "key",
    [
        (slice(None), 1),
        (slice(None), slice(1, 3)),
        (slice(None), slice(None, None, 2), ..., slice(None, None, -1)),
        (slice(None), slice(1, 3), ..., 0, None, slice(None, None, -1)),
        (slice(None), None, -1, slice(4, 0, -2), 0),
        (..., 2),
    ],
)
def test_slices(key):
    assert_affine(lambda x: x[key], (4, 6, 2, 3))


@pytest.mark.parametrize(
    ("mode", "value"),
    [("constant", None), ("constant", -2.5), ("reflect", None), ("symmetric", None)],
)
def test_paddings(mode, value):
    graph = assert_affine(
        lambda x: ops.pad(x, ((0, 0), (2, 1), (0, 3)), mode=mode, constant_values=value), (3, 4)
    )
    assert graph.n_edges == (12 if mode == "constant" else 6 * 7)


@pytest.mark.parametrize(
    ("function", "n_edges"),
    [
        (lambda x: ops.concatenate([ops.broadcast_to(x, (1, 2, 3)), ROW], axis=1), 6),
        (lambda x: ops.concatenate([x, x, x], axis=2), 18),
        (lambda x: ops.stack([x, -x], axis=-1), 18),
        (lambda x: ops.append(ROW, ops.broadcast_to(x, (1, 2, 3)), axis=1), 6),
        (lambda x: ops.pad(x, ((0, 0), (0, 0), (0, 1)), constant_values=2.0), 6),
    ],
)
def test_several_operands_and_constants(function, n_edges):
    assert assert_affine(function, (2, 3)).n_edges == n_edges


ROW = np.array([[[1.0, -2.0, 0.5]]], np.float32)


def indices(n):
    """One position of n, or a slice that is not empty."""
    slices = st.slices(n).filter(lambda s: len(range(n)[s]) > 0)
    return st.one_of(st.integers(-n, n - 1), slices)


@given(data=st.data())
def test_random_slices(data):
    shape = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple))
    key = tuple(data.draw(indices(n)) for n in shape)
    extra = data.draw(st.integers(0, len(shape)))
    key = (*key[:extra], *data.draw(st.sampled_from([(), (None,)])), *key[extra:])
    assert_affine(lambda x: x[(slice(None), *key)], shape)


@given(data=st.data())
def test_random_paddings_repeats_tiles_and_rolls(data):
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple))
    axis = data.draw(st.integers(1, len(shape)))
    times = data.draw(st.integers(1, 3))
    widths = [(0, 0), *(data.draw(st.tuples(*[st.integers(0, n - 1)] * 2)) for n in shape)]
    mode = data.draw(st.sampled_from(["constant", "reflect", "symmetric"]))
    assert_affine(
        data.draw(
            st.sampled_from(
                [
                    lambda x: ops.pad(x, widths, mode=mode),
                    lambda x: ops.repeat(x, times, axis=axis),
                    lambda x: ops.tile(x, [1] * axis + [times] + [1] * (len(shape) - axis)),
                    lambda x: ops.roll(x, times, axis=axis),
                    lambda x: ops.flip(x, axis=axis),
                ]
            )
        ),
        shape,
    )


@given(data=st.data())
def test_random_transpositions_of_reshaped_tensors(data):
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple))
    order = data.draw(st.permutations(range(1, len(shape) + 1)))
    flat = (int(np.prod(shape)),)

    def function(x):
        return ops.transpose(ops.reshape(x, (-1, *shape)), (0, *order))

    graph = assert_affine(function, flat)
    assert graph.n_edges in (0, *flat)


def test_no_edge_of_a_large_image_is_listed_one_by_one():
    def function(x):
        x = ops.pad(x, ((0, 0), (3, 3), (3, 3), (0, 0)), mode="reflect")
        x = ops.transpose(x[:, ::2, 1:-1], (0, 3, 1, 2))
        return ops.concatenate([x, ops.flip(x, axis=-1)], axis=1)

    graph = gg.from_keras(operation_model(function, (100, 90, 8)))
    assert max(len(axis) for p in graph.projections for axis in p.axes) <= 106


def test_patches_of_images_take_one_axis():
    graph = assert_affine(lambda x: ops.image.extract_patches(x, 2, strides=1), (4, 5, 2))
    (projection,) = graph.projections
    assert [len(axis) for axis in projection.axes] == [graph.n_edges]
    assert graph.n_edges == 3 * 4 * 2 * 2 * 2


def test_several_outputs_are_populations_of_their_own():
    inputs = keras.Input((6, 2))
    model = keras.Model(inputs, ops.split(inputs[:, ::-1], 3, axis=1))
    graph = gg.from_keras(model)
    assert graph.verify().passed
    names = [graph.tensors[ref.label].population.name for ref in graph.topology.outputs]
    assert names == [model.operations[-1].name + part for part in ("", "/1", "/2")]


def test_a_model_of_batch_size_one_may_name_it():
    model = operation_model(
        lambda x: ops.reshape(ops.broadcast_to(x, (1, 4, 3)), (1, 12)), (1, 3), batch_size=1
    )
    graph = gg.from_keras(model)
    assert graph.verify().passed
    assert graph.n_edges == 12


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x: x[0], "from one sample of the batch to another"),
        (lambda x: ops.reshape(x, (-1, 3)), "the batch axis is not in front"),
        (lambda x: ops.tile(x, (2, 1, 1)), "the batch axis is not in front"),
        (lambda x: ops.repeat(x, 2, axis=0), "the batch axis is not in front"),
        (
            lambda x: ops.concatenate([x, x], axis=0),
            "the batch axis is not in front, or holds positions",
        ),
        (lambda x: ops.flip(x), "from one sample of the batch to another"),
        (lambda x: ops.roll(x, 1), "from one sample of the batch to another"),
        (lambda x: ops.roll(x, 1, axis=0), "along its axis 0, the batch's"),
        (lambda x: ops.roll(x, 2, axis=0), "along its axis 0, the batch's"),
        (lambda x: ops.take(x, [0, 1], axis=0), "along its axis 0, the batch's"),
        (lambda x: ops.take(x, [0, 1], axis=-3), "along its axis -3, the batch's"),
        (lambda x: x[:2, :], "takes some samples"),
        (lambda x: x[-2:, ..., 1], "takes some samples"),
        (lambda x: x[:100, 0], "takes some samples"),
        (lambda x: ops.reshape(x, (3, 6)), "neither one by one nor in a batch"),
        (lambda x: ops.slice_update(x, (0, 1, 0), ROW), "from one sample of the batch"),
        (lambda x: ops.concatenate([x, np.ones((5, 2, 3))], axis=1), "neither one by one"),
    ],
)
def test_what_touches_the_batch_is_refused(function, why):
    assert_refused(function, (2, 3), why=why)


def test_a_start_that_depends_on_the_inputs_is_refused():
    values = keras.Input((2, 3), batch_size=3)
    start = keras.Input((), batch_size=3, dtype="int32")
    model = keras.Model([values, start], ops.slice_update(values, start, values))
    with pytest.raises(gg.UnsupportedLayerError, match="its start_indices depend on the inputs"):
        gg.from_keras(model)


@pytest.mark.parametrize("dtype", ["int32", "bool"])
@pytest.mark.parametrize("cast", [ops.cast, ops.saturate_cast, ops.array])
def test_values_that_are_cut(cast, dtype):
    graph = gg.from_keras(operation_model(lambda x: cast(x, dtype), (4,)))
    x = np.array([[-1.7, 0.0, 0.4, 2.5]])
    assert graph.verify(x).passed
    assert graph.n_nodes == 8
    assert [(p.kind, p.n_edges) for p in graph.projections] == [("copy", 4)]
