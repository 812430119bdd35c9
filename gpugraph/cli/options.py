"""Arguments and options that several commands take."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from gpugraph.derived import norms


class Device(StrEnum):
    """Where to compute."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Granularity(StrEnum):
    """What becomes a node instead of a neuron."""

    CHANNEL = "channel"
    LAYER = "layer"


class Norm(StrEnum):
    """What weighs between two merged nodes, by words that a shell can say."""

    L1 = "l1"
    L2 = "l2"
    MAX = "max"
    SUM = "sum"
    NONE = "none"

    @property
    def norm(self) -> norms.Norm | None:
        """The norm as `NeuronGraph.quotient` takes it."""
        return None if self is Norm.NONE else cast("norms.Norm", self.value)


Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A .keras or .h5 file, or one of Keras's own architectures, such as "
        "keras.applications:VGG16.",
        show_default=False,
    ),
]
InputShapes = Annotated[
    list[str] | None,
    typer.Option(
        "--input-shape",
        metavar="SHAPE",
        help="Without the batch axis, such as 224,224,3 or 224x224x3. Several inputs: repeat the "
        "option, in the model's order or as name=224,224,3. 'minimal': the smallest that works.",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|imagenet",
        help="Weights to load. Without it, keras.applications come with random weights.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
AllowNonfinite = Annotated[
    bool, typer.Option("--allow-nonfinite", help="Accept weights that hold NaN or infinity.")
]
Couplings = Annotated[
    bool,
    typer.Option(
        "--couplings",
        help="Join neurons that meet in a softmax or in the statistics of a normalisation.",
    ),
]
Probe = Annotated[
    bool,
    typer.Option(
        "--probe", help="Find the edges of affine layers that have no converter by probing them."
    ),
]
Trace = Annotated[
    bool,
    typer.Option(
        "--trace",
        help="Open layers that have no converter, and models that define their own call, by "
        "running it on symbolic tensors.",
    ),
]
By = Annotated[
    Granularity | None,
    typer.Option(help="Merge the neurons of each channel, or of each layer, into one node."),
]
NormOfBy = Annotated[
    Norm | None,
    typer.Option(
        "--norm",
        help="With --by, what weighs between two nodes: the sum of magnitudes (l1, by default), "
        "the root of the sum of squares, the largest magnitude, the sum, or each by itself.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")]
