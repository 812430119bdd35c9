"""Attention: means of values, weighted by how well each key fits each query.

``name/scores`` holds the weights, after the softmax. The edges from it and to the means are
`dynamic`: activations multiply each other. Where a query may not see a key (a causal mask, a
sliding window), the score of the two is 0 and has no edges.

Labels: t is the position of a query and s that of a key, d a channel, v a value's channel; before
them stand dimensions that queries, keys and values have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.layers.einsum import SumOfProducts, multiply, project
from gpugraph.layers.scores import Lower, Sight, meeting, product_scores, softmax
from gpugraph.layers.weights import array
from gpugraph.population import Activation, Tensor
from gpugraph.projection import Kind
from gpugraph.registry import converts

COMMON = "abc"


@converts("Attention", masks=True)
def attention(call: Conversion) -> Sequence[Tensor]:
    """``scores`` of query and key (softmax), means of the values by them: all `dynamic`."""
    layer = call.layer
    query, _, key = _called_on(call)
    scale = None if layer.scale is None else array(layer.scale)
    if layer.score_mode == "concat":
        return _additive(call, scale, array(layer.concat_score_weight))
    common, sight = _common(call), _sight(call)
    factor = 1.0 if scale is None else float(scale)

    def make(part: str, activation: Activation) -> Tensor:
        operands = [(query, common + "td"), (key, common + "sd")]
        out = common + "ts"
        return product_scores(call, part, operands, out, sight, activation, factor=factor)

    return _means(call, softmax(call, common + "ts", make, sight), sight)


@converts("AdditiveAttention", masks=True)
def additive_attention(call: Conversion) -> Sequence[Tensor]:
    """Query plus key in ``hidden`` (tanh), by `weight` to ``scores`` (softmax); means `dynamic`."""
    layer = call.layer
    return _additive(call, None, array(layer.scale) if layer.use_scale else None)


def _additive(
    call: Conversion, inner: np.ndarray | None, outer: np.ndarray | None
) -> Sequence[Tensor]:
    """Score by ``sum(outer * tanh(inner * (query + key)))`` over the channels."""
    query, _, key = _called_on(call)
    common, sight = _common(call), _sight(call)
    met = sight.met
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
        shape, into, out = hidden.shape[:-1], common + "tsd", common + "ts"
        masks = [mask for mask, _ in sight.masks]
        scores = call.population(
            part,
            shape,
            activation=activation,
            dynamics=sight.function(OverChannels(outer), out, shape) if masks else None,
            sources=[hidden, *masks],
        )
        across = "d" if outer is not None and outer.ndim else ""
        kind: Kind = "copy" if outer is None else "weight"
        project(call, hidden, into, scores, out, outer, across, kind, met)
        for mask, labels in sight.masks:
            project(call, mask, labels, scores, out, kind="dynamic", meeting=met)
        return scores

    return _means(call, softmax(call, common + "ts", make, sight), sight)


@dataclass(frozen=True)
class OverChannels:
    """A sum over the last axis, of which every element may have a weight.

    Attributes
    ----------
    weights : array of shape ``(channels,)`` or ``()``, optional
    """

    weights: np.ndarray | None

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the sums."""
        weighted = values if self.weights is None else values * self.weights
        return np.asarray(weighted.sum(axis=-1))


def _means(call: Conversion, scores: Tensor, sight: Sight) -> Sequence[Tensor]:
    """Return the means of the values, and the scores where they are asked for."""
    _, value, _ = _called_on(call)
    common = _common(call)
    out = common + "tv"
    operands = [(scores, common + "ts"), (value, common + "sv")]
    hidden = _mask(call, 0)
    if hidden is None:
        means = multiply(call, None, operands, out, meeting=sight.met)
    else:
        shape = (*scores.shape[:-1], value.shape[-1])
        product = SumOfProducts((common + "ts", common + "sv"), out, shape)
        operands.append((hidden, "t"))
        function = WhereMasked(product)
        means = multiply(call, None, operands, out, function=function, meeting=sight.met)
    return (means, scores) if call.call.kwargs.get("return_attention_scores") else (means,)


@dataclass(frozen=True)
class WhereMasked:
    """A product whose rows are 0 where a mask, the last operand, has none.

    Attributes
    ----------
    product : callable
    """

    product: Callable[..., np.ndarray]

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        """Return the product."""
        *operands, mask = arrays
        return np.where(mask[..., np.newaxis] != 0, self.product(*operands), 0)


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


def _sight(call: Conversion) -> Sight:
    """Return which keys the queries see: those before them, those that the values' mask has."""
    query, _, key = _called_on(call)
    is_causal = bool(call.call.kwargs.get("use_causal_mask"))
    met = meeting(call, "ts", query.shape[-2], key.shape[-2], is_causal)
    of_values = _mask(call, 1)
    return Sight(met, [] if of_values is None else [(of_values, "s")], Lower(call.dtype))


def _mask(call: Conversion, which: int) -> Tensor | None:
    """Return the mask of the queries (0) or of the values (1), if there is one."""
    masks = call.masks.get("mask")
    mask = masks[which] if masks else None
    if mask is None:
        return None
    if not isinstance(mask, Tensor):
        raise call.unsupported("one of its masks is a constant; leave those places out")
    shape = call.sources[which].shape
    if mask.shape != shape[:-1] or _common(call):
        raise call.unsupported(
            f"its mask of shape {mask.shape} is not one per time step of {shape}"
        )
    return mask
