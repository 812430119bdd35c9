"""The page on one's own layers runs as it stands, and its graphs compute what Keras computes."""

import re
from pathlib import Path

import pytest

import gpugraph as gg
from gpugraph import registry

PAGE = (Path(__file__).parent.parent / "docs" / "extending.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def program():
    """What the page defines; converters that it registers are forgotten afterwards."""
    gg.supported_layers()
    before = dict(registry._CONVERTERS)
    for name in [name for name, found in before.items() if not registry._is_own(found)]:
        del registry._CONVERTERS[name]  # what other tests have registered
    printed: list[str] = []
    names = {
        "__name__": "extending",
        "print": lambda *values: printed.append(" ".join(map(str, values))),
    }
    try:
        for block in BLOCKS:
            exec(block, names)
    finally:
        registry._CONVERTERS.clear()
        registry._CONVERTERS.update(before)
    return names, printed


def test_it_prints_what_it_says(program):
    _, printed = program
    assert printed == re.findall(r"print\(.*\)  # (.*)", "".join(BLOCKS))
    assert len(printed) >= 7


def test_its_graphs_compute_what_keras_computes(program):
    names, _ = program
    graphs = {name: graph for name, graph in names.items() if isinstance(graph, gg.NeuronGraph)}
    assert set(graphs) == {
        "graph",
        "dense",
        "scaled",
        "nested",
        "dynamic",
        "traced",
        "opened",
        "probed",
    }
    for name, graph in graphs.items():
        for seed in range(3):
            assert graph.verify(seed=seed).passed, name


def test_its_converters_find_the_edges_that_probing_finds(program):
    names, _ = program
    for name in ("graph", "scaled"):  # its affine layers
        graph = names[name]
        probed = gg.from_keras(graph.topology.model, probe=True)  # converters are forgotten
        assert [p.is_listed for p in probed.projections] == [True]
        difference = graph.to_scipy() - probed.to_scipy()
        assert abs(difference).max() < 1e-6
        assert graph.n_edges == probed.n_edges


@pytest.mark.parametrize("name", ["population", "project", "project_elementwise", "convert"])
def test_it_shows_every_method(name):
    assert any(f"call.{name}(" in block for block in BLOCKS)
    assert f"`{name}`" in PAGE or f"`call.{name}(" in PAGE


def test_the_first_converter_is_short():
    converter = BLOCKS[1].partition("\n\n\n")[0]
    assert len(converter.splitlines()) <= 15
