"""What a user may name as a model: an object, a file, or one of keras.applications."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gpugraph.errors import ModelError

APPLICATIONS = "keras.applications:"
ENDINGS = (".keras", ".h5", ".hdf5")


def load_model(model: Any, input_shape: Any = None, weights: str | None = None) -> Any:
    """Return a Keras model.

    Parameters
    ----------
    model : keras.Model, str or path
        A model is returned as it is. A ``.keras``, ``.h5`` or ``.hdf5`` file is loaded with Keras's safe
        mode on. ``keras.applications:NAME`` is built with random weights.
    input_shape : tuple of int, optional
        Size at which to build one of keras.applications.
    weights : str, optional
        "imagenet" or a weights file, for one of keras.applications; a weights file
        (``.weights.h5``) for any other.

    Raises
    ------
    ModelError
        If there is no such model or file, or the file cannot be read.
    """
    import keras

    if isinstance(model, keras.Model):
        loaded = model
    elif isinstance(model, str) and model.startswith(APPLICATIONS):
        return _application(model.removeprefix(APPLICATIONS), input_shape, weights)
    elif isinstance(model, (str, os.PathLike)):
        loaded = _from_file(Path(model))
    else:
        raise ModelError(
            f"Expected a keras.Model, a path or '{APPLICATIONS}NAME', got {type(model).__name__}."
        )
    if weights is not None:
        _load_weights(loaded, weights)
    return loaded


def _from_file(path: Path) -> Any:
    import keras

    if not path.exists():
        raise ModelError(
            f"There is no model file '{path}'. Give a {', '.join(ENDINGS)} file, or "
            f"'{APPLICATIONS}NAME' such as '{APPLICATIONS}VGG16'."
        )
    if path.suffix not in ENDINGS:
        raise ModelError(
            f"'{path}' is not a Keras model file: its name must end in {', '.join(ENDINGS)}."
        )
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever its readers raise
        text = " ".join(str(error).split())
        if "safe_mode" in text or "unsafe" in text.lower():
            text = (
                "it holds code (a Lambda layer), which safe mode refuses to run. Load it yourself "
                "if you trust it, and pass the model object"
            )
        raise ModelError(f"Cannot read the model file '{path}': {text[:400]}") from error


def _application(name: str, input_shape: Any, weights: str | None) -> Any:
    import keras

    builder = getattr(keras.applications, name, None)
    if not callable(builder):
        known = ", ".join(n for n in dir(keras.applications) if n[0].isupper())
        raise ModelError(f"keras.applications has no model '{name}'. It has: {known}.")
    options = {} if input_shape is None else {"input_shape": tuple(input_shape)}
    try:
        return builder(weights=weights, **options)
    except Exception as error:
        raise ModelError(
            f"keras.applications cannot build {name}(weights={weights!r}"
            f"{''.join(f', {k}={v}' for k, v in options.items())}): {' '.join(str(error).split())}"
        ) from error


def _load_weights(model: Any, weights: str) -> None:
    try:
        model.load_weights(weights)
    except Exception as error:
        raise ModelError(
            f"Cannot load the weights '{weights}' into model '{model.name}': "
            f"{' '.join(str(error).split())[:400]}"
        ) from error
