"""``gpugraph demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpugraph.cli.app import EPILOG, app


@app.command(epilog=EPILOG)
def demo(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to write the graph.")] = Path(
        "demo-output"
    ),
) -> None:
    """Show everything on a small digit reader, then VGG16 at full size."""
    from gpugraph.cli import terminal
    from gpugraph.demo import run

    with terminal.status("Starting Keras"):
        terminal.load_keras()
    run(out)
