import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gpugraph as gg

HEAVY = {
    *("keras", "tensorflow", "jax", "torch"),
    *("cupy", "cudf", "cugraph", "pylibcugraph", "dask", "distributed"),
    *("networkx", "scipy", "pandas", "pyarrow", "sklearn", "matplotlib"),
    *("psutil", "typer", "rich"),
}


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()


def test_import_loads_nothing_heavy():
    code = f"import sys, gpugraph; print(*[m for m in {HEAVY} if m in sys.modules])"
    assert run(code) == []


def test_listing_converters_needs_no_backend():
    code = "import sys, gpugraph as gg; gg.supported_layers(); print('keras' in sys.modules)"
    assert run(code) == ["False"]


@pytest.mark.parametrize("name", gg.__all__)
def test_every_public_name_is_there(name):
    assert getattr(gg, name) is not None
    assert name in dir(gg)


def test_type_checkers_see_every_public_name():
    """In a package with py.typed, only names imported under their own names count as public."""
    source = Path(gg.__file__)
    assert (source.parent / "py.typed").exists()
    imports = [n for n in ast.walk(ast.parse(source.read_text())) if isinstance(n, ast.ImportFrom)]
    exported = {a.name for n in imports for a in n.names if a.asname == a.name}
    assert exported == set(gg.__all__) - {"__version__"}


def test_no_public_name_is_hidden_by_a_module_of_that_name():
    code = """
import pkgutil, importlib, inspect, gpugraph
for module in pkgutil.iter_modules(gpugraph.__path__):
    if module.name != "__main__":
        importlib.import_module(f"gpugraph.{module.name}")
print(*[n for n in gpugraph.__all__ if inspect.ismodule(getattr(gpugraph, n))])
"""
    assert run(code) == []


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'gpugraph' has no attribute 'nothing'"):
        gg.nothing  # noqa: B018


def test_a_converter_can_be_registered_before_anything_else_is_loaded():
    code = """
import gpugraph as gg
try:
    gg.converts("Conv2D")(lambda call: call.source)
except ValueError as error:
    print("refused", "gpugraph.layers" in str(error))
"""
    assert run(code) == ["refused", "True"]
