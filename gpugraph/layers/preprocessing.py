"""Preprocessing layers: augmentation, which rests at inference, and pipelines of layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gpugraph.conversion import Conversion
from gpugraph.layers.spatial import takes_integers
from gpugraph.layers.weights import KerasFunction
from gpugraph.model.masks import makes_masks
from gpugraph.population import Activation, Tensor
from gpugraph.registry import converts


@converts(
    "AugMix",
    "CutMix",
    "MaxNumBoundingBoxes",
    "MixUp",
    "RandAugment",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
    "Solarization",
)
def augmentation(call: Conversion) -> Tensor:
    """No nodes: augments in training only."""
    return call.source


@converts("AutoContrast")
def auto_contrast(call: Conversion) -> Tensor:
    """One to one (`copy`), the function on the nodes, which meet in their extremes."""
    if len(call.source.shape) != 3:
        raise call.unsupported("it takes a single image, whose rows would be the batch")
    # Along these axes in either layout: of channels_first too, Keras stretches each column.
    function = Activation("auto_contrast", KerasFunction(call.layer), (1, 2))
    return call.activated(call.source, function)


@converts("RandomCrop")
def random_crop(call: Conversion) -> Tensor:
    """No nodes: crops in training only; refused where Keras says it would crop at inference."""
    if call.source.shape != call.output_shape:
        raise call.unsupported(
            f"at inference Keras passes its input of shape {call.source.shape} on as it is, but "
            f"says that it gives {call.output_shape}"
        )
    return call.source


@converts("Pipeline")
def pipeline(call: Conversion) -> Tensor:
    """Its layers one after another; the last one's nodes bear the pipeline's name."""
    steps = call.layer.layers
    if takes_integers(call.layer) and any(_rounds(step) for step in steps):
        raise call.unsupported("it takes whole numbers, and its Resizing rounds those")
    for step in filter(makes_masks, steps):
        raise call.unsupported(f"its step '{step.name}' ({type(step).__name__}) makes a mask")
    tensor = call.source
    for part, step in zip(_parts(steps), steps, strict=True):
        shape = step.compute_output_shape((None, *tensor.shape))[1:]
        (tensor,) = call.convert(step, part, [tensor], [shape])
    return tensor


def _rounds(layer: Any) -> bool:
    """Whether a layer rounds what it makes of whole numbers."""
    return getattr(layer, "interpolation", "nearest") != "nearest" and hasattr(layer, "antialias")


def _parts(steps: Sequence[Any]) -> Iterator[str | None]:
    """Name the steps after their layers, the last one after the pipeline."""
    names = [step.name for step in steps]
    for i, name in enumerate(names[:-1]):
        use = names[:i].count(name)
        yield f"{name}#{use}" if use else name
    yield None
