"""Every backbone of keras_hub: traced, run forward, and counted as docs/architectures.md says.

``pip install keras-hub``, then ``pytest -m slow tests/test_keras_hub.py`` runs them; ``python -m
tests.test_keras_hub`` writes the page's tables.
"""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

import gpugraph as gg
from tests.keras_hub_backbones import ALL, build, call, keras_hub, samples

pytestmark = [
    pytest.mark.slow,
    # What Keras says of some of its layers: unbuilt ones, masks that end.
    pytest.mark.filterwarnings("ignore::UserWarning:keras.*"),
]

HERE = Path(__file__).parent.parent
PAGE = HERE / "docs" / "architectures.md"
START, END = "<!-- backbones: written by tests/test_keras_hub.py -->\n", "<!-- end of backbones -->"
HEADS = {
    "converted": "| backbone | nodes | edges | populations |\n|---|" + "---:|" * 3,
    "refused": "| refused | because |\n|---|---|",
}
ABSTRACT = {"Backbone", "FeaturePyramidBackbone"}

# Why in words, and how from_keras says so.
BATCH = "compares every text of the batch with every image of it"
SYMBOLS = "asks Keras's symbolic tensors for their values"
TENSORFLOW = "hands Keras's symbolic tensors to functions of TensorFlow"
REFUSED = {
    "CLIPBackbone": (BATCH, "CLIPHead.*'matmul' joins the samples of the batch"),
    "DFineBackbone": ("maps a function of its own", "ops.Map"),
    "DebertaV3Backbone": (TENSORFLOW, "input to a TensorFlow function"),
    "DepthAnythingBackbone": (TENSORFLOW, "input to a TensorFlow function"),
    "Gemma3Backbone": ("puts all images of the batch in a row", "Gemma3InterleaveEmbeddings"),
    "Gemma3nBackbone": ("puts all images of the batch in a row", "keep the batch axis in front"),
    "Gemma4Backbone": ("looks for the largest position of the whole batch", "it joins the samples"),
    "Gemma4Backbone: text and sound": (
        "puts all sounds of the batch in a row",
        "Gemma4InterleaveEmbeddings",
    ),
    "MetaCLIP2Backbone": (BATCH, "MetaCLIP2Head.*'matmul' joins the samples of the batch"),
    "Qwen3_5Backbone": (SYMBOLS, "cannot convert it to an int"),
    "Qwen3_5MoeBackbone": (SYMBOLS, "cannot convert it to an int"),
    "RWKV7Backbone": (TENSORFLOW, "input to a TensorFlow function"),
    "SAM3PromptableConceptBackbone": (TENSORFLOW, "input to a TensorFlow function"),
    "SigLIPBackbone": (BATCH, "SigLIPHead.*'matmul' joins the samples of the batch"),
    "StableDiffusion3Backbone": (
        "has capital letters in an `einsum`, which Keras does not take on symbolic tensors",
        "MMDiTBlock.*invalid literal for int",
    ),
    "XLNetBackbone": ("has positions in front of the batch", "from one sample of the batch"),
}
CONVERTED = [name for name in ALL if name not in REFUSED]


def graph_of(model, inputs):
    return gg.from_keras(model, [x.shape[1:] for x in inputs], trace=True)


@pytest.fixture(scope="module", params=CONVERTED)
def converted(request):
    """Return a backbone's name, the model, two samples for it, and its graph."""
    model = build(request.param)
    inputs = samples(model, request.param)
    return request.param, model, inputs, graph_of(model, inputs)


def test_the_graph_is_the_model(converted):
    *_, inputs, graph = converted
    report = graph.verify(inputs)
    assert report.passed, str(report)
    assert len(report.errors) >= len(graph.populations) // 2


def test_outputs_are_those_that_predict_gives(converted):
    _, model, inputs, graph = converted
    outputs = model.predict(keras.tree.pack_sequence_as(model.input, inputs), verbose=0)
    values = graph.evaluate(inputs)
    for ref, expected in zip(graph.topology.outputs, keras.tree.flatten(outputs), strict=True):
        # What is the same for all samples, as SAM's places, is given once.
        found = values[graph.tensors[ref.label].population.name].reshape(-1, *expected.shape[1:])
        expected = np.broadcast_to(expected, found.shape)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_the_page_holds_the_counts(converted):
    name, *_, graph = converted
    assert written_rows()[name] == row(name, graph), "run: python -m tests.test_keras_hub"


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_runs_in_keras_and_is_told_why(name):
    model = build(name)
    inputs = samples(model, name)
    outputs = call(model, inputs)
    assert all(keras.ops.all(keras.ops.isfinite(y)) for y in keras.tree.flatten(outputs))
    with pytest.raises(gg.GpugraphError, match=f"(?s){REFUSED[name][1]}"):
        graph_of(model, inputs)


def backbones():
    """Return the names of all backbones that keras_hub exports, each class once."""
    exported = [each for each in vars(keras_hub.models).values() if isinstance(each, type)]
    return {c.__name__ for c in exported if issubclass(c, keras_hub.models.Backbone)} - ABSTRACT


def test_every_backbone_is_here():
    assert {name.partition(":")[0] for name in ALL} == backbones()
    assert set(REFUSED) < set(ALL)


def test_the_page_lists_every_backbone():
    rows = written_rows()
    assert list(rows) == [*CONVERTED, *REFUSED]
    assert [rows[name] for name in REFUSED] == list(map(refusal, REFUSED))


def test_the_readme_counts_them():
    everything = len(backbones())
    whole = everything - len({name for name in REFUSED if ":" not in name})
    text = " ".join((HERE / "README.md").read_text().split())
    assert f"{whole} of the {everything} backbones of keras_hub" in text


def row(name, graph):
    """Return a converted backbone's line of the table."""
    return f"| {name} | {graph.n_nodes:,} | {graph.n_edges:,} | {len(graph.populations):,} |"


def refusal(name):
    """Return a refused backbone's line of the table."""
    return f"| {name} | {REFUSED[name][0]} |"


def written_rows():
    """Return the lines of both tables as they stand, by name."""
    text = PAGE.read_text()
    table = text[text.index(START) + len(START) : text.index(END)]
    lines = [line for line in table.splitlines() if re.match(r"\| [A-Z]", line)]
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines}


def main():
    """Write the tables into the page."""
    rows = []
    for name in CONVERTED:
        model = build(name)
        rows.append(row(name, graph_of(model, samples(model, name))))
    text = PAGE.read_text()
    before, after = text[: text.index(START) + len(START)], text[text.index(END) :]
    lines = [HEADS["converted"], *rows, "", HEADS["refused"], *map(refusal, REFUSED)]
    PAGE.write_text(before + "\n".join(lines) + "\n" + after)


if __name__ == "__main__":
    main()
