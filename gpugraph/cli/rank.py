"""``gpugraph rank``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpugraph.cli.app import EPILOG, app
from gpugraph.cli.loading import check_norm, graph_of, merged
from gpugraph.cli.options import (
    AllowNonfinite,
    By,
    Couplings,
    Device,
    InputShapes,
    Json,
    Model,
    NormOfBy,
    Overwrite,
    Probe,
    Trace,
    Weights,
)
from gpugraph.cli.output import TABLE_ENDINGS, check_table, written
from gpugraph.measures import MEASURES, View, measure_named
from gpugraph.text_table import printable

if TYPE_CHECKING:
    from gpugraph.node_values import NodeValues

MEASURES_HELP = "\n".join(
    [
        "\b",
        "Measures, and the --weight that they take by default:",
        *(f"  {m}" for m in MEASURES.values()),
    ]
)


@app.command(epilog=f"{MEASURES_HELP}\n\n{EPILOG}")
def rank(
    model: Model,
    measure: Annotated[
        str, typer.Option(metavar="NAME", help="What to rank by; see the list below.")
    ] = "pagerank",
    top: Annotated[int, typer.Option(metavar="N", min=1, help="How many nodes to show.")] = 20,
    population: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Show only nodes of this population (repeatable). All are measured.",
        ),
    ] = None,
    weight: Annotated[
        View | None,
        typer.Option(
            help="How weights count: |weight|, one sign alone, as they are, or edges alone. By "
            "default as listed below."
        ),
    ] = None,
    k: Annotated[
        int | None,
        typer.Option(
            "--k",
            metavar="K",
            min=1,
            help="Estimate from the shortest paths from K nodes drawn at random.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw, and of random weights.")] = 0,
    device: Annotated[Device | None, typer.Option(help="By default a GPU if there is one.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"Write the values of all nodes too: {', '.join(TABLE_ENDINGS)}.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    input_shape: InputShapes = None,
    weights: Weights = None,
    couplings: Couplings = False,
    probe: Probe = False,
    trace: Trace = False,
    by: By = None,
    norm: NormOfBy = None,
    allow_nonfinite: AllowNonfinite = False,
    as_json: Json = False,
) -> None:
    """Rank neurons by PageRank or another measure. Makes no edge."""
    check_norm(by, norm)
    chosen = measure_named(measure)
    chosen.check(weight=weight, k=k, device=device)
    check_table(out, overwrite)

    from gpugraph.cli import terminal
    from gpugraph.measures import NUMERIC
    from gpugraph.measures import rank as rank_nodes

    graph = graph_of(
        model, input_shape, weights, couplings, probe, trace, allow_nonfinite, seed=seed
    )
    graph = merged(graph, by, norm)
    for name in population or []:
        graph.population(name)
    start = time.perf_counter()
    with terminal.status(f"Measuring {chosen.name}"):
        values = chosen(graph, weight=weight, k=k, seed=seed, device=device)
    seconds = time.perf_counter() - start
    ranking = rank_nodes(values, top, population or [])
    if out is not None:
        _write(values, out, overwrite)
    if as_json:
        terminal.show_json(
            {
                "model": graph.name,
                "n_nodes": graph.n_nodes,
                "n_edges": graph.n_edges,
                "measure": chosen.name,
                "weight": chosen.view and (weight or chosen.view),
                "k": k,
                "seed": seed,
                "seconds": round(seconds, 6),
                **ranking.to_dict(),
                "path": None if out is None else str(out),
            }
        )
        return
    terminal.show(
        f"Model {printable(graph.name)}\n",
        terminal.table(ranking.header, ranking.cells, NUMERIC, expendable=1),
        "",
        *ranking.notes,
        f"{chosen.name} of {graph.n_nodes:,} nodes over {graph.n_edges:,} edges"
        f"{'' if k is None else f', estimated from {k:,} sources,'} in "
        f"{terminal.duration(seconds)}.",
        *written(out),
    )


def _write(values: NodeValues, out: Path, overwrite: bool) -> None:
    """Write the values of all nodes as a table."""
    from gpugraph.cli import terminal
    from gpugraph.export.table_file import write_table
    from gpugraph.export.tables import value_batches, value_schema

    with terminal.status(f"Writing {out.name}"):
        write_table(out, value_schema(values), value_batches(values), overwrite=overwrite)
