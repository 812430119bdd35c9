"""Masking: what says which time steps later layers leave out."""

from __future__ import annotations

import numpy as np

from gpugraph.conversion import Conversion
from gpugraph.layers.weights import array
from gpugraph.population import Tensor
from gpugraph.registry import converts


@converts("Masking")
def masking(call: Conversion) -> Tensor:
    """No nodes: passed on unchanged; layers that use the mask are refused."""
    value = call.layer.mask_value
    if np.any(np.asarray(value if np.isscalar(value) else array(value)) != 0):
        raise call.unsupported(
            f"which of its time steps become 0 depends on their being {value}, so they have no "
            "edges (mask_value=0.0 does)"
        )
    return call.source
