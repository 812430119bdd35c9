"""``gpugraph convert``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpugraph.cli.app import EPILOG, app
from gpugraph.cli.loading import check_norm, graph_of, merged
from gpugraph.cli.options import (
    AllowNonfinite,
    By,
    Couplings,
    InputShapes,
    Json,
    Model,
    NormOfBy,
    Overwrite,
    Probe,
    Trace,
    Weights,
)
from gpugraph.cli.output import ending_of, size_of
from gpugraph.text_table import printable

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph

# Ending of the output -> method of NeuronGraph that writes it.
WRITERS = {
    ".graphml": "write_graphml",
    ".graphml.gz": "write_graphml",
    ".parquet": "write_parquet",
    ".csv": "write_csv",
    ".csv.gz": "write_csv",
    ".npz": "write_npz",
}


@app.command(epilog=EPILOG)
def convert(
    model: Model,
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help=f"What to write; its ending decides the format: {', '.join(WRITERS)}. "
            ".parquet is a folder; .csv holds the edges and puts the nodes beside.",
            show_default=False,
        ),
    ],
    input_shape: InputShapes = None,
    weights: Weights = None,
    populations: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Only these populations and the edges among them (repeatable)."
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(metavar="T", help="Only edges with |weight| of at least T."),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            metavar="K", help="Only the K edges of largest |weight| into each population."
        ),
    ] = None,
    parameters: Annotated[
        bool,
        typer.Option(
            "--parameters", help="Add to each edge its index in the kernel and its window tap."
        ),
    ] = False,
    overwrite: Overwrite = False,
    couplings: Couplings = False,
    probe: Probe = False,
    trace: Trace = False,
    by: By = None,
    norm: NormOfBy = None,
    allow_nonfinite: AllowNonfinite = False,
    as_json: Json = False,
) -> None:
    """Write a model's neuron graph to a file."""
    check_norm(by, norm)
    ending = ending_of(out, WRITERS)
    if parameters and ending == ".npz":
        raise typer.BadParameter("--parameters: a .npz matrix holds nothing but weights.")
    outputs = _outputs(out, ending)

    from gpugraph.arrays import format_bytes
    from gpugraph.cli import terminal
    from gpugraph.export.files import check_output

    for path in outputs:  # before a model is loaded for nothing
        check_output(path, overwrite)

    graph = graph_of(model, input_shape, weights, couplings, probe, trace, allow_nonfinite)
    graph = merged(graph, by, norm)
    with terminal.status("Choosing edges"):
        graph = _part(graph, populations, threshold, top)
    options = {"parameters": True} if parameters else {}
    start = time.perf_counter()
    with terminal.progress(f"Writing {out.name}", graph.n_edges) as advance:
        getattr(graph, WRITERS[ending])(out, overwrite=overwrite, progress=advance, **options)
    seconds = time.perf_counter() - start
    size = sum(map(size_of, outputs))
    if as_json:
        terminal.show_json(
            {
                "path": str(out),
                "format": ending.removeprefix("."),
                "n_nodes": graph.n_nodes,
                "n_edges": graph.n_edges,
                "bytes": size,
                "seconds": round(seconds, 6),
            }
        )
        return
    terminal.show(
        f"Wrote {' and '.join(printable(str(path)) for path in outputs)}: "
        f"{graph.n_nodes:,} nodes, {graph.n_edges:,} edges, {format_bytes(size)} "
        f"in {terminal.duration(seconds)}."
    )


def _outputs(out: Path, ending: str) -> list[Path]:
    """Return every file or folder that will be written."""
    if ending not in (".csv", ".csv.gz"):
        return [out]

    from gpugraph.export.csv import node_file

    return [out, node_file(out)]


def _part(
    graph: NeuronGraph, populations: Sequence[str] | None, threshold: float | None, top: int | None
) -> NeuronGraph:
    """Return the part of the graph that the user asks for."""
    if populations:
        graph = graph.subgraph(populations)
    if threshold is not None:
        graph = graph.threshold(threshold)
    if top is not None:
        graph = graph.strongest(top)
    return graph
