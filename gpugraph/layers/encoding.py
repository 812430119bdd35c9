"""Tokens as the places that they stand for: CategoryEncoding, one_hot and multi_hot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.layers.einsum import SPARE, project
from gpugraph.population import Reduce, Tensor
from gpugraph.registry import converts


@converts("CategoryEncoding")
def category_encoding(call: Conversion) -> Tensor:
    """Each token to all places (`choice`); counts and sets of ``name/tokens`` (`copy`)."""
    layer, source = call.layer, call.source
    if layer.sparse:
        raise call.unsupported("it gives sparse tensors (sparse=True)")
    if layer.output_mode == "one_hot":
        # A last dimension of one token is none of the output's.
        return _one_hot(call, None, source.reshape(call.output_shape[:-1]), layer.num_tokens)
    if len(source.shape) != 1:
        raise call.unsupported(f"Keras adds up the wrong dimension of an input {source.shape}")
    tokens = _one_hot(call, "tokens", source, layer.num_tokens)
    return _joined(call, tokens, "sum" if layer.output_mode == "count" else "max")


@converts("ops.OneHot")
def one_hot(call: Conversion) -> Tensor:
    """Each token to all of its places (`choice`), of which one is 1; none beyond them."""
    if call.layer.sparse:
        raise call.unsupported("it gives sparse tensors (sparse=True)")
    (dimension,) = call.dimensions(call.layer.axis, len(call.output_shape))
    return _one_hot(call, None, call.source, call.layer.num_classes, dimension)


@converts("ops.MultiHot")
def multi_hot(call: Conversion) -> Tensor:
    """Each token to all places (`choice`: ``name/tokens``), the sets of those (`copy`)."""
    if not call.source.shape or call.layer.axis != -1:
        raise call.unsupported("it does not join the tokens of a sample")
    return _joined(call, _one_hot(call, "tokens", call.source, call.layer.num_classes), "max")


def _joined(call: Conversion, tokens: Tensor, reduce: Reduce) -> Tensor:
    """Add nodes that join the places of tokens along their first dimension."""
    target = call.population(reduce=reduce, sources=[tokens])
    labels = SPARE[: len(tokens.shape)]
    project(call, tokens, labels, target, labels[1:], kind="copy")
    return target


def _one_hot(
    call: Conversion, part: str | None, source: Tensor, size: int, dimension: int | None = None
) -> Tensor:
    """Add a population of so many places per token, by default along the last dimension."""
    dimension = len(source.shape) if dimension is None else dimension
    shape = list(source.shape)
    shape.insert(dimension, size)
    function = OneHot(size, dimension)
    target = call.population(part, shape, dynamics=function, sources=[source])
    labels = SPARE[: len(shape)]
    into = labels.replace(labels[dimension], "")
    project(call, source, into, target, labels, kind="choice")
    return target


@dataclass(frozen=True)
class OneHot:
    """Tokens to a row of zeros each, with a one at the token; none beyond the row.

    Attributes
    ----------
    size : int
        Length of a row. As in Keras, tokens are cut to whole numbers.
    dimension : int
        Along which it lies, without the batch's.
    """

    size: int
    dimension: int

    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        """Return the rows."""
        rows = np.trunc(tokens)[..., np.newaxis] == np.arange(self.size)
        return np.moveaxis(rows.astype(tokens.dtype), -1, self.dimension + 1)
