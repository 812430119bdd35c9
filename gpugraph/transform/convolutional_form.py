"""What layers become where the vectors of a model turn into maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpugraph.layers.layout import Layout
from gpugraph.model.layer_call import LayerCall, Shape, substitute

CONVOLUTION_RANKS = (1, 2, 3)


class NoFormError(Exception):
    """A layer cannot follow the vectors that become maps; its text says why."""


@dataclass(frozen=True, eq=False)
class Map:
    """A vector of the old model, which stands at each position of a map in the new one.

    Attributes
    ----------
    index : integer array of shape ``(*window, channels)``
        Which of the vector's features each place of a window of the map holds. The window is
        what Flatten flattened; behind a convolution, and behind a pooling, it has size 1.
    layout : Layout
        Of the map.
    origins : frozenset of str
        Layer calls at which vectors began (Flatten, global pooling).
    keeps : bool
        Whether the vector has axes of size 1 for its positions in the old model too.
    """

    index: np.ndarray
    layout: Layout
    origins: frozenset[str]
    keeps: bool = False

    @property
    def window(self) -> Shape:
        """How many positions of the map one vector covers."""
        return self.index.shape[:-1]

    @property
    def channels(self) -> int:
        """Channels of the map."""
        return self.index.shape[-1]

    @property
    def rank(self) -> int:
        """Number of spatial dimensions."""
        return self.index.ndim - 1

    @property
    def is_point(self) -> bool:
        """Whether one vector is one position, its features the channels in their order."""
        return set(self.window) <= {1} and self.is_in_order

    @property
    def is_in_order(self) -> bool:
        """Whether the features stand in the map in the vector's own order."""
        return np.array_equal(self.index.reshape(-1), np.arange(self.index.size))

    @property
    def channel_axis(self) -> int:
        """The map's axis of channels, the batch's counted."""
        return 1 if self.layout.channels_first else -1

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Of the map, without the batch axis; its size is open."""
        return self.layout.shape((None,) * self.rank, self.channels)  # type: ignore[arg-type]

    def points(self, features: int) -> Map:
        """Return the map of vectors that a layer makes of these, one at each position."""
        return replace(self, index=np.arange(features).reshape((1,) * self.rank + (-1,)))


@dataclass(frozen=True, eq=False)
class Form:
    """The layer that takes another's place.

    Attributes
    ----------
    layer_class : str
        Of keras.layers.
    options : mapping
        What differs from the old layer's configuration.
    index : integer array of shape ``(*window, channels)``, optional
        Which row of a Dense kernel goes where in that of the convolution.
    """

    layer_class: str
    options: Mapping[str, Any]
    index: np.ndarray | None = None

    def is_same(self, other: Form | None) -> bool:
        """Whether two calls of a layer ask for the same."""
        return (
            other is not None
            and self.layer_class == other.layer_class
            and self.options.keys() == other.options.keys()
            and all(_is_same(value, other.options[key]) for key, value in self.options.items())
            and _is_same_index(self.index, other.index)
        )

    def make(self, layer: Any) -> Any:
        """Make the new layer, without weights, of the old one's configuration."""
        import keras

        made = getattr(keras.layers, self.layer_class)
        config = layer.get_config()
        if made is not type(layer):
            config = {key: config[key] for key in COMMON[self.layer_class] if key in config}
        return made.from_config({**config, **self.options})


def _is_same(value: Any, other: Any) -> bool:
    """Compare options; layers by what they are."""
    if hasattr(value, "get_config"):
        return type(value) is type(other) and value.get_config() == other.get_config()
    return bool(value == other)


def _is_same_index(index: np.ndarray | None, other: np.ndarray | None) -> bool:
    if index is None or other is None:
        return index is other
    return np.array_equal(index, other)


NAMED = ("name", "trainable", "dtype")
OF_DENSE = (
    *("activation", "use_bias", "kernel_initializer", "bias_initializer"),
    *("kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint"),
)
# The options that a layer of another class takes over.
COMMON: dict[str, tuple[str, ...]] = {
    "Identity": NAMED,
    "Softmax": NAMED,
    **{f"Conv{r}D": (*NAMED, *OF_DENSE) for r in CONVOLUTION_RANKS},
    **{f"{kind}Pooling{r}D": NAMED for r in CONVOLUTION_RANKS for kind in ("Average", "Max")},
}


@dataclass(frozen=True)
class Step:
    """A layer call whose inputs are maps.

    Attributes
    ----------
    call : LayerCall
    maps : tuple of Map
        What stands for its inputs, in order.
    """

    call: LayerCall
    maps: tuple[Map, ...]

    @property
    def layer(self) -> Any:
        """The Keras layer or operation."""
        return self.call.layer

    @property
    def map(self) -> Map:
        """The only input."""
        if len(self.maps) != 1 or len(self.call.output_shapes) != 1:
            raise NoFormError(f"it is called on {len(self.maps)} tensors")
        return self.maps[0]

    @property
    def point(self) -> Map:
        """The only input, whose vectors have to be one position each."""
        if not self.map.is_point:
            raise NoFormError(
                "it treats each flattened feature by itself, or all of them at once, as no "
                "convolution does: put it before Flatten, or behind the first Dense"
            )
        return self.map

    def is_over_channels(self, axis: Any) -> bool:
        """Whether an axis of the old tensor (the batch's counted) holds the features."""
        axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
        if len(axes) != 1:
            return False
        rank = len(self.call.input_shapes[0]) + 1
        channel = self.maps[0].channel_axis if self.maps[0].keeps else -1
        return bool(axes[0] % rank == channel % rank)


Rule = Callable[[Step], tuple[Form | None, Map]]
RULES: dict[str, Rule] = {}


def _rule(*layer_classes: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(layer_classes, rule))
        return rule

    return register


def follow(call: LayerCall, maps: Sequence[Map]) -> tuple[Form | None, Map]:
    """Return what a layer on maps becomes (None: a layer of the same kind), and what it gives.

    Raises
    ------
    NoFormError
        If the layer has no form that gives the same at every position.
    """
    import keras

    step = Step(call, tuple(maps))
    if call.masks:
        raise NoFormError("it uses a mask")
    rule = RULES.get(call.layer_class)
    if isinstance(call.layer, keras.Layer):
        if rule is None or type(call.layer) is not getattr(keras.layers, call.layer_class, None):
            raise NoFormError("it has no form that moves over positions")
        return rule(step)
    return _operation(step)


# Where vectors begin


def begin(call: LayerCall, layout: Layout | None) -> tuple[Form, Map] | None:
    """Return the form and the map of a layer that makes vectors of maps; None for any other.

    Parameters
    ----------
    call : LayerCall
    layout : Layout or None
        Of its input.
    """
    if len(call.inputs) != 1 or call.masks or layout is None or len(call.input_shapes[0]) < 2:
        return None
    shape = call.input_shapes[0]
    if None in shape or len(shape) - 1 not in CONVOLUTION_RANKS:
        return None
    origins = frozenset([call.name])
    if is_pooling(call):
        layout = Layout.of(call.layer)
        rank = len(shape) - 1
        options = {
            "pool_size": layout.spatial(shape),
            "strides": (1,) * rank,
            "padding": "valid",
            "data_format": call.layer.data_format,
        }
        kind = "Average" if "Average" in call.layer_class else "Max"
        index = np.arange(layout.channels(shape)).reshape((1,) * rank + (-1,))
        return Form(f"{kind}Pooling{rank}D", options), Map(
            index, layout, origins, call.layer.keepdims
        )
    if is_flattening(call):
        ids = np.arange(np.prod(shape))
        if getattr(call.layer, "data_format", None) == "channels_first":
            ids = np.moveaxis(ids.reshape(*shape[1:], shape[0]), -1, 0)
        ids = ids.reshape(shape)
        index = np.moveaxis(ids, 0, -1) if layout.channels_first else ids
        return Form("Identity", {}), Map(index, layout, origins)
    return None


def is_pooling(call: LayerCall) -> bool:
    """Whether a layer pools all positions into one."""
    return call.layer_class.startswith(("GlobalAveragePooling", "GlobalMaxPooling"))


def is_flattening(call: LayerCall) -> bool:
    """Whether a layer makes a vector of all features at all positions."""
    return call.layer_class == "Flatten" or (
        call.layer_class == "Reshape" and len(call.output_shapes[0]) == 1
    )


# What they pass through


@_rule("Dense")
def _dense(step: Step) -> tuple[Form | None, Map]:
    layer, source = step.layer, step.map
    if layer.quantization_mode is not None:
        raise NoFormError(f"it is quantised ({layer.quantization_mode})")
    if layer.lora_enabled:
        raise NoFormError("it has LoRA weights: save and load the model, which merges them")
    if source.keeps:
        if source.layout.channels_first:
            raise NoFormError("it acts on the last axis, which is a position")
        _activation(layer.activation, source)
        return None, source.points(layer.units)
    options = {
        "filters": layer.units,
        "kernel_size": source.window,
        "data_format": "channels_first" if source.layout.channels_first else "channels_last",
        "activity_regularizer": layer.activity_regularizer,
    }
    target = source.points(layer.units)
    activation = _activation(layer.activation, target)
    if activation is not layer.activation:
        options["activation"] = activation
    return Form(f"Conv{source.rank}D", options, source.index), target


@_rule("Conv1D", "Conv2D", "Conv3D")
def _conv(step: Step) -> tuple[Form | None, Map]:
    layer, source = step.layer, step.point
    if {*layer.kernel_size, *layer.strides} != {1}:
        raise NoFormError("its kernel is larger than the one position it is called on")
    _activation(layer.activation, source)
    return None, source.points(layer.filters)


@_rule("Flatten", "Reshape")
def _flatten(step: Step) -> tuple[Form | None, Map]:
    source, shape = step.map, step.call.output_shapes[0]
    if len(shape) == 1 and (not source.keeps or source.is_point):
        return Form("Identity", {}), replace(source, keeps=False)
    at_points = source.layout.shape((1,) * source.rank, source.channels)
    if source.is_point and shape == at_points:
        return Form("Identity", {}), replace(source, keeps=True)
    raise NoFormError(f"it makes {shape} of each vector, which no map can hold")


@_rule("Identity", "GaussianNoise", "ActivityRegularization", "ReLU", "LeakyReLU", "ELU")
def _elementwise(step: Step) -> tuple[Form | None, Map]:
    return None, step.map


@_rule("Dropout", "AlphaDropout", "GaussianDropout")
def _dropout(step: Step) -> tuple[Form | None, Map]:
    if getattr(step.layer, "noise_shape", None) is not None:
        raise NoFormError("its noise_shape is that of vectors")
    return None, step.map


@_rule("Rescaling")
def _rescaling(step: Step) -> tuple[Form | None, Map]:
    if np.ndim(step.layer.scale) or np.ndim(step.layer.offset):
        raise NoFormError("it scales each feature by itself")
    return None, step.map


@_rule("Activation")
def _activation_layer(step: Step) -> tuple[Form | None, Map]:
    activation = _activation(step.layer.activation, step.map)
    if activation is step.layer.activation:
        return None, step.map
    return Form("Softmax", {"axis": activation.axis}), step.map


@_rule("PReLU")
def _prelu(step: Step) -> tuple[Form | None, Map]:
    source = step.point
    first = 2 if source.layout.channels_first else 1
    return Form("PReLU", {"shared_axes": [*range(first, first + source.rank)]}), source


@_rule("Softmax", "BatchNormalization", "LayerNormalization", "RMSNormalization")
@_rule("UnitNormalization")
def _over_channels(step: Step) -> tuple[Form | None, Map]:
    source = step.point
    if not step.is_over_channels(step.layer.axis):
        raise NoFormError(f"its axis {step.layer.axis} is not that of the features")
    if source.keeps:
        return None, source
    return Form(step.call.layer_class, {"axis": source.channel_axis}), source


@_rule("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
def _merge(step: Step) -> tuple[Form | None, Map]:
    return None, _joined(step.maps)


@_rule("Concatenate")
def _concatenate(step: Step) -> tuple[Form | None, Map]:
    first = _alike(step.maps)
    if not step.is_over_channels(step.layer.axis):
        raise NoFormError(f"its axis {step.layer.axis} is not that of the features")
    starts = np.cumsum([0, *(m.index.size for m in step.maps)])
    index = np.concatenate(
        [m.index + start for m, start in zip(step.maps, starts, strict=False)], axis=-1
    )
    return Form("Concatenate", {"axis": first.channel_axis}), replace(
        first, index=index, origins=_origins(step.maps)
    )


def _alike(maps: Sequence[Map]) -> Map:
    """Return the first of several maps that lie in the same way."""
    first = maps[0]
    for other in maps[1:]:
        if (first.layout, first.keeps, first.window) != (other.layout, other.keeps, other.window):
            raise NoFormError(
                f"it joins vectors of {_size(first)} and {_size(other)} positions; put a Dense "
                "behind each Flatten"
            )
    return first


def _size(source: Map) -> str:
    return "x".join(map(str, source.window))


def _joined(maps: Sequence[Map]) -> Map:
    """Return the map of an element-wise sum of maps, or the like."""
    widest = max(maps, key=lambda m: m.channels)
    _alike(maps)
    for m in maps:
        same = np.array_equal(m.index, widest.index)
        if not same and not (m.channels == 1 and widest.is_point):
            raise NoFormError("it joins vectors whose features were flattened in different orders")
    return replace(widest, origins=_origins(maps))


def _origins(maps: Sequence[Map]) -> frozenset[str]:
    return frozenset().union(*(m.origins for m in maps))


# Functions


JOINING = {"Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Maximum", "Minimum"}


def _operation(step: Step) -> tuple[Form | None, Map]:
    """Follow an operation of keras.ops: arithmetic, or any function that acts alike on a map."""
    import keras

    given = (step.call.args, dict(step.call.kwargs))
    without_tensors = substitute(given, dict.fromkeys(step.call.inputs))
    constants = [x for x in keras.tree.flatten(without_tensors) if x is not None]
    if step.call.layer_class.removeprefix("ops.") in JOINING:
        if any(np.size(x) != 1 or np.ndim(x) > 1 for x in constants):
            raise NoFormError("its constant holds a number for each feature")
        return None, _joined(step.maps)
    source = step.map
    if constants or _activation(step.layer, source) is not step.layer:
        raise NoFormError("it is not known to act alike at every position")
    return None, source


def _activation(function: Any, source: Map) -> Any:
    """Return a function that does to a map what one does to its vectors."""
    import keras

    if function is None or _is_elementwise(function):
        return function
    if source.is_point and not source.layout.channels_first and _is_over_last_axis(function):
        return function
    if source.is_point and not source.keeps and function is keras.activations.softmax:
        return keras.layers.Softmax(axis=1)
    name = getattr(function, "__name__", type(function).__name__)
    raise NoFormError(f"its function '{name}' has no form that acts alike at every position")


def _is_elementwise(function: Any) -> bool:
    """Try whether a function gives the same for a number wherever it stands."""
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    y = _value(function, x)
    if y is None or y.shape != x.shape:
        return False
    others = (x.T, x.reshape(1, -1), x[:1, :1, :1])
    ys = (y.T, y.reshape(1, -1), y[:1, :1, :1])
    return all(_is_close(_value(function, a), b) for a, b in zip(others, ys, strict=True))


def _is_over_last_axis(function: Any) -> bool:
    """Try whether a function treats the vectors along the last axis alike, wherever they stand."""
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    y = _value(function, x)
    if y is None or y.shape != x.shape:
        return False
    others, ys = (x.reshape(6, 4), x[:1, :1]), (y.reshape(6, 4), y[:1, :1])
    return all(_is_close(_value(function, a), b) for a, b in zip(others, ys, strict=True))


def _value(function: Any, x: np.ndarray) -> np.ndarray | None:
    """Return a function's value, or None where it has none, or weights that would be made."""
    import keras

    try:
        if isinstance(function, keras.Layer):
            function = type(function).from_config(function.get_config())
        y = keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(x, dtype="float32")))
    except Exception:  # a function may fail in any way on what it is not made for
        return None
    return None if getattr(function, "weights", None) else np.asarray(y)


def _is_close(y: np.ndarray | None, expected: np.ndarray) -> bool:
    return y is not None and y.shape == expected.shape and np.allclose(y, expected, equal_nan=True)
