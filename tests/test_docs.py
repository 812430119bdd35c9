"""The pages whose examples need no GPU say what runs, line by line."""

import re
from pathlib import Path

import distributed
import networkx as nx
import pytest

import gpugraph as gg
from tests.models import cnn

DOCS = Path(__file__).parent.parent / "docs"


def blocks(page):
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


@pytest.mark.parametrize("page", ["granularity.md", "networkx.md"])
def test_examples_run(page):
    (block,) = blocks(page)
    exec(block, {"gg": gg, "nx": nx, "model": cnn(), "digraph": nx.DiGraph([(0, 1), (1, 2)])})


def test_examples_of_a_cluster_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    block, _ = blocks("distributed.md")  # the other one needs GPUs
    graph = gg.from_keras(cnn())
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        there = block.replace("tcp://host:8786", cluster.scheduler_address)
        assert there.count(cluster.scheduler_address) == 2
        exec(there.replace("10**9", "10"), {"graph": graph})
        distributed.default_client().close()
    assert sorted(p.name for p in (tmp_path / "net").iterdir()) == ["edges", "nodes.parquet"]
