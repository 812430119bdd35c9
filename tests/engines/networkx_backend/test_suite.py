"""networkx's own tests, run against the backend; docs/networkx.md is written from what they show.

Run as a program, this writes the page.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import networkx as nx
import pytest

from gpugraph.engines.networkx_backend.backend import NOT_FOR_BACKENDS
from gpugraph.engines.networkx_backend.functions import ANSWERS
from gpugraph.engines.networkx_backend.info import DOCS
from tests.engines.networkx_backend.recorder import CYCLIC, OUTPUT, UNDIRECTED

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "networkx.md"
VERSION = "3.6.1"  # of networkx, which the page is about
START, END = "<!-- written by tests/engines/networkx_backend/test_suite.py -->\n", "<!-- end -->\n"

# All modules of networkx's tests that call what we answer more than in passing.
MODULES = [
    "algorithms.centrality.tests.test_betweenness_centrality",
    "algorithms.centrality.tests.test_betweenness_centrality_subset",
    "algorithms.centrality.tests.test_closeness_centrality",
    "algorithms.centrality.tests.test_degree_centrality",
    "algorithms.centrality.tests.test_harmonic_centrality",
    "algorithms.centrality.tests.test_katz_centrality",
    "algorithms.centrality.tests.test_reaching",
    "algorithms.components",
    "algorithms.link_analysis",
    "algorithms.shortest_paths.tests.test_generic",
    "algorithms.shortest_paths.tests.test_unweighted",
    "algorithms.tests.test_cycles",
    "algorithms.tests.test_dag",
    "algorithms.tests.test_hierarchy",
    "algorithms.tests.test_isolate",
    "algorithms.tests.test_reciprocity",
    "algorithms.traversal.tests.test_bfs",
    "classes.tests.test_function",
]
# Tests that pass, tests of these with an answer of ours, and answers in all: at least.
PASSED, HELPED, ANSWERED = 570, 80, 500
# Answers per measure, on graphs without cycles and on graphs whose edges were turned.
PER_MEASURE = {
    "pagerank": 15,
    "katz_centrality": 15,
    "hits": 1,
    "betweenness_centrality": 20,
    "edge_betweenness_centrality": 8,
    "closeness_centrality": 10,
    "harmonic_centrality": 10,
}


def run_networkxs_tests(record):
    """Run them in a process of their own, and return what the recorder saw."""
    environment = {
        **os.environ,
        "NETWORKX_TEST_BACKEND": "gpugraph",
        "NETWORKX_FALLBACK_TO_NX": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(ROOT),
        OUTPUT: str(record),
    }
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
        environment.pop(name, None)
    plugins = ["tests.engines.networkx_backend.recorder", "no:cacheprovider", "no:xdist"]
    chosen = [f"-p{plugin}" for plugin in plugins]
    options = ["-q", "--tb=short", "--disable-warnings", "-c", os.devnull]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *chosen, *options, "--pyargs"]
        + [f"networkx.{module}" for module in MODULES],
        cwd=record.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return json.loads(record.read_text())


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """Return what the recorder saw."""
    return run_networkxs_tests(tmp_path_factory.mktemp("networkx") / "record.json")


pytestmark = pytest.mark.xdist_group("networkx")


def test_nothing_fails(record):
    assert set(record["outcomes"]) <= {"passed", "skipped"}
    assert record["outcomes"]["passed"] >= PASSED


def test_only_what_cannot_hold_for_a_backend_is_skipped(record):
    names = {"::".join(key): reason for key, reason in NOT_FOR_BACKENDS.items()}
    assert record["skipped"] == names


def test_the_backend_answered(record):
    functions = record["functions"]
    assert len(record["helped"]) >= HELPED
    assert sum(f["answered"] for f in functions.values()) >= ANSWERED
    assert all(f["answered"] + f["again"] for f in functions.values())


@pytest.mark.parametrize("name", [n for n, own in ANSWERS.items() if own.worth_converting])
def test_every_measure_was_compared_with_networkxs(record, name):
    function = record["functions"][name]
    assert function["answered"] + function["again"] >= PER_MEASURE[name]


def test_results_without_the_cycles_are_networkxs(record):
    assert record["differing"] == []


@pytest.mark.skipif(nx.__version__ != VERSION, reason=f"the page is about networkx {VERSION}")
def test_the_page_says_what_is_so(record):
    text = PAGE.read_text()
    written = text[text.index(START) + len(START) : text.index(END)]
    assert written == page(record), "run: python -m tests.engines.networkx_backend.test_suite"


def page(record):
    """Return the part of the page that follows from networkx's tests."""
    rows = []
    for name in DOCS:
        left = record["functions"][name]["left"].keys() - {UNDIRECTED, CYCLIC}
        rows.append(f"| `{name}` | {DOCS[name]} | {'; '.join(sorted(left)) or '-'} |")
    skips = [
        f"- `{file}`, `{test}`: it {reason}." for (file, test), reason in NOT_FOR_BACKENDS.items()
    ]
    return "\n".join(
        [
            f"{len(ANSWERS)} functions are answered by gpugraph. Of networkx {VERSION}'s own tests "
            f"of them, more than {PASSED} run against the backend and pass; in more than {HELPED} "
            f"of these it answers, more than {ANSWERED} times in all. Other calls it leaves to "
            "networkx, mostly because a graph has a cycle: such a call is made again on the graph "
            "with its edges turned so that it has none, and compared with networkx's own result.",
            "",
            "| function | | other calls in networkx's tests that are left to networkx |",
            "|---|---|---|",
            *rows,
            "",
            "Skipped of networkx's tests:",
            "",
            *skips,
            "",
        ]
    )


def main():
    """Write the page's part."""
    text = PAGE.read_text()
    before, after = text[: text.index(START) + len(START)], text[text.index(END) :]
    with TemporaryDirectory() as folder:
        record = run_networkxs_tests(Path(folder) / "record.json")
    PAGE.write_text(before + page(record) + after)


if __name__ == "__main__":
    main()
