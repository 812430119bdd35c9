"""gpugraph: Keras models as neuron graphs."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Under their own names, so that type checkers of strict users take them for public.
    from gpugraph.algorithms.betweenness import (
        betweenness_centrality as betweenness_centrality,
        edge_betweenness_centrality as edge_betweenness_centrality,
    )
    from gpugraph.algorithms.closeness import (
        closeness_centrality as closeness_centrality,
        harmonic_centrality as harmonic_centrality,
    )
    from gpugraph.algorithms.communities import (
        Communities as Communities,
        ecg as ecg,
        leiden as leiden,
        louvain as louvain,
        spectral_modularity as spectral_modularity,
    )
    from gpugraph.algorithms.components import (
        weakly_connected_components as weakly_connected_components,
    )
    from gpugraph.algorithms.core_number import core_number as core_number, k_core as k_core
    from gpugraph.algorithms.degree import (
        degree_centrality as degree_centrality,
        in_degree as in_degree,
        in_degree_centrality as in_degree_centrality,
        in_strength as in_strength,
        out_degree as out_degree,
        out_degree_centrality as out_degree_centrality,
        out_strength as out_strength,
    )
    from gpugraph.algorithms.distances import Distances as Distances, bfs as bfs, sssp as sssp
    from gpugraph.algorithms.eigenvector import eigenvector_centrality as eigenvector_centrality
    from gpugraph.algorithms.hits import hits as hits
    from gpugraph.algorithms.katz import katz_centrality as katz_centrality
    from gpugraph.algorithms.layer_statistics import (
        LayerStatistics as LayerStatistics,
        ProjectionStatistics as ProjectionStatistics,
        layer_statistics as layer_statistics,
    )
    from gpugraph.algorithms.longest_path import longest_path_length as longest_path_length
    from gpugraph.algorithms.normalized_cut import (
        Clustering as Clustering,
        normalized_cut as normalized_cut,
    )
    from gpugraph.algorithms.pagerank import pagerank as pagerank
    from gpugraph.algorithms.path_count import path_count as path_count
    from gpugraph.algorithms.path_strength import (
        edge_path_strength as edge_path_strength,
        path_strength as path_strength,
    )
    from gpugraph.algorithms.reach import ancestors as ancestors, descendants as descendants
    from gpugraph.algorithms.singular_values import singular_values as singular_values
    from gpugraph.algorithms.spectral_gap import spectral_gap as spectral_gap
    from gpugraph.algorithms.strongest_paths import (
        NodePath as NodePath,
        strongest_paths as strongest_paths,
    )
    from gpugraph.algorithms.triangle_count import triangle_count as triangle_count
    from gpugraph.axes import (
        Axis as Axis,
        fan_in as fan_in,
        fan_out as fan_out,
        one_to_one as one_to_one,
        pairs as pairs,
        window as window,
    )
    from gpugraph.callback import GraphHistory as GraphHistory
    from gpugraph.conversion import Conversion as Conversion
    from gpugraph.convert import from_keras as from_keras
    from gpugraph.edge_values import EdgeValues as EdgeValues
    from gpugraph.edges import Edges as Edges
    from gpugraph.errors import (
        ConvergenceError as ConvergenceError,
        DeviceError as DeviceError,
        GpugraphError as GpugraphError,
        GraphTooLargeError as GraphTooLargeError,
        MeasureError as MeasureError,
        MissingDependencyError as MissingDependencyError,
        ModelError as ModelError,
        NonFiniteError as NonFiniteError,
        OutputError as OutputError,
        RangeError as RangeError,
        SelectionError as SelectionError,
        ShapeError as ShapeError,
        SignedWeightsError as SignedWeightsError,
        UndefinedMeasureError as UndefinedMeasureError,
        UnsupportedLayerError as UnsupportedLayerError,
    )
    from gpugraph.evaluate import Verification as Verification
    from gpugraph.graph import NeuronGraph as NeuronGraph
    from gpugraph.model.layer_call import LayerCall as LayerCall
    from gpugraph.model.topology import Topology as Topology, topology as topology
    from gpugraph.model.weights import (
        WeightsTable as WeightsTable,
        WeightStatistics as WeightStatistics,
        weights_table as weights_table,
    )
    from gpugraph.node_values import NodeValues as NodeValues, RankedNode as RankedNode
    from gpugraph.plot import plot_kernels as plot_kernels
    from gpugraph.population import (
        Activation as Activation,
        Population as Population,
        Tensor as Tensor,
    )
    from gpugraph.projection import Projection as Projection
    from gpugraph.registry import converts as converts, supported_layers as supported_layers
    from gpugraph.transform.fully_convolutional import (
        to_fully_convolutional as to_fully_convolutional,
    )

__version__ = "0.1.0"

# Loaded on first use, so that `import gpugraph` and `gpugraph --help` stay instant.
_HOMES = {
    "algorithms.betweenness": ["betweenness_centrality", "edge_betweenness_centrality"],
    "algorithms.closeness": ["closeness_centrality", "harmonic_centrality"],
    "algorithms.communities": ["Communities", "ecg", "leiden", "louvain", "spectral_modularity"],
    "algorithms.components": ["weakly_connected_components"],
    "algorithms.core_number": ["core_number", "k_core"],
    "algorithms.degree": [
        "degree_centrality",
        "in_degree",
        "in_degree_centrality",
        "in_strength",
        "out_degree",
        "out_degree_centrality",
        "out_strength",
    ],
    "algorithms.distances": ["Distances", "bfs", "sssp"],
    "algorithms.eigenvector": ["eigenvector_centrality"],
    "algorithms.hits": ["hits"],
    "algorithms.katz": ["katz_centrality"],
    "algorithms.layer_statistics": [
        "LayerStatistics",
        "ProjectionStatistics",
        "layer_statistics",
    ],
    "algorithms.longest_path": ["longest_path_length"],
    "algorithms.normalized_cut": ["Clustering", "normalized_cut"],
    "algorithms.pagerank": ["pagerank"],
    "algorithms.path_count": ["path_count"],
    "algorithms.path_strength": ["edge_path_strength", "path_strength"],
    "algorithms.reach": ["ancestors", "descendants"],
    "algorithms.singular_values": ["singular_values"],
    "algorithms.spectral_gap": ["spectral_gap"],
    "algorithms.strongest_paths": ["NodePath", "strongest_paths"],
    "algorithms.triangle_count": ["triangle_count"],
    "axes": ["Axis", "fan_in", "fan_out", "one_to_one", "pairs", "window"],
    "callback": ["GraphHistory"],
    "conversion": ["Conversion"],
    "convert": ["from_keras"],
    "edge_values": ["EdgeValues"],
    "edges": ["Edges"],
    "errors": [
        "ConvergenceError",
        "DeviceError",
        "GpugraphError",
        "GraphTooLargeError",
        "MeasureError",
        "MissingDependencyError",
        "ModelError",
        "NonFiniteError",
        "OutputError",
        "RangeError",
        "SelectionError",
        "ShapeError",
        "SignedWeightsError",
        "UndefinedMeasureError",
        "UnsupportedLayerError",
    ],
    "evaluate": ["Verification"],
    "graph": ["NeuronGraph"],
    "model.layer_call": ["LayerCall"],
    "model.topology": ["Topology", "topology"],
    "model.weights": ["WeightStatistics", "WeightsTable", "weights_table"],
    "node_values": ["NodeValues", "RankedNode"],
    "plot": ["plot_kernels"],
    "population": ["Activation", "Population", "Tensor"],
    "projection": ["Projection"],
    "registry": ["converts", "supported_layers"],
    "transform.fully_convolutional": ["to_fully_convolutional"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [*_HOME_OF, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'gpugraph' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"gpugraph.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
