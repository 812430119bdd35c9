import sys

import numpy as np
import pytest

import gpugraph as gg
from gpugraph import demo
from gpugraph.algorithms.strongest_paths import NodePath


def test_demo_from_model_to_files(tmp_path, capsys):
    folder = tmp_path / "a" / "b"
    demo.run(folder)
    said = capsys.readouterr()
    assert said.err == ""
    assert "equals the model" in said.out
    assert "handwritten digits from scikit-learn" in said.out
    assert "15,237,608 nodes and 14,975,945,472 edges" in said.out
    for digit in range(10):
        assert f"-> digit {digit}" in said.out
    assert "networkx, with all edges made, finds the same PageRank within" in said.out
    assert "PageRank of all 15,237,608 nodes, over all 14,975,945,472 edges: exact" in said.out
    assert sorted(path.name for path in folder.iterdir()) == ["digits.graphml", "digits.parquet"]


def test_demo_writes_again_over_its_own_files(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "_large", lambda: None)
    monkeypatch.setattr(demo, "_rank_large", lambda graph: None)
    other = tmp_path / "mine.txt"
    other.write_text("precious")
    demo.run(tmp_path)
    demo.run(tmp_path)
    assert other.read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 3


def test_demo_does_without_scikit_learn(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    demo._verify(gg.from_keras(demo.digits_model()))
    said = capsys.readouterr().out
    assert "noise" in said
    assert "equals the model" in said


def test_demo_ranks_the_digit_reader(capsys):
    graph = gg.from_keras(demo.digits_model())
    demo._rank(graph)
    said = capsys.readouterr().out
    assert "pixels, all alike" in said
    for name in ("hidden", "digit"):
        (first,) = np.flatnonzero(gg.pagerank(graph)[name] == gg.pagerank(graph)[name].max())
        assert f"\n{name} {first} " in said
    apart = float(said.split("the same PageRank within ")[1].split()[0])
    assert apart < 1e-9


def test_demo_refuses_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(gg.OutputError, match="Cannot make the folder"):
        demo.run(tmp_path / "file")


def test_the_shipped_model_reads_digits():
    images = demo._images()[0]
    datasets = pytest.importorskip("sklearn.datasets")
    graph = gg.from_keras(demo.digits_model())
    read = graph.evaluate(images)["digit"].argmax(axis=1)
    assert np.mean(read == datasets.load_digits().target[: len(images)]) > 0.97


def test_paths_in_words():
    graph = gg.from_keras(demo.digits_model())
    nodes = (("pixels", (3, 4, 0)), ("conv1", (3, 4, 2)), ("digit", (7,)))
    words = demo.describe(NodePath(nodes, (0.5, 0.5)), graph)
    assert words == "pixels (3, 4) -> conv1 (3, 4) channel 2 -> digit 7"
