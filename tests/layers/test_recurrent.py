import pickle
from itertools import product

import keras
import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

import gpugraph as gg
from tests.jacobian import assert_linear, output_of, randomise, single
from tests.models import needs_float64


def one_step(cell):
    """Return a cell as a function of an input and its states."""
    return lambda tensors: keras.tree.flatten(cell(tensors[0], tensors[1:]))


ROWS = {
    "SimpleRNN": (layers.SimpleRNN(3), (4, 2)),
    "LSTM": (layers.LSTM(3), (4, 2)),
    "GRU": (layers.GRU(3), (4, 2)),
    "RNN": (layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)]), (4, 2)),
    "SimpleRNNCell": (one_step(layers.SimpleRNNCell(3)), (2,), (3,)),
    "LSTMCell": (one_step(layers.LSTMCell(3)), (2,), (3,), (3,)),
    "GRUCell": (one_step(layers.GRUCell(3)), (2,), (3,)),
    "StackedRNNCells": (
        one_step(layers.StackedRNNCells([layers.GRUCell(3), layers.GRUCell(2)])),
        (2,),
        (3,),
        (2,),
    ),
}

CASES = {
    "SimpleRNN": (layers.SimpleRNN, {}),
    "SimpleRNN without bias": (layers.SimpleRNN, {"use_bias": False}),
    "LSTM": (layers.LSTM, {}),
    "LSTM without bias": (layers.LSTM, {"use_bias": False}),
    "LSTM gate by gate": (layers.LSTM, {"implementation": 1}),
    "GRU": (layers.GRU, {}),
    "GRU without bias": (layers.GRU, {"use_bias": False}),
    "GRU reset before": (layers.GRU, {"reset_after": False}),
    "GRU reset before, without bias": (layers.GRU, {"reset_after": False, "use_bias": False}),
    "GRU gate by gate": (layers.GRU, {"implementation": 1}),
}


def edges_of(graph, kind=None):
    """Return every edge as (source, index, target, index)."""
    return {
        (p.source.name, p.source.index(src), p.target.name, p.target.index(dst))
        for p in graph.projections
        for src, dst, _ in zip(*p.edges(), strict=True)
        if kind in (None, p.kind)
    }


def n_edges(graph, kind):
    return sum(p.n_edges for p in graph.projections if p.kind == kind)


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_state", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_options(case, return_sequences, return_state, go_backwards):
    cls, options = CASES[case]
    layer = cls(
        3,
        return_sequences=return_sequences,
        return_state=return_state,
        go_backwards=go_backwards,
        name="rnn",
        **options,
    )
    graph = gg.from_keras(single(layer, (4, 2)))
    assert graph.verify(np.random.default_rng(0).standard_normal((3, 4, 2))).passed
    assert graph.tensors["rnn"].population.name == "rnn"
    assert graph.populations["rnn"].shape == ((4, 3) if return_sequences else (3,))
    assert ("rnn:1" in graph.tensors) is return_state


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("steps", [1, 2])
def test_few_steps(case, steps):
    cls, options = CASES[case]
    assert gg.from_keras(single(cls(3, **options), (steps, 2))).verify().passed


@given(
    case=st.sampled_from(sorted(CASES)),
    n_steps=st.integers(1, 5),
    n_features=st.integers(1, 4),
    units=st.integers(1, 4),
)
def test_any_size(case, n_steps, n_features, units):
    cls, options = CASES[case]
    graph = gg.from_keras(single(cls(units, **options), (n_steps, n_features)))
    assert graph.verify().passed
    n_gates = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}[cls.__name__]
    per_step = n_features * n_gates * units
    between = units * n_gates * units
    assert n_edges(graph, "weight") == n_steps * per_step + (n_steps - 1) * between


@pytest.mark.parametrize("cls", [layers.SimpleRNN, layers.LSTM, layers.GRU])
@pytest.mark.parametrize(
    "options",
    [
        {"unroll": True, "return_sequences": True},
        {"unroll": True, "go_backwards": True},
        {"dropout": 0.5, "recurrent_dropout": 0.5},
        {"activation": "relu"},
        {"activation": None},
        {"activation": "softmax"},
        {"activation": layers.LeakyReLU(negative_slope=0.3)},
        {"activation": lambda x: x * x},
    ],
)
def test_more_options(cls, options):
    assert gg.from_keras(single(cls(3, **options), (4, 2))).verify().passed


@pytest.mark.parametrize("cls", [layers.LSTM, layers.GRU])
@pytest.mark.parametrize("function", ["hard_sigmoid", "softmax", "tanh", "linear", None])
def test_recurrent_activation(cls, function):
    layer = cls(3, recurrent_activation=function, activation="elu")
    assert gg.from_keras(single(layer, (4, 2))).verify().passed


@pytest.mark.parametrize(
    ("activation", "name"),
    [("tanh", "sigmoid/sigmoid/tanh/sigmoid"), ("sigmoid", "sigmoid")],
)
def test_gates_name_their_activations(activation, name):
    graph = gg.from_keras(single(layers.LSTM(3, activation=activation, name="lstm"), (2, 2)))
    assert graph.populations["lstm/t0/gates"].activation.name == name
    assert graph.populations["lstm/t0/cell"].activation.name == "linear"


@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_a_linear_simple_rnn_has_the_jacobian_of_keras(return_sequences, go_backwards):
    layer = layers.SimpleRNN(
        3, activation=None, return_sequences=return_sequences, go_backwards=go_backwards
    )
    graph = assert_linear(layer, (4, 2))
    assert n_edges(graph, "weight") == 4 * 2 * 3 + 3 * 3 * 3


def test_populations_are_named_after_the_time_step():
    graph = gg.from_keras(single(layers.LSTM(3, name="lstm"), (2, 5)))
    shapes = {name: p.shape for name, p in graph.populations.items()}
    del shapes[graph.topology.inputs[0]]
    assert shapes == {
        "lstm/t0/gates": (4, 3),
        "lstm/t0/cell": (3,),
        "lstm/t0/hidden": (3,),
        "lstm/t1/gates": (4, 3),
        "lstm/t1/cell": (3,),
        "lstm": (3,),
    }


@pytest.mark.parametrize("go_backwards", [False, True])
def test_time_steps_are_the_inputs(go_backwards):
    graph = gg.from_keras(
        single(layers.SimpleRNN(1, name="rnn", go_backwards=go_backwards), (3, 1))
    )
    (x, *_) = graph.populations
    into = {(index, target) for source, index, target, _ in edges_of(graph) if source == x}
    last = 0 if go_backwards else 2
    assert into == {((t, 0), "rnn" if t == last else f"rnn/t{t}/hidden") for t in range(3)}


def lstm_edges(n_steps, n_features, units, x, name):
    """Return the edges of an LSTM by loops over the equations: (weight edges, dynamic edges)."""
    weight, dynamic = set(), set()
    for t in range(n_steps):
        gates, cell = f"{name}/t{t}/gates", f"{name}/t{t}/cell"
        hidden = name if t == n_steps - 1 else f"{name}/t{t}/hidden"
        for u in range(units):
            for gate in range(4):
                for f in range(n_features):
                    weight.add((x, (t, f), gates, (gate, u)))
                for v in range(units):
                    if t > 0:
                        weight.add((f"{name}/t{t - 1}/hidden", (v,), gates, (gate, u)))
            # c = f * c before + i * g; h = o * tanh(c)
            dynamic |= {(gates, (0, u), cell, (u,)), (gates, (2, u), cell, (u,))}
            if t > 0:
                dynamic |= {
                    (gates, (1, u), cell, (u,)),
                    (f"{name}/t{t - 1}/cell", (u,), cell, (u,)),
                }
            dynamic |= {(gates, (3, u), hidden, (u,)), (cell, (u,), hidden, (u,))}
    return weight, dynamic


def test_lstm_has_the_edges_of_its_equations():
    graph = gg.from_keras(single(layers.LSTM(3, name="lstm"), (4, 2)))
    weight, dynamic = lstm_edges(4, 2, 3, next(iter(graph.populations)), "lstm")
    assert edges_of(graph, "weight") == weight
    assert edges_of(graph, "dynamic") == dynamic
    assert n_edges(graph, "weight") == len(weight) == 4 * 2 * 12 + 3 * 3 * 12
    assert graph.n_edges == len(weight) + len(dynamic)


def gru_edges(n_steps, n_features, units, x, name, reset_after):
    """Return the edges of a GRU by loops over the equations, by kind."""
    edges = {"weight": set(), "dynamic": set(), "copy": set()}
    before = None
    for t in range(n_steps):
        part = f"{name}/t{t}"
        gates, recurrent, reset, candidate = (
            f"{part}/{p}" for p in ("gates", "recurrent", "reset", "candidate")
        )
        hidden = name if t == n_steps - 1 else f"{part}/hidden"
        for u in range(units):
            for f in range(n_features):
                for gate in range(2):
                    edges["weight"].add((x, (t, f), gates, (gate, u)))
                edges["weight"].add((x, (t, f), candidate, (u,)))
            for v in range(units):
                if before:
                    for gate in range(2):
                        edges["weight"].add((before, (v,), gates, (gate, u)))
                    if reset_after:
                        edges["weight"].add((before, (v,), recurrent, (u,)))
                    else:
                        edges["weight"].add((reset, (v,), candidate, (u,)))
            if reset_after:  # its bias is there from the first step on
                edges["dynamic"].add((recurrent, (u,), reset, (u,)))
                edges["copy"].add((reset, (u,), candidate, (u,)))
            elif before:
                edges["dynamic"].add((before, (u,), reset, (u,)))
            if reset_after or before:
                edges["dynamic"].add((gates, (1, u), reset, (u,)))
            edges["dynamic"] |= {
                (gates, (0, u), hidden, (u,)),
                (candidate, (u,), hidden, (u,)),
            }
            if before:
                edges["dynamic"].add((before, (u,), hidden, (u,)))
        before = hidden
    return edges


@pytest.mark.parametrize("reset_after", [False, True])
def test_gru_has_the_edges_of_its_equations(reset_after):
    graph = gg.from_keras(single(layers.GRU(3, name="gru", reset_after=reset_after), (4, 2)))
    edges = gru_edges(4, 2, 3, next(iter(graph.populations)), "gru", reset_after)
    for kind, expected in edges.items():
        assert edges_of(graph, kind) == expected
    assert graph.n_edges == sum(len(expected) for expected in edges.values())
    assert len(edges["weight"]) == 4 * 2 * 9 + 3 * 3 * 9


def reached(graph):
    """Return which input nodes reach which nodes of the output, following edge after edge."""
    first, output = next(iter(graph.populations.values())), output_of(graph)
    reach = np.zeros((first.size, graph.n_nodes), bool)
    reach[:, first.slice] = np.eye(first.size)
    for chunk in graph.edges(device="cpu"):
        for src, dst, _ in zip(*chunk, strict=True):
            reach[:, dst] |= reach[:, src]
    return reach[:, output.slice].reshape(*first.shape, *output.shape)


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize(
    "case", ["SimpleRNN", "LSTM", "GRU", "GRU reset before", "GRU without bias"]
)
def test_a_step_reaches_the_steps_after_it(case, go_backwards):
    n_steps, n_features, units = 4, 2, 3
    cls, options = CASES[case]
    layer = cls(units, return_sequences=True, go_backwards=go_backwards, **options)
    model = single(layer, (n_steps, n_features))
    expected = np.zeros((n_steps, n_features, n_steps, units), bool)
    for position in range(n_steps):  # of the outputs, which are in the order of their making
        for t in range(n_steps):
            made_at = n_steps - 1 - t if go_backwards else t
            expected[t, :, position, :] = made_at <= position
    np.testing.assert_array_equal(reached(gg.from_keras(model)), expected)
    # What Keras's output depends on is just that.
    x = np.random.default_rng(0).uniform(-1, 1, (n_steps, n_features)).astype(np.float32)
    unit_steps = 0.5 * np.eye(x.size, dtype=np.float32).reshape(-1, *x.shape)
    y, *changed = keras.ops.convert_to_numpy(layer(np.concatenate([x[None], x + unit_steps])))
    difference = np.abs(np.asarray(changed) - y).reshape(expected.shape)
    np.testing.assert_array_equal(difference > 1e-6, expected)


@pytest.mark.parametrize("case", CASES)
def test_steps_share_the_kernels(case):
    cls, options = CASES[case]
    layer = cls(3, **options)
    graph = gg.from_keras(single(layer, (5, 2)))
    kernels = [p.kernel for p in graph.projections if p.kind == "weight"]
    assert len({id(kernel) for kernel in kernels}) == 2
    sizes = sorted(np.prod(w.shape) for w in (layer.cell.kernel, layer.cell.recurrent_kernel))
    assert sorted({kernel.size for kernel in kernels}) == sizes


def test_weights_are_copied_neither_per_step_nor_per_call():
    lstm = layers.LSTM(3, return_sequences=True, name="lstm")
    inputs = keras.Input((4, 3))
    model = keras.Model(inputs, lstm(lstm(inputs)))
    randomise(model)
    graph = gg.from_keras(model)
    assert graph.verify().passed
    assert len({id(p.kernel) for p in graph.projections if p.kind == "weight"}) == 2


STATES = [
    (layers.SimpleRNN, 1),
    (layers.LSTM, 2),
    (layers.GRU, 1),
    (lambda units, **kwargs: layers.GRU(units, reset_after=False, **kwargs), 1),
]


@pytest.mark.parametrize(("cls", "n_states"), STATES)
@pytest.mark.parametrize("how", ["positional", "by keyword", "all by keyword"])
def test_initial_states(cls, n_states, how):
    sequence = keras.Input((4, 2))
    states = [keras.Input((3,)) for _ in range(n_states)]
    layer = cls(3, return_sequences=True)
    if how == "positional":
        output = layer(sequence, states)
    elif how == "by keyword":
        output = layer(sequence, initial_state=states)
    else:
        output = layer(initial_state=states, sequences=sequence)
    model = keras.Model([sequence, *states], output)
    randomise(model)
    graph = gg.from_keras(model)
    assert graph.verify().passed
    assert not any(p.shape == (0,) for p in graph.populations.values())


def test_an_initial_state_has_edges_into_the_first_step():
    sequence = keras.Input((2, 2), name="x")
    hidden, cell = keras.Input((3,), name="h"), keras.Input((3,), name="c")
    lstm = layers.LSTM(3, name="lstm")
    model = keras.Model([sequence, hidden, cell], lstm(sequence, initial_state=[hidden, cell]))
    into = gg.from_keras(model).projections_into
    assert {p.source.name for p in into["lstm/t0/gates"]} == {"x", "h"}
    assert {p.source.name for p in into["lstm/t0/cell"]} == {"lstm/t0/gates", "c"}


def sequence_to_sequence():
    """Return an encoder whose states a decoder starts from, and a Dense at every step."""
    encoder, decoder = keras.Input((3, 2), name="encoder"), keras.Input((4, 2), name="decoder")
    _, *states = layers.LSTM(3, return_state=True)(encoder)
    decoded = layers.LSTM(3, return_sequences=True)(decoder, initial_state=states)
    return keras.Model([encoder, decoder], layers.Dense(2, activation="softmax")(decoded))


def autoencoder():
    """Return a sequence through a code and back."""
    return keras.Sequential(
        [
            keras.Input((4, 3)),
            layers.LSTM(5, activation="relu", name="encoder"),
            layers.RepeatVector(4),
            layers.LSTM(5, return_sequences=True, name="decoder"),
            layers.TimeDistributed(layers.Dense(3), name="output"),
        ]
    )


def classifier():
    """Return stacked recurrent layers that read both ways."""
    return keras.Sequential(
        [
            keras.Input((5, 3)),
            layers.Bidirectional(layers.GRU(4, return_sequences=True)),
            layers.Dropout(0.5),
            layers.LSTM(4),
            layers.Dense(2, activation="softmax"),
        ]
    )


def text_classifier():
    """Return words through an embedding."""
    return keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            layers.Embedding(7, 3),
            layers.LSTM(4),
            layers.Dense(2, activation="softmax"),
        ]
    )


@pytest.mark.parametrize("build", [sequence_to_sequence, autoencoder, classifier, text_classifier])
def test_models(build, tmp_path):
    model = build()
    randomise(model)
    graph = gg.from_keras(model)
    assert graph.verify().passed
    exact, iterated = gg.pagerank(graph), gg.pagerank(graph, engine="networkx")
    np.testing.assert_allclose(np.asarray(exact), np.asarray(iterated), atol=1e-6)
    graph.write_graphml(tmp_path / "graph.graphml")
    read = nx.read_graphml(tmp_path / "graph.graphml", force_multigraph=True)
    assert read.number_of_nodes() == graph.n_nodes
    assert read.number_of_edges() == graph.n_edges
    assert pickle.loads(pickle.dumps(graph)).n_edges == graph.n_edges
    assert nx.is_directed_acyclic_graph(graph.to_networkx())


CELLS = [layers.SimpleRNNCell, layers.LSTMCell, layers.GRUCell]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("return_sequences", [False, True])
def test_rnn_of_a_cell_is_the_layer_of_that_cell(cell, return_sequences):
    rnn = layers.RNN(cell(3), return_sequences=return_sequences, name="layer")
    layer = getattr(layers, cell.__name__.removesuffix("Cell"))(
        3, return_sequences=return_sequences, name="layer"
    )
    graphs = []
    for each in (rnn, layer):
        graph = gg.from_keras(single(each, (4, 2)))
        assert graph.verify().passed
        graphs.append([(n, p.shape) for n, p in list(graph.populations.items())[1:]])
    assert graphs[0] == graphs[1]


@pytest.mark.parametrize("cells", list(product(CELLS, CELLS)))
def test_stacked_cells(cells):
    stack = [cell(units) for cell, units in zip(cells, (3, 2), strict=True)]
    rnn = layers.RNN(stack, return_sequences=True, return_state=True, name="rnn")
    graph = gg.from_keras(single(rnn, (4, 2)))
    assert graph.verify().passed
    kernels = {id(p.kernel) for p in graph.projections if p.kind == "weight"}
    assert len(kernels) == 4
    assert graph.populations["rnn/t2/0/hidden"].shape == (3,)
    assert graph.populations["rnn/t2/hidden"].shape == (2,)


def test_stacks_of_stacks():
    inner = layers.StackedRNNCells([layers.GRUCell(3), layers.SimpleRNNCell(2)])
    graph = gg.from_keras(single(layers.RNN([inner, layers.LSTMCell(4)], name="rnn"), (3, 2)))
    assert graph.verify().passed
    assert "rnn/t0/0/0/gates" in graph.populations


def test_stacked_cells_with_initial_states():
    sequence, hidden, cell, gru = (keras.Input(shape) for shape in ((4, 2), (3,), (3,), (2,)))
    rnn = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)])
    output = rnn(sequence, initial_state=[[hidden, cell], gru])
    model = keras.Model([sequence, hidden, cell, gru], output)
    randomise(model)
    assert gg.from_keras(model).verify().passed


@keras.saving.register_keras_serializable("tests")
class MyCell(layers.SimpleRNNCell):
    def call(self, sequence, states, training=False):
        output, states = super().call(sequence, states)
        return -output, states


class LSTMCell(layers.LSTMCell):
    """Not Keras's own, whatever its name."""


@pytest.mark.parametrize("cell", [MyCell(3), LSTMCell(3), [layers.GRUCell(2), MyCell(3)]])
def test_unknown_cells_are_refused(cell):
    model = single(layers.RNN(cell, name="rnn"), (4, 2))
    with pytest.raises(
        gg.UnsupportedLayerError, match=r"'rnn' \(RNN\): what its cell tests\.layers.*Cell computes"
    ):
        gg.from_keras(model)


def test_stateful_layers_are_refused():
    inputs = keras.Input((4, 2), batch_size=3)
    model = keras.Model(inputs, layers.LSTM(3, stateful=True, name="lstm")(inputs))
    with pytest.raises(gg.UnsupportedLayerError, match=r"'lstm' \(LSTM\): it is stateful"):
        gg.from_keras(model)


HIDDEN = np.array([[1, 1, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]])


def masked(layer, *options):
    """Return a model of a layer on a sequence, a mask and initial states, and data for it."""
    rng = np.random.default_rng(0)
    inputs = [keras.Input((4, 2)), keras.Input((4,), dtype="bool")]
    data = [rng.standard_normal((4, 4, 2)), HIDDEN]
    states = [keras.Input((units,)) for units in options]
    data += [rng.standard_normal((4, units)) for units in options]
    model = keras.Model(
        [*inputs, *states], layer(inputs[0], mask=inputs[1], initial_state=states or None)
    )
    randomise(model)
    return model, data


@pytest.mark.parametrize("zero_output", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_state", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("with_states", [False, True])
@pytest.mark.parametrize("cls", [layers.SimpleRNN, layers.LSTM, layers.GRU])
def test_masks(cls, with_states, return_sequences, return_state, go_backwards, zero_output):
    layer = cls(
        3,
        return_sequences=return_sequences,
        return_state=return_state,
        go_backwards=go_backwards,
        zero_output_for_mask=zero_output,
        name="rnn",
    )
    states = [3] * (2 if cls is layers.LSTM else 1) if with_states else []
    model, data = masked(layer, *states)
    graph = gg.from_keras(model)
    assert graph.verify(data).passed
    assert graph.tensors["rnn"].population.name == "rnn"


def test_masks_of_stacked_cells():
    layer = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_state=True)
    model, data = masked(layer)
    assert gg.from_keras(model).verify(data).passed


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("cls", [layers.SimpleRNN, layers.LSTM, layers.GRU])
def test_masks_of_unrolled_layers(cls, go_backwards):
    model, data = masked(cls(3, unroll=True, return_sequences=True, go_backwards=go_backwards))
    assert gg.from_keras(model).verify(data).passed
    model, _ = masked(cls(3, unroll=True, zero_output_for_mask=True))
    with pytest.raises(gg.UnsupportedLayerError, match="differs from backend to backend"):
        gg.from_keras(model)


def test_a_masked_step_keeps_what_was_before():
    """Every step adds a choice per unit and state, between the new value and the old."""
    model, data = masked(layers.LSTM(3, return_sequences=True, name="lstm"))
    graph = gg.from_keras(model)
    assert graph.verify(data).passed
    found = edges_of(graph, "dynamic")
    hidden, mask = "lstm/t2/hidden/kept", graph.topology.inputs[1]
    into = {edge[:2] for edge in found if edge[2:] == (hidden, (1,))}
    assert into == {
        (mask, (2,)),
        ("lstm/t2/hidden", (1,)),
        ("lstm/t1/hidden/kept", (1,)),
    }
    into = {edge[:2] for edge in found if edge[2:] == ("lstm/t0/cell/kept", (1,))}
    assert into == {(mask, (0,)), ("lstm/t0/cell", (1,))}
    # The last step's cell state is not read, so that nothing keeps it.
    assert "lstm/t3/cell/kept" not in graph.populations


def test_a_mask_by_position():
    sequence, mask = keras.Input((4, 2)), keras.Input((4,), dtype="bool")
    model = keras.Model([sequence, mask], layers.LSTM(3)(sequence, None, mask))
    data = np.random.default_rng(0).standard_normal((4, 4, 2))
    assert gg.from_keras(model).verify([data, HIDDEN]).passed


@pytest.mark.parametrize("shape", [(4, 1), (4, 2)])
def test_a_mask_is_one_per_time_step(shape):
    sequence, mask = keras.Input((4, 2)), keras.Input(shape, dtype="bool")
    model = keras.Model([sequence, mask], layers.SimpleRNN(3, name="rnn")(sequence, mask=mask))
    if shape == (4, 1):
        assert gg.from_keras(model).verify().passed
    else:
        with pytest.raises(gg.UnsupportedLayerError, match=r"'rnn' .*\(4, 2\) is not one per time"):
            gg.from_keras(model)


def test_constant_initial_states_are_refused():
    sequence = keras.Input((4, 2), batch_size=1)
    output = layers.GRU(3, name="gru")(sequence, initial_state=keras.ops.ones((1, 3)))
    model = keras.Model(sequence, output)
    with pytest.raises(gg.UnsupportedLayerError, match=r"'gru' \(GRU\): the states that it"):
        gg.from_keras(model)


def test_a_cell_in_a_loop_of_ones_own_is_the_layer():
    inputs, hidden, cell_state = keras.Input((3, 2)), keras.Input((4,)), keras.Input((4,))
    cell, states = layers.LSTMCell(4), [hidden, cell_state]
    for t in range(3):
        x = layers.Flatten()(layers.Cropping1D((t, 2 - t))(inputs))
        output, states = cell(x, states)
    model = keras.Model([inputs, hidden, cell_state], [output, *states])
    randomise(model)
    graph = gg.from_keras(model)
    assert graph.verify().passed
    assert len({id(p.kernel) for p in graph.projections if p.kind == "weight"}) == 2
    lstm = layers.LSTM(4)
    lstm.build((None, 3, 2))
    lstm.set_weights(model.get_weights())
    values = [np.random.default_rng(0).standard_normal((2, *s)) for s in ((3, 2), (4,), (4,))]
    expected = lstm(values[0], initial_state=[keras.ops.convert_to_tensor(v) for v in values[1:]])
    (output, *_) = graph.topology.outputs
    got = graph.evaluate(values)[graph.tensors[output.label].population.name]
    np.testing.assert_allclose(got, keras.ops.convert_to_numpy(expected), rtol=1e-4, atol=1e-5)


def test_a_cell_called_on_constant_states_is_refused():
    inputs = keras.Input((2,), batch_size=1)
    output, _ = layers.GRUCell(3, name="cell")(inputs, [keras.ops.ones((1, 3))])
    with pytest.raises(gg.UnsupportedLayerError, match=r"'cell' \(GRUCell\): the states that it"):
        gg.from_keras(keras.Model(inputs, output))


def test_an_activation_that_halves_the_units_is_refused():
    layer = layers.GRU(3, name="gru")
    model = single(layer, (4, 2))
    layer.cell.recurrent_activation = keras.activations.glu
    with pytest.raises(gg.UnsupportedLayerError, match=r"'gru' .*'glu' halves"):
        gg.from_keras(model)


def test_another_number_of_steps():
    model = single(layers.LSTM(3, return_sequences=True, name="lstm"), (None, 2))
    graph = gg.from_keras(model, input_shape=(6, 2))
    assert graph.verify().passed
    assert graph.populations["lstm"].shape == (6, 3)


@pytest.mark.parametrize("cls", [layers.SimpleRNN, layers.LSTM, layers.GRU])
def test_another_number_of_features_is_refused(cls):
    model = single(cls(3), (4, 2))
    with pytest.raises(gg.ShapeError, match="was built for 2 features"):
        gg.from_keras(model, input_shape=(4, 5))


@needs_float64
@pytest.mark.parametrize("cls", [layers.SimpleRNN, layers.LSTM, layers.GRU])
def test_double_precision(cls):
    graph = gg.from_keras(single(cls(3, dtype="float64"), (4, 2)))
    assert graph.weight_dtype == np.float64
    assert graph.verify(np.random.default_rng(0).standard_normal((2, 4, 2))).passed


@pytest.mark.parametrize("cls", [layers.SimpleRNN, layers.LSTM, layers.GRU])
def test_half_precision(cls):
    graph = gg.from_keras(single(cls(3, dtype="mixed_float16"), (4, 2)))
    assert graph.weight_dtype == np.float32
    assert graph.verify().passed


def test_weights_that_are_not_finite_are_refused():
    layer = layers.LSTM(3, name="lstm")
    model = single(layer, (4, 2))
    layer.cell.recurrent_kernel.assign(np.full((3, 12), np.nan))
    with pytest.raises(gg.NonFiniteError, match="weights of layer 'lstm'"):
        gg.from_keras(model)


def couplings(graph):
    """Return what couplings=True adds: dynamic edges among the neurons that meet."""
    with_couplings = gg.from_keras(graph.topology.model, couplings=True)
    assert with_couplings.verify().passed
    return {
        (source.removesuffix("/logits"), i, target, j)
        for source, i, target, j in edges_of(with_couplings, "dynamic")
    } - {(source, i, target, j) for source, i, target, j in edges_of(graph, "dynamic")}


def test_units_that_meet_in_an_activation_are_coupled():
    graph = gg.from_keras(single(layers.SimpleRNN(3, activation="softmax", name="rnn"), (2, 2)))
    assert couplings(graph) == {
        (name, (u,), name, (v,))
        for name in ("rnn/t0/hidden", "rnn")
        for u in range(3)
        for v in range(3)
    }


def test_units_that_meet_in_gates_are_coupled_gate_by_gate():
    layer = layers.LSTM(3, activation="softmax", recurrent_activation="softmax", name="lstm")
    graph = gg.from_keras(single(layer, (1, 2)))
    expected = {
        ("lstm/t0/gates", (gate, u), "lstm/t0/gates", (gate, v))
        for gate in range(4)
        for u in range(3)
        for v in range(3)
    }
    # A cell state has an edge to its own unit anyway.
    expected |= {("lstm/t0/cell", (u,), "lstm", (v,)) for u in range(3) for v in range(3) if u != v}
    assert couplings(graph) == expected


def test_gates_in_some_of_which_units_meet_cannot_be_coupled():
    model = single(layers.LSTM(3, recurrent_activation="softmax", name="lstm"), (2, 2))
    assert gg.from_keras(model).verify().passed
    with pytest.raises(gg.UnsupportedLayerError, match=r"'lstm' .* in some of its gates and not"):
        gg.from_keras(model, couplings=True)
