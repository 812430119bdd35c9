"""The ways to install gpugraph on a GPU name the same libraries and versions."""

import re
import tomllib
from pathlib import Path

import pytest

from gpugraph import doctor

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = dict(
    re.findall(r"^ +- ([\w-]+)([=<>!~][^ #\n]*)?", (ROOT / "environment.yml").read_text(), re.M)
)


def libraries(requirements):
    """Return names without their CUDA version, and the versions they ask for."""
    found = {}
    for requirement in requirements:
        name, wanted = re.match(r"([\w-]+)(?:\[\w+\])?([^;]*)", requirement).groups()
        found[re.sub(r"-cu(da)?1[23]x?$", "", name)] = wanted.strip()
    return found


@pytest.mark.parametrize("major", doctor.DRIVERS)
def test_an_extra_for_every_version_of_cuda(major):
    requirements = PROJECT["optional-dependencies"][f"cuda{major}"]
    assert set(libraries(requirements)) >= {"cupy", *doctor.RAPIDS}
    suffixes = {re.search(r"-cu(?:da)?(\d+)", r)[1] for r in requirements if "-cu" in r}
    assert suffixes == {str(major)}


def test_extras_differ_in_cuda_alone():
    extras = PROJECT["optional-dependencies"]
    assert libraries(extras["cuda12"]) == libraries(extras["cuda13"])


def test_conda_installs_the_same():
    for name, wanted in libraries(PROJECT["optional-dependencies"]["cuda13"]).items():
        assert CONDA[name] == wanted.replace("~=", "="), name
    for name, wanted in libraries(PROJECT["dependencies"]).items():
        assert name in CONDA
        assert CONDA[name] in ("", wanted)


def test_conda_installs_what_spreads_over_gpus():
    assert {"dask-cuda", "dask-cudf"} <= set(CONDA)
