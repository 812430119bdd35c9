"""Fidelity: run the graph forward, and compare it with the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugraph.errors import ModelError, ShapeError
from gpugraph.population import Population
from gpugraph.projection import JOIN, NEUTRAL, Projection

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph

# Of a population's largest value. float32 sums in another order differ by 1e-7 to 1e-5 of it;
# a wrong edge shows at 1e-2 and more.
TOLERANCE = 1e-4


def evaluate(graph: NeuronGraph, inputs: Any) -> dict[str, np.ndarray]:
    """Compute every population's values from the model's inputs, by the graph alone.

    ``value(node) = activation(reduce over in-edges(weight * value(src)) + bias)``

    Parameters
    ----------
    graph : NeuronGraph
        A whole model's, as `from_keras` gives it.
    inputs : array, sequence of arrays, or mapping of input name to array
        Shape ``(batch, *input shape)`` each, as for ``model.predict``.

    Returns
    -------
    dict of str to array of shape ``(batch, *population shape)``
        float32, or float64 for float64 inputs.

    Raises
    ------
    ModelError
        If the graph is only a part of a model's.
    ShapeError
        If the inputs do not have the model's shapes.
    """
    if graph.topology is None:
        raise ModelError(
            f"'{graph.name}' is a part of a model's graph and computes nothing by itself. Evaluate "
            "the whole graph."
        )
    arrays = _input_arrays(graph, inputs)
    values: dict[str, np.ndarray] = {}
    into: dict[str, list[Projection]] = {}
    for projection in graph.projections:
        into.setdefault(projection.target.name, []).append(projection)
    for name, population in graph.populations.items():
        if name in arrays:
            values[name] = arrays[name]
        else:
            values[name] = _value(population, into.get(name, []), values)
    return values


def _value(
    population: Population, projections: Sequence[Projection], values: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Values of one population from those before it."""
    some = next(iter(values.values()))
    batch, dtype = len(some), some.dtype
    total = np.full((batch, population.size), NEUTRAL[population.reduce], dtype)
    for p in projections:
        source = values[p.source.name].reshape(batch, -1)
        JOIN[population.reduce](np, total, p.apply(source, reduce=population.reduce))
    total = total.reshape(batch, *population.shape)
    if population.bias is not None:
        total += population.bias.astype(dtype, copy=False)
    function = population.activation.function
    return total if function is None else function(total).astype(dtype, copy=False)


def _input_arrays(graph: NeuronGraph, inputs: Any) -> dict[str, np.ndarray]:
    """Return the inputs by name, checked, as floats."""
    assert graph.topology is not None
    names = graph.topology.inputs
    if isinstance(inputs, Mapping):
        if set(inputs) != set(names):
            raise ShapeError(f"Inputs are named {sorted(inputs)}; the model's are {list(names)}.")
        given = [inputs[name] for name in names]
    elif len(names) == 1 and not isinstance(inputs, (list, tuple)):
        given = [inputs]
    else:
        given = list(inputs)
    if len(given) != len(names):
        raise ShapeError(f"The model has {len(names)} inputs {list(names)}; got {len(given)}.")
    arrays = {}
    for name, x in zip(names, given, strict=True):
        values = np.asarray(x)
        values = values if values.dtype == np.float64 else values.astype(np.float32)
        shape = graph.populations[name].shape
        if values.shape[1:] != shape or not len(values):
            raise ShapeError(
                f"Input '{name}' must have shape (batch, {', '.join(map(str, shape))}); got "
                f"{values.shape}."
            )
        arrays[name] = values
    if len({len(x) for x in arrays.values()}) > 1:
        raise ShapeError(
            f"Inputs differ in batch size: { {n: len(x) for n, x in arrays.items()} }."
        )
    return arrays


@dataclass(frozen=True)
class Verification:
    """How far the graph's values are from the model's.

    Attributes
    ----------
    errors : dict of str to float
        Per population that is a layer's output: the largest absolute difference, as a share of
        the largest absolute value that the model gives there.
    tolerance : float
    """

    errors: dict[str, float]
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether every population is within the tolerance."""
        return all(error <= self.tolerance for error in self.errors.values())

    @property
    def worst(self) -> tuple[str, float]:
        """The population with the largest error, and that error."""
        name = max(self.errors, key=lambda n: self.errors[n])
        return name, self.errors[name]

    def __str__(self) -> str:
        name, error = self.worst
        verdict = "equals" if self.passed else "DIFFERS FROM"
        return (
            f"The graph {verdict} the model on {len(self.errors)} populations: largest error "
            f"{error:.1e} of the population's largest value, at '{name}' (tolerance "
            f"{self.tolerance:.0e})."
        )


def verify(
    graph: NeuronGraph, inputs: Any = None, *, seed: int = 0, tolerance: float = TOLERANCE
) -> Verification:
    """Compare the graph's values with those of Keras, population by population.

    Parameters
    ----------
    graph : NeuronGraph
    inputs : optional
        As for `evaluate`; by default one sample of standard normal noise per input.
    seed : int
        Of the noise.
    tolerance : float
        Largest error that passes, as a share of a population's largest value.

    Returns
    -------
    Verification
        Errors of every population that is a layer's output. Populations inside a layer
        (``name/depthwise``) have no counterpart in Keras; the layer's output tells on them.
    """
    if inputs is None and graph.topology is not None:
        rng = np.random.default_rng(seed)
        inputs = [
            rng.standard_normal((1, *graph.populations[name].shape), np.float32)
            for name in graph.topology.inputs
        ]
    values = evaluate(graph, inputs)
    assert graph.topology is not None
    expected = graph.topology.run([values[name] for name in graph.topology.inputs])
    errors = {name: _error(values[name], expected[name][0]) for name in values if name in expected}
    return Verification(errors, tolerance)


def _error(got: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference as a share of the largest expected value; NaN only equals NaN."""
    expected = expected.astype(got.dtype)
    finite = np.isfinite(expected)
    if not np.array_equal(got[~finite], expected[~finite], equal_nan=True):
        return np.inf
    if not np.isfinite(got[finite]).all():
        return np.inf
    difference = np.abs(got[finite] - expected[finite]).max(initial=0.0)
    scale = np.abs(expected[finite]).max(initial=0.0)
    return float(difference / max(scale, np.finfo(got.dtype).tiny))
