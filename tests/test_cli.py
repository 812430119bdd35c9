import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import gpugraph as gg
from gpugraph.cli import app, terminal
from gpugraph.cli.app import EXIT_CODES, FAILED
from gpugraph.cli.convert import WRITERS
from gpugraph.cli.loading import parse_input_shapes
from gpugraph.cli.output import TABLE_ENDINGS
from gpugraph.measures import MEASURES

EDGES = 4 * 4 * 9 * 2 + 4 * 4 * 2 * 3


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def start(*arguments, **options):
    # A shell that runs tests in the background has them ignore SIGINT; a user's terminal does not.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{heeding}; from gpugraph.cli import main; main()"]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def model(folder):
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((6, 6, 1), name="image"),
            layers.Conv2D(2, 3, activation="relu", name="conv"),
            layers.Dropout(0.5, name="dropout"),
            layers.Flatten(name="flat"),
            layers.Dense(3, name="head"),
        ],
        name="small",
    )
    path = folder / "small.keras"
    network.save(path)
    network.save_weights(folder / "small.weights.h5")
    return path


@pytest.fixture(scope="module")
def two_inputs(folder):
    a, b = keras.Input((None, 2), name="a"), keras.Input((None, 2), name="b")
    y = keras.layers.Concatenate(axis=1, name="both")([a, b])
    path = folder / "two.keras"
    keras.Model([a, b], y, name="two").save(path)
    return path


@pytest.fixture
def no_loading(monkeypatch):
    """Let a command fail if it gets as far as loading a model."""
    monkeypatch.setattr("gpugraph.cli.terminal.load_keras", lambda: pytest.fail("loads a model"))


# What the commands say


def test_summary_shows_a_table(model):
    result = run("summary", model)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "Model small" in result.stdout
    assert f"{EDGES:,}" in result.stdout
    for name in gg.from_keras(model).populations:
        assert name in result.stdout


def test_summary_as_json(model):
    result = run("summary", model, "--json")
    document = json.loads(result.stdout)
    assert document["n_edges"] == EDGES
    assert document["model"] == "small"


def test_topology_lists_layers_without_nodes_too(model):
    result = run("topology", model)
    assert result.exit_code == 0
    for name in ("image", "conv", "dropout", "flat", "head"):
        assert name in result.stdout
    calls = json.loads(run("topology", model, "--json").stdout)["calls"]
    assert [call["name"] for call in calls] == ["image", "conv", "dropout", "flat", "head"]
    assert calls[1]["inputs"] == [["image", 0]]
    assert calls[1]["output_shapes"] == [[4, 4, 2]]


def test_verify_passes(model):
    result = run("verify", model, "--seed", 3)
    assert result.exit_code == 0
    assert "equals the model" in result.stdout
    document = json.loads(run("verify", model, "--json").stdout)
    assert document["passed"] is True
    assert set(document["errors"]) == {"image", "conv", "head"}


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_verify_exits_1_where_graph_and_model_differ(model, options):
    result = run("verify", model, "--tolerance", 0, *options)
    assert result.exit_code == FAILED
    assert ("DIFFERS" in result.stdout) if not options else not json.loads(result.stdout)["passed"]


def test_names_from_a_file_cannot_command_the_terminal(folder):
    network = keras.Sequential(
        [keras.Input((2,), name="x"), keras.layers.Dense(1, name="a\x1b[2J[red]b")]
    )
    network.save(folder / "names.keras")
    result = run("summary", folder / "names.keras")
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert r"a\x1b[2J[red]b" in result.stdout


# Converting


@pytest.mark.parametrize("ending", WRITERS)
def test_convert_writes_every_format(model, tmp_path, ending):
    out = tmp_path / f"net{ending}"
    result = run("convert", model, out)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    assert f"{EDGES:,} edges" in result.stdout
    assert out.exists()
    nodes = [tmp_path / f"net.nodes{ending}"] if ending.startswith(".csv") else []
    assert sorted(tmp_path.iterdir()) == sorted([out, *nodes])


def test_convert_reports_as_json(model, tmp_path):
    out = tmp_path / "net.csv"
    document = json.loads(run("convert", model, out, "--json").stdout)
    seconds = document.pop("seconds")
    assert seconds >= 0
    written = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert document == {
        "path": str(out),
        "format": "csv",
        "n_nodes": 36 + 32 + 3,
        "n_edges": EDGES,
        "bytes": written,
    }


def test_convert_keeps_what_exists(model, tmp_path, no_loading):
    out = tmp_path / "net.graphml"
    out.write_text("precious")
    result = run("convert", model, out)
    assert result.exit_code == EXIT_CODES[gg.OutputError]
    assert "exists" in result.stderr
    assert "--overwrite" in result.stderr
    assert out.read_text() == "precious"


def test_convert_keeps_an_existing_node_file(model, tmp_path, no_loading):
    nodes = tmp_path / "net.nodes.csv"
    nodes.write_text("precious")
    result = run("convert", model, tmp_path / "net.csv")
    assert result.exit_code == EXIT_CODES[gg.OutputError]
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


def test_convert_overwrites_when_asked(model, tmp_path):
    out = tmp_path / "net.graphml"
    out.write_text("old")
    assert run("convert", model, out, "--overwrite").exit_code == 0
    assert "graphml" in out.read_text()


def test_convert_adds_parameters(model, tmp_path):
    run("convert", model, tmp_path / "plain.csv")
    run("convert", model, tmp_path / "more.csv", "--parameters")
    headers = [(tmp_path / f"{n}.csv").read_text().split("\n")[0] for n in ("plain", "more")]
    assert "parameter" not in headers[0]
    assert "parameter" in headers[1]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--populations", "conv", "--populations", "head"], 4 * 4 * 2 * 3),
        (["--threshold", "0"], EDGES),
        (["--threshold", "1e9"], 0),
        (["--top", "17"], 34),
        (["--populations", "conv", "--populations", "head", "--top", "5"], 5),
    ],
)
def test_convert_writes_a_part(model, tmp_path, options, expected):
    result = run("convert", model, tmp_path / "net.csv", "--json", *options)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["n_edges"] == expected


def test_convert_refuses_an_unknown_ending(model, tmp_path, no_loading):
    result = run("convert", model, tmp_path / "net.gml")
    assert result.exit_code == 2
    for ending in WRITERS:
        assert ending in result.stderr


def test_convert_refuses_parameters_in_a_matrix(model, tmp_path, no_loading):
    assert run("convert", model, tmp_path / "net.npz", "--parameters").exit_code == 2


def test_convert_refuses_a_missing_folder(model, tmp_path, no_loading):
    result = run("convert", model, tmp_path / "nowhere" / "net.csv")
    assert result.exit_code == EXIT_CODES[gg.OutputError]
    assert "no folder" in result.stderr


def test_convert_refuses_an_unwritable_folder(model, tmp_path, monkeypatch, no_loading):
    # Permissions do not bind root, who may run the tests.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    result = run("convert", model, tmp_path / "net.csv")
    assert result.exit_code == EXIT_CODES[gg.OutputError]
    assert "not writable" in result.stderr


# Ranking


@pytest.mark.parametrize("name", MEASURES)
def test_rank_by_every_measure(model, name):
    result = run("rank", model, "--measure", name, "--top", 100, "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    values = MEASURES[name](gg.from_keras(model))
    assert document["value"] == values.name
    assert [(n["node"], n["value"]) for n in document["nodes"]] == [
        (n.node, n.value if np.isfinite(n.value) else None) for n in values.top(100)
    ]


def test_rank_shows_a_table(model):
    result = run("rank", model, "--top", 3)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "Model small"
    assert lines[2].split() == ["rank", "population", "index", "pagerank", "node"]
    top = gg.pagerank(gg.from_keras(model)).top(3)
    assert [line.split() for line in lines[4:7]] == [
        [str(i), "head", str(n.index[0]), f"{n.value:.6g}", str(n.node)]
        for i, n in enumerate(top, 1)
    ]
    assert lines[-1].startswith(f"pagerank of 71 nodes over {EDGES:,} edges in ")


def test_rank_says_how_many_nodes_are_equal_and_how_many_sources_were_drawn(model):
    said = run("rank", model, "--measure", "out_degree", "--top", 3).stdout
    assert "1 more node has the last value too." in said
    said = run("rank", model, "--measure", "harmonic_centrality", "--k", 7).stdout
    assert "estimated from 7 sources" in said


def test_rank_as_json(model):
    options = ["--weight", "none", "--seed", 3, "--population", "head", "--top", 1, "--json"]
    document = json.loads(run("rank", model, *options).stdout)
    assert document.pop("seconds") >= 0
    best = gg.pagerank(gg.from_keras(model), weight=None).top(1)[0]
    assert document == {
        "model": "small",
        "n_nodes": 71,
        "n_edges": EDGES,
        "measure": "pagerank",
        "weight": "none",
        "k": None,
        "seed": 3,
        "value": "pagerank",
        "nodes": [{"rank": 1, "node": 68, "population": "head", "index": [0], "value": best.value}],
        "n_equal_to_last": 2,
        "path": None,
    }


def test_rank_within_populations(model):
    options = ["--population", "conv", "--population", "image", "--top", 100, "--json"]
    nodes = json.loads(run("rank", model, *options).stdout)["nodes"]
    assert {n["population"] for n in nodes} == {"conv", "image"}
    assert sorted(n["node"] for n in nodes) == list(range(36 + 32))


@pytest.mark.parametrize("options", [["--k", 5, "--seed", 7], ["--k", 5, "--seed", 8]])
def test_rank_draws_by_seed(model, options):
    command = ["rank", model, "--measure", "betweenness_centrality", "--json", *options]
    nodes = json.loads(run(*command).stdout)["nodes"]
    values = gg.betweenness_centrality(gg.from_keras(model), k=5, seed=options[-1])
    assert [n["node"] for n in nodes] == [n.node for n in values.top(20)]


@pytest.mark.parametrize("ending", TABLE_ENDINGS)
def test_rank_writes_all_nodes(model, tmp_path, ending):
    out = tmp_path / f"ranks{ending}"
    result = run("rank", model, "--out", out, "--population", "head")
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"Wrote {out}: " in result.stdout
    table = pq.read_table(out) if ending == ".parquet" else pyarrow.csv.read_csv(out)
    expected = gg.pagerank(gg.from_keras(model)).to_arrow()
    assert table.column_names == expected.column_names
    assert table["population"].to_pylist() == expected["population"].to_pylist()
    assert table["pagerank"].to_pylist() == expected["pagerank"].to_pylist()
    assert list(tmp_path.iterdir()) == [out]


def test_rank_replaces_a_file_where_asked(model, tmp_path):
    out = tmp_path / "ranks.parquet"
    out.write_text("old")
    options = ["--out", out, "--json"]
    assert json.loads(run("rank", model, *options, "--overwrite").stdout)["path"] == str(out)
    assert pq.read_table(out).num_rows == 71


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--measure", "pagernak"], 2, "no measure 'pagernak'. Did you mean 'pagerank'? Choose"),
        (["--measure", ""], 2, "no measure ''. Choose one of pagerank, "),
        (["--weight", "signed"], 2, "--weight"),
        (["--device", "gpu"], 2, "--device"),
        (["--top", "0"], 2, "--top"),
        (["--k", "5"], 2, "pagerank takes no --k"),
        (["--measure", "path_count", "--weight", "none"], 2, "path_count takes no --weight"),
        (["--measure", "in_degree", "--device", "cpu"], 2, "in_degree takes no --device"),
        (["--measure", "closeness_centrality", "--k", "0"], 2, "--k"),
        (["--seed", "-1"], 2, "--seed"),
        (["--out", "{folder}/ranks.txt"], 2, "no known ending. Choose one of .parquet, .csv"),
        (["--out", "{folder}/nowhere/ranks.csv"], 5, "there is no folder"),
        (["--out", "{folder}/old.csv"], 5, "exists already"),
        (["--out", "{folder}/old.parquet", "--overwrite"], 5, "is a folder"),
    ],
)
def test_rank_refuses_before_it_loads_a_model(model, tmp_path, no_loading, options, code, message):
    (tmp_path / "old.csv").write_text("precious")
    (tmp_path / "old.parquet").mkdir()
    result = run("rank", model, *(option.format(folder=tmp_path) for option in options))
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert (tmp_path / "old.csv").read_text() == "precious"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--population", "nobody"], "no population 'nobody'"),
        (["--population", "flat"], "'flat' makes no nodes of its own"),
        (["--weight", "weight"], "'magnitude' for |weight|"),
        (["--measure", "harmonic_centrality", "--k", "72"], "from 1 to the 71 nodes"),
    ],
)
def test_rank_refuses_what_the_graph_cannot_answer(model, tmp_path, options, message):
    result = run("rank", model, *options, "--out", tmp_path / "ranks.csv", "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_rank_asks_for_k_where_the_graph_is_large(model, monkeypatch):
    monkeypatch.setattr("gpugraph.measures.MOST_SOURCES", 70)
    command = ["rank", model, "--measure", "betweenness_centrality"]
    result = run(*command)
    assert result.exit_code == 2
    assert "from the 71 nodes of 'small'" in result.stderr
    assert "--k 71" in result.stderr
    assert run(*command, "--k", 71).exit_code == 0


def test_rank_refuses_what_is_no_model(tmp_path):
    path = tmp_path / "text.keras"
    path.write_text("This is no model.")
    result = run("rank", path)
    assert result.exit_code == EXIT_CODES[gg.ModelError]
    assert "Cannot read the model file" in result.stderr


def test_rank_help_lists_every_measure():
    text = run("rank", "--help").stdout
    for measure in MEASURES.values():
        assert f"  {measure}" in text


# Statistics


def test_stats_shows_a_table(model):
    result = run("stats", model)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    expected = gg.layer_statistics(gg.from_keras(model))
    assert lines[0] == "Model small"
    assert [line.split() for line in lines[4:]] == [
        [cell for cell in row.cells if cell] for row in expected.rows
    ]


def test_stats_says_what_a_narrow_terminal_leaves_out(model, monkeypatch):
    table = terminal.table

    def narrow(header, rows, numeric, total, expendable):
        assert expendable == len(header) - 4
        return table(header[:-2], [row[:-2] for row in rows], numeric[:-2], total)

    monkeypatch.setattr(terminal, "table", narrow)
    said = run("stats", model).stdout
    assert said.endswith("No room here, but in --json and --out: out-disparity, persistence.\n")


def test_stats_as_json(model):
    document = json.loads(run("stats", model, "--json").stdout)
    assert document == gg.layer_statistics(gg.from_keras(model)).to_dict() | {"path": None}


def test_stats_without_persistence(model):
    rows = json.loads(run("stats", model, "--no-persistence", "--json").stdout)["projections"]
    assert {row["neural_persistence"] for row in rows} == {None}


@pytest.mark.parametrize("ending", TABLE_ENDINGS)
def test_stats_writes_a_table(model, tmp_path, ending):
    out = tmp_path / f"stats{ending}"
    result = run("stats", model, "--out", out)
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"Wrote {out}: " in result.stdout
    table = pq.read_table(out) if ending == ".parquet" else pyarrow.csv.read_csv(out)
    expected = gg.layer_statistics(gg.from_keras(model)).to_arrow()
    assert table.column_names == expected.column_names
    assert table["weight_variance"].to_pylist() == expected["weight_variance"].to_pylist()
    assert table["target"].to_pylist() == ["conv", "head"]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--out", "{folder}/stats.txt"], 2, "no known ending"),
        (["--out", "{folder}/nowhere/stats.csv"], 5, "there is no folder"),
        (["--out", "{folder}/old.csv"], 5, "exists already"),
    ],
)
def test_stats_refuses_before_it_loads_a_model(model, tmp_path, no_loading, options, code, message):
    (tmp_path / "old.csv").write_text("precious")
    result = run("stats", model, *(option.format(folder=tmp_path) for option in options))
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert (tmp_path / "old.csv").read_text() == "precious"


# Models and shapes


def test_application_with_an_input_shape():
    shape = ["--input-shape", "32x32x3"]
    result = run("summary", "keras.applications:MobileNet", *shape, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["populations"][0]["shape"] == [32, 32, 3]


@pytest.mark.parametrize("shapes", [["4,2", "5,2"], ["b=5,2", "a=4,2"]])
def test_input_shapes_by_order_and_by_name(two_inputs, shapes):
    options = [part for shape in shapes for part in ("--input-shape", shape)]
    result = run("summary", two_inputs, "--json", *options)
    assert result.exit_code == 0, result.stderr
    rows = {row["name"]: row["shape"] for row in json.loads(result.stdout)["populations"]}
    assert rows == {"a": [4, 2], "b": [5, 2], "both": [9, 2]}


def test_weights_are_loaded(model, folder):
    result = run("summary", model, "--weights", folder / "small.weights.h5")
    assert result.exit_code == 0, result.stderr
    assert run("summary", model, "--weights", folder / "none.weights.h5").exit_code == 2


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], None),
        (["224,224,3"], (224, 224, 3)),
        (["224x224x3"], (224, 224, 3)),
        (["(224, 224, 3)"], (224, 224, 3)),
        (["10"], (10,)),
        (["10", "2,3"], [(10,), (2, 3)]),
        (["a=10", "b=2x3"], {"a": (10,), "b": (2, 3)}),
    ],
)
def test_parse_input_shapes(texts, expected):
    assert parse_input_shapes(texts) == expected


@pytest.mark.parametrize(
    "texts",
    [["abc"], [""], ["1,,2"], ["-1,2"], ["1.5"], ["a="], ["a=1", "2"], ["a=1", "a=2"], ["9" * 30]],
)
def test_bad_input_shapes_are_usage_errors(texts, no_loading):
    options = [part for text in texts for part in ("--input-shape", text)]
    result = run("summary", "keras.applications:VGG16", *options)
    assert result.exit_code == 2
    assert "--input-shape" in result.stderr


def damaged(folder, model, how):
    path = folder / f"{how}.keras"
    if how == "truncated":
        path.write_bytes(model.read_bytes()[:2000])
    elif how == "text":
        path.write_text("This is no model.\n" * 100)
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "lambda":
        layer = keras.layers.Lambda(lambda x: x * 2)
        keras.Sequential([keras.Input((2,)), layer]).save(path)
    elif how == "ending":
        path = folder / "model.txt"
        path.write_bytes(model.read_bytes())
    elif how == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "no model file"),
        ("truncated", "Cannot read the model file"),
        ("text", "Cannot read the model file"),
        ("empty", "Cannot read the model file"),
        ("lambda", "Lambda layer"),
        ("ending", "name ends in"),
        ("folder", "folder.keras"),
    ],
)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_bad_model_files_give_one_line(tmp_path, model, how, message, options):
    result = run("summary", damaged(tmp_path, model, how), *options)
    assert result.exit_code == EXIT_CODES[gg.ModelError]
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["keras.applications:VGG61"], "no model 'VGG61'"),
        (
            ["keras.applications:MobileNet", "--input-shape", "1,2,3,4"],
            "input_shape of keras.applications:MobileNet",
        ),
        (["keras.applications:MobileNet", "--weights", "none.weights.h5"], "none.weights.h5"),
    ],
)
def test_bad_applications(arguments, message):
    result = run("summary", *arguments)
    assert result.exit_code == EXIT_CODES[gg.ModelError]
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_bad_shape(model):
    result = run("summary", model, "--input-shape", "6,6")
    assert result.exit_code == EXIT_CODES[gg.ShapeError]
    assert "dimensions" in result.stderr


def test_unknown_population(model, tmp_path):
    result = run("convert", model, tmp_path / "net.csv", "--populations", "nobody")
    assert result.exit_code == EXIT_CODES[gg.SelectionError]
    assert "no population 'nobody'" in result.stderr
    assert not list(tmp_path.iterdir())


def test_unsupported_layer(tmp_path):
    x = keras.Input((2, 2), name="x")
    keras.Model(x, keras.ops.slogdet(x)[1]).save(tmp_path / "determinant.keras")
    result = run("summary", tmp_path / "determinant.keras")
    assert result.exit_code == EXIT_CODES[gg.UnsupportedLayerError]
    assert "Slogdet" in result.stderr


def test_nonfinite_weights(tmp_path):
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="bad")])
    network.set_weights([np.array([[np.nan], [1.0]]), np.zeros(1)])
    network.save(tmp_path / "nan.keras")
    result = run("summary", tmp_path / "nan.keras")
    assert result.exit_code == EXIT_CODES[gg.NonFiniteError]
    assert "--allow-nonfinite" in result.stderr
    assert run("summary", tmp_path / "nan.keras", "--allow-nonfinite").exit_code == 0


@pytest.mark.parametrize(
    ("options", "n_nodes", "n_edges"),
    [
        (["--by", "channel"], 1 + 2 + 3, 2 + 6),
        (["--by", "layer", "--norm", "max"], 3, 2),
        (["--by", "channel", "--norm", "none"], 1 + 2 + 3, 9 * 2 + 4 * 4 * 2 * 3),
    ],
)
@pytest.mark.parametrize("command", ["summary", "rank", "convert"])
def test_granularity(model, tmp_path, command, options, n_nodes, n_edges):
    out = [tmp_path / "net.csv"] if command == "convert" else []
    done = run(command, model, *out, *options, "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert (document["n_nodes"], document["n_edges"]) == (n_nodes, n_edges)


@pytest.mark.parametrize("by", ["channel", "layer"])
def test_merged_nodes_have_names(model, by):
    done = run("rank", model, "--by", by)
    assert done.exit_code == 0, done.output
    for name in ("image", "conv", "head"):
        assert name in done.output


def test_a_part_is_one_of_the_merged_graph(model, tmp_path):
    done = run("convert", model, tmp_path / "net.csv", "--by", "channel", "--top", 1, "--json")
    assert json.loads(done.stdout)["n_edges"] == 2


@pytest.mark.parametrize("command", ["summary", "rank", "convert"])
def test_a_norm_needs_a_granularity(model, tmp_path, command, no_loading):
    out = [tmp_path / "net.csv"] if command == "convert" else []
    done = run(command, model, *out, "--norm", "l2")
    assert done.exit_code == 2
    assert "--by" in done.output


@pytest.mark.parametrize(("options", "n_edges"), [([], 12), (["--couplings"], 12 + 3 + 9)])
@pytest.mark.parametrize("command", ["summary", "convert", "rank", "stats", "verify"])
def test_couplings(tmp_path, monkeypatch, command, options, n_edges):
    x = keras.Input((4,), name="x")
    y = keras.layers.Dense(3, activation="softmax", name="head")(x)
    keras.Model(x, y).save(tmp_path / "head.keras")
    graphs, from_keras = [], gg.from_keras

    def convert(*args, **kwargs):
        graphs.append(from_keras(*args, **kwargs))
        return graphs[-1]

    monkeypatch.setattr("gpugraph.convert.from_keras", convert)
    out = [tmp_path / "head.csv"] if command == "convert" else []
    assert run(command, tmp_path / "head.keras", *out, *options).exit_code == 0
    assert [graph.n_edges for graph in graphs] == [n_edges]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (gg.GraphTooLargeError("too large"), 4),
        (MemoryError(), 4),
        (gg.DeviceError("no device"), 1),
        (gg.MissingDependencyError("no library"), 1),
        (gg.OutputError("the disk\nis full"), 5),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_become_one_line_and_an_exit_code(model, monkeypatch, error, code):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr("gpugraph.convert.from_keras", fail)
    result = run("summary", model, "--json")
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


def test_every_exit_code_is_documented():
    text = run("--help").stdout
    codes = {int(line.split()[0]) for line in text.splitlines() if line.strip()[:1].isdigit()}
    assert codes == {0, 1, 130, *EXIT_CODES.values()}


# Fresh processes: what Python's own streams do not show


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from gpugraph.cli import app; app(['--help'], standalone_mode=False)\n"
        "print(sorted({'numpy', 'keras', 'rich', 'tensorflow', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_version():
    result = run("--version")
    assert result.stdout == f"gpugraph {gg.__version__}\n"


def test_a_fresh_process_says_nothing_on_standard_error(model):
    process = start("verify", model, "--json")
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out)["passed"]


def test_a_reader_that_leaves_early_is_no_error(model):
    process = start("summary", model)
    process.stdout.close()
    err = process.stderr.read()
    assert (process.wait(timeout=300), err) == (0, "")
    process.stderr.close()


@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [(signal.SIGINT, 130, "Error: Interrupted.\n"), (signal.SIGTERM, 143, "")],
)
def test_an_interrupted_conversion_leaves_nothing(folder, tmp_path, sent, code, said):
    path = folder / "wide.keras"
    if not path.exists():
        layers = [keras.layers.Conv2D(64, 5, name=f"conv{i}") for i in range(2)]
        keras.Sequential([keras.Input((96, 96, 4)), *layers]).save(path)
    out = tmp_path / "net.graphml"
    out.write_text("precious")
    process = start("convert", path, out, "--overwrite")
    deadline = time.monotonic() + 300
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(sent)
    stdout, stderr = process.communicate(timeout=300)
    assert (process.returncode, stdout, stderr) == (code, "", said)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"net.graphml": "precious"}


@pytest.mark.parametrize("arguments", [["topology", "MODEL", "--json"], ["--help"], ["--version"],
                                       ["rank", "--help"]])  # fmt: skip
def test_a_full_disk_behind_standard_output_is_an_output_error(model, arguments):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "gpugraph",
                *(str(model) if a == "MODEL" else a for a in arguments),
            ],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == EXIT_CODES[gg.OutputError]
    assert done.stderr == "Error: Cannot write to standard output: No space left on device.\n"


def test_progress_shows_on_a_terminal_and_result_on_standard_output(model, tmp_path):
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "gpugraph", "convert", str(model), str(tmp_path / "net.graphml")],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    out = process.communicate(timeout=300)[0]
    assert process.returncode == 0
    assert b"Loading" in shown
    assert b"Writing net.graphml" in shown
    assert f"{EDGES:,} edges".encode() in shown
    assert b"I0000" not in shown
    assert out.startswith("Wrote ")
    assert len(out.splitlines()) == 1


# The terminal's helpers


def test_a_narrow_terminal_leaves_out_expendable_columns(monkeypatch):
    header, rows = ("name", "n", "extra", "more"), [("a" * 20, "1", "b" * 20, "c" * 20)]
    numeric = (False, True, False, False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    for width, columns in ((80, 4), (50, 3), (30, 2), (10, 2)):
        monkeypatch.setattr(terminal, "_width", lambda width=width: width)
        assert len(terminal.table(header, rows, numeric, expendable=2).columns) == columns


@pytest.mark.parametrize("error", [ModuleNotFoundError, ValueError])
def test_a_keras_without_backend_is_explained(monkeypatch, error):
    def fail(name):
        raise error("no 'tensorflow'")

    monkeypatch.setattr(terminal.importlib, "import_module", fail)
    with pytest.raises(gg.MissingDependencyError, match=r"'tensorflow'.*KERAS_BACKEND"):
        terminal.load_keras()


def test_standard_error_comes_back_after_an_error(monkeypatch, capfd):
    def fail(name):
        os.write(2, b"chatter\n")
        raise RuntimeError

    monkeypatch.setattr(terminal.importlib, "import_module", fail)
    with pytest.raises(RuntimeError):
        terminal.load_keras()
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"
