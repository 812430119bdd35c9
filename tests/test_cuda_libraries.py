"""Functions of CUDA's libraries are found behind functions of the same names."""

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
    return folder


@pytest.mark.parametrize(("libraries", "answer"), [("any", "0"), ("own", "13")])
def test_libraries_find_what_they_are_linked_to(folder, libraries, answer):
    command = [sys.executable, "-c", SCRIPT, libraries]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == (answer, "")
