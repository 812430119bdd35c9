"""Functions of CUDA's libraries are found behind functions of the same names."""

import os
import shutil
import subprocess
import sys

import pytest

SOURCES = {
    "library": "int answer() { return 13; }",
    "stand_in": "int answer() { return 0; }",
    "caller": "int answer(); int ask() { return answer(); }",
}

SCRIPT = """
import contextlib, ctypes, os, sys
from gpugraph.cuda_libraries import _own_dependencies_first

ctypes.CDLL("./libstand_in.so", os.RTLD_GLOBAL | os.RTLD_NOW)
plain, flags = ctypes.CDLL, sys.getdlopenflags()
with _own_dependencies_first() if sys.argv[1] == "own" else contextlib.nullcontext():
    print(ctypes.CDLL("./libcaller.so", os.RTLD_NOW).ask())
assert (ctypes.CDLL, sys.getdlopenflags()) == (plain, flags)
"""

CUGRAPH = """
import ctypes, os, sys, types
from gpugraph.cuda_libraries import load_cugraph

ctypes.CDLL("./libstand_in.so", os.RTLD_GLOBAL | os.RTLD_NOW)
before, package = sys.argv[1:]
if before == "tensorflow":
    sys.modules["tensorflow"] = types.ModuleType("tensorflow")
if package == "pip":
    sys.modules["libcugraph"] = types.ModuleType("libcugraph")
    sys.modules["libcugraph"].load_library = lambda: ctypes.CDLL("./libcugraph_c.so")
elif package == "conda":
    sys.modules["libcugraph"] = None
    os.chdir("/")  # the loader finds it
else:
    sys.modules["libcugraph"] = types.ModuleType("broken")
load_cugraph()
print(ctypes.CDLL(os.path.join(os.environ["LD_LIBRARY_PATH"], "libcugraph_c.so")).ask())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    if shutil.which("gcc") is None or sys.platform != "linux":
        pytest.skip("needs Linux and a C compiler (gcc)")
    folder = tmp_path_factory.mktemp("libraries")
    for name, source in SOURCES.items():
        (folder / f"{name}.c").write_text(source)
        command = ["gcc", "-shared", "-fPIC", "-o", f"lib{name}.so", f"{name}.c"]
        if name == "caller":
            command += ["-L.", "-llibrary", "-Wl,-rpath,$ORIGIN"]
        subprocess.run(command, cwd=folder, check=True, timeout=60)
    shutil.copy(folder / "libcaller.so", folder / "libcugraph_c.so")
    return folder


@pytest.mark.parametrize(("libraries", "answer"), [("any", "0"), ("own", "13")])
def test_libraries_find_what_they_are_linked_to(folder, libraries, answer):
    command = [sys.executable, "-c", SCRIPT, libraries]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == (answer, "")


@pytest.mark.parametrize(
    ("before", "package", "answer"),
    [
        ("nothing", "pip", "0"),
        ("tensorflow", "pip", "13"),
        ("tensorflow", "conda", "13"),
        ("tensorflow", "broken", "0"),
    ],
)
def test_cugraph_finds_what_it_is_linked_to(folder, before, package, answer):
    done = subprocess.run(
        [sys.executable, "-c", CUGRAPH, before, package],
        cwd=folder,
        env={**os.environ, "LD_LIBRARY_PATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout.strip(), done.stderr) == (answer, "")
