"""``gpugraph fcn``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpugraph.cli.app import EPILOG, app
from gpugraph.cli.loading import load
from gpugraph.cli.options import Json, Model, Overwrite, Weights
from gpugraph.cli.output import ending_of, size_of
from gpugraph.text_table import printable


@app.command(epilog=EPILOG)
def fcn(
    model: Model,
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="The .keras file to write.", show_default=False),
    ],
    weights: Weights = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write a model's fully convolutional form: it takes any size, and gives maps."""
    ending_of(out, [".keras"])

    from gpugraph.arrays import format_bytes
    from gpugraph.cli import terminal
    from gpugraph.export.files import check_output

    check_output(out, overwrite)
    loaded, _ = load(model, None, weights)

    from gpugraph.export.keras_file import write_keras
    from gpugraph.transform.fully_convolutional import transformed

    with terminal.status("Making layers convolutional"):
        found, changes = transformed(loaded)
    with terminal.status(f"Writing {out.name}"):
        write_keras(found, out, overwrite=overwrite)
    if as_json:
        terminal.show_json(
            {
                "model": found.name,
                "path": str(out),
                "bytes": size_of(out),
                "changes": [
                    {"layer": c.name, "was": c.before, "became": c.after, "window": list(c.window)}
                    for c in changes
                ],
            }
        )
        return
    rows = [(c.name, c.before, c.after, "x".join(map(str, c.window))) for c in changes]
    table = terminal.table(("layer", "was", "became", "window"), rows, (False,) * 4)
    terminal.show(
        f"Model {printable(found.name)}\n",
        *([table, ""] if rows else ["No layer had to change."]),
        f"Wrote {printable(str(out))}: {format_bytes(size_of(out))}.",
    )
