import sys
import types

import numpy as np
import pytest

import gpugraph as gg
from gpugraph import arrays, doctor
from tests.contracts import fakes


@pytest.fixture(autouse=True)
def _look_for_cupy_anew():
    arrays._cupy.cache_clear()
    doctor._cupy.cache_clear()
    yield
    arrays._cupy.cache_clear()
    doctor._cupy.cache_clear()


def fake_cupy(monkeypatch, *, available):
    module = fakes.cupy(available=available)
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def test_cpu_is_numpy():
    assert arrays.namespace("cpu") is np


def test_auto_takes_a_gpu_that_is_there(monkeypatch):
    cupy = fake_cupy(monkeypatch, available=True)
    assert arrays.namespace() is cupy
    assert arrays.namespace("cuda") is cupy
    assert arrays.namespace("cpu") is np


def test_auto_is_numpy_without_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert arrays.namespace() is np


def test_auto_is_numpy_where_cupy_has_no_gpu(monkeypatch):
    fake_cupy(monkeypatch, available=False)
    assert arrays.namespace() is np


def test_cuda_without_cupy_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    message = r"CuPy is not installed.*pip install 'gpugraph\[cuda1[23]\]'.*device='cpu'"
    with pytest.raises(gg.DeviceError, match=message):
        arrays.namespace("cuda")


def test_cuda_without_a_gpu_says_so(monkeypatch):
    fake_cupy(monkeypatch, available=False)
    with pytest.raises(gg.DeviceError, match=r"asked for, but .*device='cpu'"):
        arrays.namespace("cuda")


@pytest.mark.parametrize("device", ["gpu", "", "cuda:0", None])
def test_an_unknown_device_is_refused(device):
    with pytest.raises(gg.DeviceError, match="choose 'auto', 'cpu' or 'cuda'"):
        arrays.namespace(device)


def test_namespace_of_an_array():
    assert arrays.namespace_of(np.zeros(1)) is np


@pytest.mark.parametrize(
    ("n_nodes", "dtype"),
    [(0, np.int32), (2**31 - 1, np.int32), (2**31, np.int64), (2**40, np.int64)],
)
def test_index_dtype(n_nodes, dtype):
    assert arrays.index_dtype(n_nodes) == dtype


@pytest.mark.parametrize(
    ("sizes", "strides", "expected"),
    [
        ((3, 2, 2), (4, 2, 1), lambda x: x.reshape(2, 3, 2, 2)),
        ((3, 1, 4), (4, 7, 1), lambda x: x.reshape(2, 3, 1, 4)),
        ((3, 2, 2), (4, 1, 2), lambda x: x.reshape(2, 3, 2, 2).swapaxes(2, 3)),
        ((3, 4), (4, 0), lambda x: np.broadcast_to(x[:, ::4, None], (2, 3, 4))),
        ((2, 3), (3, 1), lambda x: x[:, :6].reshape(2, 2, 3)),
        ((), (), lambda x: x[:, 0]),
    ],
)
@pytest.mark.parametrize("rows", [slice(None), slice(None, None, 2)])
def test_a_layout_views_the_last_dimension(sizes, strides, expected, rows):
    x = np.arange(48).reshape(4, 12)[rows][:2]
    view = arrays.Layout(sizes, strides).view(x)
    np.testing.assert_array_equal(view, expected(x))
    assert np.shares_memory(view, x)


def test_blocks_cover_an_array_once():
    counts = np.zeros((3, 5, 7, 2), int)
    for block in arrays.blocks(counts.shape, 1, 3, 12):
        counts[block] += 1
        assert counts[block].size <= 12
    assert (counts == 1).all()


def test_free_memory_is_that_of_the_machine_at_most():
    import psutil

    assert 0 < arrays.free_memory() <= psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("limit", "used", "free"), [("max", "5", 1000), ("300", "100", 200), ("9999", "1", 1000)]
)
def test_free_memory_knows_the_containers_limit(monkeypatch, tmp_path, limit, used, free):
    import psutil

    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text(used)
    monkeypatch.setattr(arrays, "Path", lambda _: tmp_path)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(available=1000))
    assert arrays.free_memory() == free


def test_free_memory_of_a_gpu_counts_what_cupy_keeps_for_later():
    assert arrays.free_memory(fakes.cupy(free=1000, cached=600)) == 1000


def test_require_memory_knows_whose_memory_it_is():
    for xp, device in ((np, "cpu"), (fakes.cupy(free=1000), "cuda")):
        with pytest.raises(gg.GraphTooLargeError) as caught:
            arrays.require_memory(2**60, "The edge list", "Take less.", xp)
        assert caught.value.device == device


def test_require_memory_passes_what_fits(monkeypatch):
    monkeypatch.setattr(arrays, "free_memory", lambda _: 1000)
    assert arrays.require_memory(800, "The edge list", "Take less.") is None


def test_require_memory_says_how_much_and_what_to_do(monkeypatch):
    monkeypatch.setattr(arrays, "free_memory", lambda _: 1000)
    message = r"The edge list needs about 801 B, but only 1 kB of memory .* 80%\. Take less\."
    with pytest.raises(gg.GraphTooLargeError, match=message):
        arrays.require_memory(801, "The edge list", "Take less.")


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_600, "1 MB"),
        (1_234_567, "1.23 MB"),
        (180e9, "180 GB"),
        (6e12, "6 TB"),
        (5e18, "5e+03 PB"),
    ],
)
def test_format_bytes(n, text):
    assert arrays.format_bytes(n) == text
