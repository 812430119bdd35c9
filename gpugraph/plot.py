"""Pictures of kernels: every filter, or every unit of a dense layer, on one scale of colours."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod, sqrt
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gpugraph.errors import MissingDependencyError, ModelError, SelectionError, ShapeError
from gpugraph.model.kernel_axes import axis_names
from gpugraph.model.load import load_model
from gpugraph.model.weights import Owner, owners, view
from gpugraph.scalars import whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, Normalize
    from matplotlib.figure import Figure

Sort = Literal["norm", "similarity"] | None
Channel = int | Literal["mean"] | None

# Beyond these a figure shows nothing anyone could see; the title says what it leaves out.
MOST_PICTURES = 256
MOST_ROWS = 32
MOST_LINES = 512

# Inches.
PICTURE, MOST_PICTURE = 0.5, 1.1
MOST_WIDTH, MOST_HEIGHT = 13.0, 10.0
LEAST_WIDTH = 4.8
LABEL = 0.17
LEFT, RIGHT, TOP, BOTTOM = 0.55, 1.0, 0.65, 0.2
CHARACTER = 0.085

# ColorBrewer's RdBu, turned round and pure white at zero: readable with any colour vision.
COLOURS = (
    *("#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#ffffff"),
    *("#fddbc7", "#f4a582", "#d6604d", "#b2182b", "#67001f"),
)

SPACE = ("depth", "height", "width", "time")


@dataclass(frozen=True)
class _Kernel:
    """A layer's kernel, its axes by name.

    Attributes
    ----------
    layer, layer_class : str
    values : float array
    axes : tuple of str
    """

    layer: str
    layer_class: str
    values: np.ndarray
    axes: tuple[str, ...]

    @property
    def title(self) -> str:
        """Whose it is, and its shape with named axes."""
        sizes = zip(self.axes, self.values.shape, strict=True)
        shape = " × ".join(f"{a} {n:,}" for a, n in sizes)  # noqa: RUF001
        return f"{self.layer} ({self.layer_class}): {shape}"

    @property
    def pictures(self) -> np.ndarray:
        """A view of shape ``(filter, in, depth, height, width)``."""
        channels = "in" if "in" in self.axes else "in/groups"
        filters = "multiplier" if "multiplier" in self.axes else "out"
        space = [self.axes.index(a) for a in self.axes if a in SPACE]
        order = [self.axes.index(filters), self.axes.index(channels), *space]
        values = self.values.transpose(order)
        if filters == "multiplier":  # every channel has filters of its own
            values = values.swapaxes(0, 1)
            values = values.reshape(prod(values.shape[:2]), 1, *values.shape[2:])
        return values.reshape(*values.shape[:2], *[1] * (5 - values.ndim), *values.shape[2:])

    def as_image(self, shape: Sequence[int]) -> _Kernel:
        """See the inputs of a dense layer as an image of shape (width), (height, width) ..."""
        n_in, n_out = self.values.shape
        if prod(shape) != n_in or not 1 <= len(shape) <= 4:
            raise ShapeError(
                f"Layer '{self.layer}' ({self.layer_class}) has {n_in:,} inputs, which are no "
                f"image of shape {tuple(shape)}. Give input_shape as (height, width) or (height, "
                "width, channels)."
            )
        sizes = (*shape, 1) if len(shape) < 3 else tuple(shape)
        space = SPACE[:3][3 - (len(sizes) - 1) :]
        axes = (*space, "in", "out")
        return _Kernel(self.layer, self.layer_class, self.values.reshape(*sizes, n_out), axes)


def plot_kernels(
    layer_or_model: Any,
    layer: Any = None,
    *,
    channel: Channel = "mean",
    sort: Sort = None,
    columns: int | None = None,
    input_shape: Sequence[int] | None = None,
) -> Figure:
    """Draw a layer's kernels as small pictures, blue below zero, white at zero, red above.

    Convolutions (transposed, depthwise and separable ones too) become one picture per filter; in
    one dimension it is a strip, in three one below the other per slice of depth. A dense layer
    becomes one picture of its matrix, or with ``input_shape`` one picture per unit.

    Parameters
    ----------
    layer_or_model : keras.Layer, keras.Model, str or path
        A built layer, or a model as `from_keras` takes it.
    layer : str or keras.Layer, optional
        Which layer of the model, by its name in `weights_table`; by default the first that has a
        kernel to draw.
    channel : int, "mean" or None
        Which input channel of each filter to draw; their mean; None: all, one below the other.
    sort : {"norm", "similarity"}, optional
        Order of the filters: the largest norm first, or like beside like [1]_; both by what is
        drawn. By default as they are.
    columns : int, optional
        Filters side by side; by default as many as give a figure of the usual proportions.
    input_shape : tuple of int, optional
        (height, width), or (height, width, channels): the image that a dense layer reads.

    Returns
    -------
    matplotlib.figure.Figure
        One image per picture, all on one symmetric scale of colours. Of more than 256 pictures
        only some are drawn, as the title says. The figure belongs to no window and no backend:
        save it with ``figure.savefig(path)``.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    ModelError
        If there is no such model, or the layer is not built.
    SelectionError
        If the model has no such layer, the layer no kernel to draw, or the kernel no such channel.
    ShapeError
        If the inputs of the layer are no image of that shape.

    References
    ----------
    .. [1] Bar-Joseph, Gifford, Jaakkola (2001). Fast optimal leaf ordering for hierarchical
       clustering. Bioinformatics 17.

    Examples
    --------
    >>> gg.plot_kernels(model, "conv1", sort="norm").savefig("conv1.png")  # doctest: +SKIP
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "plot_kernels needs matplotlib: pip install 'gpugraph[plots]'."
        ) from error
    if sort not in (None, "norm", "similarity"):
        raise SelectionError(f"sort must be 'norm', 'similarity' or None, not {sort!r}.")
    if columns is not None:
        columns = whole(columns, "columns", 1)
    kernel = _kernel(layer_or_model, layer)
    if kernel.values.ndim == 2 and input_shape is None:
        return _draw_matrix(kernel, sort)
    if input_shape is not None:
        if kernel.values.ndim != 2:
            raise ShapeError(
                f"Layer '{kernel.layer}' ({kernel.layer_class}) has kernels of their own shape: "
                "input_shape is for dense layers."
            )
        kernel = kernel.as_image(input_shape)
    return _draw_pictures(kernel, channel, sort, columns)


# Which kernel


def _kernel(layer_or_model: Any, layer: Any) -> _Kernel:
    """Return the kernel that the arguments name."""
    import keras

    if isinstance(layer_or_model, keras.Layer) and not isinstance(layer_or_model, keras.Model):
        if not layer_or_model.built:
            raise ModelError(
                f"Layer '{layer_or_model.name}' is not built, so it has no kernel. Call it on an "
                "input first, or build(input_shape) it."
            )
        candidates = [Owner(layer_or_model.name, layer_or_model, layer_or_model)]
        where = f"Layer '{layer_or_model.name}' ({type(layer_or_model).__name__})"
    else:
        model = load_model(layer_or_model)
        candidates = list(owners(model))
        where = f"Model '{model.name}'"
    found = {k.layer: (o, k) for o in candidates if (k := _drawable(o)) is not None}
    if not found:
        raise SelectionError(
            f"{where} has no kernel to draw: convolutions and Dense layers have one."
        )
    if layer is None:
        return next(iter(found.values()))[1]
    for owner, kernel in found.values():
        if owner.layer is layer or owner.name == layer:
            return kernel
    name = getattr(layer, "name", layer)
    raise SelectionError(
        f"{where} has no layer '{name}' with a kernel to draw. It has: {', '.join(found)}."
    )


def _drawable(owner: Owner) -> _Kernel | None:
    """The kernel of a layer, where it can be drawn."""
    for role in ("kernel", "depthwise_kernel"):
        for variable in owner.holder.weights:
            axes = axis_names(owner.holder, role, len(variable.shape))
            if variable.name == role and _is_known(axes):
                values = view(variable)
                return _Kernel(owner.name, type(owner.layer).__name__, values, axes)
    return None


def _is_known(axes: tuple[str, ...]) -> bool:
    """Whether axes are those of a convolution or a dense layer."""
    channels = [a for a in axes if a not in SPACE]
    return sorted(channels) in (["in", "out"], ["in/groups", "out"], ["in", "multiplier"])


# What to draw of it


@dataclass(frozen=True)
class _Shown:
    """The pictures of a figure.

    Attributes
    ----------
    pictures : array of shape ``(filters, rows, height, width)``
    filters : sequence of int
        Numbers of the filters.
    rows : sequence of str
        What each row is; empty text where there is one only.
    notes : sequence of str
        What the title says of the choice.
    """

    pictures: np.ndarray
    filters: Sequence[int]
    rows: Sequence[str]
    notes: Sequence[str]


def _shown(kernel: _Kernel, channel: Channel, sort: Sort) -> _Shown:
    pictures = kernel.pictures
    n_filters, n_channels, n_depth = pictures.shape[:3]
    notes = []
    if channel == "mean":
        if n_channels > 1:
            pictures = pictures.mean(axis=1, keepdims=True)
            notes.append(f"mean of {n_channels:,} input channels")
    elif channel is not None:
        if not isinstance(channel, (int, np.integer)) or not 0 <= channel < n_channels:
            raise SelectionError(
                f"Filters of layer '{kernel.layer}' ({kernel.layer_class}) have {n_channels:,} "
                f"input channels; channel must be a number below that, 'mean' or None, not "
                f"{channel!r}."
            )
        pictures = pictures[:, channel : channel + 1]
        notes.append(f"input channel {channel} of {n_channels:,}")
    per_filter = pictures.shape[1] * n_depth
    fitting = max(1, MOST_PICTURES // min(per_filter, MOST_ROWS))
    filters = _chosen(pictures, sort, fitting)
    if sort is not None:
        notes.append(f"sorted by {sort}")
    if len(filters) < n_filters:
        notes.append(f"{_first(sort)} {len(filters)} of {n_filters:,} {_filters(kernel)}")
    rows = [
        ", ".join([f"in {c}"] * (pictures.shape[1] > 1) + [f"{_depth(kernel)} {d}"] * (n_depth > 1))
        for c in range(pictures.shape[1])
        for d in range(n_depth)
    ]
    if len(rows) > MOST_ROWS:
        notes.append(f"first {MOST_ROWS} of {len(rows):,} rows")
    size = pictures.shape[3:]
    part = pictures[filters].reshape(len(filters), per_filter, *size)[:, :MOST_ROWS]
    return _Shown(part, filters.tolist(), rows[:MOST_ROWS], notes)


def _first(sort: Sort) -> str:
    return "largest" if sort == "norm" else "first"


def _filters(kernel: _Kernel) -> str:
    return "units" if kernel.layer_class == "Dense" else "filters"


def _depth(kernel: _Kernel) -> str:
    return "depth" if "depth" in kernel.axes else "slice"


def _chosen(filters: np.ndarray, sort: Sort, most: int) -> np.ndarray:
    """Numbers of at most so many filters (the first dimension), in the order asked for."""
    order = np.arange(len(filters))
    if sort == "norm":
        dims = list(range(filters.ndim))
        squares = np.einsum(filters, dims, filters, dims, [0])  # no second kernel is made
        order = np.argsort(-squares, kind="stable")
    order = order[:most]
    if sort == "similarity":
        order = order[_like_beside_like(filters[order])]
    return order


def _like_beside_like(filters: np.ndarray) -> np.ndarray:
    """Order filters by a tree of their cosine distances, its branches turned to fit best."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    if len(filters) < 3:
        return np.arange(len(filters))
    flat = np.nan_to_num(filters.reshape(len(filters), -1).astype(np.float64), posinf=0, neginf=0)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    unit = np.divide(flat, norm, out=np.zeros_like(flat), where=norm > 0)
    return leaves_list(linkage(unit, "average", optimal_ordering=True))


# The figure


def _draw_pictures(kernel: _Kernel, channel: Channel, sort: Sort, columns: int | None) -> Figure:
    """Draw filters as blocks of pictures, line by line; the unit is a weight's side."""
    shown = _shown(kernel, channel, sort)
    n, n_rows, height, width = shown.pictures.shape
    gap = 0.15 * max(height, width)
    step = width + gap, height + gap / (2 if height < width else 1)
    if columns is None:
        columns = ceil(sqrt(1.6 * n * n_rows * step[1] / step[0]))
        columns = ceil(n / ceil(n / columns))  # so that the last line is not nearly empty
    columns = min(columns, n)
    lines = ceil(n / columns)
    side = MOST_PICTURE if height < width else PICTURE + 0.02 * max(height, width)
    inch = min(
        min(side, MOST_PICTURE) / max(height, width),
        (MOST_WIDTH - LEFT - RIGHT) / (columns * step[0]),
        max(MOST_HEIGHT - TOP - BOTTOM - lines * LABEL, 1.0) / (lines * n_rows * step[1]),
    )
    line = n_rows * step[1] + LABEL / inch
    canvas = _Canvas.new(
        columns * step[0] * inch, lines * line * inch, kernel.title, shown.notes, shown.pictures
    )
    axes = canvas.axes
    corners = []
    beside = {**_SMALL, "ha": "right"}
    for i, (number, pictures) in enumerate(zip(shown.filters, shown.pictures, strict=True)):
        x, top = i % columns * step[0], i // columns * line + LABEL / inch
        axes.text(x + width / 2, top - 0.02 / inch, str(number), va="bottom", **_SMALL)
        for row, (name, picture) in enumerate(zip(shown.rows, pictures, strict=True)):
            y = top + row * step[1]
            image = axes.imshow(
                picture,
                extent=(x, x + width, y + height, y),
                norm=canvas.norm,
                cmap=canvas.colours,
                interpolation="nearest",
            )
            image.set_label(f"{number}, {name}" if name else str(number))
            corners.append((x, y))
            if name and i % columns == 0:
                axes.text(x - 0.05 / inch, y + height / 2, name, va="center", **beside)
    _frame(axes, corners, width, height)
    axes.set(xlim=(-0.02 / inch, columns * step[0]), ylim=(lines * line, 0), aspect="equal")
    axes.axis("off")
    return canvas.figure


_SMALL: dict[str, Any] = {"fontsize": 6.5, "ha": "center", "color": "0.35"}


def _frame(axes: Axes, corners: Sequence[tuple[float, float]], width: int, height: int) -> None:
    """Draw the outlines of pictures, whose paper is as white as their zeros."""
    from matplotlib.collections import PolyCollection

    outline = np.array([(0, 0), (width, 0), (width, height), (0, height)])
    squares = np.array(corners)[:, None] + outline
    axes.add_collection(
        PolyCollection(squares, facecolors="none", edgecolors="0.7", linewidths=0.5, zorder=3)
    )


def _draw_matrix(kernel: _Kernel, sort: Sort) -> Figure:
    """Draw a dense layer's matrix: a row per input, a column per unit."""
    from matplotlib.ticker import MaxNLocator

    n_in, n_out = kernel.values.shape
    units = _chosen(kernel.values.T, sort, MOST_LINES)
    part = kernel.values[:MOST_LINES, units]
    notes = [] if sort is None else [f"units sorted by {sort}"]
    if len(units) < n_out:
        notes.append(f"{_first(sort)} {len(units)} of {n_out:,} units")
    if len(part) < n_in:
        notes.append(f"first {len(part)} of {n_in:,} inputs")
    height, width = (float(np.clip(n * 0.15, 2.0, 7.0)) for n in part.shape)
    canvas = _Canvas.new(width, height, kernel.title, notes, part, labels=0.35)
    image = canvas.axes.imshow(
        part, norm=canvas.norm, cmap=canvas.colours, interpolation="nearest", aspect="auto"
    )
    image.set_label("kernel")
    canvas.axes.set(xlabel="out" if sort is None else f"out, by {sort}", ylabel="in")
    canvas.axes.tick_params(labelsize=7)
    for axis in (canvas.axes.xaxis, canvas.axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    if sort is not None:
        canvas.axes.set_xticks([])  # places are no longer numbers of units
    return canvas.figure


@dataclass(frozen=True)
class _Canvas:
    """A figure with room for pictures, a title and a colour bar.

    Attributes
    ----------
    figure, axes
    norm : CenteredNorm
        From minus the largest magnitude to the largest.
    colours : Colormap
    """

    figure: Figure
    axes: Axes
    norm: Normalize
    colours: Colormap

    @classmethod
    def new(
        cls,
        width: float,
        height: float,
        title: str,
        notes: Sequence[str],
        values: np.ndarray,
        labels: float = 0.0,
    ) -> _Canvas:
        """Lay out a figure around an area of so many inches."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import CenteredNorm, LinearSegmentedColormap
        from matplotlib.figure import Figure

        scale = LinearSegmentedColormap.from_list("kernels", COLOURS, N=257)
        colours = scale.with_extremes(bad="0.4")  # NaN
        magnitudes = abs(values[np.isfinite(values)])
        norm = CenteredNorm(0, float(magnitudes.max(initial=0.0)) or 1.0)
        text = "; ".join(notes)
        needed = CHARACTER * max(len(title), 0.9 * len(text)) + LEFT
        full = max(LEFT + width + RIGHT, needed, LEAST_WIDTH)
        left = LEFT + labels + max(0.0, full - LEFT - width - RIGHT) / 2
        bottom = BOTTOM + labels
        full += labels
        tall = max(bottom + height + TOP, 1.6)
        middle = bottom + (tall - TOP - bottom - height) / 2
        figure = Figure(figsize=(full, tall))
        figure.text(0.2 / full, 1 - 0.12 / tall, title, va="top", fontsize=9.5, weight="bold")
        figure.text(0.2 / full, 1 - 0.33 / tall, text, va="top", fontsize=8, color="0.35")
        axes = figure.add_axes((left / full, middle / tall, width / full, height / tall))
        bar_height = min(max(height, 0.7), 4.0)
        bar_bottom = middle + (height - bar_height) / 2
        bar = figure.add_axes(
            ((left + width + 0.15) / full, bar_bottom / tall, 0.12 / full, bar_height / tall)
        )
        figure.colorbar(ScalarMappable(norm, colours), cax=bar)
        bar.tick_params(labelsize=7)
        bar.locator_params(nbins=5)
        return cls(figure, axes, norm, colours)


def write_figure(figure: Figure, path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Write a figure as the kind of file that the path's ending names.

    Raises
    ------
    OutputError
        If the file cannot be written; what stood there is then untouched.
    """
    from gpugraph.export.files import new_file

    kind = os.path.splitext(path)[1].removeprefix(".")
    with new_file(path, overwrite=overwrite, least_bytes=0) as partial:
        figure.savefig(partial, format=kind, dpi=150)
