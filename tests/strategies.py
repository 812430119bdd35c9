"""What hypothesis draws: sliding windows, axes, projections, graphs, and whole Keras models."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import keras
import numpy as np
from hypothesis import strategies as st
from keras import layers

import gpugraph as gg
from gpugraph import axes
from gpugraph.axes import Axis, fan_in, fan_out, one_to_one, pairs, window
from gpugraph.graph import NeuronGraph
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
    n_dst, n_tap = draw(st.integers(1, 5)), draw(st.integers(1, 7))
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


@st.composite
def any_graph(draw: st.DrawFn, signed: bool = True) -> NeuronGraph:
    """Draw a graph of small populations, and projections among them as no layer makes them.

    With short cuts, parallel edges, zero weights, populations and whole parts without edges, and
    gains and factors; of both signs where ``signed``.
    """
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    shapes = draw(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=5))
    populations: list[Population] = []
    projections: list[Projection] = []
    offset = 0
    for i, shape in enumerate(shapes):
        before = draw(st.lists(st.sampled_from(populations), max_size=4)) if populations else []
        depth = max((p.depth + 1 for p in before), default=0)
        populations.append(Population(f"p{i}", shape, offset, "Layer", depth))
        offset += prod(shape)
        for source in before:
            kind = draw(st.sampled_from(["dense", "conv", "channels", "listed", "copy"]))
            projections.append(_between(source, populations[-1], kind, rng, signed))
    return NeuronGraph("any", {p.name: p for p in populations}, projections)


def _between(
    source: Population, target: Population, kind: str, rng: np.random.Generator, signed: bool
) -> Projection:
    """Return a projection of some kind from one population of two dimensions to another."""
    (n, c), (m, d) = source.shape, target.shape
    values = [-1.5, -0.5, 0, 0.25, 2] if signed else [0, 0.25, 0.5, 2]

    def any_pairs(n_src: int, n_dst: int) -> Axis:
        k = int(rng.integers(1, 7))
        gain = rng.choice(values, k) if rng.random() < 0.4 else None
        columns = [rng.integers(0, size, k) for size in (n_src, n_dst, 2)]
        return pairs(*columns, n_src, n_dst, 2, gain)

    if kind == "copy" and source.shape == target.shape:
        return Projection(source, target, (one_to_one(n * c).place(1, 1),), None, "copy")
    if kind == "conv":
        rows = window(n, m, 2, int(rng.integers(1, 3)), before=int(rng.integers(0, 2)))
        parts = (rows.place(c, d, c * d), fan_in(c).place(1, 0, d), fan_out(d).place(0, 1, 1))
        n_taps = 2 * c * d
    elif kind == "channels" and c == d:
        parts = (any_pairs(n, m).place(c, d, c), one_to_one(c).place(1, 1, 1))
        n_taps = 2 * c
    elif kind == "listed":
        axis = any_pairs(source.size, target.size)
        parts, n_taps = (replace(axis, kind="listed").place(1, 1, 1),), 2
    else:
        parts = (fan_in(n * c).place(1, 0, m * d), fan_out(m * d).place(0, 1, 1))
        n_taps = source.size * target.size
    kernel = rng.choice(values, n_taps).astype(rng.choice([np.float32, np.float64]))
    factors = {
        end: rng.choice(values, population.size)
        for end, population in (("source_factor", source), ("target_factor", target))
        if rng.random() < 0.2
    }
    return Projection(source, target, parts, kernel, "weight", **factors)


@st.composite
def small_models(draw: st.DrawFn) -> keras.Model:
    """Draw a functional model of up to six layers on images of 3 x 3, with random weights.

    With residual connections, tensors that are used twice, shared layers, a second input, several
    outputs and dead channels. Layers start with zeros, as hypothesis wants no random numbers drawn
    beside its own.
    """
    image = keras.Input((3, 3, draw(st.integers(1, 2))), name="image")
    images, vectors, inputs, shared = [image], [], [image], []
    if draw(st.booleans()):
        inputs.append(keras.Input((2,), name="vector"))
        vectors.append(inputs[-1])
    for _ in range(draw(st.integers(1, 6))):
        x = draw(st.sampled_from(images))
        alike = [t for t in images if t.shape == x.shape]
        beside = [t for t in images if t.shape[1:3] == x.shape[1:3]]
        kind = draw(st.sampled_from(KINDS))
        if kind in ("add", "multiply", "maximum"):
            y = draw(st.sampled_from(alike))
            images.append(MERGING[kind]()([x, y]))
        elif kind == "concatenate" and x.shape[-1] <= 3:
            images.append(layers.Concatenate()([x, draw(st.sampled_from(beside))]))
        elif kind == "shared" and shared:
            layer = draw(st.sampled_from(shared))
            fitting = [t for t in images if t.shape[-1] == layer.input_spec.axes[-1]]
            images.append(layer(draw(st.sampled_from(fitting))))
        elif kind == "dense":
            values = draw(st.sampled_from([layers.Flatten()(x), *vectors]))
            vectors.append(layers.Dense(2, "tanh", kernel_initializer="zeros")(values))
        elif kind == "transposed" and x.shape[1] <= 2:
            images.append(layers.Conv2DTranspose(2, 2, 2, kernel_initializer="zeros")(x))
        elif kind == "upsampled" and x.shape[1] <= 2:
            how = draw(st.sampled_from(["nearest", "bilinear", "bicubic"]))
            images.append(layers.UpSampling2D(2, interpolation=how)(x))
        elif kind in LAYERS:
            images.append(LAYERS[kind]()(x))
        else:
            filters = draw(st.integers(1, 2))
            layer = layers.Conv2D(filters, 2, padding="same", kernel_initializer="zeros")
            images.append(layer(x))
            shared.append(layer)
    ends = [images[-1], *vectors[-1:], *draw(st.lists(st.sampled_from(images), max_size=1))]
    ends += [t for t in inputs if not t._keras_history.operation._outbound_nodes]
    model = keras.Model(inputs, ends, name="drawn")
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    for variable in model.weights:
        values = rng.uniform(-1, 1, tuple(variable.shape))
        if variable.path.endswith("moving_variance"):
            values = abs(values) + 0.1
        elif rng.random() < 0.2:
            values[..., 0] = 0
        variable.assign(values)
    return model


MERGING = {"add": layers.Add, "multiply": layers.Multiply, "maximum": layers.Maximum}
LAYERS = {
    "strided": lambda: layers.Conv2D(2, 2, strides=2, padding="same", kernel_initializer="zeros"),
    "depthwise": lambda: layers.DepthwiseConv2D(2, padding="same", depthwise_initializer="zeros"),
    "normalised": layers.BatchNormalization,
    "activated": lambda: layers.Activation("relu"),
    "max": lambda: layers.MaxPooling2D(2, strides=1, padding="same"),
    "mean": lambda: layers.AveragePooling2D(2, padding="same"),
    "padded": lambda: layers.ZeroPadding2D(((1, 0), (0, 0))),
}
KINDS = [*MERGING, *LAYERS, "concatenate", "shared", "dense", "transposed", "upsampled", "conv"]


def graphs_of_models() -> st.SearchStrategy[NeuronGraph]:
    """Draw the graph of a model."""
    return small_models().map(gg.from_keras)
