"""A Keras callback: measures of the graph at every epoch, beside the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from gpugraph.convert import from_keras
from gpugraph.errors import MeasureError
from gpugraph.graph import NeuronGraph
from gpugraph.model.input_shape import InputShape
from gpugraph.node_values import NodeValues

Measure = Callable[[NeuronGraph], Any]


class GraphHistory(keras.callbacks.Callback):  # type: ignore[misc]
    """Record measures of the model's graph at the end of every epoch.

    They go into the epoch's logs, and so into the History that ``fit`` returns, and into what
    every callback listed after this one makes of logs: TensorBoard, CSVLogger, EarlyStopping ...

    Parameters
    ----------
    measures : mapping of str to callable
        Each is called with the NeuronGraph and returns a number, recorded under the measure's
        name; a mapping of names to numbers, recorded as ``measure/name``; or `NodeValues`,
        recorded as ``measure/population``, the mean of each population.
    before_training : bool
        Whether to measure before the first epoch too; see ``initial``.
    input_shape : optional
        As for `gpugraph.from_keras`.
    trace : bool
        As for `gpugraph.from_keras`.
    allow_nonfinite : bool
        Whether to go on where weights have become NaN or infinite.

    Attributes
    ----------
    initial : dict of str to float
        What was measured before the first epoch of the last ``fit``, if it was asked for.

    Raises
    ------
    MeasureError
        If a measure is not callable. During training: if it fails, returns anything else, or has
        the name of one of the training's own logs. The error says which.
    ModelError, ShapeError, UnsupportedLayerError
        If the model cannot be converted, which is tried when training starts. A Sequential
        without an Input is not built by then, and so cannot be measured before training.
    NonFiniteError
        If weights have become NaN or infinite, unless they are allowed.

    Notes
    -----
    The model is converted at every epoch as it is for inference; training goes on as it would
    without. A graph that a measure keeps stays as it was at that epoch. The time is that of the
    measures: the conversion of VGG16 takes a twentieth of a second.

    Examples
    --------
    >>> history = model.fit(  # doctest: +SKIP
    ...     x, y, epochs=5,
    ...     callbacks=[gg.GraphHistory({
    ...         "strength": lambda graph: abs(graph.in_strength()).mean(),
    ...         "pagerank": gg.pagerank,
    ...     })],
    ... )
    >>> history.history["pagerank/conv1"]  # doctest: +SKIP
    """

    def __init__(
        self,
        measures: Mapping[str, Measure],
        *,
        before_training: bool = False,
        input_shape: InputShape | None = None,
        trace: bool = False,
        allow_nonfinite: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(measures, Mapping) or not all(map(callable, measures.values())):
            raise MeasureError(
                "GraphHistory takes a mapping of names to functions of a graph, such as "
                f"{{'pagerank': gg.pagerank}}, not {measures!r}."
            )
        self.measures = dict(measures)
        self.before_training = before_training
        self.input_shape = input_shape
        self.trace = trace
        self.allow_nonfinite = allow_nonfinite
        self.initial: dict[str, float] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Convert the model, so that what cannot be converted is told now; measure if asked."""
        self.initial = {}
        if self.before_training:
            self.initial = self._measured(self._graph(), "before training")
        elif self.model.built:  # a Sequential without an Input may be built by the first batch
            self._graph()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add the measures of this epoch to its logs."""
        found = self._measured(self._graph(), f"after epoch {epoch + 1}")
        _add(found, {} if logs is None else logs)

    def _graph(self) -> NeuronGraph:
        return from_keras(
            self.model,
            self.input_shape,
            trace=self.trace,
            allow_nonfinite=self.allow_nonfinite,
        )

    def _measured(self, graph: NeuronGraph, when: str) -> dict[str, float]:
        """Return every measure's numbers by the names under which they are recorded."""
        found: dict[str, float] = {}
        for name, measure in self.measures.items():
            try:
                numbers = _numbers(name, measure(graph))
            except Exception as error:
                raise MeasureError(
                    f"The measure '{name}' failed {when}: {type(error).__name__}: {error}"
                ) from error
            _add(numbers, found)
        return found


def _add(numbers: Mapping[str, float], logs: dict[str, Any]) -> None:
    """Add numbers to those that are there, without overwriting any."""
    for name in numbers:
        if name in logs:
            raise MeasureError(
                f"'{name}' is in the logs already, by the training or another measure. Give the "
                "measure another name."
            )
    logs.update(numbers)


def _numbers(name: str, result: Any) -> dict[str, float]:
    """Return what a measure gave as numbers, by the names under which they are recorded."""
    if isinstance(result, NodeValues):
        means = {p: result[p] for p, nodes in result.graph.populations.items() if nodes.size}
        return {f"{name}/{p}": float(x.mean(dtype=np.float64)) for p, x in means.items()}
    if isinstance(result, Mapping):
        return {f"{name}/{key}": _number(value) for key, value in result.items()}
    return {name: _number(result)}


def _number(value: Any) -> float:
    if isinstance(value, (str, bytes)) or value is None or np.ndim(value):
        raise TypeError(
            f"it returned {type(value).__name__}; return a number, a mapping of names to numbers, "
            "or NodeValues."
        )
    return float(value)
