import keras
import numpy as np
import pytest
from keras import layers

import gpugraph as gg
from gpugraph import registry


class Halve(layers.Layer):
    def call(self, x):
        return x * 0.5


@pytest.fixture
def converters(monkeypatch):
    """Forget what a test registers."""
    gg.supported_layers()
    monkeypatch.setattr(registry, "_CONVERTERS", dict(registry._CONVERTERS))


def halving():
    x = keras.Input((3,), name="x")
    return keras.Model(x, Halve(name="half")(x))


def halve(call):
    """One to one, weight 0.5 (`scale`)."""
    target = call.population()
    call.project_elementwise(call.source, target, kernel=0.5, kind="scale")
    return target


@pytest.mark.usefixtures("converters")
def test_a_registered_converter_is_used():
    assert gg.converts("Halve")(halve) is halve
    graph = gg.from_keras(halving())
    assert [p.kind for p in graph.projections] == ["scale"]
    np.testing.assert_array_equal(graph.evaluate(np.ones((1, 3)))["half"], [[0.5] * 3])
    assert graph.verify().passed


def test_a_layer_without_converter_says_how_to_register_one():
    message = (
        r"Cannot convert layer 'half' \(Halve\): no converter is registered for "
        r'tests\.test_registry\.Halve\. Register one with @gpugraph\.converts\("Halve"\), or cut'
    )
    with pytest.raises(gg.UnsupportedLayerError, match=message):
        gg.from_keras(halving())


class Determinant(keras.Operation):
    def call(self, x):
        return keras.ops.det(x)

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape[:1], x.dtype)


def test_an_operator_without_converter_says_how_to_register_one():
    x = keras.Input((2, 2))
    model = keras.Model(x, Determinant()(x))
    with pytest.raises(gg.UnsupportedLayerError, match=r'converts\("ops\.Determinant"\)'):
        gg.from_keras(model)


@pytest.mark.usefixtures("converters")
def test_an_operator_can_be_registered():
    @gg.converts("ops.Determinant")
    def determinant(call):
        target = call.population(dynamics=np.linalg.det)
        call.project(call.source, target, [gg.fan_in(4).place(1)], kind="dynamic")
        return target

    x = keras.Input((2, 2))
    assert gg.from_keras(keras.Model(x, Determinant()(x))).verify().passed


@pytest.mark.usefixtures("converters")
@pytest.mark.parametrize("name", ["Conv2D", "Dense", "ops.Add"])
def test_keras_own_layers_are_taken(name):
    with pytest.raises(ValueError, match=f"'{name}' already has the converter gpugraph.layers"):
        gg.converts(name)(halve)


@pytest.mark.usefixtures("converters")
def test_a_second_converter_is_refused_and_changes_nothing():
    gg.converts("Halve")(halve)
    with pytest.raises(ValueError, match=r"'Halve' .* converter .*test_registry\.halve"):
        gg.converts("Other", "Halve")(lambda call: call.source)
    assert "Other" not in gg.supported_layers()
    assert registry._CONVERTERS["Halve"] is halve


@pytest.mark.usefixtures("converters")
def test_a_users_class_named_like_one_of_keras_is_not_taken_for_it():
    class Dense(layers.Layer):
        def call(self, x):
            return x + 1

    x = keras.Input((3,), name="x")
    with pytest.raises(gg.UnsupportedLayerError, match=r"'mine' \(Dense\).*test_registry"):
        gg.from_keras(keras.Model(x, Dense(name="mine")(x)))


@pytest.mark.usefixtures("converters")
def test_a_subclass_of_a_keras_layer_needs_its_own_converter():
    class Mine(layers.Dense):
        pass

    x = keras.Input((3,), name="x")
    with pytest.raises(gg.UnsupportedLayerError, match=r"'mine' \(Mine\)"):
        gg.from_keras(keras.Model(x, Mine(2, name="mine")(x)))


@pytest.mark.usefixtures("converters")
def test_a_nested_model_with_its_own_call_can_be_registered():
    class Block(keras.Model):
        def call(self, x):
            return x * 0.5

    gg.converts("Block")(halve)
    x = keras.Input((3,), name="x")
    assert gg.from_keras(keras.Model(x, Block(name="block")(x))).verify().passed


@pytest.mark.usefixtures("converters")
def test_supported_layers_lists_every_converter_in_a_line():
    gg.converts("Halve")(halve)
    gg.converts("Silent")(lambda call: call.source)
    supported = gg.supported_layers()
    assert supported["Halve"] == "One to one, weight 0.5 (`scale`)."
    assert supported["Silent"] == ""
    assert list(supported) == sorted(supported)
    assert {"Conv2D", "Dense", "InputLayer", "ops.Add"} <= set(supported)


def test_every_converter_of_gpugraph_says_what_the_layer_becomes():
    own = {n: d for n, d in gg.supported_layers().items() if n in registry._CONVERTERS}
    assert [n for n, line in own.items() if not line.endswith(".") or len(line) < 15] == []
