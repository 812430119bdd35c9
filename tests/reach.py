"""Whether what changes a model's output leads to it in the graph."""

import numpy as np

from tests.jacobian import adjacency, output_of


def assert_reaches(graph, *inputs):
    """Hold that edges lead from every element of an input to every output that changes with it.

    Parameters
    ----------
    graph : NeuronGraph
        Of a model of one input and one output.
    *inputs : arrays of shape ``(batch, *input shape)``
        The first is where each element is moved from; others say by how much, one after the
        other (0: not at all); at first by 0.5.
    """
    x, *moves = inputs
    (name,) = graph.topology.inputs
    first, output = graph.populations[name], output_of(graph)
    reach = np.eye(graph.n_nodes, dtype=bool)
    edges = adjacency(graph) != 0
    for _ in range(max(p.depth for p in graph.populations.values())):
        reach |= reach @ edges
    reached = reach[first.slice, output.slice]
    effect = np.zeros(reached.shape, bool)
    for move in [np.full_like(x, 0.5), *moves]:
        for sample, by in zip(x, move, strict=True):
            moved = sample + np.eye(first.size).reshape(-1, *first.shape) * by
            values = graph.topology.predict([np.concatenate([sample[None], moved])])[0]
            effect |= (np.abs(values[1:] - values[0]) > 1e-5).reshape(effect.shape)
    assert not (effect & ~reached).any()
    assert effect.any()
