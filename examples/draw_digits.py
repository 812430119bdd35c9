"""Draw the digit reader's graph, and in it one neuron's receptive field (docs/digits.png).

    python examples/draw_digits.py [output.png]

Needs matplotlib (``pip install 'gpugraph[plots]'``).
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb

import gpugraph as gg
from gpugraph.demo import digits_model

SHIPPED = Path(__file__).parent.parent / "docs" / "digits.png"
NEURON = ("conv2", (1, 2, 5))
PALE, DARK, FIELD = "#4f7396", "#33475b", "#d1495b"


def positions(graph: gg.NeuronGraph) -> np.ndarray:
    """Place the nodes in one column per depth, as networkx does, spread to equal height."""
    # `subset` is set on every node, so the layout works as it is.
    layout = nx.multipartite_layout(graph.to_networkx())
    points = np.array([layout[i] for i in range(graph.n_nodes)])
    for p in graph.populations.values():
        points[p.slice, 1] = np.linspace(1, -1, p.size + 2)[1:-1]
    return points


def main() -> None:
    """Draw everything in pale, the receptive field on top."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED
    graph = gg.from_keras(digits_model())
    points = positions(graph)
    figure, axes = plt.subplots(figsize=(11, 6), dpi=100, layout="constrained")
    # Each projection in its own shade: few edges may be dark, many must be pale.
    for projection in graph.projections:
        src, dst, weight = projection.edges()
        strength = np.abs(weight) / np.abs(weight).max()
        shades = np.tile([*to_rgb(PALE), 0.0], (len(src), 1))
        shades[:, 3] = np.clip(strength * 12 / np.sqrt(len(src)), 0.02, 0.6)
        lines = np.stack([points[src], points[dst]], axis=1)
        axes.add_collection(LineCollection(lines, colors=shades, linewidths=0.4))

    field = graph.ancestors(graph.node_id(*NEURON))
    ids = np.array([graph.node_id(*field.node(i)) for i in range(field.n_nodes)])
    src, dst, _ = field.materialise("cpu")
    lines = np.stack([points[ids[src]], points[ids[dst]]], axis=1)
    axes.add_collection(LineCollection(lines, colors=FIELD, linewidths=0.35, alpha=0.4))

    axes.scatter(*points.T, s=2.5, color=DARK, linewidths=0, zorder=3)
    axes.scatter(*points[ids].T, s=7, color=FIELD, linewidths=0, zorder=4)
    for p in graph.populations.values():
        x = points[p.offset, 0]
        shape = " x ".join(map(str, p.shape))
        axes.text(x, 1.06, f"{p.name}\n{shape}", ha="center", va="bottom", fontsize=9, color=DARK)
    place = ", ".join(map(str, NEURON[1]))
    axes.set_title(
        f"{graph.n_nodes:,} neurons, {graph.n_edges:,} edges; in red: neuron ({place}) of "
        f"{NEURON[0]} and all that reaches it",
        fontsize=10,
        color=DARK,
        y=-0.02,
        va="top",
    )
    axes.set_ylim(-1.05, 1.22)
    axes.axis("off")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor="white")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
