import inspect

import pytest

import gpugraph as gg
from gpugraph import errors

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_is_a_gpugraph_error_and_public(cls):
    assert issubclass(cls, gg.GpugraphError)
    assert getattr(gg, cls.__name__) is cls
    assert cls.__doc__


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (gg.ModelError, ValueError),
        (gg.UnsupportedLayerError, NotImplementedError),
        (gg.ShapeError, ValueError),
        (gg.NonFiniteError, ValueError),
        (gg.SelectionError, KeyError),
        (gg.SelectionError, ValueError),
        (gg.GraphTooLargeError, MemoryError),
        (gg.OutputError, OSError),
        (gg.MissingDependencyError, ImportError),
        (gg.DeviceError, RuntimeError),
    ],
)
def test_errors_are_also_the_builtin_that_they_mean(cls, builtin):
    with pytest.raises(builtin, match="what, where, what to do"):
        raise cls("what, where, what to do")


@pytest.mark.parametrize("cls", CLASSES)
def test_messages_are_shown_as_written(cls):
    assert str(cls("no 'x'\nhere")) == "no 'x'\nhere"
    assert str(cls()) == ""
