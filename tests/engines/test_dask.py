"""On a real cluster of two workers, each a process of its own."""

import logging
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import gpugraph as gg
from gpugraph.engines.dask.shipping import pack
from tests.export.graphs import everything

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.xdist_group("dask")


@pytest.fixture(scope="module")
def client():
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    ) as cluster:
        client = distributed.Client(cluster)
        yield client
        client.close()


@pytest.fixture(scope="module")
def graph():
    return everything()


def expected(graph, columns=("src", "dst", "weight")):
    """Return all edges as one DataFrame, by `edges`."""
    parts = [
        {
            **dict(zip(("src", "dst", "weight"), edges, strict=True)),
            "kind": np.full(len(edges), edges.kind),
            "parameter": edges.parameter,
            "tap": edges.tap.astype(np.int32),
        }
        for edges in graph.edges(device="cpu")
    ]
    return pd.DataFrame({name: np.concatenate([p[name] for p in parts]) for name in columns})


@pytest.mark.parametrize("partition_edges", [97, 1000, None])
def test_partitions_hold_all_edges_in_order(client, graph, partition_edges):
    frame = graph.to_dask(partition_edges, cluster=client)
    made = frame.compute()
    pd.testing.assert_frame_equal(made, expected(graph), check_index_type=False)
    lengths = frame.map_partitions(len).compute()
    assert set(lengths[:-1]) <= {partition_edges}
    assert sum(lengths) == graph.n_edges


def test_the_index_is_the_number_of_the_edge(client, graph):
    frame = graph.to_dask(500, cluster=client)
    assert frame.known_divisions
    assert frame.divisions == (*range(0, graph.n_edges, 500), graph.n_edges - 1)
    pd.testing.assert_frame_equal(
        frame.loc[700:1234].compute(), expected(graph).loc[700:1234], check_index_type=False
    )


def test_columns_and_types_are_those_asked_for(client, graph):
    columns = ("dst", "kind", "parameter", "tap", "weight")
    frame = graph.to_dask(500, columns=columns, cluster=client)
    made = frame.compute()
    assert list(frame.columns) == list(columns)
    assert frame.dtypes.to_dict() == made.dtypes.to_dict()
    assert made["kind"].dtype == "category"
    made["kind"] = made["kind"].astype(str)
    wanted = expected(graph, columns)
    wanted["kind"] = wanted["kind"].astype(str)
    pd.testing.assert_frame_equal(made, wanted, check_index_type=False)


@pytest.mark.parametrize("weight", ["weight", "magnitude", "positive", "negative", None])
def test_strengths_by_groupby_are_the_graphs(client, graph, weight):
    frame = graph.to_dask(700, weight=weight, cluster=client)
    for column, strength in (("dst", graph.in_strength), ("src", graph.out_strength)):
        sums = frame.groupby(column).weight.sum().compute()
        total = np.zeros(graph.n_nodes)
        total[sums.index] = sums
        np.testing.assert_allclose(total, strength(weight), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "part",
    [
        lambda graph: graph.threshold(0.05),
        lambda graph: graph.between("mean", "dense"),
        lambda graph: graph.given(np.ones((1, 6, 5, 2))),
        lambda graph: graph.subgraph(["image"]),
    ],
    ids=["threshold", "between", "given", "no edges"],
)
def test_parts_of_graphs_are_made_too(client, graph, part):
    graph = part(graph)
    made = graph.to_dask(300, cluster=client).compute()
    pd.testing.assert_frame_equal(made, expected_or_empty(graph), check_index_type=False)


def expected_or_empty(graph):
    if graph.n_edges:
        return expected(graph)
    types = {"src": graph.index_dtype, "dst": graph.index_dtype, "weight": graph.weight_dtype}
    return pd.DataFrame({name: np.zeros(0, dtype) for name, dtype in types.items()})


def test_workers_need_no_keras_and_get_each_kernel_once(client):
    wide = gg.from_keras(dense(300, 400, activation="relu"))
    frame = wide.to_dask(30_000, cluster=client)
    total = frame.weight.sum().compute()
    assert total == pytest.approx(wide.out_strength().sum(), rel=1e-3)
    loaded = client.run(lambda: [name for name in ("keras", "tensorflow") if name in sys.modules])
    assert list(loaded.values()) == [[], []]
    weights = {key for keys in client.has_what().values() for key in keys if "weights" in key}
    assert len(weights) == 1


def dense(*sizes, **options):
    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(n, **options) for n in sizes[1:]]
    return keras.Sequential([keras.Input((sizes[0],)), *layers], name="net")


def test_a_projection_is_kilobytes_beside_its_weights():
    from keras import Input, Sequential, layers

    convolutions = [layers.Conv2D(64, 3, padding="same") for _ in range(2)]
    graph = gg.from_keras(Sequential([Input((224, 224, 3)), *convolutions], name="net"))
    packed = [pack(projection) for projection in graph.projections]
    assert max(len(description) for description, _ in packed) < 16_000
    (kernel,) = [array for _, arrays in packed for array in arrays]
    assert kernel is graph.projections[1].kernel


def test_without_a_cluster_partitions_are_made_here(graph):
    import dask

    with dask.config.set(scheduler="threads"):
        made = graph.to_dask(500).compute()
    pd.testing.assert_frame_equal(made, expected(graph), check_index_type=False)


def test_a_cluster_is_named_by_its_address_or_itself(client, graph):
    for cluster in (client.scheduler.address, client.cluster):
        frame = graph.to_dask(1000, cluster=cluster)
        opened = distributed.default_client()
        assert opened is not client
        assert len(frame) == graph.n_edges
        opened.close()


# A worker that dies


@pytest.fixture
def slow():
    """Return a graph of some 100 partitions, which take a while."""
    return gg.from_keras(dense(2000, 2000, 500))


def kill(client, workers):
    """End workers as machines that fail would."""
    pids = client.run(os.getpid)
    for worker in workers:
        os.kill(pids[worker], signal.SIGKILL)


def test_a_frame_is_whole_after_a_worker_died_half_way(client, slow):
    frame = slow.to_dask(100_000, cluster=client).persist()
    parts = distributed.futures_of(frame)
    assert len(parts) == 50
    while sum(part.done() for part in parts) < 20:
        time.sleep(0.01)
    kill(client, [max(client.has_what().items(), key=lambda item: len(item[1]))[0]])
    assert not all(part.done() for part in parts)
    pd.testing.assert_frame_equal(frame.compute(), expected(slow), check_index_type=False)


# Parquet


def read(folder):
    """Return all edges of a Parquet folder, part by part."""
    parts = sorted((folder / "edges").iterdir())
    frames = [pq.read_table(part).to_pandas() for part in parts]
    return pd.concat(frames, ignore_index=True)


def test_a_cluster_writes_what_one_machine_writes(client, graph, tmp_path, monkeypatch):
    monkeypatch.setattr("gpugraph.export.parquet.PART_EDGES", 1000)
    written = []
    graph.write_parquet(
        tmp_path / "ours",
        parameters=True,
        cluster=client.scheduler.address,
        progress=written.append,
    )
    graph.write_parquet(tmp_path / "here", parameters=True)
    ours, here = sorted((tmp_path / "ours").rglob("*.*")), sorted((tmp_path / "here").rglob("*.*"))
    assert [p.relative_to(tmp_path / "ours") for p in ours] == [
        p.relative_to(tmp_path / "here") for p in here
    ]
    assert [p.read_bytes() for p in ours] == [p.read_bytes() for p in here]
    assert sum(written) == graph.n_edges
    assert len(written) == -(-graph.n_edges // 1000)


def test_parquet_is_whole_after_all_workers_died_half_way(client, slow, tmp_path, monkeypatch):
    monkeypatch.setattr("gpugraph.export.parquet.PART_EDGES", 100_000)
    done = 0

    def kill_once(n_edges):
        nonlocal done
        done += 1
        if done == 10:  # the weights are then lost on every worker
            kill(client, client.nthreads())

    slow.write_parquet(tmp_path / "net", cluster=client, progress=kill_once)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net"]
    assert len(list((tmp_path / "net" / "edges").iterdir())) == 50
    pd.testing.assert_frame_equal(read(tmp_path / "net")[["src", "dst", "weight"]], expected(slow))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_writing_that_is_given_up_leaves_nothing(client, slow, tmp_path, monkeypatch, error):
    monkeypatch.setattr("gpugraph.export.parquet.PART_EDGES", 100_000)

    def give_up(n_edges):
        raise error

    with pytest.raises(error):
        slow.write_parquet(tmp_path / "net", cluster=client, progress=give_up)
    deadline = time.monotonic() + 10
    while client.run(lambda dask_worker: len(dask_worker.state.executing)) and any(
        client.run(lambda dask_worker: len(dask_worker.state.executing)).values()
    ):
        assert time.monotonic() < deadline
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_workers_do_not_see_is_an_error(client, graph, tmp_path, monkeypatch):
    import gpugraph.engines.dask.parquet as module

    hidden = [([], tmp_path / "elsewhere" / "edges" / "part-00000.parquet")]
    submit = module._submit
    monkeypatch.setattr(module, "_submit", lambda *given: submit(*given[:2], hidden, given[3]))
    with pytest.raises(gg.OutputError, match="all of its machines share"):
        graph.write_parquet(tmp_path / "net", cluster=client)
    assert list(tmp_path.iterdir()) == []


# Errors


@pytest.mark.parametrize("partition_edges", [0, -1, 1.5, True, "many"])
def test_partition_edges_must_be_a_number(graph, partition_edges):
    with pytest.raises(gg.SelectionError, match="partition_edges must be a whole number of at"):
        graph.to_dask(partition_edges)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "polars"}, "There is no backend 'polars': choose 'pandas' or 'cudf'"),
        ({"columns": ["src", "size"]}, "There is no column 'size': choose among src, dst, weight"),
        ({"columns": []}, "columns must name at least one of src"),
        ({"weight": "size"}, "There is no view 'size'"),
        ({"cluster": 8786}, "cluster must be a scheduler's address such as"),
    ],
)
def test_arguments_that_mean_nothing_are_named(graph, options, message):
    with pytest.raises(gg.SelectionError, match=message):
        graph.to_dask(**options)


def test_cudf_needs_a_gpu(graph):
    if gg.arrays.namespace() is not np:
        pytest.skip("there is a GPU")
    with pytest.raises(gg.DeviceError, match=r"needs a GPU here.*or use backend='pandas'"):
        graph.to_dask(backend="cudf")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:{}", "nothing://there"])
def test_a_scheduler_that_does_not_answer_is_named(graph, monkeypatch, tmp_path, address):
    monkeypatch.setattr("gpugraph.engines.dask.cluster.TIMEOUT_S", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = address.format(free.getsockname()[1])
    for ask in (
        lambda: graph.to_dask(cluster=address),
        lambda: graph.write_parquet(tmp_path / "net", cluster=address),
    ):
        with pytest.raises(gg.DeviceError, match=f"No Dask scheduler answers at '{address}'"):
            ask()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["client", "cluster"])
def test_what_is_closed_is_named(graph, tmp_path, kind):
    options = {"n_workers": 0, "processes": False, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        closed, message = {
            "client": (client, r"client is closed: make another"),
            "cluster": (cluster, r"No Dask scheduler answers at .*closed"),
        }[kind]
    with pytest.raises(gg.DeviceError, match=message):
        graph.to_dask(cluster=closed)
    with pytest.raises(gg.DeviceError, match=message):
        graph.write_parquet(tmp_path / "net", cluster=closed)
    assert list(tmp_path.iterdir()) == []


def test_without_dask_the_command_that_installs_it_is_named():
    code = """
import sys
sys.modules["dask"] = None
from gpugraph.graph import NeuronGraph
import gpugraph as gg
for call in (NeuronGraph("net", {}, []).to_dask,):
    try:
        call()
    except gg.MissingDependencyError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'gpugraph[dask]'" in done.stdout
