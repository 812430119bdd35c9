"""Every array of a model as a row of one table: what it is, and statistics of its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from math import isfinite, nan, prod, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gpugraph.arrays import blocks
from gpugraph.errors import ModelError
from gpugraph.model.kernel_axes import axis_names
from gpugraph.model.load import load_model
from gpugraph.text_table import printable, text_table
from gpugraph.views import BLOCK_WEIGHTS

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

HEADER = (
    *("layer", "class", "role", "shape", "axes", "dtype", "parameters", "trainable"),
    *("mean", "std", "min", "max", "norm", "zeros", "not finite"),
)
NUMERIC = (*[False] * 6, True, False, *[True] * 7)


class Owner(NamedTuple):
    """A layer that holds arrays of its own.

    Attributes
    ----------
    name : str
        As in the topology: ``outer/inner`` in a nested model, and likewise for a layer that
        another holds. A recurrent layer's only cell goes by the layer's name.
    layer : keras.Layer
        The layer by which arrays go: a recurrent layer instead of its cell.
    holder : keras.Layer
        The one that has the arrays, or the cell.
    """

    name: str
    layer: Any
    holder: Any


def owners(model: Any) -> Iterator[Owner]:
    """Go through all layers of a model that hold arrays themselves, each once, in order."""
    yield from _owners(model, "", set())


def _owners(layer: Any, name: str, seen: set[int]) -> Iterator[Owner]:
    import keras

    if id(layer) in seen:
        return
    seen.add(id(layer))
    cell = _cell(layer)
    holder = layer if cell is None else cell
    seen.add(id(holder))
    if _own(holder):
        yield Owner(name or layer.name, layer, holder)
    inner = (
        layer.layers
        if isinstance(layer, keras.Model)
        else holder._flatten_layers(include_self=False, recursive=False)
    )
    for part in inner:
        yield from _owners(part, f"{name}/{part.name}" if name else part.name, seen)


def _own(layer: Any) -> list[Any]:
    """Arrays of a layer itself, without those of layers that it holds."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def _cell(layer: Any) -> Any:
    """The only cell of a recurrent layer, or None."""
    import keras

    is_recurrent = isinstance(layer, keras.layers.RNN)
    stacked = is_recurrent and isinstance(layer.cell, keras.layers.StackedRNNCells)
    return layer.cell if is_recurrent and not stacked else None


def view(variable: Any) -> np.ndarray:
    """Return the numbers that a variable holds now: the backend's own memory where it lets us."""
    import keras

    tensor = keras.ops.stop_gradient(keras.ops.convert_to_tensor(variable))
    try:
        return np.from_dlpack(tensor)
    except (TypeError, BufferError, RuntimeError, AttributeError, ValueError):
        return np.asarray(keras.ops.convert_to_numpy(tensor))  # bfloat16, or a GPU's memory


@dataclass(frozen=True)
class WeightStatistics:
    """One array of a model.

    Attributes
    ----------
    layer, layer_class : str
        Whose it is; ``outer/inner`` in a nested model, or in a layer that holds others.
    role : str
        Keras's name of the array: kernel, bias, gamma, moving_mean, recurrent_kernel ...
    shape : tuple of int
    axes : tuple of str
        A name per axis, such as height, width, in, out.
    dtype : str
    n_parameters : int
        Elements.
    trainable : bool
    mean, std, min, max : float, optional
        Over the finite elements; ``std`` divides by their number.
    norm : float, optional
        Square root of the sum of squares of the finite elements.
    sparsity : float, optional
        Share of the elements that are exactly 0.
    n_nonfinite : int
        Elements that are NaN or infinite.
    """

    layer: str
    layer_class: str
    role: str
    shape: tuple[int, ...]
    axes: tuple[str, ...]
    dtype: str
    n_parameters: int
    trainable: bool
    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    norm: float | None
    sparsity: float | None
    n_nonfinite: int

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text, one entry per column of `HEADER`."""
        numbers = (self.mean, self.std, self.min, self.max, self.norm)
        return (
            self.layer,
            self.layer_class,
            self.role,
            "x".join(map(str, self.shape)),
            ", ".join(self.axes),
            self.dtype,
            f"{self.n_parameters:,}",
            "yes" if self.trainable else "no",
            *("" if x is None else f"{x:.4g}" for x in numbers),
            "" if self.sparsity is None else f"{self.sparsity:.1%}",
            f"{self.n_nonfinite:,}" if self.n_nonfinite else "",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON has it: None where a number is undefined or out of range."""
        row = asdict(self) | {"shape": list(self.shape), "axes": list(self.axes)}
        return {k: None if isinstance(v, float) and not isfinite(v) else v for k, v in row.items()}


@dataclass(frozen=True)
class WeightsTable:
    """A model's arrays. ``str()`` gives a table.

    Attributes
    ----------
    model : str
        The model's name.
    rows : tuple of WeightStatistics
        One per array, in the order of the layers.
    """

    model: str
    rows: tuple[WeightStatistics, ...]

    @property
    def n_parameters(self) -> int:
        """Elements of all arrays."""
        return sum(row.n_parameters for row in self.rows)

    @property
    def total(self) -> tuple[str, ...]:
        """The table's last row."""
        return ("total", *[""] * 5, f"{self.n_parameters:,}", *[""] * (len(HEADER) - 7))

    def __str__(self) -> str:
        lines = [HEADER, *(row.cells for row in self.rows), self.total]
        return "\n".join([printable(self.model), "", *text_table(lines, NUMERIC)])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it: None where a number is undefined or out of range."""
        return {
            "model": self.model,
            "n_parameters": self.n_parameters,
            "weights": [row.to_dict() for row in self.rows],
        }

    def to_arrow(self) -> pa.Table:
        """Return a table of all rows and columns, shapes as ``3x3x1x32``; null where undefined."""
        import pyarrow as pa

        kinds = {"int": pa.int64(), "bool": pa.bool_(), "float | None": pa.float64()}
        columns = {
            c.name: ([getattr(row, c.name) for row in self.rows], kinds.get(str(c.type)))
            for c in fields(WeightStatistics)
        }
        columns["shape"] = (["x".join(map(str, row.shape)) for row in self.rows], None)
        columns["axes"] = ([", ".join(row.axes) for row in self.rows], None)
        return pa.table(
            {name: pa.array(v, kind or pa.string()) for name, (v, kind) in columns.items()}
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return `to_arrow` as a DataFrame; NaN where a number is undefined.

        Raises
        ------
        MissingDependencyError
            If pandas is not installed.
        """
        from gpugraph.export.data_frame import data_frame

        return data_frame(self.to_arrow())


def weights_table(model: Any) -> WeightsTable:
    """Return every array of a model, with its meaning and statistics, as one table.

    Parameters
    ----------
    model : keras.Model, str or path
        As for `from_keras`, and models that define their own ``call`` too: no shape and no graph
        is needed.

    Returns
    -------
    WeightsTable
        One row per array; arrays that layers share stand once, with the first layer.

    Raises
    ------
    ModelError
        If the model cannot be read, or is not built and so has no arrays yet.

    Notes
    -----
    No array is copied where the backend shares its memory with numpy, and none is read but
    in blocks. Sums are float64; mean and standard deviation of blocks are joined by the formula of
    Chan et al. [1]_, which does not cancel where the mean is large. NaN and infinity are counted
    and left out of all other statistics.

    References
    ----------
    .. [1] Chan, Golub, LeVeque (1983). Algorithms for computing the sample variance. The American
       Statistician 37.

    Examples
    --------
    >>> print(gg.weights_table(model))  # doctest: +SKIP
    """
    model = load_model(model)
    if not model.built:
        raise ModelError(
            f"Model '{model.name}' is not built, so it has no weights. Start it with "
            "keras.Input(...), or call model.build((None, ...)) first."
        )
    trainable = {id(v) for v in model.trainable_weights}
    seen: set[int] = set()
    rows = []
    for owner in owners(model):
        for variable in _own(owner.holder):
            if id(variable) not in seen:
                seen.add(id(variable))
                rows.append(_row(owner, variable, id(variable) in trainable))
    return WeightsTable(model.name, tuple(rows))


def _row(owner: Owner, variable: Any, trainable: bool) -> WeightStatistics:
    shape = tuple(variable.shape)
    moments = _moments(view(variable))
    n = moments.n
    return WeightStatistics(
        layer=owner.name,
        layer_class=type(owner.layer).__name__,
        role=variable.name,
        shape=shape,
        axes=axis_names(owner.holder, variable.name, len(shape)),
        dtype=str(variable.dtype),
        n_parameters=prod(shape),
        trainable=trainable,
        mean=moments.mean if n else None,
        std=sqrt(moments.squares / n) if n else None,
        min=moments.low if n else None,
        max=moments.high if n else None,
        norm=sqrt(moments.power) if n else None,
        sparsity=moments.zeros / prod(shape) if prod(shape) else None,
        n_nonfinite=prod(shape) - n,
    )


class _Moments(NamedTuple):
    """Of the finite elements: number, mean, sum of squares about it and about 0, range, zeros."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0
    power: float = 0.0
    low: float = nan
    high: float = nan
    zeros: int = 0

    def join(self, other: _Moments) -> _Moments:
        """Moments of both sets of elements together."""
        n, apart = self.n + other.n, other.mean - self.mean
        share = other.n / n if n else 0.0
        return _Moments(
            n,
            self.mean + apart * share,
            self.squares + other.squares + apart * apart * self.n * share,
            self.power + other.power,
            float(np.fmin(self.low, other.low)),
            float(np.fmax(self.high, other.high)),
            self.zeros + other.zeros,
        )


def _moments(values: np.ndarray) -> _Moments:
    """Moments of an array, a block at a time."""
    total = _Moments()
    for part in blocks(values.shape, 0, values.ndim, BLOCK_WEIGHTS):
        x = values[part].astype(np.float64).reshape(-1)
        if x.size and not np.isfinite([x.min(), x.max()]).all():
            x = x[np.isfinite(x)]
        if x.size:
            mean, power = float(x.mean()), float(x @ x)
            low, high, zeros = float(x.min()), float(x.max()), x.size - int(np.count_nonzero(x))
            x -= mean
            total = total.join(_Moments(x.size, mean, float(x @ x), power, low, high, zeros))
    return total
