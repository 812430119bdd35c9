"""CategoryEncoding: tokens as the places that they stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpugraph.axes import fan_in, fan_out, one_to_one
from gpugraph.conversion import Conversion
from gpugraph.population import Tensor
from gpugraph.registry import converts


@converts("CategoryEncoding")
def category_encoding(call: Conversion) -> Tensor:
    """Each token to all places (`choice`); counts and sets of ``name/tokens`` (`copy`)."""
    layer, source = call.layer, call.source
    if layer.sparse:
        raise call.unsupported("it gives sparse tensors (sparse=True)")
    if layer.output_mode == "one_hot":
        # A last dimension of one token is none of the output's.
        seen = source.reshape(call.output_shape[:-1])
        return _one_hot(call, seen, None)
    if len(source.shape) != 1:
        raise call.unsupported(f"Keras adds up the wrong dimension of an input {source.shape}")
    tokens = _one_hot(call, source, "tokens")
    count = layer.output_mode == "count"
    target = call.population(reduce="sum" if count else "max", sources=[tokens])
    n, size = tokens.shape
    axes = [fan_in(n).place(src=size), one_to_one(size).place(src=1, dst=1)]
    call.project(tokens, target, axes, kind="copy")
    return target


def _one_hot(call: Conversion, source: Tensor, part: str | None) -> Tensor:
    """Add a population of one row of places per token."""
    size = call.layer.num_tokens
    shape = (*source.shape, size)
    target = call.population(part, shape, dynamics=OneHot(size), sources=[source])
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
    """

    size: int

    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        """Return the rows; shape ``(*tokens.shape, size)``."""
        return (tokens[..., None] == np.arange(self.size)).astype(tokens.dtype)
