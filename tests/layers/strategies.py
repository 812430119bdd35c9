"""Options of sliding windows that Keras accepts."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

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
            # Where strides skip inputs, TensorFlow's 3D kernels without oneDNN (on ARM, say) start
            # "same" windows elsewhere than its documentation says.
            strides = tuple(min(s, k) for s, k in zip(strides, sizes, strict=True))
    channels_first = draw(st.booleans()) and padding != "causal"
    reach = [(k - 1) * d + 1 if padding == "valid" else 1 for k, d in zip(sizes, dilation, strict=True)]
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
