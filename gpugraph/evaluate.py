"""Fidelity: run the graph forward, and compare it with the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugraph.errors import ModelError, ShapeError
from gpugraph.model.layer_call import TensorRef
from gpugraph.population import Dynamics, Population
from gpugraph.products.apply import NEUTRAL, join
from gpugraph.projection import Projection
from gpugraph.scalars import real, whole
from gpugraph.text_table import printable

if TYPE_CHECKING:
    from gpugraph.graph import NeuronGraph
    from gpugraph.model.topology import Topology

# Of a population's largest value. float32 sums in another order differ by 1e-7 to 1e-5 of it;
# a wrong edge shows at 1e-2 and more.
TOLERANCE = 1e-4
# Where Keras itself computes in half precision, its rounding is what limits the comparison.
TOLERANCE_HALF = {"float16": 1e-2, "bfloat16": 5e-2}


def evaluate(graph: NeuronGraph, inputs: Any) -> dict[str, np.ndarray]:
    """Compute every population's values from the model's inputs, by the graph alone.

    ``value(node) = activation(reduce over in-edges(weight * value(src)) + bias)``; where weights
    depend on the inputs (`Population.dynamics`), what the layer makes of its sources takes the
    sum's place.

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
            f"'{graph.name}' is not a whole model's graph, or a copy of one: it computes nothing "
            "by itself. Evaluate the graph that from_keras gave."
        )
    arrays = input_arrays(graph, inputs)
    values: dict[str, np.ndarray] = {}
    for name, population in graph.populations.items():
        if name in arrays:
            values[name] = arrays[name]
        else:
            values[name] = _value(population, graph.projections_into[name], values)
    return values


def _value(
    population: Population, projections: Sequence[Projection], values: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Values of one population from those before it."""
    some = next(iter(values.values()))
    batch, dtype = len(some), some.dtype
    if not population.size:
        return np.zeros((batch, *population.shape), dtype)
    if population.dynamics is not None:
        total = _dynamic(population.dynamics, values, batch).astype(dtype)
    else:
        total = np.full((batch, population.size), NEUTRAL[population.reduce], dtype)
        for p in projections:
            source = values[p.source.name].reshape(batch, -1)
            join(total, p.apply(source, reduce=population.reduce), population.reduce)
        total = total.reshape(batch, *population.shape)
    if population.bias is not None:
        total += population.bias.astype(dtype, copy=False)
    function = population.activation.function
    return total if function is None else function(total).astype(dtype, copy=False)


def _dynamic(dynamics: Dynamics, values: Mapping[str, np.ndarray], batch: int) -> np.ndarray:
    """What nodes hold before bias and activation where the inputs themselves set the weights."""
    sources = [values[s.population.name].reshape(batch, *s.shape) for s in dynamics.sources]
    return dynamics.function(*sources)


def input_arrays(graph: NeuronGraph, inputs: Any) -> dict[str, np.ndarray]:
    """Return the inputs of a whole model's graph by name, checked, as floats."""
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
        arrays[name] = _input_array(name, x, graph.populations[name].shape)
    if len({len(x) for x in arrays.values()}) > 1:
        raise ShapeError(
            f"Inputs differ in batch size: { {n: len(x) for n, x in arrays.items()} }."
        )
    dtype = np.result_type(*arrays.values())
    return {name: x.astype(dtype, copy=False) for name, x in arrays.items()}


def _input_array(name: str, x: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return one input as floats, or say what it should be."""
    wanted = f"Input '{name}' must be numbers of shape ({', '.join(map(str, ('batch', *shape)))})"
    try:
        values = np.asarray(x)
        values = values if values.dtype == np.float64 else values.astype(np.float32)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{wanted}; got {type(x).__name__}.") from error
    if values.ndim == 0 or values.shape[1:] != shape or not values.size:
        raise ShapeError(f"{wanted}; got shape {values.shape}.")
    return values


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
            f"{error:.1e} of the population's largest value, at '{printable(name)}' (tolerance "
            f"{self.tolerance:.0e})."
        )


def verify(
    graph: NeuronGraph, inputs: Any = None, *, seed: int = 0, tolerance: float | None = None
) -> Verification:
    """Compare the graph's values with those of Keras, population by population.

    Parameters
    ----------
    graph : NeuronGraph
    inputs : optional
        As for `evaluate`; by default one sample of standard normal noise per input, or of zeros
        and ones for an integer input; of traced models two, which are not to meet.
    seed : int
        Of the noise.
    tolerance : float, optional
        Largest error that passes, as a share of a population's largest value. By default 1e-4,
        but 1e-2 where a layer computes in float16, and 5e-2 where one does in bfloat16: Keras
        rounds there, the graph does not.

    Returns
    -------
    Verification
        Errors of every population that a layer gives or passes on, against that layer, and of
        the model's outputs also against the model as a whole. Populations inside a layer
        (``name/depthwise``) have no counterpart in Keras; the layer's output tells on them.
    """
    seed = whole(seed, "The seed")
    if tolerance is not None:
        tolerance = real(tolerance, "tolerance", 0)
    if inputs is None and graph.topology is not None:
        inputs = _noise(graph.topology, seed)
    values = evaluate(graph, inputs)
    assert graph.topology is not None
    if tolerance is None:
        tolerance = _tolerance(graph.topology)
    arrays = [values[name] for name in graph.topology.inputs]
    expected = graph.topology.run(arrays)
    outputs = graph.topology.predict(arrays) or []
    compared = [
        *((TensorRef(name, i), y) for name, ys in expected.items() for i, y in enumerate(ys)),
        # Layer by layer, a wrong wiring would be wrong on both sides: the model itself tells.
        *zip(graph.topology.outputs, outputs, strict=False),
    ]
    errors: dict[str, float] = {}
    for ref, y in compared:
        name = graph.tensors[ref.label].population.name
        got = values[name]
        # A batch that became one sample has as many values, too.
        is_batch = (y.size, y.shape[:1]) == (got.size, got.shape[:1])
        error = _error(got.reshape(y.shape), y) if is_batch else np.inf
        errors[name] = max(errors.get(name, 0.0), error)
    return Verification(errors, tolerance)


def _noise(topology: Topology, seed: int) -> list[np.ndarray]:
    """One sample per input, two where a call was traced, or as many as the model names."""
    rng = np.random.default_rng(seed)
    samples = []
    for name in topology.inputs:
        call = topology[name]
        # Some models name the size of their batch.
        shape = (call.layer.batch_shape[0] or 1 + topology.traced, *call.output_shapes[0])
        is_float = "float" in str(call.layer.dtype)
        samples.append(
            rng.standard_normal(shape, np.float32) if is_float else rng.integers(0, 2, shape)
        )
    return samples


def _tolerance(topology: Topology) -> float:
    """What the least exact layer allows."""
    dtypes = {
        # ops.cast has a dtype of its own; other operations go by their inputs.
        getattr(call.layer, "compute_dtype", getattr(call.layer, "dtype", None))
        for call in topology
    }
    return max([TOLERANCE, *(TOLERANCE_HALF[d] for d in dtypes if d in TOLERANCE_HALF)])


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
