"""What is installed, which device would be used, what is missing and how to get it."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from textwrap import shorten
from types import ModuleType
from typing import Any, NamedTuple

from gpugraph import __version__
from gpugraph.cuda_libraries import load_libraries

LIBRARIES = (
    *("keras", "tensorflow", "jax", "torch", "numpy", "scipy", "networkx", "pyarrow"),
    *("cupy", "cudf", "cugraph", "pylibcugraph", "nx-cugraph"),
    *("dask", "distributed", "dask-cuda", "dask-cudf"),
)
NEEDED = ("keras", "numpy", "scipy", "networkx", "pyarrow")
RAPIDS = ("cudf", "cugraph", "pylibcugraph", "nx-cugraph")
MANY_GPUS = ("dask", "distributed", "dask-cuda", "dask-cudf")
BACKENDS = ("tensorflow", "jax", "torch")
BACKENDS_WITHIN_KERAS = ("numpy", "openvino")
# CUDA's major version -> the first driver that runs it.
DRIVERS = {12: "525", 13: "580"}
LITTLE_MEMORY = 0.1  # of a GPU's
NO_DEVICE = 100  # the driver's CUDA_ERROR_NO_DEVICE


class Problem(NamedTuple):
    """What is wrong with an installation.

    Attributes
    ----------
    reason : str
        What is wrong, as the end of a sentence.
    step : str
        What to do next, as a sentence of its own.
    """

    reason: str
    step: str


@dataclass(frozen=True)
class Driver:
    """NVIDIA's driver, as far as it answers.

    Attributes
    ----------
    cuda : int
        The newest CUDA that it runs, as 13020 for 13.2; 0 where it does not say.
    error : int
        What it answers when it is started; 0 is well.
    """

    cuda: int
    error: int = 0

    @property
    def major(self) -> int:
        """The newest CUDA major version that it runs."""
        return self.cuda // 1000

    def __str__(self) -> str:
        return f"runs CUDA up to {self.cuda // 1000}.{self.cuda % 1000 // 10}"


@dataclass(frozen=True)
class Report:
    """What `examine` found.

    Attributes
    ----------
    gpugraph, python, platform : str
    libraries : dict of str to str or None
        Versions; None: not installed.
    keras_backend : str
        What Keras would run on.
    driver : str or None
        What NVIDIA's driver says.
    gpus : list of dict
        Name, and memory in bytes: in all and free.
    device : str
        "cuda" or "cpu": what ``device="auto"`` takes.
    memory : int
        Bytes that are free there.
    works : bool
        Whether gpugraph converts models here, with a GPU or without.
    problems : list of Problem
        What is missing, or why CUDA or a part of RAPIDS would not be used, and what to do.
    notes : list of str
        What else to know.
    """

    gpugraph: str
    python: str
    platform: str
    libraries: dict[str, str | None]
    keras_backend: str
    driver: str | None
    gpus: list[dict[str, Any]]
    device: str
    memory: int
    works: bool
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON holds it."""
        return {**asdict(self), "problems": [problem._asdict() for problem in self.problems]}


def examine() -> Report:
    """Look at this installation, in well under a second and whatever is broken in it."""
    libraries = {name: version(name) for name in LIBRARIES}
    driver = _quietly(nvidia_driver)
    found = cuda_problem()
    gpus = [] if found else _quietly(_gpus) or []
    backend = _keras_backend()
    fatal = (needs_problem(backend), backend_problem(backend))
    looked_for = (
        found,
        doubled_problem(),
        rapids_problem(),
        many_gpus_problem(len(gpus)),
        *(memory_problem(i, gpu) for i, gpu in enumerate(gpus)),
        *fatal,
    )
    problems = [problem for problem in looked_for if problem is not None]
    return Report(
        gpugraph=__version__,
        python=sys.version.split()[0],
        platform=platform.platform(),
        libraries=libraries,
        keras_backend=backend,
        driver=str(driver) if driver else None,
        gpus=gpus,
        device="cpu" if found else "cuda",
        memory=_quietly(_free_host) or 0 if found or not gpus else gpus[0]["free"],
        works=not any(fatal),
        problems=problems,
        notes=[] if found else [_memory_note(backend)],
    )


def cuda_problem() -> Problem | None:
    """Return why ``device="cuda"`` cannot be had, and what to do; None where it can."""
    driver = _quietly(nvidia_driver)
    cupy, error = _cupy()
    if cupy is not None and _quietly(cupy.is_available):
        return toolkit_problem(cupy)
    if driver is None:
        without = "" if cupy else ", and CuPy is not installed"
        return Problem(
            f"there is no NVIDIA driver{without}",
            f"On a machine with an NVIDIA GPU, install its driver, version {DRIVERS[12]} or newer "
            f"({DRIVERS[13]} for CUDA 13)"
            + ("" if cupy else f", then: {_command()}")
            + ". Anywhere else, use device='cpu'.",
        )
    if driver.error == NO_DEVICE:
        return Problem(
            "the NVIDIA driver finds no GPU",
            "Make one visible (CUDA_VISIBLE_DEVICES; a container needs it passed through, as by "
            "docker run --gpus all), or use device='cpu'.",
        )
    if driver.error:
        return Problem(
            f"the NVIDIA driver does not start (CUDA error {driver.error})",
            "Restart the machine if the driver was updated, look at what nvidia-smi says, or use "
            "device='cpu'.",
        )
    if driver.major < min(DRIVERS):
        return Problem(
            f"the NVIDIA driver is too old: it {driver}",
            f"Update it to {DRIVERS[12]} or newer ({DRIVERS[13]} for CUDA 13), or use "
            "device='cpu'.",
        )
    if cupy is None:
        if error:
            return Problem(
                f"CuPy does not start ({error})",
                f"Install it anew: pip uninstall {' '.join(_installed('cupy')) or 'cupy'}, then "
                f"{_command()}. Or use device='cpu'.",
            )
        return Problem("CuPy is not installed", f"{install_command()} Or use device='cpu'.")
    major = _cuda_major("cupy")
    if major is not None and major > driver.major:
        return Problem(
            f"CuPy is made for CUDA {major}, while the NVIDIA driver {driver}",
            f"Update the driver to {DRIVERS.get(major, DRIVERS[13])} or newer, or in a new "
            f"environment: {_command()}. Or use device='cpu'.",
        )
    return Problem(
        "CuPy finds no usable GPU",
        "Look at what nvidia-smi and python -c 'import cupy; cupy.show_config()' say, or use "
        "device='cpu'.",
    )


def rapids_problem() -> Problem | None:
    """Return what of RAPIDS is missing, or made for another CUDA than cupy; None where all fits."""
    missing = [name for name in RAPIDS if version(name) is None]
    if missing:
        return Problem(
            f"of RAPIDS, {', '.join(missing)} {'are' if missing[1:] else 'is'} not installed, so "
            "there is no cuGraph engine, to_cugraph, to_cudf or to_nx_cugraph",
            f"On a machine with an NVIDIA GPU: {_command()}.",
        )
    ours = _cuda_major("cupy")
    others = {name: _cuda_major(name) for name in RAPIDS}
    wrong = [name for name, major in others.items() if ours and major and major != ours]
    if wrong:
        return Problem(
            f"CuPy is made for CUDA {ours}, but {', '.join(wrong)} for another",
            _anew(),
        )
    return None


def doubled_problem() -> Problem | None:
    """Return which libraries are installed for two versions of CUDA; None where none is."""
    doubled = [
        dist for name in ("cupy", *RAPIDS) if _installed(name)[1:] for dist in _installed(name)
    ]
    if not doubled:
        return None
    return Problem(
        f"{', '.join(doubled)} overwrite each other's files",
        _anew(),
    )


def toolkit_problem(cupy: ModuleType) -> Problem | None:
    """Return which library CuPy, which has a GPU, does not find; None where it has them all."""
    try:
        load_libraries(cupy)
    except Exception as error:  # libraries are looked for in many ways
        said = shorten(str(error), 100, placeholder=" ...")
        return Problem(
            f"CuPy does not find all libraries of CUDA ({said})",
            f"They come with CUDA's own packages: {_command()}. Or use device='cpu'.",
        )
    return None


def many_gpus_problem(n_gpus: int) -> Problem | None:
    """Return what is missing to use several GPUs; None where there is one, or nothing missing."""
    missing = [name for name in MANY_GPUS if version(name) is None]
    if n_gpus < 2 or not missing:
        return None
    return Problem(
        f"there are {n_gpus} GPUs, but {', '.join(missing)} {'are' if missing[1:] else 'is'} not "
        "installed, so only the first is used",
        f"To use all of them through Dask: {_command('dask')}.",
    )


def memory_problem(number: int, gpu: Mapping[str, Any]) -> Problem | None:
    """Tell when a GPU's memory is taken by others; None where it is not."""
    if gpu["free"] >= LITTLE_MEMORY * gpu["total"]:
        return None
    return Problem(
        f"of GPU {number}'s memory only {gpu['free'] / gpu['total']:.0%} is free",
        "nvidia-smi tells who has it: end what is not needed, or choose another GPU "
        "(CUDA_VISIBLE_DEVICES) or device='cpu'.",
    )


def needs_problem(backend: str) -> Problem | None:
    """Return which library that gpugraph cannot do without is missing; None where none is."""
    needed = NEEDED + ((backend,) if backend in BACKENDS else ())
    missing = [name for name in needed if version(name) is None]
    if not missing:
        return None
    return Problem(
        f"what gpugraph needs is not installed: {', '.join(missing)}",
        f"Install it with: pip install {' '.join(missing)}.",
    )


def backend_problem(backend: str) -> Problem | None:
    """Tell when Keras has no such backend; None where it has."""
    if backend in BACKENDS + BACKENDS_WITHIN_KERAS:
        return None
    return Problem(
        f"Keras has no backend '{backend}'",
        f"Set KERAS_BACKEND, or 'backend' in ~/.keras/keras.json, to one of {', '.join(BACKENDS)}.",
    )


def install_command() -> str:
    """Return the sentence that says how to install what CUDA needs."""
    return f"Install it with: {_command()}."


def _command(*extras: str) -> str:
    return f"pip install 'gpugraph[{','.join((f'cuda{_wanted_major()}', *extras))}]'"


def _anew() -> str:
    # Most packages that these bring along have one place for every CUDA, too.
    return f"Install one of them in a new environment: {_command()}."


def _wanted_major() -> int:
    """Return the CUDA major version that the driver runs; 13 where nobody knows."""
    driver = _quietly(nvidia_driver)
    if driver is None or not driver.major:
        return max(DRIVERS)
    return max((major for major in DRIVERS if major <= driver.major), default=min(DRIVERS))


def nvidia_driver() -> Driver | None:
    """Ask NVIDIA's driver itself, without any library; None where there is none."""
    import ctypes

    try:
        library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    number = ctypes.c_int(0)
    library.cuDriverGetVersion(ctypes.byref(number))
    return Driver(number.value, int(library.cuInit(0)))


def version(name: str) -> str | None:
    """Return the version of a library, whichever CUDA it is made for; None: not installed."""
    for dist in _installed(name):
        return f"{_quietly(metadata.version, dist)}" + (f" ({dist})" if dist != name else "")
    return None


def _installed(name: str) -> list[str]:
    """Return the distributions that hold a library: one, if all is well."""
    ending = {"cupy": "-cuda{}x"}.get(name, "-cu{}")
    candidates = [name]
    if name in ("cupy", "dask-cudf", *RAPIDS):
        candidates += [name + ending.format(major) for major in (*DRIVERS, 11)]
    return [dist for dist in candidates if _quietly(metadata.version, dist) is not None]


def _cuda_major(name: str) -> int | None:
    """Return the CUDA major version that a library is made for; None where its name is silent."""
    for dist in _installed(name):
        match = re.search(r"-cu(?:da)?(\d+)x?$", dist)
        if match:
            return int(match[1])
    return None


@cache
def _cupy() -> tuple[ModuleType | None, str]:
    """Return cupy, or why it does not start; empty where it is not installed."""
    try:
        import cupy
    except ModuleNotFoundError as error:
        return None, "" if error.name == "cupy" or error.name is None else str(error)
    except Exception as error:  # a broken installation may raise anything
        return None, f"{type(error).__name__}: {error}"
    return cupy, ""


def _gpus() -> list[dict[str, Any]]:
    """Return name and memory of every GPU."""
    runtime = _cupy()[0].cuda.runtime  # type: ignore[union-attr]
    now, found = runtime.getDevice(), []
    for i in range(runtime.getDeviceCount()):
        name = runtime.getDeviceProperties(i)["name"]
        runtime.setDevice(i)
        free, total = runtime.memGetInfo()
        name = name.decode() if isinstance(name, bytes) else name
        found.append({"name": name, "free": int(free), "total": int(total)})
    runtime.setDevice(now)
    return found


def _free_host() -> int:
    from gpugraph.arrays import free_memory

    return free_memory()


def _keras_backend() -> str:
    """Return what Keras would run on, without starting it."""
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"]
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        settings = json.loads((home / "keras.json").read_text())
        return str(settings["backend"])
    except Exception:  # no such file, or nothing that Keras would read
        return "tensorflow"


def _memory_note(backend: str, environment: Mapping[str, str] = os.environ) -> str:
    """Say whether Keras would take the GPU's memory when it starts."""
    if environment.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "Keras sees no GPU."
    if backend == "tensorflow" and _quietly(metadata.version, "nvidia-cudnn-cu12"):
        if environment.get("TF_FORCE_GPU_ALLOW_GROWTH", "").lower() == "true":
            return "Keras takes of the GPU's memory what it needs."
        return (
            "Keras (TensorFlow) would take nearly all of the GPU's memory when it starts before "
            "gpugraph loads a model: set TF_FORCE_GPU_ALLOW_GROWTH=true first."
        )
    if backend == "jax" and any(
        _quietly(metadata.version, f"jax-cuda{major}-plugin") for major in DRIVERS
    ):
        if environment.get("XLA_PYTHON_CLIENT_PREALLOCATE", "").lower() in ("false", "0"):
            return "Keras takes of the GPU's memory what it needs."
        return (
            "Keras (JAX) would take three quarters of the GPU's memory when it starts before "
            "gpugraph loads a model: set XLA_PYTHON_CLIENT_PREALLOCATE=false first."
        )
    if backend == "torch":
        return "Keras (PyTorch) takes of the GPU's memory what it needs."
    return "Keras stays on the CPU: its backend is installed without CUDA's libraries."


def _quietly(function: Any, *arguments: Any) -> Any:
    """Return what a function returns; None where it raises anything: all may be broken here."""
    try:
        return function(*arguments)
    except Exception:
        return None
