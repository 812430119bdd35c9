"""NeuronGraph: populations and projections, and everything one can ask of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gpugraph.arrays import (
    Device,
    index_dtype,
    namespace,
    require_memory,
)
from gpugraph.edges import Edgelist, Edges, chunks, edge_maker
from gpugraph.errors import SelectionError
from gpugraph.export.files import Progress, no_progress
from gpugraph.fallback import chunks_fall_back, falls_back
from gpugraph.population import Population, Tensor
from gpugraph.projection import Projection
from gpugraph.scalars import whole
from gpugraph.views import Weight

if TYPE_CHECKING:
    from os import PathLike

    import cudf
    import cugraph
    import dask.dataframe as dd
    import networkx as nx
    from scipy import sparse
    from scipy.sparse.linalg import LinearOperator

    from gpugraph.algorithms.reach import Nodes
    from gpugraph.derived.channels import Granularity
    from gpugraph.derived.norms import Norm
    from gpugraph.engines.dask.cluster import Cluster
    from gpugraph.evaluate import Verification
    from gpugraph.model.topology import Topology
    from gpugraph.summary import Summary

# Small enough that a chunk's three columns stay in the processor's cache while they are written
# and read (benchmarks/edges.py shows the rates around it).
CHUNK_EDGES = 2**18
# A GPU writes its whole memory at one rate; large chunks only spare launches.
CHUNK_EDGES_GPU = 2**26

SMALLER = (
    "Take a smaller input_shape, a part of the graph (subgraph, between, threshold, strongest), "
    "or go through it in chunks (edges, write_parquet)."
)


class NeuronGraph:
    """The neuron graph of a model: every activation a node, every weight's use an edge.

    Made by `gpugraph.from_keras`. Holds no edges, only what they follow from; they are made
    when asked for, in chunks, always in the same order: projections in topological order of
    their targets, and within one as `Projection` describes.

    Attributes
    ----------
    name : str
        The model's name.
    populations : mapping of str to Population
        In order of their node ids, which is topological.
    projections : list of Projection
    tensors : mapping of str to Tensor
        What each Keras layer call gives: its own population, or another's in some shape. Further
        outputs of a call are ``name:1``, ``name:2`` ...
    topology : Topology, optional
        The model's layer calls; None for a graph that is a part of another, or that computes
        nothing by itself.
    couplings : bool
        Whether it was converted with the edges of normalisations' and softmaxes' groups.
    """

    def __init__(
        self,
        name: str,
        populations: Mapping[str, Population],
        projections: Sequence[Projection],
        tensors: Mapping[str, Tensor] | None = None,
        topology: Topology | None = None,
        couplings: bool = False,
    ) -> None:
        self.name = name
        self._populations = dict(populations)
        self.projections = list(projections)
        self._tensors = dict(tensors or {})
        self.topology = topology
        self.couplings = couplings

    def __getstate__(self) -> dict[str, Any]:
        """Leave the Keras model behind: a copy, here or on a worker, makes edges and readings."""
        ends = {"inputs": self.inputs, "outputs": self.outputs}
        return {**self.__dict__, "topology": None, **ends}

    def __repr__(self) -> str:
        return (
            f"NeuronGraph({self.name!r}: {self.n_nodes:,} nodes in {len(self.populations)} "
            f"populations, {self.n_edges:,} edges in {len(self.projections)} projections)"
        )

    # What networkx asks of a graph before it hands it to gpugraph.engines.networkx_backend

    __networkx_backend__ = "gpugraph"

    def is_directed(self) -> bool:
        """Whether edges have a direction, as networkx asks: always."""
        return True

    def is_multigraph(self) -> bool:
        """Whether networkx should tell parallel edges apart: never, see `to_networkx`."""
        return False

    def number_of_nodes(self) -> int:
        """Return `n_nodes`, by networkx's name."""
        return self.n_nodes

    def number_of_edges(self) -> int:
        """Return `n_edges`, by networkx's name; parallel edges count each."""
        return self.n_edges

    # Counts and look-ups

    @property
    def populations(self) -> Mapping[str, Population]:
        """Populations by name, in order of their node ids."""
        return MappingProxyType(self._populations)

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """What each Keras layer call gives: its own population, or another's in some shape."""
        return MappingProxyType(self._tensors)

    @cached_property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return sum(population.size for population in self.populations.values())

    @cached_property
    def n_edges(self) -> int:
        """Number of edges, exact; parallel edges count each."""
        return sum(projection.n_edges for projection in self.projections)

    @property
    def index_dtype(self) -> np.dtype:
        """Type of node ids in edge columns: int32 below 2**31 nodes, else int64."""
        return index_dtype(self.n_nodes)

    @property
    def weight_dtype(self) -> np.dtype:
        """Type of weights over the whole graph: float32, or float64 where any kernel is."""
        return np.result_type(np.float32, *(p.weight_dtype for p in self.projections))

    def population(self, name: str) -> Population:
        """Return the population of this name.

        Raises
        ------
        SelectionError
            If there is none; layers that make no nodes (Flatten, Dropout ...) say whose they
            pass on.
        """
        if name in self.populations:
            return self.populations[name]
        if name in self.tensors:
            raise SelectionError(
                f"Layer '{name}' makes no nodes of its own: it passes on population "
                f"'{self.tensors[name].population.name}'."
            )
        raise SelectionError(
            f"The graph has no population '{name}'. It has: {', '.join(self.populations)}."
        )

    @cached_property
    def inputs(self) -> list[Population]:
        """Populations where paths start: the model's inputs.

        In a part of a graph: those without projections in.
        """
        names = {n for n, into in self.projections_into.items() if not into}
        if self.topology is not None:
            names = set(self.topology.inputs)
        return [p for name, p in self.populations.items() if name in names]

    @cached_property
    def outputs(self) -> list[Population]:
        """Populations where paths end: the model's outputs, and what leads nowhere else."""
        names = {n for n, out in self.projections_from.items() if not out}
        if self.topology is not None:
            names |= {self.tensors[ref.label].population.name for ref in self.topology.outputs}
        return [p for name, p in self.populations.items() if name in names]

    @cached_property
    def projections_into(self) -> Mapping[str, list[Projection]]:
        """Projections by the name of their target, for every population."""
        into: dict[str, list[Projection]] = {name: [] for name in self.populations}
        for projection in self.projections:
            into[projection.target.name].append(projection)
        return into

    @cached_property
    def projections_from(self) -> Mapping[str, list[Projection]]:
        """Projections by the name of their source, for every population."""
        out: dict[str, list[Projection]] = {name: [] for name in self.populations}
        for projection in self.projections:
            out[projection.source.name].append(projection)
        return out

    def node_id(self, name: str, index: int | Sequence[int] = ()) -> int:
        """Return the id of a node from its population and its index, as Keras orders it.

        ``name`` may also be a layer that passes nodes on, such as Flatten; the index is then into
        its output.
        """
        if name not in self.populations and name in self.tensors:
            return self.tensors[name].node_id(index, name)
        return self.population(name).node_id(index)

    def node(self, node_id: int) -> tuple[str, tuple[int, ...]]:
        """Return the population and the index of a node id."""
        if not hasattr(node_id, "__index__") or not 0 <= node_id < self.n_nodes:
            raise SelectionError(f"There is no node {node_id}: ids are 0 to {self.n_nodes - 1}.")
        at = int(np.searchsorted(self._offsets, node_id, side="right")) - 1
        population = self._ordered[at]
        return population.name, population.index(int(node_id))

    @cached_property
    def _ordered(self) -> list[Population]:
        # Empty populations share their offset with the next one and own no id.
        return [p for p in self.populations.values() if p.size]

    @cached_property
    def _offsets(self) -> np.ndarray:
        return np.array([p.offset for p in self._ordered])

    # Edges

    def edges(
        self,
        populations: Sequence[str] | str | None = None,
        chunk_edges: int | None = None,
        device: Device = "auto",
    ) -> Iterator[Edges]:
        """Make all edges, chunk by chunk, in bounded memory.

        Parameters
        ----------
        populations : sequence of str, optional
            Only edges into these; by default all.
        chunk_edges : int, optional
            Most edges in a chunk. A chunk holds edges of one projection.
        device : {"auto", "cpu", "cuda"}
            Where the columns are made; "auto" takes the GPU if there is one, and the CPU after
            all, with a RuntimeWarning, if the GPU has no memory for the first chunk.

        Yields
        ------
        Edges
            ``src``, ``dst`` (int32 or int64) and ``weight`` (float32 or float64).

        Raises
        ------
        SelectionError
            If a population does not exist, or ``chunk_edges`` is no whole number of at least 1.
        DeviceError
            If the device is not there.
        GraphTooLargeError
            If a GPU has no memory for a chunk.
        """
        if chunk_edges is not None:
            chunk_edges = whole(chunk_edges, "chunk_edges", 1)
        if isinstance(populations, str):
            populations = [populations]
        names = None if populations is None else {self.population(n).name for n in populations}
        chosen = [p for p in self.projections if names is None or p.target.name in names]
        ranges = [(p, 0, p.n_edges) for p in chosen]

        def make(xp: ModuleType) -> Iterator[Edges]:
            most = chunk_edges or (CHUNK_EDGES if xp is np else CHUNK_EDGES_GPU)
            return chunks(ranges, most, self.index_dtype, xp)

        return chunks_fall_back(make, device, f"making the edges of '{self.name}'")

    @falls_back
    def materialise(self, device: Device = "auto") -> Edgelist:
        """Make all edges at once, in memory, in the order of `edges`.

        With ``device="auto"`` on the GPU if they fit there, else on the CPU, with a RuntimeWarning.

        Raises
        ------
        GraphTooLargeError
            If the columns would not fit in what memory is free.
        """
        xp = namespace(device)
        ids, n = self.index_dtype, self.n_edges
        n_bytes = n * (2 * ids.itemsize + self.weight_dtype.itemsize)
        require_memory(n_bytes, f"Making all {n:,} edges of '{self.name}'", SMALLER, xp)
        edgelist = Edgelist(*(xp.empty(n, dtype) for dtype in (ids, ids, self.weight_dtype)))
        at = 0
        for projection in self.projections:
            part = [column[at : at + projection.n_edges] for column in edgelist]
            edge_maker(projection, ids, xp).make(0, projection.n_edges, part)
            at += projection.n_edges
        return edgelist

    def edge_tuples(self) -> Iterator[tuple[int, int, float]]:
        """Yield every edge as ``(src, dst, weight)`` of Python's own numbers.

        Examples
        --------
        >>> import networkx as nx
        >>> nx.DiGraph().add_weighted_edges_from(graph.edge_tuples())  # doctest: +SKIP
        """
        for src, dst, weight in self.edges(device="cpu"):
            yield from zip(src.tolist(), dst.tolist(), weight.tolist(), strict=True)

    # Parts

    def subgraph(self, populations: Iterable[str]) -> NeuronGraph:
        """Return the graph of some populations and all edges among them.

        Populations keep their names, nodes get new ids. Like every part of a graph it takes
        every export and reading, but not `evaluate`.
        """
        from gpugraph.derived.subgraph import subgraph

        return subgraph(self, [populations] if isinstance(populations, str) else populations)

    def between(self, first: str, last: str) -> NeuronGraph:
        """Return the graph of the populations on any way from one to another, both included."""
        from gpugraph.derived.subgraph import between

        return between(self, first, last)

    def threshold(self, least: float) -> NeuronGraph:
        """Return the graph of all nodes and the edges of ``|weight| >= least``.

        Raises
        ------
        GraphTooLargeError
            If more edges pass than fit in memory.
        """
        from gpugraph.derived.subgraph import threshold

        return threshold(self, least)

    def strongest(self, k: int) -> NeuronGraph:
        """Return the graph of all nodes and the k edges of largest |weight| into each population.

        Among equals, the first in the order of `edges` are kept.
        """
        from gpugraph.derived.subgraph import strongest

        return strongest(self, k)

    def ancestors(self, nodes: Nodes) -> NeuronGraph:
        """Return the graph of some nodes and all that reach them: their receptive field.

        Parameters
        ----------
        nodes : int, iterable of int, or str
            Node ids, or the name of a population.

        Raises
        ------
        GraphTooLargeError
            If the part has more edges than fit in memory.
        """
        from gpugraph.derived.subgraph import ancestors

        return ancestors(self, nodes)

    def descendants(self, nodes: Nodes) -> NeuronGraph:
        """Return the graph of some nodes and all that they reach; otherwise as `ancestors`."""
        from gpugraph.derived.subgraph import descendants

        return descendants(self, nodes)

    # Coarser graphs

    def quotient(self, by: Granularity, norm: Norm | None = "l1") -> NeuronGraph:
        """Return the graph of channels, or of layers: neurons merged, no edge made.

        Two merged nodes are joined, once per projection, wherever an edge joins any of their
        neurons. What weighs between them are the distinct weights, their *taps*, each counted
        once however many positions use it: each parameter of a kernel, each place of a pooling
        window, a copy once. docs/granularity.md says it in full.

        Parameters
        ----------
        by : {"channel", "layer"}
            Merge what has the same index in the channel's dimension (the last, or the first in
            channels_first), or a whole population.
        norm : {"l1", "l2", "max", "sum", None}
            One weight of the taps between two nodes: sum of magnitudes, root of the sum of
            squares, largest magnitude, or sum. None keeps every tap as a parallel edge (the
            parameter graph), which ``parameter`` and ``tap`` tell apart.

        Returns
        -------
        NeuronGraph
            Populations have the same names, and shape ``(n_channels,)`` or ``()``. Biases and
            attributes stay where all merged neurons share one. Every reading, measure and export
            works on it; it is no model: `evaluate` refuses it.

        Raises
        ------
        SelectionError
            If nodes or edges were picked one by one (`threshold`, `strongest`, `ancestors`,
            `descendants`): take those of the quotient instead.

        References
        ----------
        Lim, Maron, Law, Lorraine, Lucas (2023). Graph metanetworks for processing diverse neural
        architectures. arXiv:2312.04501; the parameter graph, ``norm=None``.
        Kofinas et al. (2024). Graph neural networks for learning equivariant representations of
        neural networks. arXiv:2403.12143; a node per channel.

        Examples
        --------
        >>> gg.pagerank(graph.quotient("channel")).top(3)  # doctest: +SKIP
        """
        from gpugraph.derived.quotient import quotient

        return quotient(self, by, norm)

    # Other libraries and files

    def to_scipy(self, weight: Weight = "weight") -> sparse.csr_array:
        """Return the adjacency matrix ``A[src, dst]``; parallel edges are summed.

        Parameters
        ----------
        weight : {"weight", "magnitude", "positive", "negative", None}
            View of each edge's weight; None counts edges.

        Returns
        -------
        scipy.sparse.csr_array of shape ``(n_nodes, n_nodes)``
            float32 or float64, in canonical form (indices sorted, no duplicates).

        Raises
        ------
        GraphTooLargeError
            If it would not fit in memory.
        """
        from gpugraph.export.scipy import to_scipy

        return to_scipy(self, weight)

    def to_networkx(self, *, multigraph: bool = False, parameters: bool = False) -> nx.DiGraph:
        """Return a networkx DiGraph whose nodes are the ids.

        Nodes carry ``population``, ``layer`` (class), their index (``row``, ``column``,
        ``channel`` ...), ``bias``, ``activation`` and ``subset`` (depth, for
        ``nx.multipartite_layout``); edges ``weight`` and ``kind``.

        Parameters
        ----------
        multigraph : bool
            Keep parallel edges, in a MultiDiGraph, instead of summing their weights.
        parameters : bool
            Add ``parameter`` (flat index in the layer's kernel, -1 without one) and ``tap``
            (position in the window) to each edge.

        Raises
        ------
        GraphTooLargeError
            If it would not fit in memory.
        """
        from gpugraph.export.networkx import to_networkx

        return to_networkx(self, multigraph=multigraph, parameters=parameters)

    def to_cudf(self, weight: Weight = "weight", rows: int = 2**27) -> Iterator[cudf.DataFrame]:
        """Yield all edges as cuDF frames of the columns ``src``, ``dst`` and ``weight``.

        Parameters
        ----------
        weight : {"weight", "magnitude", "positive", "negative", None}
            View of each edge's weight; None: 1.
        rows : int
            Most rows of a frame; cuDF takes up to 2**31 - 1.

        Raises
        ------
        DeviceError, MissingDependencyError
            If there is no NVIDIA GPU, or no cuDF.
        GraphTooLargeError
            If a frame would not fit in the GPU's memory.
        """
        from gpugraph.engines.cugraph_export import to_cudf

        return to_cudf(self, weight, rows)

    def to_cugraph(
        self, weight: Weight = "weight", *, store_transposed: bool = False
    ) -> cugraph.Graph:
        """Return a directed ``cugraph.Graph`` whose vertices are the node ids, all of them.

        A ``cugraph.MultiGraph`` where edges may be parallel. cuGraph does not look at signs:
        take ``weight="magnitude"`` for PageRank, communities and shortest paths.

        Parameters
        ----------
        weight : {"weight", "magnitude", "positive", "negative", None}
            View of each edge's weight; None: 1.
        store_transposed : bool
            True for PageRank, Katz, HITS and eigenvector centrality, or cuGraph turns the graph
            round itself.

        Raises
        ------
        DeviceError, MissingDependencyError
            If there is no NVIDIA GPU, or no cuGraph.
        GraphTooLargeError
            If it would not fit in the GPU's memory, or has more edges than a frame has rows.
        """
        from gpugraph.engines.cugraph_export import to_cugraph

        return to_cugraph(self, weight, store_transposed)

    def to_nx_cugraph(self, weight: Weight = "weight") -> Any:
        """Return a graph for networkx's cuGraph backend: ``nx.pagerank(graph.to_nx_cugraph())``.

        Parallel edges are summed. Parameters and errors as in `to_cugraph`.
        """
        from gpugraph.engines.cugraph_export import to_nx_cugraph

        return to_nx_cugraph(self, weight)

    def to_dask(
        self,
        partition_edges: int | None = None,
        *,
        backend: Literal["pandas", "cudf"] = "pandas",
        columns: Sequence[str] = ("src", "dst", "weight"),
        weight: Weight = "weight",
        cluster: Cluster = None,
    ) -> dd.DataFrame:
        """Return all edges as a Dask DataFrame whose partitions the workers make, when asked.

        Row ``e`` of the index is edge ``e`` in the order of `edges`. Only weights travel to the
        workers, once; see docs/distributed.md.

        Parameters
        ----------
        partition_edges : int, optional
            Rows of every partition but the last. By default 2**24 (200 MB), for cuDF 2**26.
        backend : {"pandas", "cudf"}
            What partitions are; "cudf" is made on the workers' GPUs, and needs one here too.
        columns : sequence of str
            Among ``src``, ``dst``, ``weight``, ``kind`` (categorical), ``parameter`` and ``tap``,
            as in `write_parquet`.
        weight : {"weight", "magnitude", "positive", "negative", None}
            View of each edge's weight; None: all are 1.
        cluster : str, Dask cluster or distributed.Client, optional
            A scheduler's address, say. The connection stays open and becomes Dask's default. By
            default the cluster that Dask is connected to, else this process.

        Raises
        ------
        MissingDependencyError
            If Dask or cuDF is not installed.
        DeviceError
            If no scheduler answers, or there is no GPU for cuDF.
        SelectionError
            If an argument means nothing.

        Examples
        --------
        >>> edges = graph.to_dask(cluster="tcp://host:8786")  # doctest: +SKIP
        >>> edges.groupby("dst").weight.sum().compute()  # doctest: +SKIP
        """
        from gpugraph.engines.dask.frame import to_dask

        return to_dask(
            self,
            partition_edges,
            backend=backend,
            columns=columns,
            weight=weight,
            cluster=cluster,
        )

    def write_graphml(
        self,
        path: str | PathLike[str],
        *,
        overwrite: bool = False,
        parameters: bool = False,
        progress: Progress = no_progress,
    ) -> None:
        """Write a GraphML file, in bounded memory; ``.gz`` at the end of its name compresses it.

        Nodes and edges carry what they carry in `to_networkx`; parallel edges stay apart.

        Parameters
        ----------
        path : path
        overwrite : bool
            Whether a file that stands there may be replaced.
        parameters : bool
            As in `to_networkx`.
        progress : callable
            Called with the number of edges written since the last call.

        Raises
        ------
        OutputError
            If the file cannot be written; what stood there is then untouched.
        """
        from gpugraph.export.graphml import write_graphml

        write_graphml(self, path, overwrite=overwrite, parameters=parameters, progress=progress)

    def write_parquet(
        self,
        folder: str | PathLike[str],
        *,
        overwrite: bool = False,
        parameters: bool = False,
        progress: Progress = no_progress,
        cluster: Cluster = None,
    ) -> None:
        """Write a folder of Parquet files: ``nodes.parquet`` and ``edges/part-*.parquet``.

        Parameters and errors as in `write_graphml`, and:

        Parameters
        ----------
        cluster : str, Dask cluster or distributed.Client, optional
            Whose workers write the edges, such as ``"tcp://host:8786"``; the folder must be one
            that all of them and this machine share. By default this machine's cores.

        Raises
        ------
        MissingDependencyError
            If a cluster is given and Dask is not installed.
        DeviceError
            If no scheduler answers, or workers keep dying.
        """
        from gpugraph.export.parquet import write_parquet

        write_parquet(
            self,
            folder,
            overwrite=overwrite,
            parameters=parameters,
            progress=progress,
            cluster=cluster,
        )

    def write_csv(
        self,
        path: str | PathLike[str],
        *,
        overwrite: bool = False,
        parameters: bool = False,
        progress: Progress = no_progress,
    ) -> None:
        """Write edges as CSV, and nodes beside them: ``net.csv`` and ``net.nodes.csv``.

        ``.gz`` at the end of the name compresses both. Parameters and errors as in
        `write_graphml`.
        """
        from gpugraph.export.csv import write_csv

        write_csv(self, path, overwrite=overwrite, parameters=parameters, progress=progress)

    def write_npz(
        self,
        path: str | PathLike[str],
        *,
        overwrite: bool = False,
        progress: Progress = no_progress,
    ) -> None:
        """Write `to_scipy` as a file that ``scipy.sparse.load_npz`` reads.

        Parameters and errors as in `write_graphml` and `to_scipy`.
        """
        from gpugraph.export.scipy import write_npz

        write_npz(self, path, overwrite=overwrite, progress=progress)

    # Readings without edges

    def in_degree(self) -> np.ndarray:
        """Edges into each node; int64, shape ``(n_nodes,)``."""
        total = np.zeros(self.n_nodes, np.int64)
        for projection in self.projections:
            total[projection.target.slice] += projection.in_degree()
        return total

    def out_degree(self) -> np.ndarray:
        """Edges out of each node; int64, shape ``(n_nodes,)``."""
        total = np.zeros(self.n_nodes, np.int64)
        for projection in self.projections:
            total[projection.source.slice] += projection.out_degree()
        return total

    def in_strength(self, weight: Weight = "weight") -> np.ndarray:
        """Sum of the weights into each node; float64, shape ``(n_nodes,)``."""
        total = np.zeros(self.n_nodes)
        for projection in self.projections:
            projection.in_strength(weight, total[projection.target.slice])
        return total

    def out_strength(self, weight: Weight = "weight") -> np.ndarray:
        """Sum of the weights out of each node; float64, shape ``(n_nodes,)``."""
        total = np.zeros(self.n_nodes)
        for projection in self.projections:
            projection.out_strength(weight, total[projection.source.slice])
        return total

    def as_linear_operator(
        self, weight: Weight = "magnitude", device: Device = "auto"
    ) -> LinearOperator:
        """Return the adjacency matrix, transposed, as an operator that makes no edges.

        ``operator @ x`` sends node values along the edges once: ``y[dst] += weight * x[src]``;
        ``operator.rmatvec`` sends them back.

        Returns
        -------
        scipy.sparse.linalg.LinearOperator, or cupyx's on a GPU
            Shape ``(n_nodes, n_nodes)``, float64; complex vectors give complex ones.

        Raises
        ------
        SelectionError
            If there is no such view of the weights.
        DeviceError
            If the device is not there.
        """
        from gpugraph.products.linear_operator import linear_operator

        return linear_operator(self, weight, device)

    # The graph as the model

    def evaluate(self, inputs: Any) -> dict[str, np.ndarray]:
        """Compute every population's values from the model's inputs, by the graph alone.

        See `gpugraph.evaluate.evaluate`.
        """
        from gpugraph.evaluate import evaluate

        return evaluate(self, inputs)

    def verify(
        self, inputs: Any = None, *, seed: int = 0, tolerance: float | None = None
    ) -> Verification:
        """Compare `evaluate` with the model, population by population.

        See `gpugraph.evaluate.verify`.
        """
        from gpugraph.evaluate import verify

        return verify(self, inputs, seed=seed, tolerance=tolerance)

    def summary(self) -> Summary:
        """Return a table of populations with nodes, edges, memory and file sizes."""
        from gpugraph.summary import summarise

        return summarise(self)

    # Graphs to compare with

    def given(self, inputs: Any) -> NeuronGraph:
        """Return the activation-weighted graph: each edge's weight times its source's value.

        What flows along every edge when the model sees one input: the weights into a node of
        reduce "sum" add up to its value before bias and activation. Nothing is copied but one
        value per node; every reading, measure and export works on the result as on any graph.

        Parameters
        ----------
        inputs : array, sequence of arrays, or mapping of input name to array
            One sample, shape ``(1, *input shape)`` each, as for `evaluate`.

        Returns
        -------
        NeuronGraph
            With the same nodes and edges. Weights are float32, or float64 where the kernel or
            the inputs are. The view "positive" holds the edges that raise their target,
            whatever the signs of weight and value. It is no model: `evaluate` refuses it.

        Raises
        ------
        ModelError
            If the graph is only a part of a model's.
        ShapeError
            If the inputs do not have the model's shapes, or hold more than one sample.
        NonFiniteError
            If an activation is NaN or infinite.

        References
        ----------
        Goibert, Ricatte, Dohmatob (2022). An adversarial robustness perspective on the topology
        of neural networks. arXiv:2211.02675; there by ``|weight * activation|``.
        Gebhart, Schrater, Hylton (2019). Characterizing the shape of activation space in deep
        neural networks. arXiv:1901.09496.

        Examples
        --------
        >>> flow = graph.given(image[None])  # doctest: +SKIP
        >>> gg.pagerank(flow).top(3)  # doctest: +SKIP
        """
        from gpugraph.derived.given import given

        return given(self, inputs)

    def shuffled(self, seed: int) -> NeuronGraph:
        """Return a null model: the weights of each kernel permuted at random.

        Nodes, edges, biases, and how many weights of which size every kernel has, stay; where
        they stand is forgotten. A kernel that several projections share, as of a layer that is
        called twice, is shared still. Normalisations' scales are permuted too; what follows from
        the structure (copies, choices, means, interpolation) is as it was.

        Parameters
        ----------
        seed : int
            Of the permutations, at least 0; the same seed gives the same graph.

        Returns
        -------
        NeuronGraph
            With weights of its own: as many bytes as the kernels have. `evaluate` and `given`
            run it as a model with these weights; `verify` tells how far that is from the model.

        Raises
        ------
        SelectionError
            If the seed is no whole number of at least 0.
        GraphTooLargeError
            If the permuted weights would not fit in memory.

        Examples
        --------
        >>> null = [gg.pagerank(graph.shuffled(i)) for i in range(10)]  # doctest: +SKIP
        """
        from gpugraph.derived.null_models import shuffled

        return shuffled(self, seed)

    def with_weights(self, model: Any, *, allow_nonfinite: bool = False) -> NeuronGraph:
        """Return the same graph with the weights of another checkpoint of its model.

        Names and ids of the nodes, and the order of the edges, are this graph's, so that values
        of nodes and edges compare one by one: before and after training, or of two trainings.

        Parameters
        ----------
        model : keras.Model, str or path
            As for `gpugraph.from_keras`. Layers may have other names; their order, classes and
            shapes, at this graph's input shape, may not differ.
        allow_nonfinite : bool
            Whether to take weights that hold NaN or infinity.

        Returns
        -------
        NeuronGraph
            Kernels, biases, attributes and activation functions are the other model's, and so is
            the name.

        Raises
        ------
        ModelError
            If the model cannot be read, or its structure differs: it says where first. If this
            graph is only a part of a model's.
        NonFiniteError
            If weights hold NaN or infinity.

        Examples
        --------
        >>> change = graph.with_weights("epoch9.keras").in_strength("magnitude")  # doctest: +SKIP
        """
        from gpugraph.derived.checkpoint import with_weights

        return with_weights(self, model, allow_nonfinite=allow_nonfinite)
