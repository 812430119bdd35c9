"""Attention of several heads, with projections before and after it."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

from gpugraph.conversion import Conversion
from gpugraph.layers.einsum import multiply
from gpugraph.layers.scores import (
    Sight,
    drop,
    drop_as_the_backend,
    product_scores,
    sight_of,
    softmax,
)
from gpugraph.model.layer_call import substitute
from gpugraph.model.masks import arguments
from gpugraph.population import Activation, Tensor
from gpugraph.registry import converts

# Labels of the dimensions of a sequence (of an image: rows and columns), of queries and of keys.
OF_QUERIES, OF_KEYS = "ijklmnop", "IJKLMNOP"


@converts("MultiHeadAttention", masks=True)
def multi_head_attention(call: Conversion) -> Sequence[Tensor]:
    """Dense ``query``, ``key``, ``value`` (`weight`); ``scores``, ``context`` `dynamic`; Dense."""
    layer = call.layer
    query, value, key = _called_on(call)
    attended = _attended(call, len(query.shape) - 1)
    of_queries = OF_QUERIES[: len(query.shape) - 1]
    of_keys = "".join(OF_KEYS[i] if i in attended else x for i, x in enumerate(of_queries))
    common = "".join(x for i, x in enumerate(of_queries) if i not in attended)
    out = common + "h" + "".join(x[i] for x in (of_queries, of_keys) for i in attended)
    heads = layer.num_heads
    sight = Sight()
    if call.call.kwargs.get("use_causal_mask") or layer._sliding_window is not None or call.masks:
        if attended != (0,):
            raise call.unsupported(
                "its mask or sliding window goes along its first axis, its attention "
                f"along attention_axes={layer.attention_axes}"
            )
        sight = _sight(call, out, (heads, query.shape[0], key.shape[0]), layer._sliding_window)
    queries = _dense(call, "query", layer.query_dense, query, heads, layer.key_dim)
    keys = _dense(call, "key", layer.key_dense, key, heads, layer.key_dim)
    values = _dense(call, "value", layer.value_dense, value, heads, layer._value_dim)
    factor = 1 / sqrt(layer.key_dim)

    def make(part: str, activation: Activation) -> Tensor:
        operands = [(queries, of_queries + "hd"), (keys, of_keys + "hd")]
        return product_scores(call, part, operands, out, sight, activation, factor=factor)

    scores = softmax(call, out, make, sight, len(attended))
    operands = [(scores, out), (values, of_keys + "hd")]
    context = multiply(call, "context", operands, of_queries + "hd", meeting=sight.met)
    return _projected(call, query, context, scores)


@converts("GroupedQueryAttention", masks=True)
def grouped_query_attention(call: Conversion) -> Sequence[Tensor]:
    """As MultiHeadAttention; each key and value head serves a group of query heads."""
    layer = call.layer
    query, value, key = _called_on(call)
    n_queries, n_keys = query.shape[0], key.shape[0]
    heads, groups, channels = layer.num_query_heads, layer.num_key_value_heads, layer.head_dim
    queries = _dense(call, "query", layer._query_dense, query, heads, channels)
    keys = _dense(call, "key", layer._key_dense, key, groups, channels)
    values = _dense(call, "value", layer._value_dense, value, groups, channels)
    # Queries of head g * repeats + r go by the keys and values of head g.
    repeats = layer.num_repeats
    own = (groups, repeats, n_queries, n_keys)
    sight = _sight(call, "grts", own, layer.sliding_window)
    queries = queries.reshape((n_queries, groups, repeats, channels))

    def make(part: str, activation: Activation) -> Tensor:
        return product_scores(
            call,
            part,
            [(queries, "tgrd"), (keys, "sgd")],
            "grts",
            sight,
            activation,
            shape=(heads, n_queries, n_keys),
            factor=1 / sqrt(channels),
        )

    scores = softmax(call, "hts", make, sight)
    grouped = scores.reshape(own)
    context = multiply(
        call,
        "context",
        [(grouped, "grts"), (values, "sgd")],
        "tgrd",
        shape=(n_queries, heads, channels),
        meeting=sight.met,
    )
    return _projected(call, query, context, scores)


def _sight(call: Conversion, out: str, shape: Sequence[int], sliding_window: int | None) -> Sight:
    """Return which keys each query sees.

    Parameters
    ----------
    call : Conversion
    out : str
        Labels of the scores: heads, queries, keys.
    shape : tuple of int
        Of the scores.
    sliding_window : int or None
    """
    options, masks = call.call.kwargs, call.masks
    is_causal = bool(options.get("use_causal_mask"))
    if masks and len(call.sources[0].shape) != 2:
        raise call.unsupported("it is called with a mask on more than one dimension of places")
    of_both = masks.get("attention_mask")
    has_heads = of_both is not None and len(of_both.shape) + isinstance(of_both, Tensor) > 3
    if has_heads and len(masks) > 1:
        raise call.unsupported("Keras joins an attention_mask of heads wrongly with other masks")
    # Where nobody asks for the scores, Keras leaves them to its dot_product_attention.
    is_fused = not (call.layer.dropout or options.get("return_attention_scores"))
    return sight_of(
        call,
        out,
        shape,
        masks,
        drop_as_the_backend if is_fused else drop,
        is_causal=is_causal,
        sliding_window=sliding_window,
    )


def _called_on(call: Conversion) -> tuple[Tensor, Tensor, Tensor]:
    """Return query, value and key; the values are keys too where there are no others."""
    args: Any = call.sources  # of a layer that another one wraps
    kwargs: Any = {}
    if call.call.inputs:
        args, kwargs = substitute((call.call.args, dict(call.call.kwargs)), call.tensors)
    given = arguments(call.layer, args, kwargs)
    key = given.get("key")
    return given["query"], given["value"], given["value"] if key is None else key


def _attended(call: Conversion, n_dimensions: int) -> tuple[int, ...]:
    """Return the dimensions of a sequence along which queries see keys."""
    attended = tuple(axis - 1 for axis in call.layer.attention_axes)
    is_sequence = all(0 <= i < n_dimensions for i in attended)
    if not attended or len(set(attended)) < len(attended) or not is_sequence:
        raise call.unsupported(
            f"its attention_axes={call.layer.attention_axes} are not dimensions between the "
            "batch's and the channels'"
        )
    return attended


def _dense(
    call: Conversion, part: str, layer: Any, source: Tensor, heads: int, channels: int
) -> Tensor:
    """Return a projection to the channels of every head."""
    shape = (*source.shape[:-1], heads, channels)
    (projected,) = call.convert(layer, part, [source], [shape])
    return projected


def _projected(
    call: Conversion, query: Tensor, context: Tensor, scores: Tensor
) -> Sequence[Tensor]:
    """Return what the layer makes of all heads' context, and the scores where asked for.

    With a gate, the context is first multiplied by what a sigmoid makes of the query.
    """
    layer = call.layer
    gate = getattr(layer, "_gate_dense", None)
    if gate is not None:
        opened = _dense(call, "gate", gate, query, *context.shape[-2:])
        gated = call.population("gated", context.shape, reduce="product", sources=[context, opened])
        for factor in (context, opened):
            call.project_elementwise(factor, gated)
        context = gated
    output = layer._output_dense
    outputs = call.convert(output, None, [context], call.call.output_shapes[:1])
    gives_scores = call.call.kwargs.get("return_attention_scores")
    return (*outputs, scores) if gives_scores else outputs
