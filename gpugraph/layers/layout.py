"""Where the channel stands, and how Keras pads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpugraph.population import strides


@dataclass(frozen=True)
class Layout:
    """A data format: the channel is the first dimension, or the last."""

    channels_first: bool

    @classmethod
    def of(cls, layer: Any) -> Layout:
        """Read a layer's ``data_format``."""
        return cls(layer.data_format == "channels_first")

    def channels(self, shape: Sequence[int]) -> int:
        """Number of channels of a shape (without batch axis)."""
        return shape[0 if self.channels_first else -1]

    def channel_stride(self, shape: Sequence[int]) -> int:
        """Elements from one channel to the next."""
        return self.channels(strides(shape))

    def spatial(self, values: Sequence[int]) -> tuple[int, ...]:
        """The entries of a shape, or of strides, that belong to spatial dimensions."""
        return tuple(values[1:] if self.channels_first else values[:-1])

    def shape(self, spatial: Sequence[int], channels: int) -> tuple[int, ...]:
        """Put a shape together."""
        return (channels, *spatial) if self.channels_first else (*spatial, channels)


def padding_before(
    padding: str, n_src: int, n_dst: int, size: int, stride: int, dilation: int = 1
) -> int:
    """Padded positions before the input; "same" puts the odd one after it, as TensorFlow does."""
    reach = (size - 1) * dilation + 1
    if padding == "same":
        return max((n_dst - 1) * stride + reach - n_src, 0) // 2
    return reach - 1 if padding == "causal" else 0
