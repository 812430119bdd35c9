"""Operations of keras.ops that have no converter, and why."""

from __future__ import annotations

_REASONS = {
    "it works on the samples of a batch as a whole": """
        AllClose Bincount Corrcoef Correlate Diag Diagflat Flipud Histogram Kron Lstsq
        MapCoordinates Outer PSNR Ravel Scan Scatter ScatterUpdate SegmentMax SegmentMin SegmentProd
        SegmentReduction SegmentSum Size Slice Unique Vdot Vsplit Vstack
        """,
    "it runs a function of its own, which is not opened": "AssociativeScan Map VectorizedMap",
    "how many it gives depends on the inputs": "Nonzero",
    "it does not give the batch axis in front": "CTCDecode",
    "on TensorFlow samples of a batch meet in it": "Argpartition",
    "it works on the bits of numbers, which nodes do not hold": "View",
    "it works on complex numbers, which nodes do not hold": """
        Eig Polar ViewAsComplex ViewAsReal
        """,
    "which function it runs, or how often, depends on the inputs": """
        Cond ForiLoop Function JVP Switch WhileLoop
        """,
    "Keras 3.15 cannot run it on a batch of matrices": "LuFactor",
    "Keras 3.15 notes a shape of its sign that lacks the batch": "Slogdet",
    "it is a loss, which no neuron holds": """
        BinaryCrossentropy CTCLoss CategoricalCrossentropy SparseCategoricalCrossentropy
        """,
    "it makes a tensor of its own instead of weighing its inputs": """
        Arange EmptyLike Full Geomspace Linspace Logspace Meshgrid Ndim
        """,
    "it draws at random where it moves each pixel": "ElasticTransform",
    "the size of the batch is part of the shape that it is told to give": "ScaleAndTranslate",
    "Keras 3.15 mixes up its arguments and cannot run it": "ConvTranspose",
}

REFUSED_OPERATIONS = {
    f"ops.{name}": why for why, names in _REASONS.items() for name in names.split()
}
