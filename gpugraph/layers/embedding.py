"""Embedding: tokens, and the rows of a table that they choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpugraph.axes import Axis, fan_in, fan_out, one_to_one
from gpugraph.conversion import Conversion
from gpugraph.errors import ShapeError
from gpugraph.layers.weights import kernel
from gpugraph.population import LINEAR, Activation, Tensor
from gpugraph.registry import converts


@converts("Embedding")
def embedding(call: Conversion) -> Tensor:
    """Each token to its place in the vocabulary (`choice`: ``name/tokens``), those by the table."""
    return looked_up(call, call.source, kernel(call, "embeddings"))


def looked_up(call: Conversion, source: Tensor, table: np.ndarray) -> Tensor:
    """Add nodes that hold, for each token, its row of a table; the rows end to end."""
    size, features = table.shape
    tokens = call.population(
        "tokens", (*source.shape, size), dynamics=OneHot(call.call.name, size), sources=[source]
    )
    choice = [*_positions(source.shape, source, tokens), fan_out(size).place(dst=1)]
    call.project(source, tokens, choice, kind="choice")
    target = call.population(sources=[tokens])
    chosen = target.reshape((*source.shape, features))
    rows = [
        *_positions(source.shape, tokens, chosen),
        fan_in(size).place(src=1, tap=features),
        fan_out(features).place(dst=1, tap=1),
    ]
    call.project(tokens, target, rows, table)
    return target


@converts("ReversibleEmbedding")
def reversible_embedding(call: Conversion) -> Tensor:
    """As Embedding; with ``reverse=True`` every feature to every token by the table (`weight`)."""
    if not call.call.kwargs.get("reverse"):
        return embedding(call)
    layer, source = call.layer, call.source
    table = kernel(call, "embeddings" if layer.tie_weights else "reverse_embeddings")
    size, features = table.shape if layer.tie_weights else table.shape[::-1]
    if source.shape[-1:] != (features,):
        raise call.misfit(f"{features} features")
    steps = (1, features) if layer.tie_weights else (size, 1)  # of the table, as it is stored
    target = call.population(activation=_capped(layer.logit_soft_cap))
    axes = [
        *_positions(source.shape[:-1], source, target),
        fan_in(features).place(src=1, tap=steps[0]),
        fan_out(size).place(dst=1, tap=steps[1]),
    ]
    call.project(source, target, axes, table)
    return target


def _capped(cap: float | None) -> Activation:
    """Return the activation that keeps logits between -cap and cap."""
    if cap is None:
        return LINEAR
    return Activation(f"soft_cap({cap:g})", lambda x: np.tanh(x / cap) * cap)


def _positions(shape: Sequence[int], source: Tensor, target: Tensor) -> list[Axis]:
    """Return one axis per dimension of the tokens' positions."""
    steps = zip(shape, source.strides, target.strides, strict=False)
    return [one_to_one(n).place(src, dst) for n, src, dst in steps]


@dataclass(frozen=True)
class OneHot:
    """Tokens to a row of zeros each, with a one at the token.

    Attributes
    ----------
    name : str
        Of the layer call, for the error.
    size : int
        Length of a row. As in Keras, tokens are cut to whole numbers, and negative ones count
        from the end.
    """

    name: str
    size: int

    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        """Return the rows, of the tokens' type.

        Raises
        ------
        ShapeError
            If a token lies beyond the vocabulary. Keras raises too, or gives 0 or NaN: that
            depends on backend and device.
        """
        inside = (tokens > -self.size - 1) & (tokens < self.size)
        if not inside.all():
            raise ShapeError(
                f"Layer '{self.name}' knows {self.size} tokens, 0 to {self.size - 1}; "
                f"its input holds {tokens[~inside][0]:g}. Pass tokens of its vocabulary."
            )
        rows = np.zeros((*tokens.shape, self.size), tokens.dtype)
        index = tokens.astype(np.int64)[..., np.newaxis] % self.size
        np.put_along_axis(rows, index, 1, axis=-1)
        return rows
