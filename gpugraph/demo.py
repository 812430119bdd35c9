"""``gpugraph demo``: a small trained network from model to files, then VGG16 at full size."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.text import Text

from gpugraph.algorithms.pagerank import pagerank
from gpugraph.algorithms.path_strength import path_strength
from gpugraph.algorithms.strongest_paths import NodePath, strongest_paths
from gpugraph.arrays import format_bytes
from gpugraph.cli.terminal import duration, progress, show, status, table
from gpugraph.convert import from_keras
from gpugraph.errors import GpugraphError, OutputError
from gpugraph.measures import NUMERIC as RANKING_NUMERIC
from gpugraph.measures import rank
from gpugraph.model.load import load_model
from gpugraph.summary import HEADER, NUMERIC, Summary

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph
    from gpugraph.node_values import NodeValues

LARGE = "keras.applications:VGG16"
N_IMAGES = 64
TOP = 5


def run(folder: Path) -> None:
    """Show what gpugraph does, and write the small network's graph into a folder.

    Parameters
    ----------
    folder : Path
        Made if missing. Only ``digits.graphml`` and ``digits.parquet`` in it are replaced.

    Raises
    ------
    OutputError
        If the folder or a file in it cannot be written.
    """
    _make_folder(folder)
    graph = _convert()
    _verify(graph)
    _write(graph, folder)
    _paths(graph)
    _rank(graph)
    _rank_large(_large())


def digits_model() -> Any:
    """Return the Keras model that the package ships: it reads 8 x 8 images of digits.

    ``examples/train_digits.py`` trains it.
    """
    with as_file(files("gpugraph") / "data" / "digits.keras") as path:
        return load_model(path)


def describe(path: NodePath, graph: NeuronGraph) -> str:
    """Say a path in words: where each node is, and what its channel or unit is."""
    steps = [_place(name, index, graph) for name, index in path.nodes]
    return " -> ".join(steps)


def _place(name: str, index: tuple[int, ...], graph: NeuronGraph) -> str:
    population = graph.populations[name]
    channel = 0 if population.channels_first else len(index) - 1
    where = [i for at, i in enumerate(index) if at != channel]
    if not where:
        return f"{name} {', '.join(map(str, index))}"
    place = f"{name} ({', '.join(map(str, where))})"
    return place if population.shape[channel] == 1 else f"{place} channel {index[channel]}"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make the folder '{folder}': {error.strerror}.") from error


def _convert() -> NeuronGraph:
    model = digits_model()
    start = time.perf_counter()
    graph = from_keras(model)
    seconds = time.perf_counter() - start
    _heading(
        "A network that reads handwritten digits, as a graph: every activation a node, every use "
        "of a weight an edge."
    )
    _show_summary(graph.summary())
    show(f"Converted in {duration(seconds)}; no edge has been made yet.", "")
    return graph


def _show_summary(summary: Summary) -> None:
    rows = [row.cells for row in summary.rows]
    show(table(HEADER, rows, NUMERIC, summary.total, expendable=2), "", *summary.notes)


def _verify(graph: NeuronGraph) -> None:
    images, what = _images()
    report = graph.verify(images)
    _heading(f"Is the graph the network? Both were run on {what}.")
    show(str(report), "")
    if not report.passed:
        raise GpugraphError("The graph of the demo's network does not compute what Keras does.")


def _images() -> tuple[np.ndarray, str]:
    """Digits to verify with, and what they are."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        noise = np.random.default_rng(0).random((N_IMAGES, 8, 8, 1), np.float32)
        return noise, f"{N_IMAGES} images of noise (scikit-learn, which has digits, is missing)"
    images = load_digits().images[:N_IMAGES, :, :, np.newaxis] / 16
    return images.astype(np.float32), f"{N_IMAGES} handwritten digits from scikit-learn"


def _write(graph: NeuronGraph, folder: Path) -> None:
    rows = []
    for name, write in (
        ("digits.graphml", graph.write_graphml),
        ("digits.parquet", graph.write_parquet),
    ):
        path = folder / name
        start = time.perf_counter()
        with progress(f"Writing {name}", graph.n_edges) as advance:
            write(path, overwrite=True, progress=advance)
        seconds = time.perf_counter() - start
        rows.append((str(path), format_bytes(sum(map(_size, _files(path)))), duration(seconds)))
    _heading("The graph as files, for other programs:")
    show(table(("written", "size", "time"), rows, (False, True, True)), "")


def _files(path: Path) -> Iterator[Path]:
    return (p for p in (path, *path.rglob("*")) if p.is_file())


def _size(path: Path) -> int:
    return path.stat().st_size


def _paths(graph: NeuronGraph) -> None:
    start = time.perf_counter()
    digits = graph.populations["digit"]
    found = [path for node in digits.ids for path in strongest_paths(graph, k=1, into=[node])]
    seconds = time.perf_counter() - start
    _heading(
        "The strongest path into each digit: of all from any pixel, the one with the largest "
        f"product of |weight|. Found in {duration(seconds)}."
    )
    show(
        table(
            ("product", "path"),
            [(f"{path.product:+.2f}", describe(path, graph)) for path in found],
            (True, False),
        ),
        "",
    )


def _rank(graph: NeuronGraph) -> None:
    start = time.perf_counter()
    ranks, strengths = pagerank(graph), path_strength(graph)
    seconds = time.perf_counter() - start
    theirs = np.asarray(pagerank(graph, engine="networkx"))
    apart = np.abs(np.asarray(ranks) / theirs - 1).max()
    _heading(
        "The most central neuron of each layer: by PageRank, and by path strength, the sum over "
        f"all paths through it of their products of |weight|. Both exact, in {duration(seconds)}."
    )
    rows = [(*_first(ranks, name), *_first(strengths, name)) for name in graph.populations]
    header = ("by PageRank", "value", "by path strength", "value")
    show(
        table(header, rows, (False, True, False, True)),
        "",
        f"networkx, with all edges made, finds the same PageRank within {apart:.0e} of each value.",
        "",
    )


def _first(values: NodeValues, name: str) -> tuple[str, str]:
    """Say which node of a population has the largest value, and the value."""
    ranking = rank(values, 1, [name])
    node = ranking.nodes[0]
    if ranking.n_equal == values.graph.populations[name].size - 1:
        return f"{name}, all alike", f"{node.value:.4g}"
    return _place(name, node.index, values.graph), f"{node.value:.4g}"


def _large() -> NeuronGraph:
    _heading(
        "The same for VGG16 at 224 x 224, built with random weights. No edge is made: the graph is "
        "worked out from the shapes of its layers."
    )
    with status("Building VGG16"):
        model = load_model(LARGE)
    start = time.perf_counter()
    graph = from_keras(model)
    summary = graph.summary()
    seconds = time.perf_counter() - start
    _show_summary(summary)
    show(
        f"{summary.n_nodes:,} nodes and {summary.n_edges:,} edges: from the model to this table "
        f"in {duration(seconds)}.",
        "",
    )
    return graph


def _rank_large(graph: NeuronGraph) -> None:
    start = time.perf_counter()
    with status("Ranking its neurons"):
        values = pagerank(graph)
    seconds = time.perf_counter() - start
    ranking = rank(values, TOP)
    _heading(
        f"PageRank of all {graph.n_nodes:,} nodes, over all {graph.n_edges:,} edges: exact, in one "
        f"pass, {duration(seconds)}. The first {TOP}:"
    )
    show(
        table(ranking.header, ranking.cells, RANKING_NUMERIC, expendable=1),
        "",
        "With random weights chance decides which class comes first. The trained network:",
        f"    gpugraph rank {LARGE} --weights imagenet",
    )


def _heading(text: str) -> None:
    show(Text(f"{text}\n", style="bold"))
