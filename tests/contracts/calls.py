"""What gpugraph uses of CuPy and RAPIDS, read from its own sources."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
LIBRARIES = {"cupy", "cupyx", "cudf", "cugraph", "pylibcugraph", "nx_cugraph", "dask_cuda"}
# How gpugraph calls them where no import or assignment says so: parameters and attributes.
PARAMETERS = {"xp": "cupy", "cupy": "cupy", "dcg": "cugraph.dask"}
ATTRIBUTES = {"xp": "cupy", "_xp": "cupy", "library": "pylibcugraph"}


class Use(NamedTuple):
    """A name of a library's, as ``cupy.linalg.norm``, and how it is called, if it is."""

    name: str
    call: ast.Call | None
    where: str


def uses() -> Iterator[Use]:
    """Yield all uses in the package, and in the benchmark that runs on a GPU."""
    for path in [*sorted(ROOT.glob("gpugraph/**/*.py")), ROOT / "benchmarks" / "gpu.py"]:
        yield from uses_in(path.read_text(), str(path.relative_to(ROOT)))


def uses_in(source: str, where: str) -> Iterator[Use]:
    """Yield the uses in one file."""
    tree = ast.parse(source)
    names = _names(tree)
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        call = calls.get(id(node))
        if call is None and not isinstance(node, ast.Attribute):
            continue  # a name that is handed on
        name = None if id(node) in inner else _full_name(node, names)
        if name is not None and "." in name:
            yield Use(name, call, f"{where}:{node.lineno}")


def _names(tree: ast.AST) -> dict[str, str]:
    """Return which names stand for what of the libraries."""
    names, others = {}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                full = module + alias.name
                if full.partition(".")[0] in LIBRARIES:
                    here = full if alias.asname or module else full.partition(".")[0]
                    names[alias.asname or alias.name.partition(".")[0]] = here
                else:
                    others.add(alias.asname or alias.name)
    names |= {name: full for name, full in PARAMETERS.items() if name not in others}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for name, value in _pairs(node):
                full = _full_name(value, names)
                if isinstance(name, ast.Name) and full is not None:
                    names[name.id] = full
    return names


def _pairs(node: ast.Assign) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield the targets of an assignment, and what each is given where that can be told."""
    (target, *_), value = node.targets, node.value
    if not isinstance(target, ast.Tuple):
        yield target, value
    elif isinstance(value, ast.Tuple):
        yield from zip(target.elts, value.elts, strict=True)
    elif isinstance(value, ast.GeneratorExp) and isinstance(value.generators[0].iter, ast.Tuple):
        for name, item in zip(target.elts, value.generators[0].iter.elts, strict=True):
            call = value.elt
            yield name, ast.Call(call.func, [item], []) if isinstance(call, ast.Call) else call


def _full_name(node: ast.expr, names: dict[str, str]) -> str | None:
    """Return what of a library an expression stands for."""
    match node:
        case ast.Name(id=name):
            return names.get(name)
        case ast.Attribute(attr=attribute) if attribute in ATTRIBUTES:
            return ATTRIBUTES[attribute]
        case ast.Attribute(value=value, attr=attribute):
            owner = _full_name(value, names)
            return None if owner is None else f"{owner}.{attribute}"
        case ast.Call(func=ast.Name(id="namespace" | "namespace_of")):
            return "cupy"
        case ast.Call(func=ast.Name(id="import_library"), args=[ast.Constant(value=library), *_]):
            return library
    return None
