"""Every error that gpugraph raises on purpose."""

from __future__ import annotations

import re


class GpugraphError(Exception):
    """Base class of all errors raised on purpose by gpugraph."""


class ModelError(GpugraphError, ValueError):
    """A model, or the file or name it comes from, cannot be used."""


class UnsupportedLayerError(GpugraphError, NotImplementedError):
    """A layer has no exact form in the graph."""


class ShapeError(GpugraphError, ValueError):
    """A shape is unknown, empty, or does not fit its neighbour."""


class NonFiniteError(GpugraphError, ValueError):
    """Weights or values hold NaN or infinity."""


class SelectionError(GpugraphError, KeyError, ValueError):
    """A node, population or range that the graph does not have."""

    def __str__(self) -> str:
        # KeyError would print the message's repr.
        return str(self.args[0]) if self.args else ""


class SignedWeightsError(GpugraphError, ValueError):
    """A measure that needs weights of at least 0 was asked for on negative ones."""


class UndefinedMeasureError(GpugraphError, ValueError):
    """A measure does not exist, or is not unique, on this graph."""


class MeasureError(GpugraphError, RuntimeError):
    """A measure failed during training, or gave what cannot be recorded."""


class ConvergenceError(GpugraphError, ArithmeticError):
    """An iteration did not come as close to the answer as was asked for."""


class RangeError(GpugraphError, OverflowError):
    """Values lie beyond the range of floats, or of the whole numbers that they all hold."""


class GraphTooLargeError(GpugraphError, MemoryError):
    """A graph, or what is computed of it, does not fit in memory.

    Attributes
    ----------
    device : {"cpu", "cuda"}
        Whose memory that is.
    """

    def __init__(self, *args: object, device: str = "cpu") -> None:
        super().__init__(*args)
        self.device = device


class OutputError(GpugraphError, OSError):
    """A file could not be written; whatever stood at its path is untouched."""


class MissingDependencyError(GpugraphError, ImportError):
    """An optional library is needed and not installed."""


class DeviceError(GpugraphError, RuntimeError):
    """The device that was asked for is not there."""


def said_by_keras(error: BaseException) -> str:
    """Return the first line of an error's message, without what Keras wraps around it."""
    text = re.sub(r"\x1b\[\d*m", "", str(error))
    text = text.partition(" A KerasTensor is a symbolic placeholder")[0]  # to explain it at length
    lines = text.rpartition("Error encountered:")[2].strip().splitlines()
    said = [x.strip(" .") for x in lines if x.strip() and not x.startswith("Exception encounter")]
    return said[0] if said else type(error).__name__
