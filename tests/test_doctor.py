"""Every fault of an installation has a message and a next step; stand-ins make the faults."""

import json
import sys
import types
from importlib import metadata

import numpy as np
import pytest

import gpugraph as gg
from gpugraph import arrays, doctor
from gpugraph.cli import app
from gpugraph.doctor import Driver
from tests.contracts import fakes

pytestmark = pytest.mark.usefixtures("_look_for_cupy_anew")

NOTHING = dict.fromkeys(["cupy", "cudf", "cugraph", "pylibcugraph", "nx-cugraph"])
CUDA12 = {"cupy-cuda12x": "14.2.0"}
CUDA13 = {"cupy-cuda13x": "14.2.0"}


@pytest.fixture
def machine(monkeypatch):
    """Set up a machine: its driver, what CuPy does, and the distributions installed."""
    real = metadata.version

    def set_up(driver=None, cupy=None, dists=None):
        dists = dists or {}
        hidden = ("cupy", "cudf", "cugraph", "pylibcugraph", "nx-cugraph", "nvidia", "jax-cuda")
        hidden += ("dask-cu",)

        def version(name):
            if name in dists:
                return dists[name]
            if name.startswith(hidden):
                raise metadata.PackageNotFoundError(name)
            return real(name)

        monkeypatch.setattr(doctor.metadata, "version", version)
        monkeypatch.setattr(doctor, "nvidia_driver", lambda: driver)
        if isinstance(cupy, Exception):
            finder = types.SimpleNamespace(find_spec=lambda name, *_: _raise_for(name, cupy))
            monkeypatch.delitem(sys.modules, "cupy", raising=False)
            monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
        else:
            monkeypatch.setitem(sys.modules, "cupy", cupy)

    return set_up


def _raise_for(name, error):
    if name == "cupy":
        raise error


def _without(library):
    """Return a CuPy that finds a GPU, but not this library."""

    class Cuda(types.SimpleNamespace):
        def __getattr__(self, name):
            raise RuntimeError(f'Failure finding "lib{name}.so.13":\n  listdir' + 99 * " libcu.so")

    cupy = fakes.cupy()
    delattr(cupy.cuda, library)
    cupy.cuda = Cuda(**vars(cupy.cuda))
    return cupy


FAULTS = {
    "nothing at all": (
        {},
        r"no NVIDIA driver, and CuPy is not installed",
        r"525 or newer.*pip install 'gpugraph\[cuda13\]'.*device='cpu'",
    ),
    "no driver": (
        {"cupy": fakes.cupy(available=False), "dists": CUDA13},
        r"there is no NVIDIA driver$",
        r"install its driver, version 525 or newer \(580 for CUDA 13\)",
    ),
    "driver without GPU": (
        {"driver": Driver(13020, 100), "dists": CUDA13},
        r"the NVIDIA driver finds no GPU",
        r"CUDA_VISIBLE_DEVICES.*--gpus all",
    ),
    "driver that does not start": (
        {"driver": Driver(13020, 803)},
        r"does not start \(CUDA error 803\)",
        r"nvidia-smi",
    ),
    "driver too old": (
        {"driver": Driver(11040), "cupy": fakes.cupy(available=False), "dists": CUDA12},
        r"driver is too old: it runs CUDA up to 11\.4",
        r"Update it to 525 or newer",
    ),
    "driver too old for this CuPy": (
        {"driver": Driver(12040), "cupy": fakes.cupy(available=False), "dists": CUDA13},
        r"CuPy is made for CUDA 13, while the NVIDIA driver runs CUDA up to 12\.4",
        r"driver to 580.*or in a new environment: pip install 'gpugraph\[cuda12\]'",
    ),
    "no CuPy": (
        {"driver": Driver(12040)},
        r"^CuPy is not installed",
        r"pip install 'gpugraph\[cuda12\]'",
    ),
    "broken CuPy": (
        {"driver": Driver(13000), "cupy": ImportError("libnvrtc.so.13"), "dists": CUDA13},
        r"CuPy does not start \(ImportError: libnvrtc\.so\.13\)",
        r"pip uninstall cupy-cuda13x, then pip install 'gpugraph\[cuda13\]'",
    ),
    "CuPy that fails otherwise": (
        {"driver": Driver(13000), "cupy": RuntimeError("half installed"), "dists": CUDA13},
        r"CuPy does not start \(RuntimeError: half installed\)",
        r"pip uninstall cupy-cuda13x",
    ),
    "CuPy that finds nothing": (
        {"driver": Driver(13000), "cupy": fakes.cupy(available=False), "dists": CUDA13},
        r"CuPy finds no usable GPU",
        r"cupy\.show_config\(\)",
    ),
    **{
        f"CuPy without {library}": (
            {"driver": Driver(13000), "cupy": _without(library), "dists": CUDA13},
            rf'not find all libraries of CUDA \(Failure finding "lib{library}\.so\.13".* \.\.\.\)$',
            r"CUDA's own packages: pip install 'gpugraph\[cuda13\]'",
        )
        for library in ("nvrtc", "cublas", "cusolver", "cusparse")
    },
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_and_its_step(machine, fault):
    setting, reason, step = FAULTS[fault]
    machine(**setting)
    with pytest.raises(gg.DeviceError) as caught:
        arrays.namespace("cuda")
    problem = doctor.cuda_problem()
    assert str(caught.value).endswith(f"but {problem.reason}. {problem.step}")
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(problem.reason)
    with pytest.raises(AssertionError, match=step):
        raise AssertionError(problem.step)
    assert arrays.namespace("auto") is np
    assert doctor.examine().device == "cpu"


def test_no_fault(machine):
    machine(Driver(13020), fakes.cupy(), CUDA13)
    assert doctor.cuda_problem() is None


def _rapids(major, **others):
    names = ("cudf", "cugraph", "pylibcugraph", "nx-cugraph")
    return {f"{name}-cu{others.get(name, major)}": "26.10.0" for name in names}


def test_cupy_without_cugraph(machine):
    machine(Driver(12080), fakes.cupy(), CUDA12)
    problem = doctor.rapids_problem()
    assert "cudf, cugraph, pylibcugraph, nx-cugraph are not installed" in problem.reason
    assert "pip install 'gpugraph[cuda12]'" in problem.step


def test_rapids_for_another_cuda(machine):
    machine(Driver(13020), fakes.cupy(), {**CUDA13, **_rapids(13, cugraph=12)})
    problem = doctor.rapids_problem()
    assert problem.reason == "CuPy is made for CUDA 13, but cugraph for another"
    assert problem.step.endswith("in a new environment: pip install 'gpugraph[cuda13]'.")


def test_rapids_that_fits(machine):
    machine(Driver(13020), fakes.cupy(), {**CUDA13, **_rapids(13)})
    assert doctor.rapids_problem() is None


def test_part_of_rapids(machine):
    dists = {**CUDA13, **_rapids(13)}
    del dists["nx-cugraph-cu13"]
    machine(Driver(13020), fakes.cupy(), dists)
    problem = doctor.rapids_problem()
    assert problem.reason.startswith("of RAPIDS, nx-cugraph is not installed")
    assert "pip install 'gpugraph[cuda13]'" in problem.step


def _problems(reason):
    """Return the report's problems that say this."""
    return [p for p in doctor.examine().problems if reason in p.reason]


def test_libraries_for_two_versions_of_cuda(machine):
    machine(
        Driver(13020), fakes.cupy(), {**CUDA12, **CUDA13, **_rapids(13), "cudf-cu12": "26.10.0"}
    )
    (problem,) = _problems("overwrite each other")
    assert problem.reason.startswith("cupy-cuda12x, cupy-cuda13x, cudf-cu12, cudf-cu13 overwrite")
    assert problem.step.endswith("in a new environment: pip install 'gpugraph[cuda13]'.")


@pytest.mark.parametrize("n_gpus", [1, 2])
def test_several_gpus_without_what_spreads_over_them(machine, n_gpus):
    cupy = fakes.cupy()
    cupy.cuda.runtime.getDeviceCount = lambda: n_gpus
    machine(Driver(13020), cupy, {**CUDA13, **_rapids(13), "dask-cudf-cu13": "26.10.0"})
    problems = _problems("dask-cuda is not installed, so only the first is used")
    assert len(problems) == n_gpus - 1
    assert all("pip install 'gpugraph[cuda13,dask]'" in problem.step for problem in problems)
    machine(Driver(13020), cupy, {"dask-cuda": "26.10.0", "dask-cudf-cu13": "26.10.0"})
    assert not _problems("GPUs")


def test_a_gpu_that_others_have_filled(machine):
    machine(Driver(13020), fakes.cupy(free=10**8, total=2 * 10**9), {**CUDA13, **_rapids(13)})
    (problem,) = doctor.examine().problems
    assert problem.reason == "of GPU 0's memory only 5% is free"
    assert "nvidia-smi" in problem.step


def test_conda_names_libraries_without_cuda(machine):
    machine(Driver(13020), fakes.cupy(), dict.fromkeys(NOTHING, "26.10.0"))
    assert doctor.rapids_problem() is None


def test_a_report_of_a_machine_with_a_gpu(machine):
    machine(Driver(13020), fakes.cupy(free=10**9, total=2 * 10**9), {**CUDA13, **_rapids(13)})
    report = doctor.examine()
    assert (report.device, report.memory) == ("cuda", 10**9)
    assert report.gpus == [{"name": "NVIDIA Test", "free": 10**9, "total": 2 * 10**9}]
    assert report.driver == "runs CUDA up to 13.2"
    assert report.libraries["cupy"] == "14.2.0 (cupy-cuda13x)"
    assert report.problems == []
    assert report.notes == ["Keras stays on the CPU: its backend is installed without CUDA's "
                            "libraries."]  # fmt: skip


def test_a_report_of_a_machine_without(machine):
    machine()
    report = doctor.examine()
    assert report.device == "cpu"
    assert report.works
    assert 0 < report.memory == pytest.approx(arrays.free_memory(), rel=0.5)
    assert len(report.problems) == 2


@pytest.mark.parametrize(
    ("backend", "dists", "environment", "note"),
    [
        ("tensorflow", {"nvidia-cudnn-cu12": "9"}, {}, "set TF_FORCE_GPU_ALLOW_GROWTH=true"),
        (
            "tensorflow",
            {"nvidia-cudnn-cu12": "9"},
            {"TF_FORCE_GPU_ALLOW_GROWTH": "true"},
            "what it needs",
        ),
        ("tensorflow", {"nvidia-cudnn-cu12": "9"}, {"CUDA_VISIBLE_DEVICES": "-1"}, "sees no GPU"),
        ("tensorflow", {}, {}, "stays on the CPU"),
        ("jax", {"jax-cuda13-plugin": "1"}, {}, "set XLA_PYTHON_CLIENT_PREALLOCATE=false"),
        (
            "jax",
            {"jax-cuda13-plugin": "1"},
            {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"},
            "what it needs",
        ),
        ("torch", {}, {}, "what it needs"),
    ],
)
def test_whether_keras_would_take_the_gpus_memory(machine, backend, dists, environment, note):
    machine(dists=dists)
    assert note in doctor._memory_note(backend, environment)


def test_what_gpugraph_itself_needs(machine, monkeypatch):
    machine()
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    real = doctor._installed
    monkeypatch.setattr(doctor, "_installed", lambda n: [] if n in ("jax", "scipy") else real(n))
    report = doctor.examine()
    assert report.problems[-1].step == "Install it with: pip install scipy jax."
    assert not report.works


def test_a_backend_that_keras_does_not_have(machine, monkeypatch):
    machine()
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    report = doctor.examine()
    assert report.problems[-1].reason == "Keras has no backend 'theano'"
    assert "one of tensorflow, jax, torch." in report.problems[-1].step
    assert not report.works


def test_keras_backend_from_its_settings(monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert doctor._keras_backend() == "tensorflow"
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    assert doctor._keras_backend() == "torch"
    (tmp_path / "keras.json").write_text("{")
    assert doctor._keras_backend() == "tensorflow"


def test_nothing_is_too_broken(machine, monkeypatch):
    machine(cupy=RuntimeError("half installed"))

    def fail(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(doctor.metadata, "version", fail)
    monkeypatch.setattr(doctor, "nvidia_driver", fail)
    report = doctor.examine()
    assert report.device == "cpu"
    assert all(version is None for version in report.libraries.values())


def test_a_gpu_that_does_not_answer(machine):
    cupy = fakes.cupy()
    cupy.cuda.runtime.getDeviceCount = None
    machine(Driver(13020), cupy, CUDA13)
    assert doctor.examine().gpus == []


@pytest.fixture
def run(capsys):
    def run(*arguments, code=0):
        with pytest.raises(SystemExit) as caught:
            app(["doctor", *arguments])
        assert caught.value.code == code
        return capsys.readouterr().out

    return run


def test_the_command(machine, run):
    machine(Driver(13020), fakes.cupy(), CUDA13)
    out = run()
    assert "GPU 0" in out
    assert "NVIDIA Test, 1 GB of 2 GB free" in out
    assert "device='auto' takes cuda, where 1 GB are free." in out
    assert "Of RAPIDS, cudf, cugraph" in out


def test_the_command_as_json(machine, run):
    machine()
    document = json.loads(run("--json"))
    assert document["device"] == "cpu"
    assert document["problems"][0]["step"]
    assert document["libraries"]["cupy"] is None


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_command_fails_where_nothing_works(machine, run, monkeypatch, options):
    machine()
    monkeypatch.setenv("KERAS_BACKEND", "theano")
    assert "eras has no backend 'theano'" in run(*options, code=1)
