"""Write signatures.json: what RAPIDS and CuPy really call their arguments.

Reads sources, imports nothing, and so works without a GPU and without their libraries:

    pip download --no-deps --only-binary=:all: -d wheels pylibcugraph-cu13 cugraph-cu13 cudf-cu13 \
        nx-cugraph-cu13 dask-cuda
    (and the source archive of cupy, from PyPI, beside them)
    python tests/contracts/collect.py wheels

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
from pathlib import Path

OUTPUT = Path(__file__).with_name("signatures.json")

# What gpugraph calls -> the file that defines it, and its name there.
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
    "cugraph.dask.comms.initialize": ("cugraph/dask/comms/comms.py", "initialize"),
    "cugraph.dask.comms.is_initialized": ("cugraph/dask/comms/comms.py", "is_initialized"),
    "cugraph.dask.comms.destroy": ("cugraph/dask/comms/comms.py", "destroy"),
    "cudf.DataFrame": ("cudf/core/dataframe.py", "DataFrame"),
    "cudf.Series": ("cudf/core/series.py", "Series"),
    "cudf.RangeIndex": ("cudf/core/index.py", "RangeIndex"),
    "nx_cugraph.DiGraph.from_coo": ("nx_cugraph/classes/graph.py", "Graph.from_coo"),
    **{
        f"cupy.{name}": (f"cupy/{home}.py", name)
        for name, home in {
            "empty": "_creation/basic",
            "zeros": "_creation/basic",
            "ones": "_creation/basic",
            "full": "_creation/basic",
            "arange": "_creation/ranges",
            "asarray": "_creation/from_data",
            "stack": "_manipulation/join",
            "lexsort": "_sorting/sort",
            "unique": "_manipulation/add_remove",
            "cumsum": "_math/sumprod",
            "bincount": "_statistics/histogram",
            "where": "_sorting/search",
            "asnumpy": "__init__",
            "is_available": "__init__",
        }.items()
    },
    "cupy.RawModule": ("cupy/_core/raw.pyx", "RawModule"),
    "cupy.RawKernel": ("cupy/_core/raw.pyx", "RawKernel"),
}
# Types that Cython writes before a parameter's name: "double alpha", "const DLDataType* x".
C_TYPE = re.compile(r"^\s*(?:const\s+)?[\w.]+\s*\**\s+(?=\w)")


def sources(places: list[Path]) -> Iterator[tuple[str, str]]:
    """Yield the path within its package, and the text, of every source that is wanted."""
    wanted = {path for path, _ in WANTED.values()}
    for place in places:
        if place.suffix == ".whl":
            with zipfile.ZipFile(place) as archive:
                for name in archive.namelist():
                    if name in wanted or name.endswith(".dist-info/METADATA"):
                        yield name, archive.read(name).decode()
        elif place.name.endswith(".tar.gz"):
            with tarfile.open(place) as archive:
                for member in archive:
                    name = member.name.partition("/")[2]
                    if name in wanted or name == "PKG-INFO":
                        yield name, archive.extractfile(member).read().decode()
        elif list(place.glob("*.whl")) or list(place.glob("*.tar.gz")):
            yield from sources([*place.glob("*.whl"), *place.glob("*.tar.gz")])
        else:
            found = [place / path for path in wanted] + list(place.glob("*.dist-info/METADATA"))
            for path in filter(Path.is_file, found):
                yield str(path.relative_to(place)), path.read_text()


def parameters(text: str, name: str) -> str:
    """Return the parameters of a function, a class or a method, as Python writes them."""
    *owners, function = name.split(".")
    lines = text
    for owner in owners:
        lines = _body(lines, owner)
    indent = "    " if owners else ""  # classes may stand in classes
    start = re.search(rf"^{indent}def {function}\(", lines, re.MULTILINE)
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
        for called, (path, name) in sorted(WANTED.items())
        if path in texts
    }
    owners = {called.partition(".")[0].replace("_", "-") for called in signatures}
    return {
        "versions": {name: versions[name] for name in sorted(owners)},
        "signatures": signatures,
    }


if __name__ == "__main__":
    document = collect([Path(place) for place in sys.argv[1:]])
    missing = sorted(WANTED.keys() - document["signatures"].keys())
    if missing:
        sys.exit(f"No source found of {', '.join(missing)}.")
    OUTPUT.write_text(json.dumps(document, indent=1) + "\n")
    print(f"{OUTPUT}: {len(document['signatures'])} signatures, {document['versions']}")  # noqa: T201
