"""Attention scores: which keys a query sees, and the softmax over them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from gpugraph.axes import one_to_one, pairs
from gpugraph.conversion import Conversion
from gpugraph.layers.einsum import Meeting, project
from gpugraph.population import LINEAR, Activation, Tensor


def meeting(
    call: Conversion, labels: str, n_queries: int, n_keys: int, sliding_window: int | None = None
) -> Meeting | None:
    """Return which queries see which keys; None where all see all.

    Parameters
    ----------
    call : Conversion
        With ``use_causal_mask``, query t sees keys up to s = t, counted from both starts.
    labels : str
        Of the positions of queries and of keys.
    n_queries, n_keys : int
    sliding_window : int, optional
        Query t sees keys s with ``abs(t - s) < sliding_window``.

    Raises
    ------
    UnsupportedLayerError
        If some query sees no key: what Keras makes of that differs from backend to backend.
    """
    is_causal = bool(call.call.kwargs.get("use_causal_mask"))
    if not is_causal and sliding_window is None:
        return None
    found = _meeting(labels, n_queries, n_keys, is_causal, sliding_window)
    blind = np.flatnonzero(~found.met.any(axis=1))
    if len(blind):
        raise call.unsupported(
            f"its sliding window of {sliding_window} leaves query {blind[0]} no key to see"
        )
    return None if found.met.all() else found


@lru_cache(maxsize=8)  # the layers of one model share their pairs
def _meeting(
    labels: str, n_queries: int, n_keys: int, is_causal: bool, sliding_window: int | None
) -> Meeting:
    """Return which queries see which keys."""
    t, s = np.ogrid[:n_queries, :n_keys]
    met = np.ones((n_queries, n_keys), bool)
    if is_causal:
        met &= s <= t
    if sliding_window is not None:
        met &= abs(t - s) < sliding_window
    return Meeting(labels, met)


@dataclass(frozen=True, eq=False)
class Softmax:
    """The softmax over the last axes of an array.

    Attributes
    ----------
    n_axes : int
    met : bool array, optional
        Which elements along the last two axes there are; others become 0.
    """

    n_axes: int = 1
    met: np.ndarray | None = None

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Return shares that sum to 1."""
        axes = tuple(range(-self.n_axes, 0))
        if self.met is not None:
            scores = np.where(self.met, scores, -np.inf)
        shares = np.exp(scores - scores.max(axis=axes, keepdims=True))
        shares /= shares.sum(axis=axes, keepdims=True)
        return shares


def softmax(
    call: Conversion,
    labels: str,
    make: Callable[[str, Activation], Tensor],
    met: Meeting | None,
    n_axes: int = 1,
) -> Tensor:
    """Return scores that are shares: a population ``name/scores``.

    With couplings, ``name/scores/logits`` takes the edges, and every logit that a query sees has
    an edge to each of the query's shares.

    Parameters
    ----------
    call : Conversion
    labels : str
        The scores' labels, queries and keys last.
    make : callable
        Makes a population, of a name and an activation, and the edges into it.
    met : Meeting, optional
    n_axes : int
        Dimensions of the keys.
    """
    function = Softmax(n_axes, None if met is None else met.met)
    shares = Activation("softmax", function, tuple(range(-n_axes, 0)))
    if met is None or not call.draft.couplings:
        return make("scores", shares)
    logits = make("scores/logits", LINEAR)
    scores = call.population(
        "scores",
        logits.shape,
        activation=replace(shares, axes=()),
        dynamics=np.asarray,
        sources=[logits],
    )
    project(call, logits, labels, scores, labels, kind="copy", meeting=met)
    apart = [
        one_to_one(n).place(step, step)
        for n, step in zip(logits.shape[:-2], logits.strides, strict=False)
    ]
    n_keys, n_scores = met.met.shape[1], met.met.size
    for query, seen in enumerate(met.met):  # an axis of all pairs of keys would be long
        at = query * n_keys + np.flatnonzero(seen)
        zero = np.zeros_like(at)
        into = pairs(at, zero, zero, n_scores, 1, 1).place(src=1)
        out = pairs(zero, at, zero, 1, n_scores, 1).place(dst=1)
        call.project(logits, scores, [*apart, into, out], kind="dynamic")
    return scores
