"""Converters of Keras's own layers, one family per file; importing this registers them."""

from gpugraph.layers import (  # noqa: F401
    activation,
    arithmetic,
    conv,
    conv_transpose,
    dense,
    dot,
    embedding,
    identity,
    masking,
    merging,
    moving,
    normalization,
    pooling,
    preprocessing,
    reshaping,
    spatial,
    statistics,
)
