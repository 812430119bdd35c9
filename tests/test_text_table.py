import keras
import pytest
from keras import layers

import gpugraph as gg
from gpugraph.text_table import text_table


def test_columns_are_as_wide_as_their_longest_cell():
    lines = text_table([("name", "n"), ("a", "10"), ("longer", "7")], (False, True))
    assert lines == ["name     n", "a       10", "longer   7"]


@pytest.fixture(scope="module")
def hostile():
    """A model whose names would colour a terminal and break lines."""
    image = keras.Input((2,), name="x\n")
    dense = layers.Dense(2, name="a\x1b[31m\u2028b", kernel_initializer="ones")
    return keras.Model(image, dense(image), name="m\x1b[2J")


@pytest.mark.parametrize(
    "text_of",
    [
        lambda model: gg.from_keras(model).summary(),
        lambda model: gg.from_keras(model).verify(),
        lambda model: gg.layer_statistics(gg.from_keras(model)),
        gg.weights_table,
    ],
)
def test_names_of_untrusted_models_are_spelled_out(hostile, text_of):
    lines = str(text_of(hostile)).split("\n")
    assert all(line.isprintable() for line in lines)
    assert any(r"a\x1b[31m\u2028b" in line or r"x\n" in line for line in lines)
