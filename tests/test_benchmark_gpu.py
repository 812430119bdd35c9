"""The benchmark of a GPU, without one: every section runs, and says what it shall say.

CuPy and RAPIDS are stood in for, so that its calls are bound against theirs; figures mean nothing.
"""

import json
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers

import gpugraph as gg
from benchmarks import gpu
from gpugraph import arrays, doctor
from gpugraph.edge_maker import EdgeMaker
from tests.contracts import fakes


def tiny(size=8, include_top=False):
    parts = [layers.Conv2D(2, 3, padding="same"), layers.MaxPooling2D(2)]
    return keras.Sequential([keras.Input((size, size, 3)), *parts])


@pytest.fixture(scope="module")
def small():
    """Stand-ins for CuPy and RAPIDS, and models and numbers that are small."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield from _small(monkeypatch)


def _small(monkeypatch):
    module = fakes.cupy(free=2 * 10**7)
    module.copyto = fakes.checked("cupy.copyto", np.copyto)
    module.get_default_memory_pool = lambda: SimpleNamespace(free_all_blocks=lambda: None)
    module.cuda.Device = lambda: SimpleNamespace(synchronize=lambda: None)
    module.cuda.runtime.getDeviceProperties = lambda i: {"name": b"Test", "totalGlobalMem": 10**9}
    module.cuda.runtime.runtimeGetVersion = lambda: 13000
    module.cuda.runtime.driverGetVersion = lambda: 13000
    stand_ins = {"cupy": module, "pylibcugraph": fakes.Pylibcugraph()}
    for name, stand_in in stand_ins.items():
        monkeypatch.setitem(sys.modules, name, stand_in)
    monkeypatch.setattr("gpugraph.kernels.edges.EdgeKernel", EdgeMaker)
    sizes = {
        "vgg16": tiny,
        "lenet": tiny,
        "find_spec": lambda name: None,
        "FILL_EDGES": 1000,
        "KIND_EDGES": 1000,
        "KINDS": {"conv": (layers.Conv2D(4, 3), (8, 8, 2)), "dense": (layers.Dense(9), (30,))},
        "CHUNK_EDGES": (64, 1024),
        "LARGE": 12,
        "SMALL": 8,
        "SIZES": (200, 8),
        "REPEATS": 1,
        "STARTED": gpu.time.perf_counter(),
    }
    for name, value in sizes.items():
        monkeypatch.setattr(gpu, name, value)
    for looked in (arrays, doctor):
        looked._cupy.cache_clear()
    yield
    for looked in (arrays, doctor):
        looked._cupy.cache_clear()


def run(folder):
    gpu.main(["--out", str(folder / "gpu.json")])
    return json.loads((folder / "gpu.json").read_text())


@pytest.fixture(scope="module")
def results(small, tmp_path_factory):
    return run(tmp_path_factory.mktemp("results"))


def test_every_section_runs(results):
    assert [name for name in gpu.SECTIONS if "section_s" not in results[name]] == []
    assert [name for name in gpu.SECTIONS if "failed" in results[name]] == []
    assert results["machine"]["gpu"] == "Test"
    for figures in (
        results["cugraph_vgg16_32"]["float64"],
        results["lenet"]["pagerank"]["cugraph"],
    ):
        assert figures["largest_relative_difference"] < 1e-6
    assert results["lenet"]["pagerank"]["networkx"]["largest_relative_difference"] < 1e-5
    largest = results["cugraph_largest_vgg16"]
    assert largest["size"] == 8
    assert "memory" in largest["refused"]["200x200"]


def test_all_that_was_to_be_reached_is_compared(results):
    without_a_framework = {"sweep_share_of_100_forward_passes"}
    compared = results["targets"]
    assert compared.keys() == (gpu.AT_MOST.keys() | gpu.AT_LEAST.keys()) - without_a_framework
    for target in compared.values():
        assert target["reached"] == (target["ratio"] <= 1)


def test_a_section_that_fails_loses_no_other(small, tmp_path, monkeypatch):
    def fail(cupy):
        raise MemoryError("no more")

    sections = {"memory": fail, "edges_by_kind": gpu.edges_by_kind}
    monkeypatch.setattr(gpu, "SECTIONS", sections)
    results = run(tmp_path)
    assert results["memory"]["failed"] == "MemoryError: no more"
    assert "slowest_int32_edges_share_of_fill" in results["targets"]


def test_what_would_start_too_late_is_left_out(small, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "LAST_START_S", -1)
    results = run(tmp_path)
    assert all("left_out" in results[name] for name in gpu.SECTIONS)


def test_without_a_gpu_nothing_is_measured(tmp_path, monkeypatch):
    def none(device):
        raise gg.DeviceError("there is no NVIDIA driver")

    monkeypatch.setattr(gpu, "namespace", none)
    with pytest.raises(SystemExit, match=r"Nothing was measured\. there is no NVIDIA driver"):
        run(tmp_path)
    assert list(tmp_path.iterdir()) == []
