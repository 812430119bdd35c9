"""Write signatures.json: what RAPIDS and CuPy really call their arguments.

Reads sources, imports nothing, and so works without a GPU and without their libraries:

    pip download --no-deps --only-binary=:all: -d wheels pylibcugraph-cu13 cugraph-cu13 cudf-cu13 \
        nx-cugraph-cu13 dask-cuda
    (and the source archive of cupy, from PyPI, beside them)
    python -m tests.contracts.collect wheels

Takes wheels, source archives, folders of them, or the site-packages folder where they are
installed.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.contracts.calls import uses
from tests.contracts.cupy_sources import Sources

OUTPUT = Path(__file__).with_name("signatures.json")

# What gpugraph calls of RAPIDS -> the file that defines it, and its name there. Names of CuPy's are
# followed from where they are public.
PYLIBCUGRAPH = [
    *("pagerank", "personalized_pagerank", "katz_centrality", "hits"),
    *("betweenness_centrality", "edge_betweenness_centrality", "bfs", "sssp"),
    *("weakly_connected_components", "core_number", "triangle_count"),
    *("louvain", "leiden", "ecg", "spectral_modularity_maximization"),
]
DASK_HOMES = {
    "pagerank": "link_analysis/pagerank",
    "katz_centrality": "centrality/katz_centrality",
    "weakly_connected_components": "components/connectivity",
    "louvain": "community/louvain",
}
WANTED = {
    **{f"pylibcugraph.{name}": (f"pylibcugraph/{name}.pyx", name) for name in PYLIBCUGRAPH},
    "pylibcugraph.SGGraph": ("pylibcugraph/graphs.pyx", "SGGraph"),
    "pylibcugraph.GraphProperties": ("pylibcugraph/graph_properties.pyx", "GraphProperties"),
    "pylibcugraph.ResourceHandle": ("pylibcugraph/resource_handle.pyx", "ResourceHandle"),
    "cugraph.Graph": ("cugraph/structure/graph_classes.py", "Graph"),
    "cugraph.MultiGraph": ("cugraph/structure/graph_classes.py", "MultiGraph"),
    "cugraph.Graph.from_cudf_edgelist": (
        "cugraph/structure/graph_classes.py",
        "Graph.from_cudf_edgelist",
    ),
    "cugraph.Graph.from_dask_cudf_edgelist": (
        "cugraph/structure/graph_classes.py",
        "Graph.from_dask_cudf_edgelist",
    ),
    **{
        f"cugraph.dask.{name}": (f"cugraph/dask/{home}.py", name)
        for name, home in DASK_HOMES.items()
    },
    "dask_cuda.LocalCUDACluster": ("dask_cuda/local_cuda_cluster.py", "LocalCUDACluster"),
    **{
        f"cugraph.dask.comms.comms.{name}": ("cugraph/dask/comms/comms.py", name)
        for name in ("initialize", "is_initialized", "destroy")
    },
    "cudf.DataFrame": ("cudf/core/dataframe.py", "DataFrame"),
    "cudf.Series": ("cudf/core/series.py", "Series"),
    "cudf.RangeIndex": ("cudf/core/index.py", "RangeIndex"),
    "nx_cugraph.DiGraph.from_coo": ("nx_cugraph/classes/graph.py", "Graph.from_coo"),
}
CUPY = ("cupy/", "cupyx/", "cupy_backends/")
# Types that Cython writes before a parameter's name: "double alpha", "const DLDataType* x".
C_TYPE = re.compile(r"^\s*(?:const\s+)?[\w.]+\s*\**\s+(?=\w)")


def wanted() -> set[str]:
    """Return all names that signatures are kept of."""
    return WANTED.keys() | {use.name for use in uses() if use.name.startswith("cupy")}


def sources(places: list[Path]) -> Iterator[tuple[str, str]]:
    """Yield the path within its package, and the text, of every source that may be of use."""
    for place in places:
        if place.suffix == ".whl":
            with zipfile.ZipFile(place) as archive:
                for name in filter(_is_of_use, archive.namelist()):
                    yield name, archive.read(name).decode()
        elif place.name.endswith(".tar.gz"):
            with tarfile.open(place) as archive:
                for member in archive:
                    name = member.name.partition("/")[2]
                    if member.isfile() and _is_of_use(name):
                        yield name, archive.extractfile(member).read().decode()
        elif list(place.glob("*.whl")) or list(place.glob("*.tar.gz")):
            yield from sources([*place.glob("*.whl"), *place.glob("*.tar.gz")])
        else:
            for path in place.rglob("*"):
                name = path.relative_to(place).as_posix()
                if _is_of_use(name):
                    yield name, path.read_text()


def _is_of_use(name: str) -> bool:
    files = {path for path, _ in WANTED.values()}
    is_of_cupy = name.startswith(CUPY) and name.endswith((".py", ".pyx"))
    return name in files or is_of_cupy or name.endswith((".dist-info/METADATA", "PKG-INFO"))


def parameters(text: str, name: str) -> str:
    """Return the parameters of a function, a class or a method, as Python writes them."""
    *owners, function = name.split(".")
    lines = text
    for owner in owners:
        lines = _body(lines, owner)
    indent = "    " if owners else ""  # classes may stand in classes
    start = re.search(rf"^{indent}(?:def|cpdef [\w ]*?)\s*{function}\(", lines, re.MULTILINE)
    if start is None:  # a class: what it is made with
        if re.search(rf"^(?:cdef )?class {function}\b", lines, re.MULTILINE) is None:
            raise LookupError(f"there is no {name}")
        body = _body(lines, function)
        for constructor in ("__init__", "__cinit__"):
            if f"\n    def {constructor}(" in body:
                return parameters(text, f"{name}.{constructor}")
        base = re.search(rf"^class {function}\((\w+)\)", lines, re.MULTILINE)
        return parameters(lines, base[1]) if base else ""
    given = _without_types(lines[start.end() : _closing(lines, start.end())])
    tree = ast.parse(f"def f({given}): pass").body[0].args
    for argument in (*tree.posonlyargs, *tree.args, *tree.kwonlyargs, tree.vararg, tree.kwarg):
        if argument is not None:
            argument.annotation = None
    tree.defaults = [ast.Constant(None) for _ in tree.defaults]
    tree.kw_defaults = [d and ast.Constant(None) for d in tree.kw_defaults]
    names = tree.args
    if names and names[0].arg in ("self", "cls"):
        del names[0]
    return ast.unparse(tree)


def _body(text: str, owner: str) -> str:
    """Return the lines of a class."""
    start = re.search(rf"^(?:cdef )?class {owner}\b.*$", text, re.MULTILINE)
    if start is None:
        raise LookupError(f"there is no class {owner}")
    end = re.search(r"^(?:@|cdef class|class|def)\b", text[start.end() :], re.MULTILINE)
    return text[start.end() : start.end() + end.start() if end else len(text)]


def _closing(text: str, start: int) -> int:
    """Return where the bracket closes that is open at the start."""
    depth = 1
    for at in range(start, len(text)):
        depth += (text[at] in "([{") - (text[at] in ")]}")
        if not depth:
            return at
    raise LookupError("a bracket is never closed")


def _without_types(given: str) -> str:
    """Drop comments and C types."""
    given = re.sub(r"#.*", "", given)
    parts, depth, at = [], 0, 0
    for i, char in enumerate([*given, ","]):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and not depth:
            parts.append(given[at:i])
            at = i + 1
    names = (" ".join(part.split()) for part in parts)
    return ", ".join(C_TYPE.sub("", name) for name in names if name)


def collect(places: list[Path]) -> dict:
    """Return versions and signatures of all that is wanted and found."""
    texts, versions = {}, {}
    for path, text in sources(places):
        if path.endswith(("METADATA", "PKG-INFO")):
            name = re.search(r"^Name: (.+)$", text, re.MULTILINE)[1]
            versions[re.sub(r"-cu(da)?\d+x?$", "", name)] = re.search(
                r"^Version: (.+)$", text, re.MULTILINE
            )[1]
        else:
            texts[path] = text
    signatures = {
        called: f"({parameters(texts[path], name)})"
        for called, (path, name) in WANTED.items()
        if path in texts
    }
    cupy = Sources(texts, parameters)
    for name in wanted() - WANTED.keys():
        with suppress(LookupError):  # where CuPy is installed, some of its sources are not
            signatures[name] = cupy.signature(name)
    owners = {called.partition(".")[0].replace("_", "-") for called in signatures}
    owners.discard("cupyx")  # is CuPy's
    return {
        "versions": {name: versions[name] for name in sorted(owners)},
        "signatures": dict(sorted(signatures.items())),
    }


if __name__ == "__main__":
    document = collect([Path(place) for place in sys.argv[1:]])
    missing = sorted(wanted() - document["signatures"].keys())
    if missing:
        sys.exit(f"No source found of {', '.join(missing)}.")
    OUTPUT.write_text(json.dumps(document, indent=1) + "\n")
    print(f"{OUTPUT}: {len(document['signatures'])} signatures, {document['versions']}")  # noqa: T201
