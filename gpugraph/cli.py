"""The command line. Heavy libraries are loaded inside the commands, so that --help is instant."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast

import typer
from typer.core import TyperGroup

from gpugraph import __version__
from gpugraph.errors import (
    GpugraphError,
    GraphTooLargeError,
    ModelError,
    NonFiniteError,
    OutputError,
    SelectionError,
    ShapeError,
    SignedWeightsError,
    UndefinedMeasureError,
    UnsupportedLayerError,
)
from gpugraph.measures import MEASURES, View, measure_named

if TYPE_CHECKING:
    from gpugraph import norms
    from gpugraph.graph import NeuronGraph

# The first class that fits an error decides; any other GpugraphError exits with FAILED.
EXIT_CODES: dict[type[BaseException], int] = {
    ModelError: 2,
    ShapeError: 2,
    SelectionError: 2,
    NonFiniteError: 2,
    SignedWeightsError: 2,
    UndefinedMeasureError: 2,
    UnsupportedLayerError: 3,
    GraphTooLargeError: 4,
    MemoryError: 4,
    OutputError: 5,
}
FAILED = 1
INTERRUPTED = 130
EPILOG = """\b
Exit codes:
  0    done
  1    verification failed, or an error that none of the others fits
  2    wrong usage, or a model, shape, value or name that cannot be used
  3    a layer is not supported
  4    too large for the memory at hand
  5    output could not be written: it exists, the disk is full ...
  130  interrupted (143: terminated)
"""

# Ending of the output -> method of NeuronGraph that writes it.
WRITERS = {
    ".graphml": "write_graphml",
    ".graphml.gz": "write_graphml",
    ".parquet": "write_parquet",
    ".csv": "write_csv",
    ".csv.gz": "write_csv",
    ".npz": "write_npz",
}
TABLE_ENDINGS = (".parquet", ".csv", ".csv.gz")
FIGURE_ENDINGS = (".png", ".pdf", ".svg")
WORST_SHOWN = 10
MEASURES_HELP = "\n".join(
    [
        "\b",
        "Measures, and the --weight that they take by default:",
        *(f"  {m}" for m in MEASURES.values()),
    ]
)


class Device(StrEnum):
    """Where to compute."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Granularity(StrEnum):
    """What becomes a node instead of a neuron."""

    CHANNEL = "channel"
    LAYER = "layer"


class Norm(StrEnum):
    """What weighs between two merged nodes, by words that a shell can say."""

    L1 = "l1"
    L2 = "l2"
    MAX = "max"
    SUM = "sum"
    NONE = "none"

    @property
    def norm(self) -> norms.Norm | None:
        """The norm as `NeuronGraph.quotient` takes it."""
        return None if self is Norm.NONE else cast("norms.Norm", self.value)


class _Commands(TyperGroup):
    """Turns errors of all commands into one line on standard error and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except GpugraphError as error:
            _fail(
                str(error), next((c for t, c in EXIT_CODES.items() if isinstance(error, t)), FAILED)
            )
        except MemoryError as error:
            _fail(f"Out of memory. {error}", EXIT_CODES[MemoryError])
        except KeyboardInterrupt:
            _fail("Interrupted.", INTERRUPTED)


def _fail(message: str, code: int) -> NoReturn:
    line = " ".join(message.split())
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
    color = False if "NO_COLOR" in os.environ else None
    typer.secho(f"Error: {line}", fg="red", err=True, color=color)
    raise typer.Exit(code)


app = typer.Typer(
    cls=_Commands,
    help="Keras models as neuron graphs: every activation a node, every use of a weight an edge.",
    epilog=EPILOG,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Rich's help takes longer to import than all else that --help needs.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line."""
    for name in ("SIGTERM", "SIGHUP"):  # no SIGHUP on Windows
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _terminate)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed; its descriptor must not become that of a file
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        # Names of layers may hold what the terminal's encoding lacks.
        getattr(sys, name).reconfigure(errors="backslashreplace")
    app()


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """Leave by an exception, so that half-written files are removed."""
    raise SystemExit(128 + number)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gpugraph {__version__}")
        raise typer.Exit


@app.callback()
def _gpugraph(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A .keras or .h5 file, or one of Keras's own architectures, such as "
        "keras.applications:VGG16.",
        show_default=False,
    ),
]
InputShapes = Annotated[
    list[str] | None,
    typer.Option(
        "--input-shape",
        metavar="SHAPE",
        help="Without the batch axis, such as 224,224,3 or 224x224x3. Several inputs: repeat the "
        "option, in the model's order or as name=224,224,3. 'minimal': the smallest that works.",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|imagenet",
        help="Weights to load. Without it, keras.applications come with random weights.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
AllowNonfinite = Annotated[
    bool, typer.Option("--allow-nonfinite", help="Accept weights that hold NaN or infinity.")
]

Couplings = Annotated[
    bool,
    typer.Option(
        "--couplings",
        help="Join neurons that meet in a softmax or in the statistics of a normalisation.",
    ),
]

Probe = Annotated[
    bool,
    typer.Option(
        "--probe", help="Find the edges of affine layers that have no converter by probing them."
    ),
]

By = Annotated[
    Granularity | None,
    typer.Option(help="Merge the neurons of each channel, or of each layer, into one node."),
]
NormOfBy = Annotated[
    Norm | None,
    typer.Option(
        "--norm",
        help="With --by, what weighs between two nodes: the sum of magnitudes (l1, by default), "
        "the root of the sum of squares, the largest magnitude, the sum, or each by itself.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")]


@app.command(epilog=EPILOG)
def summary(
    model: Model,
    input_shape: InputShapes = None,
    weights: Weights = None,
    couplings: Couplings = False,
    probe: Probe = False,
    by: By = None,
    norm: NormOfBy = None,
    allow_nonfinite: AllowNonfinite = False,
    as_json: Json = False,
) -> None:
    """Show nodes and edges per population, memory and file sizes. Makes no edge."""
    _check_norm(by, norm)

    from gpugraph import terminal
    from gpugraph.summary import HEADER, NUMERIC

    graph = _graph(model, input_shape, weights, couplings, probe, allow_nonfinite)
    result = _merged(graph, by, norm).summary()
    if as_json:
        terminal.show_json(result.to_dict())
        return
    rows = [row.cells for row in result.rows]
    terminal.show(
        f"Model {terminal.printable(result.model)}\n",
        terminal.table(HEADER, rows, NUMERIC, result.total, expendable=2),
        "",
        *result.notes,
    )


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
    by: By = None,
    norm: NormOfBy = None,
    allow_nonfinite: AllowNonfinite = False,
    as_json: Json = False,
) -> None:
    """Write a model's neuron graph to a file."""
    _check_norm(by, norm)
    ending = _ending(out)
    if parameters and ending == ".npz":
        raise typer.BadParameter("--parameters: a .npz matrix holds nothing but weights.")
    outputs = _outputs(out, ending)

    from gpugraph import terminal
    from gpugraph.arrays import format_bytes
    from gpugraph.export.files import check_output

    for path in outputs:  # before a model is loaded for nothing
        check_output(path, overwrite)

    graph = _graph(model, input_shape, weights, couplings, probe, allow_nonfinite)
    graph = _merged(graph, by, norm)
    with terminal.status("Choosing edges"):
        graph = _part(graph, populations, threshold, top)
    options = {"parameters": True} if parameters else {}
    start = time.perf_counter()
    with terminal.progress(f"Writing {out.name}", graph.n_edges) as advance:
        getattr(graph, WRITERS[ending])(out, overwrite=overwrite, progress=advance, **options)
    seconds = time.perf_counter() - start
    size = sum(map(_size, outputs))
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
        f"Wrote {' and '.join(terminal.printable(str(path)) for path in outputs)}: "
        f"{graph.n_nodes:,} nodes, {graph.n_edges:,} edges, {format_bytes(size)} "
        f"in {terminal.duration(seconds)}."
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
    by: By = None,
    norm: NormOfBy = None,
    allow_nonfinite: AllowNonfinite = False,
    as_json: Json = False,
) -> None:
    """Rank neurons by PageRank or another measure. Makes no edge."""
    _check_norm(by, norm)
    chosen = measure_named(measure)
    chosen.check(weight=weight, k=k, device=device)
    _check_table(out, overwrite)

    from gpugraph import terminal
    from gpugraph.measures import NUMERIC
    from gpugraph.measures import rank as rank_nodes

    graph = _graph(model, input_shape, weights, couplings, probe, allow_nonfinite, seed=seed)
    graph = _merged(graph, by, norm)
    for name in population or []:
        graph.population(name)
    start = time.perf_counter()
    with terminal.status(f"Measuring {chosen.name}"):
        values = chosen(graph, weight=weight, k=k, seed=seed, device=device)
    seconds = time.perf_counter() - start
    ranking = rank_nodes(values, top, population or [])
    if out is not None:
        from gpugraph.export.table_file import write_table
        from gpugraph.export.tables import value_batches, value_schema

        with terminal.status(f"Writing {out.name}"):
            write_table(out, value_schema(values), value_batches(values), overwrite=overwrite)
    if as_json:
        view = chosen.view and (weight or chosen.view)
        terminal.show_json(
            {
                "model": graph.name,
                "n_nodes": graph.n_nodes,
                "n_edges": graph.n_edges,
                "measure": chosen.name,
                "weight": view,
                "k": k,
                "seed": seed,
                "seconds": round(seconds, 6),
                **ranking.to_dict(),
                "path": None if out is None else str(out),
            }
        )
        return
    terminal.show(
        f"Model {terminal.printable(graph.name)}\n",
        terminal.table(ranking.header, ranking.cells, NUMERIC, expendable=1),
        "",
        *ranking.notes,
        f"{chosen.name} of {graph.n_nodes:,} nodes over {graph.n_edges:,} edges"
        f"{'' if k is None else f', estimated from {k:,} sources,'} in "
        f"{terminal.duration(seconds)}.",
        *_written(out),
    )


@app.command(epilog=EPILOG)
def stats(
    model: Model,
    persistence: Annotated[
        bool,
        typer.Option(
            "--persistence/--no-persistence",
            help="Find neural persistence too: the slow part, for large dense layers.",
        ),
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help=f"Write the whole table too: {', '.join(TABLE_ENDINGS)}."
        ),
    ] = None,
    overwrite: Overwrite = False,
    input_shape: InputShapes = None,
    weights: Weights = None,
    seed: Annotated[int, typer.Option(min=0, help="Of random weights.")] = 0,
    couplings: Couplings = False,
    probe: Probe = False,
    allow_nonfinite: AllowNonfinite = False,
    as_json: Json = False,
) -> None:
    """Show statistics of the weights and strengths between layers. Makes no edge."""
    _check_table(out, overwrite)

    from gpugraph import terminal

    graph = _graph(model, input_shape, weights, couplings, probe, allow_nonfinite, seed=seed)

    from gpugraph.algorithms.layer_statistics import HEADER, NUMERIC, layer_statistics

    with terminal.status("Measuring layers"):
        result = layer_statistics(graph, persistence=persistence)
    if out is not None:
        from gpugraph.export.table_file import write_table

        rows = result.to_arrow()
        write_table(out, rows.schema, rows.to_batches(), overwrite=overwrite)
    if as_json:
        terminal.show_json({**result.to_dict(), "path": None if out is None else str(out)})
        return
    shown = terminal.table(
        HEADER, [row.cells for row in result.rows], NUMERIC, expendable=len(HEADER) - 4
    )
    left_out = ", ".join(HEADER[len(shown.columns) :])
    notes = [f"No room here, but in --json and --out: {left_out}."] if left_out else []
    notes += _written(out)
    terminal.show(
        f"Model {terminal.printable(result.model)}\n", shown, *([""] if notes else []), *notes
    )


@app.command(epilog=EPILOG)
def weights(
    model: Model,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"Write the table too: {', '.join(TABLE_ENDINGS)}."),
    ] = None,
    overwrite: Overwrite = False,
    weights: Weights = None,
    seed: Annotated[int, typer.Option(min=0, help="Of random weights.")] = 0,
    as_json: Json = False,
) -> None:
    """List every array of the model: whose it is, its axes by name, and statistics."""
    _check_table(out, overwrite)

    from gpugraph import terminal

    loaded, _ = _load(model, None, weights, seed)

    from gpugraph.model_weights import HEADER, NUMERIC, weights_table

    with terminal.status("Reading weights"):
        result = weights_table(loaded)
    if out is not None:
        from gpugraph.export.table_file import write_table

        rows = result.to_arrow()
        write_table(out, rows.schema, rows.to_batches(), overwrite=overwrite)
    if as_json:
        terminal.show_json({**result.to_dict(), "path": None if out is None else str(out)})
        return
    shown = terminal.table(
        HEADER, [row.cells for row in result.rows], NUMERIC, result.total, expendable=8
    )
    left_out = ", ".join(HEADER[len(shown.columns) :])
    notes = [f"No room here, but in --json and --out: {left_out}."] if left_out else []
    notes += _written(out)
    terminal.show(
        f"Model {terminal.printable(result.model)}\n", shown, *([""] if notes else []), *notes
    )


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
    _ending(out, FIGURE_ENDINGS)
    if channel not in ("mean", "all") and not re.fullmatch(r"\d{1,9}", channel, re.ASCII):
        raise typer.BadParameter(f"--channel must be mean, all or a number, not {channel!r}.")
    shape = parse_input_shapes([] if input_shape is None else [input_shape])

    from gpugraph import terminal
    from gpugraph.export.files import check_output

    check_output(out, overwrite)
    loaded, _ = _load(model, None, weights, seed)

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
        terminal.show_json({"path": str(out), "bytes": _size(out)})
        return
    terminal.show(*_written(out))


@app.command(epilog=EPILOG)
def verify(
    model: Model,
    input_shape: InputShapes = None,
    weights: Weights = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise, and of random weights.")] = 0,
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0, help="Largest error that passes, as a share of a population's largest value."
        ),
    ] = None,
    couplings: Couplings = False,
    probe: Probe = False,
    allow_nonfinite: AllowNonfinite = False,
    as_json: Json = False,
) -> None:
    """Run the graph on noise and compare every population with Keras. Exits 1 if they differ."""
    from gpugraph import terminal

    graph = _graph(model, input_shape, weights, couplings, probe, allow_nonfinite, seed=seed)
    with terminal.status("Running graph and model"):
        result = graph.verify(seed=seed, tolerance=tolerance)
    if as_json:
        terminal.show_json(
            {
                "model": graph.name,
                "passed": result.passed,
                "tolerance": result.tolerance,
                # JSON knows no infinity.
                "errors": {n: e if e < float("inf") else None for n, e in result.errors.items()},
            }
        )
    else:
        worst = sorted(result.errors.items(), key=lambda item: -item[1])[:WORST_SHOWN]
        rows = [
            (name, graph.populations[name].layer, f"{error:.1e}", _verdict(error, result.tolerance))
            for name, error in worst
        ]
        header = ("worst populations", "layer", "error", "")
        terminal.show(
            terminal.table(header, rows, (False, False, True, False)),
            "",
            terminal.printable(str(result)),
        )
    if not result.passed:
        raise typer.Exit(FAILED)


@app.command(epilog=EPILOG)
def topology(
    model: Model,
    input_shape: InputShapes = None,
    weights: Weights = None,
    as_json: Json = False,
) -> None:
    """List the layer calls in the order in which they run, and what each reads."""
    from gpugraph import terminal

    loaded, shape = _load(model, input_shape, weights)

    from gpugraph.topology import topology as list_calls

    calls = list_calls(loaded, shape)
    if as_json:
        terminal.show_json(
            {
                "model": calls.name,
                "n_parameters": calls.n_parameters,
                "inputs": list(calls.inputs),
                "outputs": [list(ref) for ref in calls.outputs],
                "calls": [
                    {
                        "name": call.name,
                        "layer": call.layer_class,
                        "inputs": [list(ref) for ref in call.inputs],
                        "input_shapes": [list(shape) for shape in call.input_shapes],
                        "output_shapes": [list(shape) for shape in call.output_shapes],
                        "n_parameters": call.n_parameters,
                    }
                    for call in calls
                ],
            }
        )
        return
    rows = [
        (
            call.name,
            call.layer_class,
            ", ".join(ref.call for ref in call.inputs),
            "; ".join("x".join(map(str, shape)) for shape in call.output_shapes),
            f"{call.n_parameters:,}",
        )
        for call in calls
    ]
    header = ("layer call", "layer", "reads", "output shape", "parameters")
    total = ("total", "", "", "", f"{calls.n_parameters:,}")
    terminal.show(
        f"Model {terminal.printable(calls.name)}: {len(calls)} layer calls\n",
        terminal.table(header, rows, (False, False, False, False, True), total),
    )


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
    _ending(out, [".keras"])

    from gpugraph import terminal
    from gpugraph.arrays import format_bytes
    from gpugraph.export.files import check_output

    check_output(out, overwrite)
    loaded, _ = _load(model, None, weights)

    from gpugraph.export.keras_file import write_keras
    from gpugraph.transform import transformed

    with terminal.status("Making layers convolutional"):
        found, changes = transformed(loaded)
    with terminal.status(f"Writing {out.name}"):
        write_keras(found, out, overwrite=overwrite)
    if as_json:
        terminal.show_json(
            {
                "model": found.name,
                "path": str(out),
                "bytes": _size(out),
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
        f"Model {terminal.printable(found.name)}\n",
        *([table, ""] if rows else ["No layer had to change."]),
        f"Wrote {terminal.printable(str(out))}: {format_bytes(_size(out))}.",
    )


@app.command(epilog=EPILOG)
def doctor(as_json: Json = False) -> None:
    """Show what is installed, which device would be used, and how to get what is missing."""
    from gpugraph import terminal
    from gpugraph.arrays import format_bytes
    from gpugraph.doctor import examine

    report = examine()
    if as_json:
        terminal.show_json(report.to_dict())
        return
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


@app.command(epilog=EPILOG)
def demo(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to write the graph.")] = Path(
        "demo-output"
    ),
) -> None:
    """Show everything on a small digit reader, then VGG16 at full size."""
    from gpugraph import terminal
    from gpugraph.demo import run

    with terminal.status("Starting Keras"):
        terminal.load_keras()
    run(out)


def _graph(
    model: str,
    input_shape: Sequence[str] | None,
    weights: str | None,
    couplings: bool,
    probe: bool,
    allow_nonfinite: bool,
    seed: int | None = None,
) -> NeuronGraph:
    """Load and convert the model that the user names."""
    from gpugraph import terminal

    loaded, shape = _load(model, input_shape, weights, seed)

    from gpugraph.convert import from_keras

    with terminal.status("Converting"):
        return from_keras(
            loaded, shape, couplings=couplings, probe=probe, allow_nonfinite=allow_nonfinite
        )


def _load(
    model: str, input_shape: Sequence[str] | None, weights: str | None, seed: int | None = None
) -> tuple[Any, Any]:
    """Return the Keras model and the input shape, as `from_keras` takes them."""
    shape = parse_input_shapes(input_shape or [])

    from gpugraph import terminal
    from gpugraph.models import load_model

    with terminal.status(f"Loading {terminal.printable(model)}"):
        terminal.load_keras()
        import keras

        if seed is not None:
            keras.utils.set_random_seed(seed)
        return load_model(model, shape, weights), shape


def parse_input_shapes(texts: Sequence[str]) -> Any:
    """Return what ``--input-shape`` means, as `gpugraph.from_keras` takes it.

    Parameters
    ----------
    texts : sequence of str
        Such as "224,224,3", "224x224x3" or "image=224,224,3"; or "minimal" alone.

    Returns
    -------
    None, tuple of int, list of tuples, dict of input name to tuple, or "minimal"
    """
    from gpugraph.input_shape import MINIMAL

    if list(texts) == [MINIMAL]:
        return MINIMAL
    named: dict[str, tuple[int, ...]] = {}
    shapes = []
    for text in texts:
        name, equals, numbers = text.rpartition("=")
        parts = re.split(r"[,x]", numbers.strip().strip("()[]").replace(" ", "").rstrip(","))
        if not all(re.fullmatch(r"\d{1,9}", part, re.ASCII) for part in parts) or name in named:
            raise typer.BadParameter(
                f"--input-shape must be like 224,224,3 or name=224,224,3, each name once, or "
                f"'{MINIMAL}' alone; got {text!r}."
            )
        shapes.append(tuple(map(int, parts)))
        if equals:
            named[name] = shapes[-1]
    if named and len(named) < len(shapes):
        raise typer.BadParameter("--input-shape: name all inputs or none.")
    if named:
        return named
    return shapes if len(shapes) > 1 else next(iter(shapes), None)


def _ending(out: Path, endings: Iterable[str] = WRITERS) -> str:
    """Return the ending of the output that decides its format; the longest that fits."""
    fitting = [ending for ending in endings if out.name.endswith(ending)]
    if not fitting:
        raise typer.BadParameter(
            f"'{out}' has no known ending. Choose one of {', '.join(endings)}."
        )
    return max(fitting, key=len)


def _outputs(out: Path, ending: str) -> list[Path]:
    """Return every file or folder that will be written."""
    if ending not in (".csv", ".csv.gz"):
        return [out]

    from gpugraph.export.csv import node_file

    return [out, node_file(out)]


def _check_table(out: Path | None, overwrite: bool) -> None:
    """Refuse an ``--out`` that cannot be written, before a model is loaded for nothing."""
    if out is None:
        return
    _ending(out, TABLE_ENDINGS)

    from gpugraph.export.table_file import check_table

    check_table(out, overwrite)


def _written(out: Path | None) -> list[str]:
    """Say what ``--out`` wrote, if anything."""
    if out is None:
        return []

    from gpugraph import terminal
    from gpugraph.arrays import format_bytes

    return [f"Wrote {terminal.printable(str(out))}: {format_bytes(_size(out))}."]


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


def _check_norm(by: Granularity | None, norm: Norm | None) -> None:
    """Refuse a norm of weights that nothing merges, before a model is loaded for nothing."""
    if norm is not None and by is None:
        raise typer.BadParameter("--norm goes with --by channel or --by layer.")


def _merged(graph: NeuronGraph, by: Granularity | None, norm: Norm | None) -> NeuronGraph:
    """Return the graph at the granularity that the user asks for."""
    if by is None:
        return graph

    from gpugraph import terminal

    with terminal.status(f"Merging neurons by {by.value}"):
        return graph.quotient(by.value, (norm or Norm.L1).norm)


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(_size(inner) for inner in path.iterdir())
    return path.stat().st_size


def _channel(text: str) -> Any:
    """Return what ``--channel`` means to `plot_kernels`."""
    return int(text) if text.isdigit() else None if text == "all" else text


def _gpu(gpu: dict[str, Any]) -> str:
    from gpugraph.arrays import format_bytes

    return f"{gpu['name']}, {format_bytes(gpu['free'])} of {format_bytes(gpu['total'])} free"


def _verdict(error: float, tolerance: float) -> str:
    return "" if error <= tolerance else "too large"
