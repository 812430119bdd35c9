"""Attention scores: which keys a query sees, and the softmax over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from math import prod
from typing import Any

import numpy as np

from gpugraph.axes import one_to_one, pairs
from gpugraph.conversion import Conversion
from gpugraph.layers.einsum import Meeting, SumOfProducts, multiply, project
from gpugraph.layers.weights import array
from gpugraph.population import LINEAR, Activation, Tensor

Hide = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Lower:
    """Hides scores as `keras.layers.Attention` does: far below the others.

    Attributes
    ----------
    dtype : dtype
        In which the layer computes. So far below, its rounding leaves little of the scores of a
        query that sees no key.
    """

    dtype: np.dtype

    def __call__(self, scores: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Return the scores, those not seen lowered."""
        lowered = scores.astype(self.dtype) - self.dtype.type(1e9)
        return np.where(seen, scores, lowered)


def drop(scores: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Hide scores as `keras.layers.Softmax` does: a query that sees no key has no shares."""
    return np.where(seen, scores, -np.inf)


def drop_as_the_backend(scores: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Hide scores as `keras.ops.dot_product_attention` does."""
    sees = seen.any(axis=-1, keepdims=True)
    return np.where(sees, drop(scores, seen), _unseen_score())


@cache
def _unseen_score() -> float:
    """Score of all keys of a query that sees none, for which backends differ.

    0 where it takes the mean of all values, -inf where it takes none of them, NaN where it does
    not know.
    """
    import keras

    query, values = keras.ops.zeros((1, 1, 1, 1)), keras.ops.ones((1, 2, 1, 1))
    mask = keras.ops.zeros((1, 1, 1, 2), "bool")
    mean = keras.ops.dot_product_attention(query, values, values, mask=mask)
    return {1.0: 0.0, 0.0: -np.inf}.get(float(keras.ops.convert_to_numpy(mean).item()), np.nan)


@dataclass(frozen=True, eq=False)
class Sight:
    """Which keys each query sees.

    Attributes
    ----------
    met : Meeting or None
        The pairs that see each other whatever the inputs; None: all.
    masks : list of (Tensor, str)
        What the inputs say about that, and the labels of its dimensions: ones and zeros.
    hide : callable
        Takes scores, and which of them are seen, to what the softmax is applied to.
    """

    met: Meeting | None = None
    masks: Sequence[tuple[Tensor, str]] = ()
    hide: Hide = drop

    def function(
        self, product: Callable[..., np.ndarray], out: str, shape: Sequence[int]
    ) -> Callable[..., np.ndarray]:
        """Return what makes scores of operands and masks.

        Parameters
        ----------
        product : callable
            Makes scores of the operands.
        out : str
            Labels of the scores.
        shape : tuple of int
            Shape in which they are given.
        """
        labels = tuple(labels for _, labels in self.masks)
        met = None if self.met is None else self.met.met
        return MaskedScores(product, labels, out, tuple(shape), met, self.hide)


@dataclass(frozen=True, eq=False)
class MaskedScores:
    """Scores of which masks leave some out.

    Attributes
    ----------
    product : callable
    masks : tuple of str
        The labels of every mask, in the order of ``out``.
    out : str
    shape : tuple of int
    met : bool array, optional
        As of `Softmax`.
    hide : callable
    """

    product: Callable[..., np.ndarray]
    masks: tuple[str, ...]
    out: str
    shape: tuple[int, ...]
    met: np.ndarray | None
    hide: Hide

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        """Return the scores, those left out hidden."""
        n = len(arrays) - len(self.masks)
        scores = self.product(*arrays[:n])
        seen = np.ones(scores.shape, bool)
        if self.met is not None:
            seen &= self.met
        for mask, labels in zip(arrays[n:], self.masks, strict=True):
            seen &= _spread(mask, labels, self.out) != 0
        return self.hide(scores, seen).reshape(-1, *self.shape)


@dataclass(frozen=True)
class BiasedScores:
    """Scores to each of which the last operand adds a value.

    Attributes
    ----------
    product : callable
        Makes scores of the other operands.
    bias : str
        The labels of the last one, in the order of ``out``.
    out : str
    """

    product: Callable[..., np.ndarray]
    bias: str
    out: str

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        """Return the scores."""
        *operands, bias = arrays
        return self.product(*operands) + _spread(bias, self.bias, self.out)


def _spread(values: np.ndarray, labels: str, out: str) -> np.ndarray:
    """Shape a batch so that it broadcasts to scores; its labels stand in the order of theirs."""
    sizes = dict(zip(labels, values.shape[1:], strict=True))
    return values.reshape(len(values), *(sizes.get(label, 1) for label in out))


def sight_of(
    call: Conversion,
    out: str,
    shape: Sequence[int],
    masks: Mapping[str, Any],
    hide: Hide,
    *,
    is_causal: bool,
    sliding_window: int | None = None,
) -> Sight:
    """Return which keys each query sees.

    Parameters
    ----------
    call : Conversion
    out : str
        Labels of the scores; queries and keys last, heads before them.
    shape : tuple of int
        Of the scores.
    masks : mapping of str to Tensor or constant
        Of queries (``query_mask``), keys (``value_mask``, ``key_mask``), or both (other names: as
        scores are, without the heads or with them; dimensions of length 1 count for all).
    hide : callable
        See `Sight`.
    is_causal, sliding_window
        As for `meeting`.
    """
    n_queries, n_keys = shape[-2:]
    found, fixed = [], None
    for name, mask in masks.items():
        if isinstance(mask, Tensor):
            found.append(_varying(mask, _aligned(call, name, mask.shape, shape), out))
        else:
            values = array(mask) != 0
            lengths = _aligned(call, name, values.shape[1:], shape)
            if len(values) > 1 or any(n > 1 for n in lengths[:-2]):
                raise call.unsupported(
                    f"its {name} is a constant that differs from sample to sample, or from head to "
                    "head"
                )
            same = values.reshape(lengths[-2:])
            fixed = same if fixed is None else fixed & same
    if fixed is not None:
        fixed = np.broadcast_to(fixed, (n_queries, n_keys))
    met = meeting(call, out[-2:], n_queries, n_keys, is_causal, sliding_window, fixed)
    return Sight(met, found, hide)


def bias_of(call: Conversion, out: str, shape: Sequence[int], bias: Tensor) -> tuple[Tensor, str]:
    """Return what is added to scores, with the labels of its dimensions.

    Parameters
    ----------
    call, out, shape
        As for `sight_of`.
    bias : Tensor
        As scores are; dimensions of length 1 count for all.
    """
    if len(bias.shape) != len(shape) or any(
        n not in (1, m) for n, m in zip(bias.shape, shape, strict=True)
    ):
        raise call.unsupported(f"its bias has shape {bias.shape}, its scores {tuple(shape)}")
    return _varying(bias, bias.shape, out)


def _varying(tensor: Tensor, lengths: Sequence[int], out: str) -> tuple[Tensor, str]:
    """See a tensor of these lengths along the dimensions of scores without those of length 1."""
    varying = [i for i, n in enumerate(lengths) if n > 1]
    return tensor.reshape([lengths[i] for i in varying]), "".join(out[i] for i in varying)


def _aligned(
    call: Conversion, name: str, lengths: Sequence[int], shape: Sequence[int]
) -> list[int]:
    """Return a mask's lengths along the dimensions of scores."""
    heads, (n_queries, n_keys) = shape[:-2], shape[-2:]
    one = [1] * len(heads)
    if name == "query_mask":
        fits, aligned = tuple(lengths) == (n_queries,), [*one, n_queries, 1]
    elif name in ("value_mask", "key_mask"):
        fits, aligned = tuple(lengths) == (n_keys,), [*one, 1, n_keys]
    else:
        of_heads = list(lengths[:-2])
        full = list(heads) if of_heads == [prod(heads)] else one
        aligned = [*full, *lengths[-2:]]
        fits = len(lengths) in (2, 3) and of_heads in ([], [1], [prod(heads)])
        fits = fits and all(n in (1, m) for n, m in zip(aligned, shape, strict=True))
    if not fits:
        raise call.unsupported(
            f"its {name} of shape {tuple(lengths)} does not say which of {n_keys} keys each of "
            f"{n_queries} queries sees"
        )
    return aligned


def meeting(
    call: Conversion,
    labels: str,
    n_queries: int,
    n_keys: int,
    is_causal: bool,
    sliding_window: int | None = None,
    fixed: np.ndarray | None = None,
) -> Meeting | None:
    """Return which queries see which keys whatever the inputs; None where all see all.

    Parameters
    ----------
    call : Conversion
    labels : str
        Of the positions of queries and of keys.
    n_queries, n_keys : int
    is_causal : bool
        Query t sees keys up to s = t, counted from both starts.
    sliding_window : int, optional
        Query t sees keys s with ``abs(t - s) < sliding_window``.
    fixed : bool array, optional
        Of shape ``(n_queries, n_keys)``: a mask that is a constant.

    Raises
    ------
    UnsupportedLayerError
        If some query sees no key: what Keras makes of that differs from backend to backend.
    """
    if not is_causal and sliding_window is None and fixed is None:
        return None
    found = _meeting(labels, n_queries, n_keys, is_causal, sliding_window)
    if fixed is not None:
        found = Meeting(labels, found.met & fixed)
    blind = np.flatnonzero(~found.met.any(axis=1))
    if len(blind):
        why = "constant mask" if fixed is not None else f"sliding window of {sliding_window}"
        raise call.unsupported(f"its {why} leaves query {blind[0]} no key to see")
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
    """The softmax over some axes of an array, by default the last one.

    Attributes
    ----------
    axes : tuple of int
    met : bool array, optional
        Which elements along the last two axes there are; others become 0.
    """

    axes: tuple[int, ...] = (-1,)
    met: np.ndarray | None = None

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Return shares that sum to 1; to 0 where all scores are -inf."""
        if self.met is not None:
            scores = np.where(self.met, scores, -np.inf)
        largest = scores.max(axis=self.axes, keepdims=True)
        shares = np.exp(scores - np.where(largest == -np.inf, 0, largest))
        total = shares.sum(axis=self.axes, keepdims=True)
        return shares / np.where(total == 0, 1, total)


def product_scores(
    call: Conversion,
    part: str,
    operands: Sequence[tuple[Tensor, str]],
    out: str,
    sight: Sight,
    activation: Activation,
    *,
    shape: Sequence[int] | None = None,
    factor: float = 1.0,
    bias: tuple[Tensor, str] | np.ndarray | None = None,
) -> Tensor:
    """Add a population of scores that are products of queries and keys.

    Parameters
    ----------
    call : Conversion
    part, operands, out, activation, shape, factor
        As for `einsum.multiply`.
    sight : Sight
    bias : array or (Tensor, str), optional
        What is added to the scores; of a tensor (see `bias_of`) by edges (`dynamic`).
    """
    function: Callable[..., np.ndarray] | None = None
    added = [bias] if isinstance(bias, tuple) else []
    if sight.masks or added:
        lengths = {
            x: n for tensor, labels in operands for x, n in zip(labels, tensor.shape, strict=True)
        }
        own = tuple(lengths[label] for label in out)
        into = tuple(labels for _, labels in operands)
        function = SumOfProducts(into, out, own, factor)
        for _, labels in added:
            function = BiasedScores(function, labels, out)
        function = sight.function(function, out, own if shape is None else shape)
    return multiply(
        call,
        part,
        [*operands, *added, *sight.masks],
        out,
        shape=shape,
        factor=factor,
        function=function,
        bias=None if isinstance(bias, tuple) else bias,
        activation=activation,
        meeting=sight.met,
    )


def softmax(
    call: Conversion,
    labels: str,
    make: Callable[[str, Activation], Tensor],
    sight: Sight,
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
    sight : Sight
    n_axes : int
        Dimensions of the keys.
    """
    met = sight.met
    # Where masks hide scores, the pairs that never meet are hidden with them.
    axes = tuple(range(-n_axes, 0))
    function = Softmax(axes, None if met is None or sight.masks else met.met)
    shares = Activation("softmax", function, axes)
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
