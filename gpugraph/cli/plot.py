"""``gpugraph plot``."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from gpugraph.cli.app import EPILOG, app
from gpugraph.cli.loading import load, parse_input_shapes
from gpugraph.cli.options import Json, Model, Overwrite, Weights
from gpugraph.cli.output import ending_of, size_of, written

FIGURE_ENDINGS = (".png", ".pdf", ".svg")

plots = typer.Typer(help="Draw pictures of a model.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(plots, name="plot")


class Sort(StrEnum):
    """Order of the filters in a picture."""

    NORM = "norm"
    SIMILARITY = "similarity"


@plots.command(epilog=EPILOG)
def kernels(
    model: Model,
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help=f"What to write; its ending decides the format: {', '.join(FIGURE_ENDINGS)}.",
            show_default=False,
        ),
    ],
    layer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="By default the first that has a kernel to draw."),
    ] = None,
    channel: Annotated[
        str, typer.Option(metavar="mean|all|N", help="Which input channel of each filter to draw.")
    ] = "mean",
    sort: Annotated[
        Sort | None, typer.Option(help="The largest first, or like beside like.")
    ] = None,
    columns: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Filters side by side.")
    ] = None,
    input_shape: Annotated[
        str | None,
        typer.Option(
            metavar="SHAPE",
            help="The image that a dense layer reads, such as 28x28: draws a picture per unit.",
        ),
    ] = None,
    weights: Weights = None,
    seed: Annotated[int, typer.Option(min=0, help="Of random weights.")] = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Draw the kernels of one layer."""
    ending_of(out, FIGURE_ENDINGS)
    if channel not in ("mean", "all") and not re.fullmatch(r"\d{1,9}", channel, re.ASCII):
        raise typer.BadParameter(f"--channel must be mean, all or a number, not {channel!r}.")
    shape = parse_input_shapes([] if input_shape is None else [input_shape])

    from gpugraph.cli import terminal
    from gpugraph.export.files import check_output

    check_output(out, overwrite)
    loaded, _ = load(model, None, weights, seed)

    from gpugraph.plot import plot_kernels, write_figure

    with terminal.status(f"Drawing {out.name}"):
        figure = plot_kernels(
            loaded,
            layer,
            channel=_channel(channel),
            sort=None if sort is None else sort.value,
            columns=columns,
            input_shape=shape,
        )
        write_figure(figure, out, overwrite=overwrite)
    if as_json:
        terminal.show_json({"path": str(out), "bytes": size_of(out)})
        return
    terminal.show(*written(out))


def _channel(text: str) -> Any:
    """Return what ``--channel`` means to `plot_kernels`."""
    return int(text) if text.isdigit() else None if text == "all" else text
