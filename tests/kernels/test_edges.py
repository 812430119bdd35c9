"""The GPU's kernel, its body compiled as C++ and run on the host, against numpy."""

import ctypes
import gc
import shutil
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

import gpugraph as gg
from gpugraph import arrays
from gpugraph.edge_maker import EdgeMaker
from gpugraph.kernels import edges as kernel
from gpugraph.views import weight_view
from tests.export.graphs import everything
from tests.models import EVERY_KIND, lenet, randomise
from tests.strategies import any_projection

KERNELS = Path(kernel.__file__).parent
HOST = Path(__file__).with_name("host.cpp")


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """Return the kernel's body as a library for the host."""
    if shutil.which("g++") is None:
        pytest.skip("needs a C++ compiler (g++)")
    library = tmp_path_factory.mktemp("host") / "edges.so"
    command = ["g++", "-O1", "-fsanitize=undefined", "-fno-sanitize-recover", "-Wall", "-Werror"]
    command += ["-shared", "-fPIC", f"-I{KERNELS}", "-o", str(library), str(HOST)]
    subprocess.run(command, check=True, timeout=60)
    return ctypes.CDLL(str(library))


class HostCupy:
    """numpy in CuPy's place, whose compiled kernel is the host's library."""

    def __init__(self, host):
        self.host = host

    def __getattr__(self, name):
        return getattr(np, name)

    def RawModule(self, *, code, options, name_expressions):  # noqa: N802
        assert "write_edges" in code
        (name,) = name_expressions
        return types.SimpleNamespace(get_function=lambda wanted: Launch(self.host, name, wanted))


class Launch:
    """Take a launch's arguments as the CUDA driver would: by their own types."""

    def __init__(self, host, name, wanted):
        assert name == wanted
        types_ = name.removeprefix("write_edges<").removesuffix(">").split(", ")
        names = {c: dtype for dtype, c in kernel.C_NAMES.items()}
        self.call = getattr(host, "_".join(names[c] for c in types_))

    def __call__(self, grid, block, arguments):
        *_, n, src, dst, weight = arguments
        assert len(src) == len(dst) == len(weight) == n
        assert block == (kernel.WARPS * kernel.LANES,)
        warps = np.uint32(grid[0] * kernel.WARPS)
        self.call(*(self.of(argument) for argument in (*arguments, warps)))

    @staticmethod
    def of(argument):
        if isinstance(argument, np.ndarray):
            assert argument.flags.c_contiguous
            return argument.ctypes.data_as(ctypes.c_void_p)
        return np.ctypeslib.as_ctypes_type(argument.dtype)(argument.item())


@pytest.fixture(scope="module")
def cupy(host):
    fake = HostCupy(host)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", fake)
        kernel._kernel.cache_clear()
        yield fake
    kernel._kernel.cache_clear()
    arrays._on_gpu.clear()


def check(projection, ids, weight="weight", start=0, stop=None):
    """Compare a range of edges with numpy's."""
    ids = np.dtype(ids)
    stop = projection.n_edges if stop is None else stop
    # A lane that writes beside its columns is found out.
    columns = [np.full(stop - start + 2, -7, t) for t in (ids, ids, projection.weight_dtype)]
    maker = kernel.EdgeKernel(projection, ids, weight)
    src, dst, weights = maker.make(start, stop, [column[1:-1] for column in columns])
    assert all(column[0] == column[-1] == -7 for column in columns)
    made = EdgeMaker(projection, ids).make(start, stop)
    np.testing.assert_array_equal(src, made.src)
    np.testing.assert_array_equal(dst, made.dst)
    expected = np.ones_like(made.weight) if weight is None else weight_view(made.weight, weight)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


@given(any_projection(), st.data())
def test_any_range_of_any_projection(cupy, projection, data):
    start = data.draw(st.integers(0, projection.n_edges))
    stop = data.draw(st.integers(start, projection.n_edges))
    check(
        projection,
        data.draw(st.sampled_from(["int32", "int64"])),
        data.draw(st.sampled_from(list(kernel.VIEWS))),
        start,
        stop,
    )


@pytest.mark.parametrize("make", [*EVERY_KIND, lenet])
def test_every_projection_of_models(cupy, make):
    graph = gg.from_keras(randomise(make()))
    for projection in graph.projections:
        check(projection, graph.index_dtype)


def test_ranges_across_tiles_and_far_into_a_large_layer(cupy):
    layer = layers.Conv2D(512, 3, padding="same")
    graph = gg.from_keras(keras.Sequential([keras.Input((56, 56, 512)), layer]))
    (projection,) = graph.projections
    n = projection.n_edges
    assert n > 2**32
    for start in (0, 511, 2**31 - 5000, 2**32 + 17, n - 9000):
        check(projection, "int32", start=start, stop=start + 9000)


def test_ids_beyond_int32(cupy):
    graph = gg.from_keras(keras.Sequential([keras.Input((5,)), layers.Dense(3)]))
    (projection,) = graph.projections
    far = replace(projection, target=replace(projection.target, offset=2**40))
    check(far, "int64")


def test_weights_in_float64(cupy):
    graph = gg.from_keras(keras.Sequential([keras.Input((4, 4, 2)), layers.Conv2D(3, 2)]))
    (projection,) = graph.projections
    check(replace(projection, kernel=projection.kernel.astype(np.float64)), "int32")


@pytest.mark.parametrize("weight", list(kernel.VIEWS))
@pytest.mark.parametrize("given_input", [False, True])
def test_launches(cupy, weight, given_input):
    graph = everything()
    if given_input:
        shape = (1, *graph.populations["image"].shape)
        graph = graph.given(np.random.default_rng(0).standard_normal(shape))
    for projection in graph.projections:
        n = projection.n_edges
        for start, stop in ((0, n), (n // 3, n - n // 4), (n, n)):
            made = kernel.EdgeKernel(projection, np.dtype(np.int64), weight).make(start, stop)
            expected = EdgeMaker(projection, np.dtype(np.int64)).make(start, stop)
            np.testing.assert_array_equal(made.src, expected.src)
            np.testing.assert_array_equal(made.dst, expected.dst)
            view = np.ones(stop - start) if weight is None else weight_view(expected.weight, weight)
            np.testing.assert_allclose(made.weight, view, rtol=1e-6)
            np.testing.assert_array_equal(made.parameter, expected.parameter)
            np.testing.assert_array_equal(made.tap, expected.tap)


def test_projections_make_edges_by_the_kernel(cupy):
    (projection,) = gg.from_keras(
        keras.Sequential([keras.Input((4,)), layers.Dense(3, use_bias=False)])
    ).projections
    out = [np.empty(12, dtype) for dtype in (np.int32, np.int32, np.float64)]
    edges = projection.edges(xp=cupy, out=out)
    assert isinstance(edges.maker, kernel.EdgeKernel)
    np.testing.assert_array_equal(out[2], projection.kernel)
    np.testing.assert_array_equal(edges.src, np.repeat(np.arange(4), 3))


def test_kernels_are_sent_once_and_forgotten_with_their_owner(cupy, monkeypatch):
    arrays._on_gpu.clear()
    sent = []
    monkeypatch.setattr(cupy, "asarray", lambda a: sent.append(a.size) or a.copy(), raising=False)
    array = np.arange(5.0)
    assert arrays.kept(array, cupy) is arrays.kept(array, cupy)
    assert sent == [5]
    assert len(arrays._on_gpu) == 1
    del array
    gc.collect()
    assert not arrays._on_gpu


def test_constants_are_those_of_the_source():
    source = kernel.SOURCE.read_text()
    assert f"#define LANES {kernel.LANES}\n" in source
    assert f"#define WARPS {kernel.WARPS} " in source
    assert kernel.ROWS == kernel.LANES


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc")
@pytest.mark.parametrize("ids", ["int", "long long"])
@pytest.mark.parametrize("real", ["float", "double"])
def test_nvcc_compiles_the_kernel(tmp_path, ids, real):
    source = tmp_path / "instance.cu"
    arguments = (
        f"int, const Axis *, int, int, const {ids} *, const {ids} *, const int *, const {real} *, "
        f"const {real} *, const {real} *, const {real} *, {ids}, {ids}, int, long long, int, "
        f"long long, {ids} *, {ids} *, {real} *"
    )
    instance = f"template __global__ void write_edges<{ids}, int, {real}>({arguments});"
    source.write_text(f'#include "edges.cu"\n{instance}\n')
    cubin = tmp_path / "edges.cubin"
    command = ["nvcc", "-std=c++17", "-arch=sm_90", "-Werror", "all-warnings", "-cubin"]
    subprocess.run([*command, f"-I{KERNELS}", "-o", cubin, source], check=True, timeout=120)
    assert cubin.stat().st_size
