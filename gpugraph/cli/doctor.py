"""``gpugraph doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from gpugraph.cli.app import EPILOG, FAILED, app
from gpugraph.cli.options import Json

if TYPE_CHECKING:
    from gpugraph.doctor import Report


@app.command(epilog=EPILOG)
def doctor(as_json: Json = False) -> None:
    """Show what is installed, which device would be used, and how to get what is missing.

    Exits with 1 where no model can be converted, as without a backend of Keras; a missing GPU
    is no fault.
    """
    from gpugraph.cli import terminal
    from gpugraph.doctor import examine

    report = examine()
    if as_json:
        terminal.show_json(report.to_dict())
    else:
        _show(report)
    if not report.works:
        raise typer.Exit(FAILED)


def _show(report: Report) -> None:
    from gpugraph.arrays import format_bytes
    from gpugraph.cli import terminal

    rows = [("gpugraph", report.gpugraph), ("Python", report.python), *report.libraries.items()]
    driver = report.driver or "none found"
    gpus = [(f"GPU {i}", _gpu(gpu)) for i, gpu in enumerate(report.gpus)]
    rows += [("Keras's backend", report.keras_backend), ("NVIDIA driver", driver), *gpus]
    terminal.show(
        terminal.table(
            ("what", "version"),
            [(name, text or "not installed") for name, text in rows],
            (False,) * 2,
        ),
        "",
        f"device='auto' takes {report.device}, where {format_bytes(report.memory)} are free.",
        *(f"{p.reason[:1].upper()}{p.reason[1:]}. {p.step}" for p in report.problems),
        *report.notes,
    )


def _gpu(gpu: dict[str, Any]) -> str:
    from gpugraph.arrays import format_bytes

    return f"{gpu['name']}, {format_bytes(gpu['free'])} of {format_bytes(gpu['total'])} free"
