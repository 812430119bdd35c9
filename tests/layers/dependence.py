"""Which outputs depend on which inputs: in numbers as Keras computes them, and by the edges."""

from __future__ import annotations

import keras
import numpy as np
from scipy import sparse

import gpugraph as gg

# An input is moved this far: near, for smooth functions, and across what maxima and steps decide.
STEPS = (0.05, -0.4, 3.0, -3.0)


def is_affine(graph: gg.NeuronGraph) -> bool:
    """Whether the nodes do nothing but add up."""
    return all(
        p.activation.function is None and p.reduce == "sum" and p.dynamics is None
        for p in graph.populations.values()
    )


def is_of_integers(model: keras.Model) -> bool:
    """Whether the model reads tokens, which nothing can be moved by a little."""
    return any("float" not in tensor.dtype for tensor in model.inputs)


def outputs_of(model: keras.Model, rows: np.ndarray) -> np.ndarray:
    """Return the model's outputs, joined and flat, for inputs that are joined and flat."""
    sizes = [int(np.prod(t.shape[1:])) for t in model.inputs]
    parts = np.split(rows.astype(np.float32), np.cumsum(sizes)[:-1], axis=1)
    inputs = [p.reshape(-1, *t.shape[1:]) for p, t in zip(parts, model.inputs, strict=True)]
    ys = model(keras.tree.pack_sequence_as(model.input, inputs), training=False)
    ys = [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(ys)]
    return np.concatenate([y.reshape(len(rows), -1).astype(np.float64) for y in ys], axis=1)


def input_nodes(graph: gg.NeuronGraph) -> np.ndarray:
    """Return the ids of the inputs' nodes, in the model's order."""
    return np.concatenate([graph.populations[name].ids for name in graph.topology.inputs])


def output_nodes(graph: gg.NeuronGraph) -> np.ndarray:
    """Return the ids of the outputs' nodes, in the model's order."""
    refs = graph.topology.outputs
    return np.concatenate([graph.tensors[ref.label].population.ids for ref in refs])


def jacobians(
    model: keras.Model, graph: gg.NeuronGraph, *, one_by_one: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return an affine model's Jacobian by Keras and by the edges, ``[input, output]``."""
    sources, targets = input_nodes(graph), output_nodes(graph)
    n = len(sources)
    rows = np.concatenate([np.zeros((1, n)), np.eye(n)])
    batches = np.split(rows, n + 1) if one_by_one else [rows]
    outputs = np.concatenate([outputs_of(model, batch) for batch in batches])
    # Without cycles (I - A)^-1 is the sum over all paths of the products of their weights.
    edges = sparse.eye_array(graph.n_nodes) - graph.to_scipy().astype(np.float64)
    one_hot = np.zeros((graph.n_nodes, n))
    one_hot[sources, np.arange(n)] = 1
    paths = sparse.linalg.spsolve(edges.T.tocsc(), one_hot).reshape(graph.n_nodes, n)
    return outputs[1:] - outputs[0], paths[targets].T


def dependence(model: keras.Model) -> np.ndarray:
    """Return whether each output changes where an input does, ``[input, output]``."""
    n = sum(int(np.prod(t.shape[1:])) for t in model.inputs)
    if is_of_integers(model):
        start = np.zeros(n)
        moved = [start + np.eye(n)]
    else:
        start = np.random.default_rng(0).uniform(0.1, 0.9, n)
        moved = [start + step * np.eye(n) for step in STEPS]
    outputs = outputs_of(model, np.concatenate([start[None], *moved]))
    changed = ~np.isclose(outputs[1:], outputs[0], rtol=1e-4, atol=1e-5, equal_nan=True)
    return changed.reshape(len(moved), n, -1).any(axis=0)


def reach(graph: gg.NeuronGraph) -> np.ndarray:
    """Return whether edges lead from each input to each output, ``[input, output]``."""
    edges = graph.to_scipy(None)
    at = np.zeros((graph.n_nodes, len(input_nodes(graph))))
    at[input_nodes(graph), np.arange(at.shape[1])] = 1
    reached = at > 0
    while True:
        further = reached | (edges.T @ reached.astype(np.float64) > 0)
        if (further == reached).all():
            return reached[output_nodes(graph)].T
        reached = further
