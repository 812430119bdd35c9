"""Stand-ins for RAPIDS on a Dask cluster: every call is bound against the real signature.

`from_dask_cudf_edgelist` asks of Dask what cuGraph's asks, so that partitions are really made, cut
anew and put on workers; networkx computes from what arrives. As in cuGraph, nodes without edges are
unknown, and results are Dask frames in another order of the vertices, in single precision.
"""

import types

import dask.dataframe as dd
import networkx as nx
import numpy as np
import pandas as pd
from distributed import default_client

from tests.contracts import fakes


def modules():
    """Return all stand-ins that gpugraph's measures on many GPUs meet, by name."""
    communication = Communication()
    cugraph = fakes.cugraph()
    cugraph.MultiGraph = type("MultiGraph", (MultiGraph,), {"communication": communication})
    cugraph.dask = dcg = types.ModuleType("cugraph.dask")
    for answer in (pagerank, katz_centrality, weakly_connected_components, louvain):
        called = f"cugraph.dask.{answer.__name__}"
        setattr(dcg, answer.__name__, _bound(called, answer))
    dcg.comms = types.ModuleType("cugraph.dask.comms")
    dcg.comms.comms = communication
    dask_cudf = types.ModuleType("dask_cudf")
    dask_cudf.DataFrame = dd.DataFrame
    return {
        "cupy": fakes.cupy(),
        "cudf": fakes.cudf(),
        "dask_cudf": dask_cudf,
        "cugraph": cugraph,
        "cugraph.dask": dcg,
        "cugraph.dask.comms": dcg.comms,
        "cugraph.dask.comms.comms": communication,
    }


def _bound(called, answer):
    def call(*args, **kwargs):
        given = fakes.bound(called, args, kwargs)
        return answer(given["input_graph"], given)

    return call


class Communication(types.ModuleType):
    """How workers talk to each other: begun once, by the client that Dask has, and ended."""

    def __init__(self):
        super().__init__("cugraph.dask.comms.comms")
        self.workers, self.begun = [], 0

    def initialize(self, *args, **kwargs):
        given = fakes.bound("cugraph.dask.comms.comms.initialize", args, kwargs)
        if self.workers:
            raise Exception("Communicator is already initialized")
        assert given["p2p"]
        self.workers = list(default_client().nthreads())
        self.begun += 1

    def is_initialized(self):
        return bool(self.workers)

    def destroy(self):
        self.workers = []


class MultiGraph:
    """A graph on the workers, which keeps parallel edges."""

    communication: Communication

    def __init__(self, *args, **kwargs):
        given = fakes.bound("cugraph.MultiGraph", args, kwargs)
        self.is_directed = given.get("directed", False)

    def from_dask_cudf_edgelist(self, *args, **kwargs):
        given = fakes.bound("cugraph.Graph.from_dask_cudf_edgelist", args, kwargs)
        frame, src, dst = (given[name] for name in ("input_ddf", "source", "destination"))
        if not isinstance(frame, dd.DataFrame):
            raise TypeError("input should be a dask_cudf dataFrame")
        workers = self.communication.workers
        frame = frame.repartition(npartitions=2 * len(workers))
        frame = frame.rename(columns={given["weight"]: "weights"})
        frame = dd.concat([frame[[src]], frame[[dst]], frame[["weights"]]], axis=1)
        parts = frame.repartition(npartitions=2 * len(workers)).to_delayed()
        client = default_client()
        held = [
            client.compute(parts[i :: len(workers)], workers=worker, allow_other_workers=False)
            for i, worker in enumerate(workers)
        ]
        edges = pd.concat([part for futures in held for part in client.gather(futures)])
        assert edges[src].dtype == edges[dst].dtype
        assert edges[src].dtype in (np.int32, np.int64)
        self.ids, self.number = edges[src].dtype, edges["weights"].dtype
        self.transposed = given.get("store_transposed", False)
        self.multi = (nx.MultiDiGraph if self.is_directed else nx.MultiGraph)()
        self.multi.add_weighted_edges_from(edges.itertuples(index=False, name=None))

    @property
    def simple(self):
        return fakes.simple(self.multi)

    def frame(self, column, values, dtype):
        """Return a result: vertices in another order, in a part per worker."""
        vertices = np.random.default_rng(1).permutation(list(values)).astype(self.ids)
        found = np.array([values[v] for v in vertices.tolist()], dtype)
        whole = pd.DataFrame({"vertex": vertices, column: found})
        return dd.from_pandas(whole, npartitions=len(self.communication.workers), sort=False)


def pagerank(built, given):
    assert built.transposed
    limit = given["tol"] / len(built.multi)  # networkx multiplies by the number of nodes
    try:
        ranks = nx.pagerank(built.simple, given["alpha"], max_iter=given["max_iter"], tol=limit)
        converged = True
    except nx.PowerIterationFailedConvergence:
        ranks, converged = dict.fromkeys(built.multi, np.nan), False
    frame = built.frame("pagerank", ranks, built.number)
    return frame if given.get("fail_on_nonconvergence", True) else (frame, converged)


def katz_centrality(built, given):
    assert built.transposed
    if given["alpha"] <= 0:
        raise ValueError("'alpha' must be a positive float or None")
    walks = fakes.walks(
        built.simple, given["alpha"], given["beta"], given["max_iter"], given["tol"]
    )
    return built.frame("katz_centrality", walks, built.number)


def weakly_connected_components(built, given):
    if built.is_directed:
        raise ValueError("input graph must be undirected")
    parts = sorted(nx.connected_components(built.multi), key=lambda part: -max(part))
    return built.frame("labels", fakes.labels(parts), built.ids)


def louvain(built, given):
    if built.is_directed:
        raise ValueError("input graph must be undirected")
    graph = built.simple
    parts = nx.community.louvain_communities(graph, resolution=given["resolution"], seed=0)
    modularity = np.array([nx.community.modularity(graph, parts)])
    return built.frame("partition", fakes.labels(parts), built.ids), modularity
