"""Tokens, or bins, as the places that they stand for: CategoryEncoding, Discretization, one_hot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.layers.einsum import SPARE, project
from gpugraph.layers.weights import KerasFunction
from gpugraph.population import Activation, Reduce, Tensor
from gpugraph.registry import converts

Token = Callable[[np.ndarray], np.ndarray]


@converts("CategoryEncoding")
def category_encoding(call: Conversion) -> Tensor:
    """Each token to all places (`choice`); counts and sets of ``name/tokens`` (`copy`)."""
    return _encoded(call, call.layer.num_tokens)


@converts("Discretization")
def discretization(call: Conversion) -> Tensor:
    """One to one (`copy`), its bin on the node; in other modes bins are as CategoryEncoding's."""
    layer = call.layer
    if layer.bin_boundaries is None:
        raise call.unsupported("it has no boundaries yet: adapt it first")
    bins = KerasFunction(type(layer)(layer.bin_boundaries))
    if layer.output_mode == "int":
        return call.activated(call.source, Activation("digitize", bins))
    return _encoded(call, len(layer.bin_boundaries) + 1, bins)


def _encoded(call: Conversion, size: int, token: Token = np.trunc) -> Tensor:
    """Add one row of places per token, and counts or sets of them where these are asked for."""
    layer, source = call.layer, call.source
    if layer.sparse:
        raise call.unsupported("it gives sparse tensors (sparse=True)")
    if layer.output_mode == "one_hot":
        # A last dimension of one token is none of the output's.
        return _one_hot(call, None, source.reshape(call.output_shape[:-1]), size, token=token)
    if len(source.shape) != 1:
        raise call.unsupported(f"Keras adds up the wrong dimension of an input {source.shape}")
    tokens = _one_hot(call, "tokens", source, size, token=token)
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
    call: Conversion,
    part: str | None,
    source: Tensor,
    size: int,
    dimension: int | None = None,
    token: Token = np.trunc,
) -> Tensor:
    """Add a population of so many places per token, by default along the last dimension."""
    dimension = len(source.shape) if dimension is None else dimension
    shape = list(source.shape)
    shape.insert(dimension, size)
    function = OneHot(size, dimension, token)
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
        Length of a row.
    dimension : int
        Along which it lies, without the batch's.
    token : callable
        Makes whole numbers of what the nodes hold; by default cuts them, as Keras does.
    """

    size: int
    dimension: int
    token: Token = np.trunc

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the rows."""
        rows = self.token(values)[..., np.newaxis] == np.arange(self.size)
        return np.moveaxis(rows.astype(values.dtype), -1, self.dimension + 1)
