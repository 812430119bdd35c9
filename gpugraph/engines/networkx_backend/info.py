"""What networkx is told of the backend when it is imported: text alone, quick to load."""

from __future__ import annotations

from typing import Any

EXACT = (
    "Exact, in one sweep: `max_iter`, `tol` and `nstart` are taken and have no meaning. Graphs "
    "without cycles only."
)
HOPS = "Paths are counted in edges; with weights networkx answers."
ACYCLIC = "Graphs without cycles only."
PARALLEL = "Parallel edges count each."

DTYPE = "dtype : {'float64', 'float32'}, optional (default: 'float64')"
DEVICE = "device : {'auto', 'cpu', 'cuda'}, optional (default: 'auto')"
PARAMETERS = {
    DTYPE: "What is computed in.",
    DEVICE: "Where; 'auto' takes a GPU if there is one.",
}
ON_DEVICE = {DEVICE: PARAMETERS[DEVICE]}

# What is to be said of every function that gpugraph answers.
DOCS: dict[str, str] = {
    "pagerank": f"{EXACT} Of a model's graph, whose weights are signed, the default "
    "`weight='weight'` means `'magnitude'`; 'positive' and 'negative' are views too.",
    "katz_centrality": f"{EXACT} Any alpha will do.",
    "hits": "By Lanczos, in the one block of layers that has hubs and authorities; weights as in "
    "`pagerank`. Where several are equal, the answer is one of many, as networkx's is.",
    "betweenness_centrality": f"{HOPS} The nodes drawn for `k` are those that networkx draws.",
    "edge_betweenness_centrality": f"{HOPS} Of a model's graph: EdgeValues, read by `items()`.",
    "closeness_centrality": HOPS,
    "harmonic_centrality": HOPS,
    "degree_centrality": PARALLEL,
    "in_degree_centrality": PARALLEL,
    "out_degree_centrality": PARALLEL,
    "ancestors": ACYCLIC,
    "descendants": ACYCLIC,
    "has_path": ACYCLIC,
    "local_reaching_centrality": HOPS,
    "single_source_shortest_path_length": ACYCLIC,
    "single_target_shortest_path_length": ACYCLIC,
    "descendants_at_distance": ACYCLIC,
    "weakly_connected_components": ACYCLIC,
    "number_weakly_connected_components": ACYCLIC,
    "is_weakly_connected": ACYCLIC,
    "strongly_connected_components": "Single nodes.",
    "kosaraju_strongly_connected_components": "Single nodes.",
    "number_strongly_connected_components": "The number of nodes.",
    "is_strongly_connected": "Only a single node is.",
    "attracting_components": "The nodes without edges out.",
    "number_attracting_components": "The number of nodes without edges out.",
    "is_attracting_component": "Only a single node is.",
    "is_directed_acyclic_graph": "True.",
    "has_cycle": "False.",
    "simple_cycles": "None.",
    "find_cycle": "None.",
    "number_of_selfloops": "0.",
    "overall_reciprocity": "0.",
    "reciprocity": "0, of the whole graph.",
    "flow_hierarchy": "1, without weights.",
    "topological_sort": "Of a model's graph: the order of its ids.",
    "topological_generations": ACYCLIC,
    "dag_longest_path_length": "In edges (`weight=None`); with weights networkx answers.",
    "is_empty": ACYCLIC,
    "isolates": ACYCLIC,
    "is_isolate": ACYCLIC,
    "number_of_isolates": ACYCLIC,
}

EXTRA: dict[str, dict[str, str]] = {
    "pagerank": PARAMETERS,
    "katz_centrality": PARAMETERS,
    "hits": ON_DEVICE,
    "betweenness_centrality": ON_DEVICE,
    "edge_betweenness_centrality": ON_DEVICE,
    "closeness_centrality": ON_DEVICE,
    "harmonic_centrality": ON_DEVICE,
}


def get_info() -> dict[str, Any]:
    """Return what networkx shows in its documentation, and which functions there are."""
    return {
        "backend_name": "gpugraph",
        "project": "gpugraph",
        "package": "gpugraph",
        "short_summary": "Exact measures of acyclic graphs, and of the neuron graphs of Keras "
        "models, in one sweep.",
        "description": "Neuron graphs of Keras models in factored form, measured without making "
        "an edge; networkx's own DiGraphs where they have no cycle.",
        "functions": {
            name: {"additional_docs": text, "additional_parameters": EXTRA.get(name, {})}
            for name, text in DOCS.items()
        },
    }
