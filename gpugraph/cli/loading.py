"""From what the user names to a Keras model, and to its graph."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from gpugraph.cli.options import Granularity, Norm
from gpugraph.text_table import printable

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph


def graph_of(
    model: str,
    input_shape: Sequence[str] | None,
    weights: str | None,
    couplings: bool,
    probe: bool,
    trace: bool,
    allow_nonfinite: bool,
    seed: int | None = None,
) -> NeuronGraph:
    """Load and convert the model that the user names."""
    from gpugraph.cli import terminal

    loaded, shape = load(model, input_shape, weights, seed)

    from gpugraph.convert import from_keras

    with terminal.status("Converting"):
        return from_keras(
            loaded,
            shape,
            couplings=couplings,
            probe=probe,
            trace=trace,
            allow_nonfinite=allow_nonfinite,
        )


def load(
    model: str, input_shape: Sequence[str] | None, weights: str | None, seed: int | None = None
) -> tuple[Any, Any]:
    """Return the Keras model and the input shape, as `from_keras` takes them."""
    shape = parse_input_shapes(input_shape or [])

    from gpugraph.cli import terminal
    from gpugraph.model.load import load_model

    with terminal.status(f"Loading {printable(model)}"):
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
    from gpugraph.model.input_shape import MINIMAL

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


def check_norm(by: Granularity | None, norm: Norm | None) -> None:
    """Refuse a norm of weights that nothing merges, before a model is loaded for nothing."""
    if norm is not None and by is None:
        raise typer.BadParameter("--norm goes with --by channel or --by layer.")


def merged(graph: NeuronGraph, by: Granularity | None, norm: Norm | None) -> NeuronGraph:
    """Return the graph at the granularity that the user asks for."""
    if by is None:
        return graph

    from gpugraph.cli import terminal

    with terminal.status(f"Merging neurons by {by.value}"):
        return graph.quotient(by.value, (norm or Norm.L1).norm)
