"""Attention: means of values, weighted by how well each key fits each query.

``name/scores`` holds the weights, after the softmax. The edges from it and to the means are
`dynamic`: activations multiply each other. Where a query may not see a key (a causal mask, a
sliding window), the score of the two is 0 and has no edges.

Labels: t is the position of a query and s that of a key, d a channel, v a value's channel; before
them stand dimensions that queries, keys and values have in common.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.layers.einsum import Meeting, multiply, project
from gpugraph.layers.scores import meeting, softmax
from gpugraph.layers.weights import array
from gpugraph.population import Activation, Tensor
from gpugraph.projection import Kind
from gpugraph.registry import converts

COMMON = "abc"


@converts("Attention")
def attention(call: Conversion) -> Sequence[Tensor]:
    """``scores`` of query and key (softmax), means of the values by them: all `dynamic`."""
    layer = call.layer
    query, _, key = _called_on(call)
    scale = None if layer.scale is None else array(layer.scale)
    if layer.score_mode == "concat":
        return _additive(call, scale, array(layer.concat_score_weight))
    common, met = _common(call), _meeting(call)
    factor = 1.0 if scale is None else float(scale)

    def make(part: str, activation: Activation) -> Tensor:
        operands = [(query, common + "td"), (key, common + "sd")]
        out = common + "ts"
        return multiply(
            call, part, operands, out, factor=factor, activation=activation, meeting=met
        )

    return _means(call, softmax(call, common + "ts", make, met), met)


@converts("AdditiveAttention")
def additive_attention(call: Conversion) -> Sequence[Tensor]:
    """Query plus key in ``hidden`` (tanh), by `weight` to ``scores`` (softmax); means `dynamic`."""
    layer = call.layer
    return _additive(call, None, array(layer.scale) if layer.use_scale else None)


def _additive(
    call: Conversion, inner: np.ndarray | None, outer: np.ndarray | None
) -> Sequence[Tensor]:
    """Score by ``sum(outer * tanh(inner * (query + key)))`` over the channels."""
    query, _, key = _called_on(call)
    common, met = _common(call), _meeting(call)
    *before, n_queries, channels = query.shape
    n_keys = key.shape[-2]
    hidden = call.population(
        "hidden",
        (*before, n_queries, n_keys, channels),
        activation=Activation("tanh", np.tanh),
        sources=[query, key],
    )
    for source, position in ((query, "t"), (key, "s")):
        into, out = f"{common}{position}d", common + "tsd"
        kind: Kind = "copy" if inner is None else "weight"
        project(call, source, into, hidden, out, inner, kind=kind, meeting=met)

    def make(part: str, activation: Activation) -> Tensor:
        shape = hidden.shape[:-1]
        scores = call.population(part, shape, activation=activation, sources=[hidden])
        across = "d" if outer is not None and outer.ndim else ""
        kind: Kind = "copy" if outer is None else "weight"
        into, out = common + "tsd", common + "ts"
        project(call, hidden, into, scores, out, outer, across, kind, met)
        return scores

    return _means(call, softmax(call, common + "ts", make, met), met)


def _means(call: Conversion, scores: Tensor, met: Meeting | None) -> Sequence[Tensor]:
    """Return the means of the values, and the scores where they are asked for."""
    _, value, _ = _called_on(call)
    common = _common(call)
    operands = [(scores, common + "ts"), (value, common + "sv")]
    means = multiply(call, None, operands, common + "tv", meeting=met)
    return (means, scores) if call.call.kwargs.get("return_attention_scores") else (means,)


def _called_on(call: Conversion) -> tuple[Tensor, Tensor, Tensor]:
    """Return query, value and key; the values are keys too where there are no others."""
    query, value, *keys = call.sources
    key = keys[0] if keys else value
    if len({len(tensor.shape) for tensor in (query, value, key)}) > 1:
        raise call.unsupported(f"its inputs {[t.shape for t in call.sources]} differ in rank")
    return query, value, key


def _common(call: Conversion) -> str:
    """Return the labels of the dimensions before a sequence's."""
    return COMMON[: len(call.sources[0].shape) - 2]


def _meeting(call: Conversion) -> Meeting | None:
    query, _, key = _called_on(call)
    return meeting(call, "ts", query.shape[-2], key.shape[-2])
