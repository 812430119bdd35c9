"""Dot: the product of two tensors of activations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.layers.einsum import SumOfProducts, multiply
from gpugraph.population import Tensor
from gpugraph.registry import converts


@converts("Dot")
def dot(call: Conversion) -> Tensor:
    """Both inputs by fan-in over the axis that is summed (`dynamic`): each weighs the other."""
    left, right = call.sources
    ranks = len(left.shape), len(right.shape)
    axes = (call.layer.axes,) * 2 if isinstance(call.layer.axes, int) else call.layer.axes
    summed = [axis % (rank + 1) - 1 for axis, rank in zip(axes, ranks, strict=True)]
    if -1 in summed:
        raise call.unsupported("it joins samples of the batch")
    kept = "abcdefghijklmnopqrstuvwxy"
    into = kept[: ranks[0]], kept[ranks[0] : sum(ranks)]
    into = into[0], into[1].replace(into[1][summed[1]], into[0][summed[0]])
    out = "".join(label for label in "".join(into) if label != into[0][summed[0]])
    product = SumOfProducts(into, out, call.output_shape)
    function = Cosine(product, summed[0] + 1, summed[1] + 1) if call.layer.normalize else product
    operands = list(zip((left, right), into, strict=True))
    return multiply(call, None, operands, out, shape=call.output_shape, function=function)


@dataclass(frozen=True)
class Cosine:
    """The product of two arrays, each divided by its own length along one axis.

    The divisor depends on the very elements that the product sums, so it adds no edges.
    """

    product: SumOfProducts
    left: int
    right: int

    def __call__(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return the sums of products of unit vectors."""
        return self.product(_unit(left, self.left), _unit(right, self.right))


def _unit(values: np.ndarray, axis: int) -> np.ndarray:
    """Divide by the length along an axis, which Keras takes to be at least its epsilon."""
    import keras

    length = np.sqrt(np.square(values).sum(axis=axis, keepdims=True))
    return values / np.maximum(length, keras.config.epsilon())
