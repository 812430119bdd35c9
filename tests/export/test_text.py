"""Text fields read back as the numbers they were."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gpugraph.export.text import Rows, fields


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(data=st.data())
def test_floats_survive(dtype, data):
    values = data.draw(hnp.arrays(dtype, st.integers(1, 20)))
    read = np.array([float(text) for text in fields(values)]).astype(dtype)
    np.testing.assert_array_equal(read, values)


@given(hnp.arrays(np.int64, st.integers(1, 20)))
def test_integers_survive(values):
    assert [int(text) for text in fields(values)] == values.tolist()


def test_what_follows_stands_right_behind_the_number():
    assert fields(np.array([1, 23]), '"').tolist() == [b'1" ', b'23"']


@given(hnp.arrays(np.int32, st.integers(1, 50)), hnp.arrays(np.int32, st.integers(1, 50)))
def test_rows_are_pieces_and_fields_in_turn(first, second):
    rows = Rows(["<", "|", ">\n"])
    for numbers in (first, second):  # the second call finds the first one's buffer
        text = bytes(rows.join([fields(numbers), fields(numbers[::-1].copy())])).decode()
        pairs = [line.strip("<>").split("|") for line in text.splitlines()]
        assert [(int(a), int(b)) for a, b in pairs] == list(
            zip(numbers.tolist(), numbers[::-1].tolist(), strict=True)
        )
