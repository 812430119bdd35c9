import keras
import numpy as np
import pytest

import gpugraph as gg
from gpugraph.conversion import Draft
from gpugraph.model.layer_call import LayerCall
from gpugraph.population import Tensor
from tests.models import randomise


def conversion(output_shape, *shapes, channels_first=False, **options):
    """Return the conversion of a made-up layer called on inputs of these shapes."""
    draft = Draft(**options)
    sources = []
    for i, shape in enumerate(shapes):
        name = f"x{i}"
        population = gg.Population(
            name, tuple(shape), draft.n_nodes, "InputLayer", channels_first=channels_first
        )
        draft.populations[name] = population
        draft.n_nodes += population.size
        sources.append(Tensor(population, tuple(shape)))
    call = LayerCall("made", "Made", object(), (), {}, (), tuple(shapes), (output_shape,), 0)
    return gg.Conversion(call, tuple(sources), draft)


def dense(call):
    """Return the only projection's edges as a matrix."""
    (p,) = call.draft.projections
    src, dst, weight = p.edges()
    matrix = np.zeros((p.source.size, p.target.size))
    np.add.at(matrix, (src - p.source.offset, dst - p.target.offset), weight)
    return matrix


def test_populations_follow_one_another():
    call = conversion((2, 3), (4,))
    first, second = call.population("part", (5,)), call.population()
    assert [(p.name, p.offset) for p in call.draft.populations.values()] == [
        ("x0", 0),
        ("made/part", 4),
        ("made", 9),
    ]
    assert (first.shape, second.shape) == ((5,), (2, 3))
    assert call.draft.n_nodes == 15


def test_depth_is_one_more_than_the_deepest_source():
    call = conversion((4,), (4,), (4,))
    deeper = call.population("deeper")
    assert deeper.population.depth == 1
    assert call.population(sources=[*call.sources, deeper]).population.depth == 2
    assert call.population("again").population.depth == 1


@pytest.mark.parametrize(("shape", "expected"), [((2, 3, 3), True), ((18,), False)])
def test_channels_first_is_kept_while_the_rank_is(shape, expected):
    call = conversion(shape, (2, 3, 3), channels_first=True)
    assert call.population().population.channels_first is expected
    assert call.population("set", channels_first=False).population.channels_first is False


def test_source_is_the_only_one():
    call = conversion((4,), (4,))
    assert call.source is call.sources[0]
    message = r"'made' \(Made\): it is called on 2 tensors instead of one\. Cut the model"
    with pytest.raises(gg.UnsupportedLayerError, match=message):
        _ = conversion((4,), (4,), (4,)).source


def test_errors_name_the_layer_and_what_to_do():
    call = conversion((4,), (4, 2), (3,))
    assert "Cannot convert layer 'made' (Made): it is odd. Cut the model" in str(
        call.unsupported("it is odd")
    )
    assert "was built for 5 inputs, but its input has shape (4, 2) and (3,). Choose" in str(
        call.misfit("5 inputs")
    )


@pytest.mark.parametrize(
    ("axis", "what"),
    [
        (gg.fan_in(5).place(src=1), "source element 4 of 4"),
        (gg.fan_in(2).place(src=4), "source element 4 of 4"),
        (gg.fan_out(4).place(dst=1), "target element 3 of 3"),
        (gg.fan_in(3).place(src=1, tap=3), "kernel element 6 of 6"),
    ],
)
def test_axes_that_reach_too_far_are_refused(axis, what):
    call = conversion((3,), (4,))
    message = rf"'made' \(Made\) do not fit its shapes .input \(4,\), output \(3,\).: {what}"
    with pytest.raises(gg.ShapeError, match=message):
        call.project(call.source, call.population(), [axis], np.zeros((2, 3), np.float32))
    assert call.draft.projections == []


@pytest.mark.parametrize(
    ("source", "kernel", "target"),
    [
        ((2, 3), (2, 3), (2, 3)),
        ((2, 3), (3,), (2, 3)),
        ((2, 3), (2, 1), (2, 3)),
        ((2, 3), (), (2, 3)),
        ((3,), (2, 3), (2, 3)),
        ((1, 3), (2, 1), (2, 3)),
        ((1, 1, 4), (4,), (3, 2, 4)),
        ((), (3,), (3,)),
        ((2, 1, 2), (1, 3, 1), (2, 3, 2)),
    ],
)
def test_elementwise_broadcasts_as_numpy_does(source, kernel, target):
    call = conversion(target, source)
    weights = np.arange(1, 1 + np.prod(kernel), dtype=np.float32).reshape(kernel)
    call.project_elementwise(call.source, call.population(), weights, "scale")
    x = np.random.default_rng(0).standard_normal(source)
    expected = np.broadcast_to(x * weights, target).reshape(-1)
    np.testing.assert_allclose(x.reshape(-1) @ dense(call), expected)
    assert call.draft.projections[0].n_edges == expected.size


def test_one_number_goes_to_one_number():
    call = conversion((), ())
    call.project_elementwise(call.source, call.population(), np.float32(3), "scale")
    np.testing.assert_array_equal(dense(call), [[3]])
    np.testing.assert_array_equal(call.draft.projections[0].out_strength("magnitude"), [3])


def test_elementwise_without_kernel_copies():
    call = conversion((2, 2), (2, 2))
    call.project_elementwise(call.source, call.population())
    np.testing.assert_array_equal(dense(call), np.eye(4))
    assert call.draft.projections[0].kind == "copy"


@pytest.mark.parametrize(("source", "kernel"), [((3, 2), (2,)), ((2, 3), (2,)), ((2, 3), (4, 3))])
def test_elementwise_shapes_that_do_not_broadcast(source, kernel):
    call = conversion((2, 3), source)
    with pytest.raises(gg.ShapeError, match=r"'made' \(Made\): input .* do not broadcast to"):
        call.project_elementwise(call.source, call.population(), np.ones(kernel, np.float32))


@pytest.mark.parametrize("given", [np.float32, np.float64, np.float16, np.int8, bool])
def test_kernels_are_held_in_the_layers_precision(given):
    call = conversion((4,), (4,))
    call.project_elementwise(call.source, call.population(), np.ones(4, given))
    assert call.draft.projections[0].kernel.dtype == np.float32


def test_a_layer_of_float64_keeps_every_digit():
    model = keras.Sequential(
        [
            keras.Input((3,), dtype="float64"),
            keras.layers.BatchNormalization(dtype="float64"),
            keras.layers.Rescaling(0.1, 0.7, dtype="float64"),
        ]
    )
    graph = gg.from_keras(randomise(model))
    assert all(p.kernel.dtype == np.float64 for p in graph.projections)
    x = np.random.default_rng(0).standard_normal((2, 3))
    values = graph.evaluate(x)[list(graph.populations)[-1]]
    expected = keras.ops.convert_to_numpy(model(x))  # predict() would round x to float32
    np.testing.assert_allclose(values, expected, rtol=1e-14)


@pytest.mark.parametrize("attribute", ["population", "row", "subset", "id"])
def test_an_attribute_cannot_take_the_name_of_another(attribute):
    call = conversion((4,), (4,))
    with pytest.raises(ValueError, match=f"cannot be called '{attribute}'"):
        call.population(attributes={attribute: np.ones(4)})


@pytest.mark.parametrize("options", [{"bias": np.ones(3)}, {"attributes": {"a": np.ones((2, 4))}}])
def test_biases_and_attributes_must_fit_the_shape(options):
    call = conversion((4,), (4,))
    with pytest.raises(gg.ShapeError, match=r"was built for (bias|a) of shape"):
        call.population(**options)


def test_attributes_must_be_finite():
    call = conversion((4,), (4,))
    with pytest.raises(gg.NonFiniteError, match="The a of layer"):
        call.population(attributes={"a": np.full(4, np.nan)})


@pytest.mark.parametrize("number", [0.1, 1, np.float64(0.1), np.array(0.1)])
def test_a_number_does_not_make_a_graph_of_float64(number):
    call = conversion((4,), (4,))
    call.project_elementwise(call.source, call.population(bias=number), number)
    assert call.draft.projections[0].kernel.dtype == np.float32
    assert call.draft.populations["made"].bias.dtype == np.float32


def test_kernels_are_not_copied():
    call = conversion((4,), (4,))
    kernel = np.ones((2, 2), np.float32)
    call.project(call.source, call.population(), [gg.one_to_one(4).place(1, 1)], kernel)
    assert np.shares_memory(call.draft.projections[0].kernel, kernel)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_kernels_and_biases_must_be_finite(value):
    call = conversion((2,), (2,))
    bad = np.array([1, value], np.float32)
    with pytest.raises(gg.NonFiniteError, match=r"The bias of layer 'made' \(Made\)"):
        call.population(bias=bad)
    with pytest.raises(gg.NonFiniteError, match=r"The weights of layer 'made' \(Made\)"):
        call.project_elementwise(call.source, call.population(), bad)


def test_values_that_are_not_finite_may_be_allowed():
    call = conversion((2,), (2,), allow_nonfinite=True)
    call.project_elementwise(call.source, call.population(), np.float32([1, np.nan]))
    assert np.isnan(call.draft.projections[0].kernel[1])


def test_a_wrapped_layer_is_converted_under_the_names_of_its_wrapper():
    call = conversion((2, 4), (2, 3))
    layer = keras.layers.Dense(4, activation="relu", name="inner")
    layer.build((None, 2, 3))
    (tensor,) = call.convert(layer, "part", call.sources, [(2, 4)])
    assert (tensor.population.name, tensor.population.layer) == ("made/part", "Dense")
    np.testing.assert_array_equal(call.draft.projections[0].kernel, np.ravel(layer.kernel))
    (own,) = call.convert(layer, None, call.sources, [(2, 4)])
    assert own.population.name == "made"


def test_a_wrapped_layer_must_give_the_shape_that_is_said():
    call = conversion((2, 4), (2, 3))
    layer = keras.layers.Dropout(0.5)
    with pytest.raises(gg.ShapeError, match=r"'made/part' \(Dropout\) gives"):
        call.convert(layer, "part", call.sources, [(3, 2)])


def test_dynamics_take_the_place_of_the_sum():
    call = conversion((2, 3), (2, 3), (3,))
    target = call.population(dynamics=lambda x, y: x * y[:, None], bias=1.0)
    dynamics = target.population.dynamics
    assert dynamics.sources == call.sources
    x, y = np.ones((5, 2, 3)), np.full((5, 3), 2.0)
    assert (dynamics.function(x, y) == 2).all()
    before = call.population("part", sources=[target], dynamics=abs)
    assert before.population.dynamics.sources == (target,)
