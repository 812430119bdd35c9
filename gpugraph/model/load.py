"""What a user may name as a model: an object, a file, or one of keras.applications."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gpugraph.errors import ModelError, ShapeError
from gpugraph.model.input_shape import MINIMAL
from gpugraph.text_table import printable

APPLICATIONS = "keras.applications:"
ENDINGS = (".keras", ".h5", ".hdf5")
# TensorFlow and JAX take nearly all of a GPU's memory when they start, unless these say otherwise.
SPARING = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def spare_gpu_memory() -> None:
    """Tell Keras's backend, if it has not started, to take of a GPU's memory what it needs."""
    for name, value in SPARING.items():
        os.environ.setdefault(name, value)


def load_model(model: Any, input_shape: Any = None, weights: str | None = None) -> Any:
    """Return a Keras model.

    Parameters
    ----------
    model : keras.Model, str or path
        A model is returned as it is. A ``.keras``, ``.h5`` or ``.hdf5`` file is loaded with
        Keras's safe mode on. ``keras.applications:NAME`` is built with random weights.
    input_shape : tuple of int, optional
        Size at which to build one of keras.applications.
    weights : str, optional
        "imagenet" or a weights file, for one of keras.applications; a weights file
        (``.weights.h5``) for any other.

    Raises
    ------
    ModelError
        If there is no such model or file, or the file cannot be read.
    ShapeError
        If ``input_shape`` is none that keras.applications could build.

    Notes
    -----
    Where the model is not there yet, and so Keras may not have started, its backend is told to
    take of a GPU's memory what it needs: in the environment, if nothing is said there.
    """
    if isinstance(model, (str, os.PathLike)):
        spare_gpu_memory()
    import keras

    if isinstance(model, keras.Model):
        loaded = model
    elif isinstance(model, str) and model.startswith(APPLICATIONS):
        return _application(model.removeprefix(APPLICATIONS), input_shape, weights)
    elif isinstance(model, (str, os.PathLike)):
        loaded = _from_file(model)
    else:
        raise ModelError(
            f"Expected a keras.Model, a path or '{APPLICATIONS}NAME', got {type(model).__name__}."
        )
    if weights is not None:
        _load_weights(loaded, weights)
    return loaded


def _from_file(model: str | os.PathLike[str]) -> Any:
    import keras

    path = Path(model)
    if not os.path.exists(path):  # Path.exists() raises where the name is too long
        raise ModelError(
            f"There is no model file '{_short(os.fspath(model))}'. Give a {', '.join(ENDINGS)} "
            f"file, or '{APPLICATIONS}NAME' such as '{APPLICATIONS}VGG16'."
        )
    if path.suffix not in ENDINGS or not path.is_file():
        raise ModelError(
            f"'{_short(path)}' is not a Keras model file: it must be a file whose name ends in "
            f"{', '.join(ENDINGS)}. Save the model with model.save('name.keras')."
        )
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise ModelError(
            f"Cannot read the model file '{_short(path)}': it is not a .keras archive, or only the "
            "first part of one. Save or copy it again."
        )
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever its readers raise
        raise ModelError(f"Cannot read the model file '{_short(path)}': {_why(error)}") from error


def _why(error: Exception) -> str:
    """Say why Keras could not load a file, and what to do."""
    text = str(error)
    if "safe_mode" in text or "unsafe" in text.lower():
        return (
            "it holds code (a Lambda layer), which safe mode refuses to run. Load it yourself if "
            "you trust it, and pass the model object."
        )
    custom = re.search(r"Could not locate (?:class|function) '(\w+)'", text) or re.search(
        r"Unknown (?:layer|object): '?(\w+)'?", text
    )
    if custom:
        return (
            f"it uses '{custom[1]}', which Keras does not know. Register it with "
            "@keras.saving.register_keras_serializable(), or load the model yourself and pass it."
        )
    return f"{_short(text)}. Save it again with model.save('name.keras')."


def _short(text: object) -> str:
    """One line for a message, cut where it would fill the screen."""
    line = printable(" ".join(str(text).split()))
    return line.rstrip(". ") if len(line) <= 300 else f"{line[:300]} ..."


def _application(name: str, input_shape: Any, weights: str | None) -> Any:
    import keras

    known = [n for n in dir(keras.applications) if n[0].isupper()]
    if name not in known:
        raise ModelError(
            f"keras.applications has no model '{_short(name)}'. It has: {', '.join(known)}."
        )
    if weights not in (None, "imagenet") and not os.path.exists(weights):
        raise ModelError(f"There is no weights file '{_short(weights)}'. Give a .weights.h5 file.")
    own_size = input_shape is None or (isinstance(input_shape, str) and input_shape == MINIMAL)
    options = {} if own_size else {"input_shape": _application_shape(name, input_shape)}
    try:
        return getattr(keras.applications, name)(weights=weights, **options)
    except Exception as error:
        what = f"weights={weights!r}" + "".join(f", {k}={v}" for k, v in options.items())
        why = _short(error)
        advice = (
            "The weights are downloaded: try again with a network, or use random ones."
            if "URL fetch failure" in why
            else "Choose another input_shape or other weights."
        )
        raise ModelError(
            f"keras.applications cannot build {name}({what}): {why}. {advice}"
        ) from error


def _application_shape(name: str, input_shape: Any) -> tuple[int, ...]:
    """Return one tuple of sizes, from any form of input_shape that says one."""
    shape = input_shape
    if isinstance(shape, Mapping):
        shape = list(shape.values())
    if isinstance(shape, Sequence) and len(shape) == 1:
        shape = shape[0]
    if (
        not isinstance(shape, Sequence)
        or len(shape) != 3
        or not all(isinstance(n, (int, np.integer)) and n > 0 for n in shape)
    ):
        raise ShapeError(
            f"input_shape of {APPLICATIONS}{name} must be three positive whole numbers, "
            "(height, width, channels)."
        )
    return tuple(int(n) for n in shape)


def _load_weights(model: Any, weights: str) -> None:
    try:
        model.load_weights(weights)
    except Exception as error:
        raise ModelError(
            f"Cannot load the weights '{_short(weights)}' into model '{model.name}': "
            f"{_short(error)}. Give a .weights.h5 file of this model."
        ) from error
