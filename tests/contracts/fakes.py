"""Stand-ins for CuPy and RAPIDS: every call is bound against the real signature.

CuPy's functions are numpy's; pylibcugraph's are computed by networkx from the columns that the
graph was built of, and come back in another order of the vertices, as cuGraph's may.
"""

import inspect
import json
import sys
import types
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
from networkx.algorithms.centrality import betweenness

from gpugraph.cuda_libraries import LIBRARIES
from gpugraph.edge_maker import EdgeMaker
from gpugraph.engines import cugraph_graph

CONTRACT = json.loads(Path(__file__).with_name("signatures.json").read_text())
SIGNATURES = CONTRACT["signatures"]


def signature(called):
    """Return the real signature of what is called by this name."""
    scope = {}
    exec(f"def f{SIGNATURES[called]}: pass", scope)
    return inspect.signature(scope["f"])


def bound(called, args, kwargs):
    """Return arguments by name; TypeError, as of the real function, where they do not fit."""
    try:
        given = signature(called).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{called}: {error}") from None
    return given.arguments


def checked(called, function):
    """Return a function that binds its arguments against the contract first."""

    def call(*args, **kwargs):
        bound(called, args, kwargs)
        return function(*args, **kwargs)

    return call


def cupy(free=10**9, total=2 * 10**9, available=True, cached=0):
    """Return a module like CuPy, on a GPU of some memory, with numpy's functions.

    Of what is free, CuPy's pool keeps some back until it is told otherwise.
    """
    module = types.ModuleType("cupy")
    for name in dir(np):
        if not name.startswith("_"):
            setattr(module, name, getattr(np, name))
    for called in SIGNATURES:
        owner, _, name = called.partition(".")
        real = getattr(np, name, None)
        if owner == "cupy" and real is not None and not isinstance(real, np.ufunc | type):
            setattr(module, name, checked(called, real))
    module.is_available = lambda: available
    module.asnumpy = checked("cupy.asnumpy", np.asarray)
    module.get_array_module = lambda *arrays: np
    module.__version__ = "14.2.0"
    pool = types.SimpleNamespace(kept=cached)
    pool.free_all_blocks = lambda: setattr(pool, "kept", 0)
    module.get_default_memory_pool = lambda: pool
    runtime = types.SimpleNamespace(
        memGetInfo=lambda: (free - pool.kept, total),
        getDevice=lambda: 0,
        setDevice=lambda i: None,
        getDeviceCount=lambda: 1,
        getDeviceProperties=lambda i: {"name": b"NVIDIA Test"},
    )
    stream = types.SimpleNamespace(synchronize=lambda: None)
    nvrtc = types.SimpleNamespace(getVersion=lambda: (13, 0))
    libraries = {name: types.SimpleNamespace() for name in LIBRARIES}
    module.cuda = types.SimpleNamespace(
        nvrtc=nvrtc, runtime=runtime, get_current_stream=lambda: stream, **libraries
    )
    return module


def simple(multi):
    """Return a graph with parallel edges added up."""
    graph = nx.DiGraph() if multi.is_directed() else nx.Graph()
    graph.add_nodes_from(multi)
    for src, dst, weight in multi.edges(data="weight"):
        before = graph.get_edge_data(src, dst, {"weight": 0.0})["weight"]
        graph.add_edge(src, dst, weight=before + weight)
    return graph


def walks(graph, alpha, beta, rounds, tolerance):
    """Return Katz centrality as cuGraph iterates it, scaled to a sum of squares of 1."""
    found, changes = dict.fromkeys(graph, 0.0), []
    for _ in range(rounds):
        before = found
        found = {
            v: beta + alpha * sum(before[u] * graph[u][v]["weight"] for u in graph.pred[v])
            for v in graph
        }
        changes.append(sum(abs(found[v] - before[v]) for v in graph))
    assert changes[-1] < tolerance
    norm = sum(x * x for x in found.values()) ** 0.5
    return {v: x / norm for v, x in found.items()}


def labels(parts):
    return {v: i for i, part in enumerate(parts) for v in part}


def check_seed(given):
    """Do with a seed what pylibcugraph does: it overflows where the seed is one of numpy's."""
    if given["random_state"] is not None:
        assert given["random_state"] & (2**64 - 1) >= 0


class Built:
    """The graph that SGGraph was given, as networkx holds it."""

    def __init__(self, given):
        self.given = given
        src, dst = given["src_or_offset_array"], given["dst_or_index_array"]
        weight, vertices = given.get("weight_array"), given["vertices_array"]
        for column in (src, dst, vertices, *([] if weight is None else [weight])):
            assert column.flags.c_contiguous
            assert column.dtype in ((np.float32, np.float64) if column is weight else (src.dtype,))
        assert src.dtype in (np.int32, np.int64)
        np.testing.assert_array_equal(vertices, np.arange(len(vertices)))
        properties = given["graph_properties"]
        assert given.get("symmetrize", False) == properties.get("is_symmetric", False)
        assert given["renumber"] is False
        self.is_weighted = weight is not None
        self.transposed = given.get("store_transposed", False)
        self.is_undirected = properties.get("is_symmetric", False)
        self.vertices, self.ids = vertices, src.dtype
        self.number = np.float32 if weight is None else weight.dtype
        weights = np.ones(len(src)) if weight is None else weight
        self.multi = (nx.MultiGraph if self.is_undirected else nx.MultiDiGraph)()
        self.multi.add_nodes_from(vertices.tolist())
        rows = zip(src.tolist(), dst.tolist(), weights.tolist(), strict=True)
        self.multi.add_weighted_edges_from(rows)
        if not properties.get("is_multigraph") and not given.get("drop_multi_edges"):
            assert len({*zip(src.tolist(), dst.tolist(), strict=True)}) == len(src)

    @property
    def simple(self):
        return simple(self.multi)

    def shuffled(self, *columns):
        """Return vertices and their values in another order."""
        order = np.random.default_rng(1).permutation(len(self.vertices))
        arrays = [np.array([c[int(v)] for v in self.vertices])[order] for c in columns]
        return self.vertices[order], *arrays


class Pylibcugraph(types.ModuleType):
    """A module like pylibcugraph that computes with networkx and keeps its calls."""

    def __init__(self):
        super().__init__("pylibcugraph")
        self.calls = []

    def __getattr__(self, name):
        called = f"pylibcugraph.{name}"
        if called not in SIGNATURES:
            raise AttributeError(name)

        def call(*args, **kwargs):
            given = bound(called, args, kwargs)
            self.calls.append((name, given))
            if name == "SGGraph":
                return Built(given)
            if name in ("ResourceHandle", "GraphProperties"):
                return dict(given)
            return getattr(_Answers, name)(given["graph"], given)

        return call

    def last(self, name):
        """Return the arguments of the last call of a function."""
        return next(given for called, given in reversed(self.calls) if called == name)


class _Answers:
    """What cuGraph's functions return, in its order."""

    @staticmethod
    def pagerank(built, given, jump=None):
        assert built.transposed
        n, alpha = len(built.multi), given["alpha"]
        start = np.full(n, 1 / n) if jump is None else np.array([jump[v] for v in range(n)])
        weights = nx.to_numpy_array(built.simple, nodelist=range(n)).astype(built.number)
        strength = weights.sum(axis=1)
        ranks, start = np.full(n, 1 / n, built.number), (start / start.sum()).astype(built.number)
        is_close, done = False, 0
        while not is_close and done < given["max_iterations"]:
            before, dangling, done = ranks, ranks[strength == 0].sum(), done + 1
            sent = ranks / np.where(strength == 0, 1, strength) * alpha
            ranks = sent @ weights + (dangling * alpha + (1 - alpha)) * start
            is_close = np.abs(ranks - before).sum() < given["epsilon"]
        return *built.shuffled(ranks), done < given["max_iterations"]

    @staticmethod
    def personalized_pagerank(built, given):
        values = given["personalization_values"]
        assert values.dtype == built.number
        assert given["personalization_vertices"].dtype == built.ids
        keys = given["personalization_vertices"].tolist()
        return _Answers.pagerank(built, given, dict(zip(keys, values.tolist(), strict=True)))

    @staticmethod
    def katz_centrality(built, given):
        assert built.transposed
        assert given["betas"] is None
        parameters = (given[name] for name in ("alpha", "beta", "max_iterations", "epsilon"))
        return built.shuffled(walks(built.simple, *parameters))

    @staticmethod
    def hits(built, given):
        assert built.transposed
        graph = nx.DiGraph(built.multi.edges())
        graph.add_nodes_from(built.multi)
        hubs, authorities = nx.hits(graph, max_iter=10_000, tol=1e-12)
        return built.shuffled(hubs, authorities)

    @staticmethod
    def betweenness_centrality(built, given):
        assert not built.transposed
        sources = given["k"]
        assert sources is None or sources.dtype == built.ids
        endpoints, graph = given["include_endpoints"], nx.DiGraph(built.multi)
        n, chosen = len(graph), range(len(graph)) if sources is None else sources.tolist()
        accumulate = (
            betweenness._accumulate_endpoints if endpoints else betweenness._accumulate_basic
        )
        raw = dict.fromkeys(graph, 0.0)
        for source in chosen:
            found = betweenness._single_source_shortest_path_basic(graph, source)
            raw, _ = accumulate(raw, *found[:3], source)
        # As its C++ sources scale.
        others = n if endpoints else n - 1
        pairs = others - 1 if given["normalized"] else 1 / others
        elsewhere = at_sources = len(chosen) * pairs
        if len(chosen) != others and not endpoints:
            at_sources = (len(chosen) - 1) * pairs
        with np.errstate(invalid="ignore"):
            scaled = {
                v: np.float64(x) / (at_sources if v in chosen else elsewhere)
                for v, x in raw.items()
            }
        return built.shuffled(scaled)

    @staticmethod
    def edge_betweenness_centrality(built, given):
        graph = nx.DiGraph(built.multi)
        n, sources = len(graph), range(len(graph)) if given["k"] is None else given["k"].tolist()
        values = nx.edge_betweenness_centrality_subset(graph, sources, list(graph))
        scale = len(sources) * (n - 1) if given["normalized"] else 1
        values = {edge: value / scale for edge, value in values.items()}
        rows = [(u, v, values[u, v]) for u, v in sorted(values, key=lambda e: (-e[1], e[0]))]
        src, dst, value = zip(*rows, strict=True)
        return np.array(src, built.ids), np.array(dst, built.ids), np.array(value), None

    @staticmethod
    def bfs(built, given):
        assert given["sources"].dtype == built.ids
        ways = nx.multi_source_dijkstra_path(built.multi, set(given["sources"].tolist()), weight=1)
        depth_limit = int(np.int32(given["depth_limit"]))  # as C takes it
        limit = depth_limit if depth_limit > 0 else len(built.multi)
        most = np.iinfo(built.ids).max
        steps = {v: len(ways[v]) - 1 if v in ways else most for v in built.multi}
        steps = {v: n if n <= limit else most for v, n in steps.items()}
        before = {v: ways[v][-2] if steps[v] not in (0, most) else -1 for v in built.multi}
        vertices, distances, predecessors = built.shuffled(steps, before)
        return distances.astype(built.ids), predecessors.astype(built.ids), vertices

    @staticmethod
    def sssp(built, given):
        assert built.is_weighted
        most = np.finfo(built.number).max
        # It would look for the next distance for ever, in steps of the mean length.
        assert not built.multi.size() or 0 < built.multi.size(weight="weight") <= most
        far, ways = nx.single_source_dijkstra(built.multi, given["source"])
        distances = {v: far.get(v, most) for v in built.multi}
        before = {v: ways[v][-2] if len(ways.get(v, ())) > 1 else -1 for v in built.multi}
        return built.shuffled(distances, before)

    @staticmethod
    def weakly_connected_components(built, given):
        assert built.is_undirected
        parts = sorted(nx.connected_components(built.multi), key=lambda c: -max(c))
        return built.shuffled(labels(parts))

    @staticmethod
    def core_number(built, given):
        assert built.is_undirected
        assert given["degree_type"] == "outgoing"  # both would count every neighbour twice
        return built.shuffled(nx.core_number(nx.Graph(built.multi)))

    @staticmethod
    def triangle_count(built, given):
        assert built.is_undirected
        return built.shuffled(nx.triangles(nx.Graph(built.multi)))

    @staticmethod
    def louvain(built, given):
        assert built.is_undirected
        graph = built.simple
        parts = nx.community.louvain_communities(graph, resolution=given["resolution"], seed=0)
        return *built.shuffled(labels(parts)), nx.community.modularity(graph, parts)

    @staticmethod
    def leiden(built, given):
        check_seed(given)
        return _Answers.louvain(built, given)

    @staticmethod
    def ecg(built, given):
        check_seed(given)
        return _Answers.louvain(built, given)

    @staticmethod
    def spectral_modularity_maximization(built, given):
        assert built.ids == np.int32
        check_seed(given)
        n = given["num_clusters"]
        assert given["num_eigen_vects"] <= n < len(built.multi)
        return built.shuffled({v: v % n for v in built.multi})


def cudf():
    """Return a module like cuDF, with pandas' frames."""
    module = types.ModuleType("cudf")

    def data_frame(*args, **kwargs):
        given = bound("cudf.DataFrame", args, kwargs)
        assert given["nan_as_null"] is False
        return pd.DataFrame(given["data"])

    module.DataFrame = data_frame
    module.Series = checked("cudf.Series", pd.Series)
    module.RangeIndex = checked("cudf.RangeIndex", pd.RangeIndex)
    return module


def cugraph():
    """Return a module like cugraph, whose graphs keep what they were made from."""
    module = types.ModuleType("cugraph")

    class Graph:
        def __init__(self, *args, **kwargs):
            self.made = bound(f"cugraph.{type(self).__name__}", args, kwargs)

        def from_cudf_edgelist(self, *args, **kwargs):
            self.given = bound("cugraph.Graph.from_cudf_edgelist", args, kwargs)

    module.Graph = Graph
    module.MultiGraph = type("MultiGraph", (Graph,), {})
    return module


def nx_cugraph():
    """Return a module like nx_cugraph."""
    module = types.ModuleType("nx_cugraph")

    class DiGraph:
        @staticmethod
        def from_coo(*args, **kwargs):
            return bound("nx_cugraph.DiGraph.from_coo", args, kwargs)

    module.DiGraph = DiGraph
    return module


def install(monkeypatch, **device):
    """Put stand-ins in the place of CuPy and RAPIDS; return pylibcugraph's."""
    library = Pylibcugraph()
    modules = {
        "cupy": cupy(**device),
        "pylibcugraph": library,
        "cudf": cudf(),
        "cugraph": cugraph(),
        "nx_cugraph": nx_cugraph(),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(
        cugraph_graph, "edge_maker", lambda projection, ids, xp: EdgeMaker(projection, ids)
    )
    return library
