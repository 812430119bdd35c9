"""Every operation of keras.ops is converted, or refused by name and with a reason."""

import importlib
import inspect
import pkgutil
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers, ops
from keras.src import activations, quantizers
from keras.src import ops as operations

import gpugraph as gg
from gpugraph.layers.refused_operations import REFUSED_OPERATIONS
from gpugraph.registry import find_converter
from tests.jacobian import randomise


def operation_classes():
    """Return the operations that Keras defines, by the names that converters have."""
    found = {}
    for package in (operations, activations, quantizers):
        for file in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if not file.name.endswith("_test"):
                module = importlib.import_module(file.name)
                for name, cls in inspect.getmembers(module, inspect.isclass):
                    if issubclass(cls, keras.Operation) and cls.__module__ == module.__name__:
                        found[f"ops.{name}"] = cls
    del found["ops.Operation"]
    return found


OPERATIONS = operation_classes()


def test_every_operation_is_converted_or_refused_with_a_reason():
    converted = {name for name in gg.supported_layers() if name.startswith("ops.")}
    assert converted.isdisjoint(REFUSED_OPERATIONS)
    # What tracing puts in place of values that depend on no input is none of Keras's.
    assert converted | set(REFUSED_OPERATIONS) == {*OPERATIONS, "ops.Constant"}


@pytest.mark.parametrize("name", REFUSED_OPERATIONS)
def test_refused_operations_are_named(name):
    cls = OPERATIONS[name]
    why = rf"'here' \({cls.__name__}\).*since {REFUSED_OPERATIONS[name]}"
    with pytest.raises(gg.UnsupportedLayerError, match=why):
        find_converter(object.__new__(cls), "here")


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: ops.argpartition(x, 1), "Argpartition"),
        (lambda x: ops.view(x, "int32"), "View"),
        (lambda x: ops.vectorized_map(lambda y: y * 2, x), "VectorizedMap"),
        (lambda x: ops.lu_factor(x @ ops.transpose(x, (0, 2, 1)))[0], "LuFactor"),
        (lambda x: ops.flipud(x), "Flipud"),
    ],
)
def test_models_with_refused_operations_are_refused(function, name):
    inputs = keras.Input((2, 3))
    with pytest.raises(gg.UnsupportedLayerError, match=rf"\({name}\): no converter.*since"):
        gg.from_keras(keras.Model(inputs, function(inputs)))


def mixed_model():
    """A network that leaves most of its work to keras.ops."""
    image = keras.Input((8, 8, 3))
    vector = keras.Input((4,))
    x = ops.pad(image / 255.0 - 0.5, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    x = layers.Conv2D(6, 3)(x)
    left, right = ops.split(x, 2, axis=-1)
    x = left * ops.sigmoid(right)
    x = ops.where(x > 0, x, 0.1 * x)
    patches = ops.reshape(x, (-1, 4, 2, 4, 2, 3))
    patches = ops.reshape(ops.transpose(patches, (0, 1, 3, 2, 4, 5)), (-1, 16, 12))
    tokens = layers.Dense(5)(patches)
    scores = ops.softmax(tokens @ ops.transpose(tokens, (0, 2, 1)) / np.sqrt(5.0), axis=-1)
    tokens = tokens + scores @ tokens
    centred = tokens - ops.mean(tokens, axis=-1, keepdims=True)
    tokens = centred / ops.sqrt(ops.var(tokens, axis=-1, keepdims=True) + 1e-3)
    pooled = ops.concatenate(
        [ops.max(tokens, axis=1), ops.mean(tokens, axis=1), tokens[:, 0, ::-1], vector], axis=-1
    )
    gate = ops.expand_dims(ops.tanh(vector), 1) * ops.stack([vector, -vector], axis=1)
    joined = ops.einsum("bi,bji->bj", vector, gate)
    return keras.Model([image, vector], [layers.Dense(3)(pooled), ops.maximum(joined, 0.0)])


def test_a_model_of_many_operations():
    model = mixed_model()
    randomise(model)
    graph = gg.from_keras(model)
    assert graph.verify().passed
    rng = np.random.default_rng(0)
    inputs = [rng.uniform(-1, 1, (3, *shape)).astype(np.float32) for shape in ((8, 8, 3), (4,))]
    values = graph.evaluate(inputs)
    for ref, expected in zip(graph.topology.outputs, model.predict(inputs, verbose=0), strict=True):
        got = values[graph.tensors[ref.label].population.name].reshape(expected.shape)
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


UNARY = [
    ops.relu,
    ops.tanh,
    lambda x: -x,
    lambda x: x + 1,
    lambda x: ops.flip(x, axis=1),
    lambda x: ops.transpose(x, (0, 2, 1)),
    lambda x: ops.cumsum(x, axis=-1),
    lambda x: ops.softmax(x),
    lambda x: ops.square(x) / 4,
    lambda x: x - ops.mean(x, axis=1, keepdims=True),
    lambda x: ops.roll(x, 1, axis=2),
    lambda x: ops.where(x > 0, x, 0.5 * x),
    lambda x: x @ ops.ones((3, 3)),
]
BINARY = [
    lambda x, y: x + y,
    lambda x, y: x * y,
    ops.maximum,
    ops.logaddexp,
    lambda x, y: x @ y,
    lambda x, y: ops.concatenate([x, y], axis=1)[:, 1:4],
    lambda x, y: ops.stack([x, y], axis=1)[:, 0],
]


@given(data=st.data())
def test_random_models_of_operations(data):
    inputs = keras.Input((3, 3))
    tensors = [inputs]
    for _ in range(data.draw(st.integers(1, 6))):
        pick = st.sampled_from(tensors)
        if data.draw(st.booleans()):
            tensors.append(data.draw(st.sampled_from(UNARY))(data.draw(pick)))
        else:
            tensors.append(data.draw(st.sampled_from(BINARY))(data.draw(pick), data.draw(pick)))
    assert gg.from_keras(keras.Model(inputs, tensors[-1])).verify().passed


PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
START, END = (
    "<!-- operations: written by tests/layers/test_every_operation.py -->\n",
    "<!-- end of operations -->",
)


def table_of_refused():
    """Return the table of refused operations, one row per reason."""
    by_reason = {}
    for name, why in REFUSED_OPERATIONS.items():
        by_reason.setdefault(why, []).append(name.removeprefix("ops."))
    rows = [f"| {', '.join(names)} | {why} |" for why, names in by_reason.items()]
    return "\n".join(["| operations | refused, since |", "|---|---|", *rows]) + "\n"


def test_the_page_of_refused_operations_is_complete():
    text = PAGE.read_text()
    written = text[text.index(START) + len(START) : text.index(END)]
    assert written == table_of_refused(), "run: python -m tests.layers.test_every_operation"


def main():
    """Write the table into the page."""
    text = PAGE.read_text()
    before, after = text[: text.index(START) + len(START)], text[text.index(END) :]
    PAGE.write_text(before + table_of_refused() + after)


if __name__ == "__main__":
    main()
