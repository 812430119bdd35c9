"""Keras models in files that appear whole or not at all."""

from __future__ import annotations

import os
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from gpugraph.export.files import new_file


def write_keras(model: Any, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Save a model as a ``.keras`` file.

    Parameters
    ----------
    model : keras.Model
    path : path
        Ends in ``.keras``.
    overwrite : bool
        Whether a file that stands there may be replaced.

    Raises
    ------
    OutputError
        As `gpugraph.export.files.new_file`.
    """
    n_bytes = sum(prod(v.shape) * np.dtype(v.dtype).itemsize for v in model.weights)
    with new_file(path, overwrite=overwrite, least_bytes=n_bytes) as partial:
        saved = Path(f"{partial}.keras")  # Keras goes by the ending
        try:
            model.save(saved)
            os.replace(saved, partial)
        finally:
            saved.unlink(missing_ok=True)
