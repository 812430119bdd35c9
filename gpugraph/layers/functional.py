"""Operations that compute what a layer does: the layer is built, of constants, and converted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod, sqrt
from typing import Any

import numpy as np

from gpugraph.axes import one_to_one, pairs
from gpugraph.conversion import Conversion
from gpugraph.layers.einsum import multiply
from gpugraph.layers.operation import (
    OperationFunction,
    arguments_of,
    has_tensor,
    tensors_of,
    title,
)
from gpugraph.layers.scores import (
    bias_of,
    drop_as_the_backend,
    product_scores,
    sight_of,
    softmax,
)
from gpugraph.layers.weights import array
from gpugraph.population import Activation, Tensor
from gpugraph.registry import converts

Weights = Mapping[str, np.ndarray | None]


@converts("ops.Conv")
def conv(call: Conversion) -> Tensor:
    """As the layer whose kernel is the constant (`weight`); a tensor as kernel is refused."""
    kernel = _constant(call, "kernel")
    return as_layer(
        call,
        f"Conv{kernel.ndim - 2}D",
        {"kernel": kernel},
        filters=kernel.shape[-1],
        kernel_size=kernel.shape[:-2],
        use_bias=False,
        **_options(call, "strides", "padding", "data_format", "dilation_rate"),
    )


@converts("ops.DepthwiseConv")
def depthwise_conv(call: Conversion) -> Tensor:
    """As the layer whose kernel is the constant (`weight`); a tensor as kernel is refused."""
    kernel = _constant(call, "kernel")
    return as_layer(
        call,
        f"DepthwiseConv{kernel.ndim - 2}D",
        {"kernel": kernel},
        kernel_size=kernel.shape[:-2],
        depth_multiplier=kernel.shape[-1],
        use_bias=False,
        **_options(call, "strides", "padding", "data_format", "dilation_rate"),
    )


@converts("ops.SeparableConv")
def separable_conv(call: Conversion) -> Tensor:
    """As the layer whose kernels are the constants (`weight`); tensors as kernels are refused."""
    kernels = {k: _constant(call, k) for k in ("depthwise_kernel", "pointwise_kernel")}
    depthwise = kernels["depthwise_kernel"]
    return as_layer(
        call,
        f"SeparableConv{depthwise.ndim - 2}D",
        kernels,
        filters=kernels["pointwise_kernel"].shape[-1],
        kernel_size=depthwise.shape[:-2],
        depth_multiplier=depthwise.shape[-1],
        use_bias=False,
        **_options(call, "strides", "padding", "data_format", "dilation_rate"),
    )


@converts("ops.MaxPool", "ops.AveragePool")
def pool(call: Conversion) -> Tensor:
    """As the layer of that name (`choice`, `mean`)."""
    return _pooled(call, "pool_size", "strides", "padding", "data_format")


@converts("ops.AdaptiveMaxPool", "ops.AdaptiveAveragePool")
def adaptive_pool(call: Conversion) -> Tensor:
    """As the layer of that name (`choice`, `mean`)."""
    return _pooled(call, "output_size", "data_format")


@converts("ops.Resize")
def resize(call: Conversion) -> Tensor:
    """As the layer Resizing (`copy`, `mean`)."""
    height, width = call.layer.size
    fitting = ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "fill_mode", "fill_value")
    options = _options(call, "interpolation", "antialias", "data_format", *fitting)
    return as_layer(call, "Resizing", {}, height=height, width=width, **options)


@converts("ops.BatchNorm")
def batch_norm(call: Conversion) -> Tensor:
    """As the layer whose statistics are the constants (`scale`); tensors as such are refused."""
    weights = {
        "moving_mean": _constant(call, "mean"),
        "moving_variance": _constant(call, "variance"),
        "gamma": _constant(call, "scale"),
        "beta": _constant(call, "offset"),
    }
    return _normalised(call, "BatchNormalization", weights)


@converts("ops.LayerNorm")
def layer_norm(call: Conversion) -> Tensor:
    """As the layer whose gamma and beta are the constants (`scale`); tensors are refused."""
    if call.layer.rms_scaling:
        raise call.unsupported("its rms_scaling is deprecated; take rms_normalization instead")
    weights = {name: _constant(call, name) for name in ("gamma", "beta")}
    return _normalised(call, "LayerNormalization", weights)


@converts("ops.RMSNorm")
def rms_norm(call: Conversion) -> Tensor:
    """As the layer whose scale is the constant (`scale`); a tensor as such is refused."""
    return as_layer(
        call, "RMSNormalization", {"scale": _constant(call, "scale")}, **_axis_and_epsilon(call)
    )


@converts("ops.Softmax", "ops.LogSoftmax", "ops.Sparsemax", "ops.Normalize")
def meeting(call: Conversion) -> Tensor:
    """One to one (`copy`), the function on the nodes, which meet in it along the axes."""
    axis = call.layer.axis
    if axis is None:
        raise call.unsupported("without an axis it joins the samples of the batch")
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    return call.activated(call.source, Activation(title(call), OperationFunction(call.call), axes))


@converts("ops.DotProductAttention")
def dot_product_attention(call: Conversion) -> Tensor:
    """``scores`` of query and key (softmax), means of the values by them: all `dynamic`."""
    arguments, options = arguments_of(call), call.layer
    if options.attn_logits_soft_cap is not None:
        raise call.unsupported("its attn_logits_soft_cap can only be computed on a TPU")
    tensors = tensors_of(call)
    query, key, value = (_operand(call, name) for name in ("query", "key", "value"))
    scale = arguments["scale"]
    factor = 1 / sqrt(query.shape[-1]) if scale is None else float(array(scale))
    shape = (query.shape[1], query.shape[0], key.shape[0])
    mask = arguments["mask"]
    masks = {} if mask is None else {"mask": tensors[mask] if has_tensor(mask) else mask}
    sight = sight_of(call, "hts", shape, masks, drop_as_the_backend, is_causal=options.is_causal)
    bias = _bias(call, arguments["bias"], shape, is_masked=bool(sight.masks))

    def make(part: str, activation: Activation) -> Tensor:
        operands = [(query, "thd"), (key, "shd")]
        return product_scores(
            call, part, operands, "hts", sight, activation, factor=factor, bias=bias
        )

    scores = softmax(call, "hts", make, sight)
    return multiply(call, None, [(scores, "hts"), (value, "shv")], "thv", meeting=sight.met)


def _bias(
    call: Conversion, bias: Any, shape: Sequence[int], *, is_masked: bool
) -> tuple[Tensor, str] | np.ndarray | None:
    """Return what attention adds to its scores, as `product_scores` takes it."""
    if has_tensor(bias):
        return bias_of(call, "hts", shape, tensors_of(call)[bias])
    if bias is None:
        return None
    if is_masked:  # a query that sees no key would see the bias
        raise call.unsupported("it is called with a constant bias, and a mask that is none")
    values = array(bias)
    if values.ndim == 4 and len(values) > 1:
        raise call.unsupported("its bias is a constant that differs from sample to sample")
    return values[0] if values.ndim == 4 else values


@converts("ops.Glu")
def glu(call: Conversion) -> Tensor:
    """Each value of both halves to the product of one with the other's sigmoid (`dynamic`)."""
    source = call.source
    (dimension,) = call.dimensions(call.layer.axis, len(source.shape))
    target = call.population(dynamics=OperationFunction(call.call))
    n = target.shape[dimension]
    i = np.arange(2 * n)
    axes = [
        (pairs(i, i % n, i // n, 2 * n, n, 2) if d == dimension else one_to_one(size)).place(
            src, dst
        )
        for d, (size, src, dst) in enumerate(
            zip(target.shape, source.strides, target.strides, strict=True)
        )
    ]
    call.project(source, target, axes, kind="dynamic")
    return target


def _pooled(call: Conversion, *options: str) -> Tensor:
    """Convert the pooling layer of an operation's name and rank."""
    kind = call.call.layer_class.removesuffix("Pool")
    rank = len(call.source.shape) - 1
    return as_layer(call, f"{kind}Pooling{rank}D", {}, **_options(call, *options))


def _normalised(call: Conversion, class_name: str, weights: Weights) -> Tensor:
    """Convert the normalisation layer of this name; gamma and beta are there or not."""
    has = {"scale": weights["gamma"] is not None, "center": weights["beta"] is not None}
    return as_layer(call, class_name, weights, **has, **_axis_and_epsilon(call))


def _axis_and_epsilon(call: Conversion) -> dict[str, Any]:
    """Return a normalisation's options as its layer has them."""
    import keras

    epsilon = call.layer.epsilon
    return {
        "axis": call.layer.axis,
        "epsilon": keras.config.epsilon() if epsilon is None else epsilon,
    }


def as_layer(call: Conversion, class_name: str, weights: Weights, **options: Any) -> Tensor:
    """Convert the Keras layer of this name, built with these options on the call's source."""
    import keras

    cls = getattr(keras.layers, class_name, None)
    if cls is None:
        raise call.unsupported(f"Keras has no {class_name}, as which it would be converted")
    source = call.sources[0]
    layer = cls(dtype=call.dtype.name, **options)
    if not layer.built:
        layer.build((None, *source.shape))
    for name, values in weights.items():
        if values is not None:
            variable = getattr(layer, name)
            if values.size != prod(variable.shape):
                raise call.unsupported(
                    f"its {name} has shape {values.shape} instead of {tuple(variable.shape)}"
                )
            variable.assign(values.reshape(variable.shape))
    computed = tuple(layer.compute_output_shape((None, *source.shape))[1:])
    if computed != call.output_shape:  # as of adaptive pools with channels_last
        raise call.unsupported(f"Keras notes the shape {call.output_shape} for what has {computed}")
    (target,) = call.convert(layer, None, [source], [call.output_shape])
    return target


def _options(call: Conversion, *names: str) -> dict[str, Any]:
    """Return those of an operation's options that its layer has by the same name."""
    return {name: getattr(call.layer, name) for name in names}


def _operand(call: Conversion, name: str) -> Tensor:
    """Return a tensor argument; a constant, of one sample, has nodes of its own."""
    value = arguments_of(call)[name]
    if has_tensor(value):
        return tensors_of(call)[value]
    sample, *others = array(value)
    if others:
        raise call.unsupported(f"its {name} is a constant of {1 + len(others)} samples")
    return call.population(name, sample.shape, bias=sample)


def _constant(call: Conversion, name: str) -> Any:
    """Return a constant argument as numpy; None where it is not given."""
    value = arguments_of(call)[name]
    if has_tensor(value):
        raise call.unsupported(f"its {name} depends on the inputs, and with it every weight")
    return None if value is None else array(value)
