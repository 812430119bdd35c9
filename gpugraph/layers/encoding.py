"""CategoryEncoding and Discretization: tokens, or bins, as the places that they stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gpugraph.axes import fan_in, fan_out, one_to_one
from gpugraph.conversion import Conversion
from gpugraph.layers.weights import KerasFunction
from gpugraph.population import Activation, Tensor
from gpugraph.registry import converts


@converts("CategoryEncoding")
def category_encoding(call: Conversion) -> Tensor:
    """Each token to all places (`choice`); counts and sets of ``name/tokens`` (`copy`)."""
    return _encoded(call, OneHot(call.layer.num_tokens))


@converts("Discretization")
def discretization(call: Conversion) -> Tensor:
    """One to one (`copy`), its bin on the node; in other modes bins are as CategoryEncoding's."""
    layer = call.layer
    if layer.bin_boundaries is None:
        raise call.unsupported("it has no boundaries yet: adapt it first")
    bins = KerasFunction(type(layer)(layer.bin_boundaries))
    if layer.output_mode == "int":
        return call.activated(call.source, Activation("digitize", bins))
    return _encoded(call, OneHot(len(layer.bin_boundaries) + 1, bins))


def _encoded(call: Conversion, one_hot: OneHot) -> Tensor:
    """Add one row of places per token, and counts or sets of them where these are asked for."""
    layer, source = call.layer, call.source
    if layer.sparse:
        raise call.unsupported("it gives sparse tensors (sparse=True)")
    if layer.output_mode == "one_hot":
        # A last dimension of one token is none of the output's.
        return _one_hot(call, source.reshape(call.output_shape[:-1]), None, one_hot)
    if len(source.shape) != 1:
        raise call.unsupported(f"Keras adds up the wrong dimension of an input {source.shape}")
    tokens = _one_hot(call, source, "tokens", one_hot)
    count = layer.output_mode == "count"
    target = call.population(reduce="sum" if count else "max", sources=[tokens])
    n, size = tokens.shape
    axes = [fan_in(n).place(src=size), one_to_one(size).place(src=1, dst=1)]
    call.project(tokens, target, axes, kind="copy")
    return target


def _one_hot(call: Conversion, source: Tensor, part: str | None, one_hot: OneHot) -> Tensor:
    """Add a population of one row of places per token."""
    size = one_hot.size
    target = call.population(part, (*source.shape, size), dynamics=one_hot, sources=[source])
    n = int(np.prod(source.shape))
    axes = [one_to_one(n).place(src=1, dst=size), fan_out(size).place(dst=1)]
    call.project(source, target, axes, kind="choice")
    return target


@dataclass(frozen=True)
class OneHot:
    """Tokens to a row of zeros each, with a one at the token; none beyond the row.

    Attributes
    ----------
    size : int
        Length of a row.
    token : callable, optional
        Makes tokens of what the nodes hold.
    """

    size: int
    token: Callable[[np.ndarray], np.ndarray] | None = None

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the rows; shape ``(*values.shape, size)``."""
        tokens = values if self.token is None else self.token(values)
        return (tokens[..., None] == np.arange(self.size)).astype(values.dtype)
