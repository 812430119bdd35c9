"""Dask: what travels to workers, how fast they make partitions, and files that they write."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from pathlib import Path
from statistics import median

from distributed import Client, LocalCluster

import gpugraph as gg
from benchmarks.measure import Figures, seconds, versions
from benchmarks.models import vgg16_32, vgg16_224
from gpugraph.engines.dask.frame import PARTITION_EDGES, Recipe
from gpugraph.engines.dask.shipping import pack, unpack

WORKERS = 2
PARTITIONS = 64  # of VGG16's 893, made from end to end


def run() -> Figures:
    """Make VGG16's edges at 224 x 224 on two workers, and write those at 32 x 32."""
    load, *_ = os.getloadavg()  # what else runs here slows all of this down
    graph = gg.from_keras(vgg16_224())
    with (
        LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=1,
            dashboard_address=":0",
            silence_logs=logging.ERROR,
        ) as cluster,
        Client(cluster) as client,
    ):
        return {
            "what": "a Dask cluster of two workers with one thread each, on this machine",
            **versions(("dask", "distributed", "pandas")),
            "processes_waiting_before": load,
            "travels": _travels(graph),
            "one_partition": _one_partition(graph, client),
            "end_to_end": _end_to_end(graph, client),
            "parquet_VGG16_32": _parquet(client),
        }


def _travels(graph: gg.NeuronGraph) -> Figures:
    """What is sent of VGG16: descriptions, and arrays once each."""
    packed = [pack(projection) for projection in graph.projections]
    arrays = {id(array): array.nbytes for _, arrays in packed for array in arrays}
    return {
        "descriptions_kB": sum(len(description) for description, _ in packed) / 1e3,
        "largest_description_kB": max(len(description) for description, _ in packed) / 1e3,
        "weights_MB": sum(arrays.values()) / 1e6,
    }


def _one_partition(graph: gg.NeuronGraph, client: Client) -> Figures:
    """One partition of the default size, made on one worker while the other is idle."""
    edges = PARTITION_EDGES["pandas"]
    projection = max(graph.projections, key=lambda p: p.n_edges)
    columns = ("src", "dst", "weight")
    recipe = Recipe(graph.index_dtype, graph.weight_dtype, columns, "weight", "pandas")
    times = client.submit(_task_seconds, recipe, pack(projection), edges).result()
    return {
        "edges": edges,
        "s": median(times),
        "G_edges_per_s": edges / median(times) / 1e9,
        "fastest_G_edges_per_s": edges / min(times) / 1e9,
    }


def _task_seconds(recipe: Recipe, packed: tuple[bytes, list], edges: int) -> list[float]:
    """Return the times of some runs, on a worker, after one that does not count."""
    projection, times = unpack(*packed), []
    for _ in range(12):
        start = time.perf_counter()
        recipe.frame(0, [(projection, 0, edges)])
        times.append(time.perf_counter() - start)
    return times[1:]


def _end_to_end(graph: gg.NeuronGraph, client: Client) -> Figures:
    """Partitions from the call to the result, once without counting."""
    frame = graph.to_dask(cluster=client).partitions[:PARTITIONS]
    edges = int(frame.map_partitions(len).compute().sum())
    s = seconds(lambda: frame.map_partitions(len).compute(), 3)
    return {"edges": edges, "workers": WORKERS, "s": s, "G_edges_per_s": edges / s / 1e9}


def _parquet(client: Client) -> Figures:
    """Files written by the cluster, and by this machine's cores without one."""
    graph = gg.from_keras(vgg16_32())
    figures: Figures = {"edges": graph.n_edges}
    for name, cluster in (("cluster", client), ("no_cluster", None)):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            graph.write_parquet(Path(folder) / "net", cluster=cluster)
            s = time.perf_counter() - start
            n_bytes = sum(f.stat().st_size for f in (Path(folder) / "net" / "edges").iterdir())
        figures[name] = {
            "s": s,
            "M_edges_per_s": graph.n_edges / s / 1e6,
            "bytes_per_edge": n_bytes / graph.n_edges,
        }
    return figures
