import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from keras.src.activations.activations import Mish, ReLU
from keras.src.ops.numpy import Abs
from keras.src.quantizers.quantizers import FakeQuantWithMinMaxVars

import gpugraph as gg
from gpugraph.layers.elementwise import BINARY, BINARY_OF_WHOLE, UNARY, UNARY_OF_WHOLE
from tests.operations import assert_affine, assert_computes, assert_refused, kinds

MASK = np.array([[True, False, True], [False, True, True]])
TABLE = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 4.0]], np.float32)
SHAPE = (2, 3)

OPTIONS = {
    "clip": {"x_min": -0.5, "x_max": 0.5},
    "threshold": {"threshold": 0.25, "default_value": -1.0},
}


def function_named(name):
    """Return the function of keras.ops whose operation has this class name."""
    # keras.ops has no function that makes these; models hold them all the same.
    if name in ("Abs", "Mish", "ReLU"):
        return lambda x: {"Abs": Abs, "Mish": Mish, "ReLU": ReLU}[name]()(x)
    names = {n.replace("_", "").lower(): n for n in dir(ops)}
    return getattr(ops, names[name.lower()])


def unary(name):
    keras_function = function_named(name)
    return lambda x: keras_function(x, **OPTIONS.get(keras_function.__name__, {}))


def binary(name):
    keras_function = function_named(name)
    return lambda xs: keras_function(*xs)


ROWS = {
    **{f"ops.{name}": (unary(name), SHAPE) for name in UNARY},
    **{f"ops.{name}": (binary(name), SHAPE, SHAPE) for name in BINARY},
    "ops.FakeQuantWithMinMaxVars": (
        lambda x: keras.quantizers.fake_quant_with_min_max_vars(x, -1.0, 1.5),
        SHAPE,
    ),
    **{f"ops.{name}": (unary(name), keras.Input(SHAPE, dtype="int32")) for name in UNARY_OF_WHOLE},
    **{
        f"ops.{name}": (binary(name), *(keras.Input(SHAPE, dtype="int32") for _ in range(2)))
        for name in BINARY_OF_WHOLE
    },
    "ops.Select": (lambda x: ops.select([x > 0.5, x < -0.5], [x, -x], 0.0), SHAPE),
    "ops.Where": (lambda x: ops.where(x > 0, x, ops.exp(x)), SHAPE),
}


@pytest.mark.parametrize("name", UNARY)
def test_unary_operations_compute_each_element_from_its_own(name):
    keras_function = unary(name)
    x = np.linspace(-2, 2, 7, dtype=np.float32)
    whole = ops.convert_to_numpy(keras_function(x))
    each = [ops.convert_to_numpy(keras_function(x[i : i + 1])) for i in range(len(x))]
    np.testing.assert_allclose(whole, np.concatenate(each), rtol=1e-6)


@pytest.mark.parametrize("name", UNARY)
def test_unary_operations_are_functions_on_nodes(name):
    graph = assert_computes(unary(name), SHAPE)
    (projection,) = graph.projections
    assert (projection.kind, projection.n_edges) == ("copy", 6)
    assert projection.target.activation.function is not None


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("shapes", [(SHAPE, SHAPE), ((2, 1), SHAPE)])
def test_of_two_tensors_every_element_meets_its_own(name, shapes):
    graph = assert_computes(function_named(name), *shapes)
    assert kinds(graph) == {"dynamic"}
    first = int(np.prod(shapes[0]))
    expected = {(j // 3 if first == 2 else j, first + 6 + j) for j in range(6)}
    expected |= {(first + j, first + 6 + j) for j in range(6)}
    assert {(src, dst) for src, dst, _ in graph.edge_tuples()} == expected


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("constant", [np.float32(2), TABLE, TABLE[None]])
@pytest.mark.parametrize("swapped", [False, True])
def test_of_a_tensor_and_a_constant_a_function_on_nodes(name, constant, swapped):
    keras_function = function_named(name)

    def function(x):
        return keras_function(constant, x) if swapped else keras_function(x, constant)

    graph = assert_computes(function, SHAPE)
    assert kinds(graph) == {"copy"}
    assert graph.n_edges == 6


@pytest.mark.parametrize("name", UNARY_OF_WHOLE + BINARY_OF_WHOLE)
@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_operations_on_whole_numbers(name, dtype):
    x, y = (keras.Input(SHAPE, dtype=dtype) for _ in range(2))
    keras_function = function_named(name)
    given = [x] if name in UNARY_OF_WHOLE else [x, y]
    outputs = [keras_function(*given)]
    if len(given) > 1:
        outputs.append(keras_function(x, np.full((2, 3), 3, dtype)))
    graph = gg.from_keras(keras.Model(given, outputs))
    rng = np.random.default_rng(0)
    assert graph.verify([rng.integers(0, 8, (4, *SHAPE)) for _ in given]).passed
    assert graph.n_edges == (6 if len(given) == 1 else 18)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (ops.relu, "relu"),
        (lambda x: ops.leaky_relu(x, 0.1), "leaky_relu(negative_slope=0.1)"),
        (lambda x: x**2, "power(x, 2)"),
        (lambda x: 2.5**x, "power(2.5, x)"),
        (lambda x: ops.maximum(TABLE, x), "maximum(..., x)"),
        (lambda x: ops.clip(x, 0, 1), "clip(x_min=0, x_max=1)"),
        (lambda x: ops.gelu(x, approximate=False), "gelu(approximate=False)"),
        (lambda x: ops.divide(x, x), "divide(x, x)"),
        (lambda x: ops.log_sigmoid(x), "log_sigmoid"),
        (lambda x: ops.array(x, "int32"), "array(dtype=int32)"),
        (lambda x: ops.cast(x, "bool"), "cast(dtype=bool)"),
        (
            lambda x: keras.activations.relu(x, 0.1, max_value=1.5),
            "relu(negative_slope=0.1, max_value=1.5, threshold=0)",
        ),
    ],
)
def test_names_tell_options_and_operands(function, name):
    graph = assert_computes(function, SHAPE)
    (_, population) = graph.populations.values()
    assert population.activation.name == name


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_ranges_of_channels(axis):
    low = -np.arange(1.0, SHAPE[axis - (axis > 0)] + 1).astype(np.float32)
    quantize = FakeQuantWithMinMaxVars(num_bits=3, axis=axis)
    graph = assert_computes(lambda x: quantize(x, low, -low), SHAPE)
    assert (kinds(graph), graph.n_edges) == ({"copy"}, 6)


def test_ranges_of_samples_or_of_inputs_are_refused():
    quantize = FakeQuantWithMinMaxVars(axis=0)
    assert_refused(lambda x: quantize(x, -TABLE[0], TABLE[0]), SHAPE, why="the batch's")
    quantize = FakeQuantWithMinMaxVars(axis=1)
    why = "its range depends on the inputs"
    assert_refused(lambda x: quantize(x, x, x), (2,), why=why)


def test_a_constant_may_enlarge_the_tensor():
    assert assert_computes(lambda x: ops.power(TABLE, x), (2, 1)).n_edges == 6


def test_tensors_divide_tensors():
    graph = assert_computes(lambda x, y: x / (ops.abs(y) + 1), SHAPE, (1, 3))
    assert "dynamic" in kinds(graph)
    assert kinds(assert_computes(lambda x: 3 / x, SHAPE)) == {"copy"}


@pytest.mark.parametrize(
    ("function", "n_edges"),
    [
        (lambda x: ops.where(MASK, x, 0.0), 4),
        (lambda x: ops.where(MASK, x, -1e3), 4),
        (lambda x: ops.where(MASK, TABLE, x), 2),
        (lambda x: ops.where(MASK, x, -x), 6 + 6),
        (lambda x: ops.where(MASK[:1], x, TABLE), 4),
        (lambda x: ops.select([MASK, ~MASK], [x, TABLE], 1.0), 4),
    ],
)
def test_constant_conditions_choose_edges(function, n_edges):
    graph = assert_affine(function, SHAPE)
    assert graph.n_edges == n_edges
    assert "dynamic" not in kinds(graph)


def test_conditions_on_the_inputs_are_dynamic():
    graph = assert_computes(lambda x, y, z: ops.where(x > 0, y, z), SHAPE, (2, 1), SHAPE)
    assert [p.kind for p in graph.projections] == ["copy", "dynamic", "dynamic", "dynamic"]
    assert graph.n_edges == 4 * 6


@given(
    shape=st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple),
    data=st.data(),
)
def test_random_broadcasting(shape, data):
    kept = data.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
    other = tuple(n if keep else 1 for n, keep in zip(shape, kept, strict=True))
    graph = assert_computes(ops.logaddexp, shape, other)
    assert graph.n_edges == 2 * np.prod(shape)


@pytest.mark.parametrize(
    ("function", "shapes", "why"),
    [
        (lambda x: x ** np.ones((4, 1, 3), np.float32), [(3,)], "batch"),
        (lambda x: x ** np.ones((4, 3), np.float32), [(3,)], "from sample to sample"),
        (lambda x: ops.where(x > 0, x, np.ones((4, 3))), [(3,)], "from sample to sample"),
        (lambda x: ops.clip(x, np.zeros((4, 3)), 1), [(3,)], "from sample to sample"),
        (lambda x: ops.cast(x, "complex64"), [(3,)], "makes complex numbers"),
        (lambda x: ops.real(x * 1j), [(3,)], "makes complex numbers"),
        (lambda x: ops.real(x + np.complex64(1j)), [(3,)], "makes complex numbers"),
    ],
)
def test_what_meets_the_batch_or_has_no_nodes_is_refused(function, shapes, why):
    assert_refused(function, *shapes, why=why)


def test_complex_inputs_are_refused():
    x = keras.Input((3,), dtype="complex64", name="waves")
    with pytest.raises(gg.UnsupportedLayerError, match=r"'waves'.*makes complex numbers"):
        gg.from_keras(keras.Model(x, ops.real(x)))


def test_tensors_of_different_rank_are_refused():
    x, y = keras.Input((2, 3), batch_size=2), keras.Input((3,), batch_size=2)
    with pytest.raises(gg.UnsupportedLayerError, match="differ in rank"):
        gg.from_keras(keras.Model([x, y], x**y))
