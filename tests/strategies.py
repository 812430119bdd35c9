"""What hypothesis draws: sliding windows that Keras accepts, and any axis or projection."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from hypothesis import strategies as st

from gpugraph import axes
from gpugraph.axes import Axis, pairs, window
from gpugraph.population import Population, strides
from gpugraph.projection import Projection

# Small enough for dense Jacobians: the longest input per number of dimensions.
LONGEST = {1: 9, 2: 6, 3: 4}


@dataclass(frozen=True)
class Window:
    """A layer's input shape and the options of its window."""

    shape: tuple[int, ...]
    options: dict[str, object]


@st.composite
def windows(
    draw: st.DrawFn,
    rank: int,
    size: str = "kernel_size",
    paddings: tuple[str, ...] = ("valid", "same"),
    dilated: bool = True,
    even_strides: bool = False,
) -> Window:
    """Draw sizes, strides or dilations, padding and data format, and an input that fits."""

    def per_dimension(largest: int) -> tuple[int, ...]:
        one = st.integers(1, largest)
        if even_strides:
            return (draw(one),) * rank
        return tuple(draw(st.lists(one, min_size=rank, max_size=rank)))

    padding = draw(st.sampled_from(paddings))
    sizes = tuple(draw(st.integers(1, 4)) for _ in range(rank))
    dilation = strides = (1,) * rank
    if dilated and draw(st.booleans()):  # Keras has no strides and dilation at once
        dilation = per_dimension(2)
    else:
        strides = per_dimension(3)
        if rank == 3:
            # Where strides skip inputs, TensorFlow's 3D kernels start "same" windows elsewhere than
            # its documentation, its other kernels and oneDNN do.
            strides = tuple(min(s, k) for s, k in zip(strides, sizes, strict=True))
    channels_first = draw(st.booleans()) and padding != "causal"
    reach = [
        (k - 1) * d + 1 if padding == "valid" else 1 for k, d in zip(sizes, dilation, strict=True)
    ]
    spatial = tuple(draw(st.integers(r, max(r, LONGEST[rank]))) for r in reach)
    channels = draw(st.integers(1, 3))
    options = {
        size: sizes,
        "strides": strides,
        "padding": padding,
        "data_format": "channels_first" if channels_first else "channels_last",
    }
    if dilated:
        options["dilation_rate"] = dilation
    return Window((channels, *spatial) if channels_first else (*spatial, channels), options)


@st.composite
def any_axis(draw: st.DrawFn) -> Axis:
    """Draw any kind of axis, with or without gains of both signs."""
    n = draw(st.integers(1, 6))
    kind = draw(st.sampled_from(["fan_in", "fan_out", "one_to_one", "window", "pairs"]))
    if kind in ("fan_in", "fan_out", "one_to_one"):
        return getattr(axes, kind)(n)
    if kind == "window":
        size, stride, dilation = (draw(st.integers(1, 3)) for _ in range(3))
        before = draw(st.integers(-2, 4))
        return window(n, draw(st.integers(1, 6)), size, stride, dilation, before)
    n_dst, n_tap = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    triple = st.tuples(st.integers(0, n - 1), st.integers(0, n_dst - 1), st.integers(0, n_tap - 1))
    src, dst, tap = zip(*draw(st.lists(triple, min_size=1, max_size=12)), strict=True)
    gain = np.arange(len(src)) - 1.5 if draw(st.booleans()) else None
    return pairs(src, dst, tap, n, n_dst, n_tap, gain)


@st.composite
def any_projection(draw: st.DrawFn) -> Projection:
    """Draw a product of one to three axes, with a kernel along any of them or none.

    With or without factors of both signs, some 0, on the nodes of either end.
    """
    parts = draw(st.lists(any_axis(), min_size=1, max_size=3))
    tapped = [draw(st.booleans()) for _ in parts]
    n_taps = [axis.n_tap if is_tapped else 1 for axis, is_tapped in zip(parts, tapped, strict=True)]
    sizes = ([axis.n_src for axis in parts], [axis.n_dst for axis in parts], n_taps)
    placed = [
        axis.place(src, dst, tap if is_tapped else 0)
        for axis, is_tapped, src, dst, tap in zip(parts, tapped, *map(strides, sizes), strict=True)
    ]
    has_kernel = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    kernel = rng.uniform(-1, 1, prod(n_taps)).astype(np.float32) if has_kernel else None
    source = Population("source", tuple(sizes[0]), offset=3, layer="A")
    target = Population("target", tuple(sizes[1]), offset=3 + source.size, layer="B")
    factors = {
        end: rng.choice([-1.5, -0.5, 0, 0, 0.5, 2], population.size).astype(dtype)
        for end, population in (("source_factor", source), ("target_factor", target))
        if (dtype := draw(st.sampled_from([None, None, np.float32, np.float64])))
    }
    return Projection(source, target, tuple(placed), kernel, "weight", **factors)
