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
# Of sizes: below it, what processors leave out of float32's smallest numbers is more than rounding.
SMALLEST = float(np.finfo(np.float32).tiny / np.finfo(np.float32).eps)
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
        values = _input_array(name, x, graph.populations[name].shape)
        arrays[name] = _as_declared(values, str(graph.topology[name].layer.dtype))
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


def _as_declared(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return an input as its input layer takes it: whole numbers, or 0 and 1, where it has them."""
    if dtype == "bool":
        return (values != 0).astype(values.dtype)
    return np.trunc(values) if "int" in dtype else values


@dataclass(frozen=True)
class Verification:
    """How far the graph's values are from the model's.

    Attributes
    ----------
    errors : dict of str to float
        Per population that is a layer's output: the largest absolute difference, as a share of
        the largest absolute value that the model gives there. Where values cancel, as in
        ``x - mean(x)`` of a constant x, what is left is rounding: the share is then of the
        values that cancel.
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
    arrays = {name: values[name] for name in graph.topology.inputs}
    compared = _model_values(graph, list(arrays.values()))
    sizes = {name: max(map(_largest, ys)) for name, ys in compared.items()}
    errors = _errors(values, compared, sizes)
    if not all(error <= tolerance for error in errors.values()):
        summed = _summed_sizes(graph, arrays, values)
        errors = _errors(values, compared, {n: max(size, summed[n]) for n, size in sizes.items()})
    return Verification(errors, tolerance)


def _model_values(graph: NeuronGraph, inputs: Sequence[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Return what the model gives, by the population that is to hold it."""
    assert graph.topology is not None
    expected = graph.topology.run(inputs)
    outputs = graph.topology.predict(inputs) or []
    found: dict[str, list[np.ndarray]] = {}
    for ref, y in [
        *((TensorRef(name, i), y) for name, ys in expected.items() for i, y in enumerate(ys)),
        # Layer by layer, a wrong wiring would be wrong on both sides: the model itself tells.
        *zip(graph.topology.outputs, outputs, strict=False),
    ]:
        name = graph.tensors[ref.label].population.name
        if not graph.projections_into[name] and len(y) == 1:
            # A layer may give what depends on no input once, for all samples.
            y = np.repeat(y, len(inputs[0]), axis=0)
        is_float = y.dtype in (np.float32, np.float64)
        found.setdefault(name, []).append(y if is_float else y.astype(np.float32))
    return found


def _summed_sizes(
    graph: NeuronGraph, inputs: Mapping[str, np.ndarray], values: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Return how large the numbers were whose sums each population holds, as rounding shows.

    A sum of numbers of size s is rounded by s times the precision, however small it is itself. So
    the graph is run in the other precision too, and the difference divided by float32's.
    """
    dtype = np.float32 if next(iter(inputs.values())).dtype == np.float64 else np.float64
    others = evaluate(graph, {name: x.astype(dtype) for name, x in inputs.items()})
    with np.errstate(invalid="ignore"):  # infinity less infinity
        return {
            name: _largest(x - others[name]) / float(np.finfo(np.float32).eps)
            for name, x in values.items()
        }


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


def _errors(
    values: Mapping[str, np.ndarray],
    compared: Mapping[str, Sequence[np.ndarray]],
    sizes: Mapping[str, float],
) -> dict[str, float]:
    """Return each population's largest difference from the model, as a share of its size."""
    return {
        name: max(_error(values[name], y, sizes[name]) for y in ys) for name, ys in compared.items()
    }


def _error(got: np.ndarray, expected: np.ndarray, size: float) -> float:
    """Largest difference as a share of a size; NaN only equals NaN."""
    # A batch that became one sample has as many values, too.
    if (expected.size, expected.shape[:1]) != (got.size, got.shape[:1]):
        return np.inf
    got = got.reshape(expected.shape)
    expected = expected.astype(got.dtype)
    finite = np.isfinite(expected)
    if not np.array_equal(got[~finite], expected[~finite], equal_nan=True):
        return np.inf
    if not np.isfinite(got[finite]).all():
        return np.inf
    return _largest(got[finite] - expected[finite]) / max(size, SMALLEST)


def _largest(values: np.ndarray) -> float:
    """Return the largest absolute value that is finite; 0 of none."""
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
