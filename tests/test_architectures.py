"""Every architecture of keras.applications: run forward, and counted as docs/architectures.md says.

``pytest -m slow tests/test_architectures.py`` runs all of them; ``python -m
tests.test_architectures`` writes the table of counts.
"""

from pathlib import Path

import keras
import numpy as np
import pytest

import gpugraph as gg
from tests import models
from tests.models import needs_float64

PAGE = Path(__file__).parent.parent / "docs" / "architectures.md"
START, END = "<!-- counts: written by tests/test_architectures.py -->\n", "<!-- end of counts -->"
HEAD = "| application | input | nodes | edges | parameters | populations | projections |"

ALL = [name for name in dir(keras.applications) if name[0].isupper()]
FAMILIES = [
    "ConvNeXtTiny",
    "DenseNet121",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "InceptionResNetV2",
    "InceptionV3",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Small",
    "NASNetMobile",
    "ResNet50",
    "ResNet50V2",
    "VGG16",
    "Xception",
]
SMALLEST = {"InceptionResNetV2": 75, "InceptionV3": 75, "Xception": 71}
# Its gates, block upon block, amplify rounding a billion times where values grow with depth.
CHAOTIC = [f"EfficientNetV2{size}" for size in ("B3", "S", "M", "L")]


def build(name):
    """Return an application at the smallest size that it takes, with its top."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    size = SMALLEST.get(name, 32)
    application = getattr(keras.applications, name)
    return models.randomise(application(weights=None, input_shape=(size, size, 3), classes=10))


def calm(model):
    """Let normalisations divide by more, so that values stay small."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_variance.assign(4 * layer.moving_variance)
    return model


@pytest.mark.parametrize("name", FAMILIES)
def test_the_graph_is_the_model(name):
    graph = gg.from_keras(build(name))
    report = graph.verify()
    assert report.passed, str(report)
    assert len(report.errors) >= len(graph.populations) // 2
    assert graph.in_degree().sum() == graph.out_degree().sum() == graph.n_edges


@pytest.fixture
def double():
    """Build in float64, where rounding cannot pass for a wrong edge, nor the reverse."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


@pytest.mark.slow
@needs_float64
@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", ALL)
def test_the_graph_is_the_model_to_the_last_digits(name):
    model = build(name)
    graph = gg.from_keras(calm(model) if name in CHAOTIC else model)
    (image,) = graph.topology.inputs
    x = np.random.default_rng(0).standard_normal((1, *graph.populations[image].shape))
    report = graph.verify(x, tolerance=1e-10)
    assert report.passed, str(report)


def test_every_family_has_a_representative():
    def files(names):
        return {getattr(keras.applications, name).__module__.split(".")[-1] for name in names}

    assert files(ALL) - files(FAMILIES) == {"vgg19"}  # a longer VGG16


def row(name):
    """Return an application's line of the table."""
    keras.backend.clear_session()
    model = getattr(keras.applications, name)(weights=None)
    shape = tuple(n or 224 for n in model.input_shape[1:])  # what MobileNetV3 leaves open
    graph = gg.from_keras(model, shape)
    counts = (graph.n_nodes, graph.n_edges, model.count_params())
    parts = (len(graph.populations), len(graph.projections))
    return (
        f"| {name} | {' x '.join(map(str, shape))} | "
        + " | ".join(f"{n:,}" for n in (*counts, *parts))
        + " |"
    )


def written_rows():
    """Return the lines of the table as they stand."""
    text = PAGE.read_text()
    table = text[text.index(START) + len(START) : text.index(END)]
    head, _, *rows = table.splitlines()
    assert head == HEAD
    return {line.split(" | ")[0].removeprefix("| "): line for line in rows}


def test_the_page_lists_every_application():
    assert list(written_rows()) == ALL


@pytest.mark.parametrize("name", ["ConvNeXtTiny", "EfficientNetB0", "MobileNet"])
def test_the_page_holds_the_counts(name):
    assert written_rows()[name] == row(name), "run: python -m tests.test_architectures"


def test_lenet():
    graph = gg.from_keras(models.randomise(models.lenet()))
    assert graph.verify().passed
    assert {name: p.size for name, p in graph.populations.items()} == {
        graph.topology.inputs[0]: 784,
        "c1": 4704,
        "s2": 1176,
        "c3": 1600,
        "s4": 400,
        "c5": 120,
        "f6": 84,
        "output": 10,
    }
    assert graph.n_edges == 107_736 + 4704 + 240_000 + 1600 + 48_000 + 10_080 + 840


def main():
    """Write the counts into the page."""
    text = PAGE.read_text()
    before, after = text[: text.index(START) + len(START)], text[text.index(END) :]
    lines = [HEAD, "|---|---|" + "---:|" * 5, *map(row, ALL)]
    PAGE.write_text(before + "\n".join(lines) + "\n" + after)


if __name__ == "__main__":
    main()
