"""Operations of keras.ops that have no converter, and why."""

from __future__ import annotations

_REASONS = {
    "it works on the samples of a batch as a whole": """
        AllClose AssociativeScan Bincount Corrcoef Correlate Diag Diagflat Flipud Histogram Kron Map
        Ndim Outer PSNR Ravel SSIM Scan Scatter ScatterUpdate SegmentMax SegmentMin SegmentProd
        SegmentReduction SegmentSum Size Slice Unique Vander Vdot VectorizedMap Vsplit Vstack
        """,
    "how many it gives depends on the inputs": "Nonzero",
    "it does not give the batch axis in front": "CTCDecode",
    "on TensorFlow samples of a batch meet in it": "Argpartition",
    "it works on the bits of numbers, which nodes do not hold": "View",
    "it works on complex numbers, which nodes do not hold": """
        Angle FFT FFT2 IFFT2 IRFFT ISTFT Imag Isreal Polar RFFT STFT ViewAsComplex ViewAsReal
        """,
    "which function it runs, or how often, depends on the inputs": """
        Cond ForiLoop Function JVP Switch WhileLoop
        """,
    "it solves equations instead of weighing its inputs": """
        Cholesky CholeskyInverse Det Eig Eigh Inv Logdet Lstsq LuFactor MatrixRank Pinv Qr SVD
        Slogdet Solve SolveTriangular
        """,
    "it is a loss, which no neuron holds": """
        BinaryCrossentropy CTCLoss CategoricalCrossentropy SparseCategoricalCrossentropy
        """,
    "it makes a tensor of its own instead of weighing its inputs": """
        Arange EmptyLike Full Geomspace Linspace Logspace Meshgrid
        """,
    "it moves pixels to places that are computed": """
        AffineTransform ElasticTransform MapCoordinates PerspectiveTransform ScaleAndTranslate
        """,
    "Keras 3.15 mixes up its arguments and cannot run it": "ConvTranspose",
    "nobody has said yet what its edges are": """
        Cross Fold GaussianBlur HSVToRGB RGBToHSV SobelEdges
        """,
}

REFUSED_OPERATIONS = {
    f"ops.{name}": why for why, names in _REASONS.items() for name in names.split()
}
