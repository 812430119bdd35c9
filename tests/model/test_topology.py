import keras
import networkx as nx
import numpy as np
import pytest
from keras import layers

import gpugraph as gg
from gpugraph.model.layer_call import TensorRef
from tests import models


def names(model, input_shape=None):
    return [call.name for call in gg.topology(model, input_shape)]


def sources(call):
    return [ref.call for ref in call.inputs]


# What is listed


def test_sequential_lists_its_layers_with_shapes_and_parameters():
    calls = gg.topology(models.cnn())
    assert [(c.name, c.layer_class, c.output_shapes, c.n_parameters) for c in calls] == [
        ("image", "InputLayer", ((8, 8, 2),), 0),
        ("conv", "Conv2D", ((6, 6, 3),), 57),
        ("pool", "MaxPooling2D", ((3, 3, 3),), 0),
        ("flatten", "Flatten", ((27,),), 0),
        ("dense", "Dense", ((4,),), 112),
    ]
    assert calls["pool"].input_shapes == ((6, 6, 3),)
    assert calls["pool"].inputs == (TensorRef("conv", 0),)
    assert (calls.name, calls.inputs, calls.outputs) == ("cnn", ("image",), (("dense", 0),))
    assert calls.n_parameters == 169


def test_topology_is_a_sequence_of_calls():
    calls = gg.topology(models.cnn())
    assert len(calls) == 5
    assert calls[1] is calls["conv"]
    assert calls[-1] is calls["dense"]
    assert [c.name for c in calls[:2]] == ["image", "conv"]


def test_an_unknown_call_is_named():
    with pytest.raises(gg.SelectionError, match=r"'cnn' has no layer call 'nope'.*image, conv"):
        gg.topology(models.cnn())["nope"]


def test_several_inputs_and_outputs_keep_the_models_order():
    calls = gg.topology(models.several_outputs())
    assert calls.inputs == ("image", "vector")
    assert [ref.call for ref in calls.outputs] == ["label", "mask", "features"]
    assert sources(calls["joined"]) == ["pooled", "vector"]


def test_inputs_given_as_a_mapping():
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    calls = gg.topology(keras.Model({"b": b, "a": a}, layers.Subtract(name="s")([a, b])))
    assert set(calls.inputs) == {"a", "b"}
    assert sources(calls["s"]) == ["a", "b"]


def test_input_that_is_an_output():
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    calls = gg.topology(keras.Model([a, b], [b, layers.Dense(2, name="d")(a), a]))
    assert [ref.call for ref in calls.outputs] == ["b", "d", "a"]


def test_model_of_nothing_but_an_input():
    x = keras.Input((3,), name="x")
    calls = gg.topology(keras.Model(x, x))
    assert [c.name for c in calls] == ["x"]
    assert calls.outputs == (("x", 0),)


def test_a_branch_that_no_output_needs_is_left_out():
    x = keras.Input((3,), name="x")
    layers.Dense(2, name="unused")(x)
    assert names(keras.Model(x, layers.Dense(2, name="used")(x))) == ["x", "used"]


def test_a_model_cut_out_of_another():
    whole = models.several_outputs()
    cut = keras.Model(whole.get_layer("features").output, whole.get_layer("pooled").output)
    assert len(names(cut)) == 2
    assert gg.topology(cut)["pooled"].input_shapes == ((4, 4, 3),)


def test_operators_are_listed():
    calls = gg.topology(models.auxiliary())
    assert [c.layer_class for c in calls if c.layer_class in ("Add", "Multiply", "Subtract")] == [
        "Multiply",
        "Subtract",
        "Add",
    ]
    multiply = next(c for c in calls if c.layer_class == "Multiply")
    assert 2.0 in (*multiply.args, *multiply.kwargs.values())
    assert sources(multiply) == ["early"]
    assert multiply.n_parameters == 0


def test_arguments_that_are_no_tensors_are_kept():
    class Scaled(layers.Layer):
        def call(self, x, *, factor, others):
            return x * factor + sum(others)

    x, y = keras.Input((3,), name="x"), keras.Input((3,), name="y")
    call = gg.topology(keras.Model([x, y], Scaled(name="s")(x, factor=3, others=[y, x])))["s"]
    assert call.kwargs["factor"] == 3
    assert list(call.kwargs["others"]) == [TensorRef("y", 0), TensorRef("x", 0)]
    assert sources(call) == ["x", "y", "x"]


# Shared layers, nested models, names


def test_a_shared_layer_is_listed_once_per_call():
    model = models.shared_layer()
    calls = gg.topology(model)
    assert [c.name for c in calls] == ["x", "dense", "dense#1", "dense#2", "total"]
    assert sources(calls["dense#2"]) == ["dense#1"]
    assert sources(calls["total"]) == ["dense", "dense#1", "dense#2", "dense"]
    assert calls["dense"].layer is calls["dense#2"].layer
    assert [calls[n].n_parameters for n in ("dense", "dense#1")] == [20, 20]
    assert calls.n_parameters == model.count_params() == 20


def test_a_nested_model_is_opened():
    x = keras.Input((8, 8, 1), name="x")
    y = layers.Flatten(name="flatten")(models.encoder()(x))
    calls = gg.topology(keras.Model(x, y))
    assert [c.name for c in calls] == ["x", "encoder/conv", "encoder/norm", "flatten"]
    assert sources(calls["encoder/conv"]) == ["x"]
    assert sources(calls["flatten"]) == ["encoder/norm"]


def test_a_nested_sequential_is_opened():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(2, name="d")], name="inner")
    outer = keras.Sequential([keras.Input((4,), name="x"), inner, layers.ReLU(name="relu")])
    assert names(outer) == ["x", "inner/d", "relu"]


def test_a_nested_model_called_twice():
    model = models.siamese()
    calls = gg.topology(model)
    assert sorted(c.name for c in calls if "/" in c.name) == [
        "encoder#1/conv",
        "encoder#1/norm",
        "encoder/conv",
        "encoder/norm",
    ]
    assert sources(calls["encoder/conv"]) == ["left"]
    assert sources(calls["encoder#1/conv"]) == ["right"]
    assert sources(calls["distance"]) == ["encoder/norm", "encoder#1/norm"]
    assert calls.n_parameters == model.count_params()


def test_calls_are_numbered_as_they_were_made():
    x, y = keras.Input((4,), name="x"), keras.Input((4,), name="y")
    dense = layers.Dense(4, name="dense")
    first, second = dense(x), dense(y)
    deep = layers.ReLU(name="deep")(second)
    calls = gg.topology(keras.Model([x, y], layers.Add()([layers.Add()([deep, deep]), first])))
    assert sources(calls["dense"]) == ["x"]
    assert sources(calls["dense#1"]) == ["y"]


def test_models_nested_in_nested_models():
    assert names(models.nested_twice()) == [
        "image",
        "middle/inner/conv",
        "middle/inner#1/conv",
        "middle/relu",
        "flatten",
    ]


def test_a_nested_model_that_hands_its_input_on():
    x = keras.Input((4,), name="x")
    y = layers.Dense(4, name="d")(x)
    calls = gg.topology(keras.Model(x, keras.Model(x, [x, y], name="inner")(x)))
    assert [ref.call for ref in calls.outputs] == ["x", "inner/d"]


def test_a_nested_model_called_by_keyword():
    x = keras.Input((4,), name="x")
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(2, name="d")], name="inner")
    assert names(keras.Model(x, inner(inputs=x, training=False))) == ["x", "inner/d"]


def subtracting(order):
    """Return ``a - b``; its inputs are a list in the given order, or a mapping."""
    tensors = {n: keras.Input((4,), name=n) for n in "ab"}
    inputs = tensors if order is None else [tensors[n] for n in order]
    return keras.Model(inputs, layers.Subtract(name="s")([tensors["a"], tensors["b"]]), name="sub")


@pytest.mark.parametrize("order", ["ab", "ba", None])
def test_a_nested_model_called_with_a_mapping_is_wired_by_name(order):
    p, q = keras.Input((4,), name="p"), keras.Input((4,), name="q")
    calls = gg.topology(keras.Model([p, q], subtracting(order)({"a": p, "b": q})))
    assert sources(calls["sub/s"]) == ["p", "q"]


@pytest.mark.parametrize(("order", "expected"), [("ab", ["p", "q"]), ("ba", ["q", "p"])])
def test_a_nested_model_called_with_a_list_is_wired_in_order(order, expected):
    p, q = keras.Input((4,), name="p"), keras.Input((4,), name="q")
    calls = gg.topology(keras.Model([p, q], subtracting(order)([p, q])))
    assert sources(calls["sub/s"]) == expected


def test_training_of_a_nested_model_is_refused():
    x = keras.Input((8, 8, 1), name="x")
    model = keras.Model(x, models.encoder()(x, training=True))
    with pytest.raises(gg.UnsupportedLayerError, match="'encoder' is called with training besides"):
        gg.topology(model)


def test_a_nested_model_with_its_own_call_is_one_call():
    class Block(keras.Model):
        def __init__(self):
            super().__init__(name="block")
            self.dense = layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    x = keras.Input((4,), name="x")
    calls = gg.topology(keras.Model(x, Block()(x)))
    assert [(c.name, c.layer_class) for c in calls][1:] == [("block", "Block")]


@pytest.mark.parametrize("order", [["d", "d#1"], ["d#1", "d"]])
def test_a_layer_named_like_anothers_second_call_stays_apart(order):
    x = keras.Input((4,), name="x")
    shared = {name: layers.Dense(4, name=name) for name in order}
    y = x
    for name in order:
        y = shared[name](shared[name](y))
    found = names(keras.Model(x, y))
    assert len(set(found)) == 5
    assert {"d", "d#1"} < set(found)


no_dots = pytest.mark.skipif(keras.backend.backend() == "torch", reason="torch allows no dots")


@pytest.mark.parametrize(
    "name",
    ["a b", 'q"<&>', "é\n", pytest.param("a.b", marks=no_dots), "a:0", "#1", "d#1#1", "'"],
)
def test_odd_names_are_kept(name):
    x = keras.Input((4,), name="x")
    model = keras.Model(x, layers.Dense(2, name=name)(x))
    assert names(model) == ["x", name]
    assert gg.from_keras(model).node_id(name, 1) == 5


def test_part_names_cannot_meet_those_of_a_nested_model():
    image = keras.Input((6, 6, 2), name="image")
    inner = keras.Sequential(
        [keras.Input((6, 6, 2)), layers.Conv2D(2, 1, name="depthwise")], name="sep"
    )
    y = layers.SeparableConv2D(2, 3, name="sep#1")(inner(inner(image)))
    graph = gg.from_keras(keras.Model(image, y))
    assert len(graph.populations) == 5
    assert graph.n_nodes == sum(p.size for p in graph.populations.values())


def test_a_deep_model():
    x = y = keras.Input((3,), name="x")
    for i in range(300):
        y = layers.Dense(3, name=f"d{i}")(y)
    found = names(keras.Model(x, y))
    assert found == ["x", *(f"d{i}" for i in range(300))]


# Order


@pytest.mark.parametrize("build", models.EVERY_KIND)
def test_order_is_topological_and_always_the_same(build):
    model = build()
    calls = gg.topology(model)
    seen = set()
    for call in calls:
        assert set(sources(call)) <= seen
        assert call.name not in seen
        seen.add(call.name)
    assert [c.name for c in calls] == names(model)


# The layer-level graph


def test_layer_graph():
    graph = gg.topology(models.cnn()).to_networkx()
    assert graph.name == "cnn"
    assert list(nx.topological_sort(graph)) == ["image", "conv", "pool", "flatten", "dense"]
    assert graph.nodes["conv"] == {
        "layer": "Conv2D",
        "inputs": "image",
        "outputs": "pool",
        "input_shapes": "8x8x2",
        "output_shapes": "6x6x3",
        "n_parameters": 57,
    }
    assert graph.edges["image", "conv"] == {"tensors": 1, "size": 128}


def test_layer_graph_counts_how_often_a_tensor_is_read():
    graph = gg.topology(models.shared_layer()).to_networkx()
    assert graph.edges["dense", "total"] == {"tensors": 2, "size": 4}
    assert graph.edges["dense#1", "total"] == {"tensors": 1, "size": 4}
    assert graph.nodes["total"]["inputs"] == "dense, dense#1, dense#2, dense"
    assert graph.nodes["dense"]["outputs"] == "dense#1, total"


@pytest.mark.parametrize("build", models.EVERY_KIND)
def test_layer_graph_is_acyclic_and_whole(build):
    calls = gg.topology(build())
    graph = calls.to_networkx()
    assert nx.is_directed_acyclic_graph(graph)
    assert list(graph) == [c.name for c in calls]
    assert sum(t for *_, t in graph.edges.data("tensors")) == sum(len(c.inputs) for c in calls)


@pytest.mark.parametrize("write", [nx.write_graphml_xml, nx.write_gexf, nx.write_gml])
def test_layer_graph_can_be_written(write, tmp_path):
    graph = gg.topology(models.siamese()).to_networkx()
    write(graph, tmp_path / "layers")
    assert (tmp_path / "layers").stat().st_size > 1000


# Input shapes


@pytest.mark.parametrize("size", [(8, 8), (9, 12), (32, 6)])
@pytest.mark.parametrize("form", [tuple, list, lambda s: [s], lambda s: {"image": s}])
def test_open_dimensions_take_the_size_given(size, form):
    calls = gg.topology(models.convolutional(), form((*size, 1)))
    assert calls["image"].output_shapes == ((*size, 1),)
    assert calls["conv2"].output_shapes == ((size[0] // 2 - 2, size[1] // 2 - 2, 3),)


def test_a_fixed_size_can_be_changed():
    model = models.convolutional(8)
    assert gg.topology(model)["conv2"].output_shapes == ((2, 2, 3),)
    assert gg.topology(model, (20, 8, 1))["conv2"].output_shapes == ((8, 2, 3),)
    assert gg.topology(model)["conv2"].output_shapes == ((2, 2, 3),)


def two_images():
    left, right = (keras.Input((None, None, 1), name=n) for n in ("left", "right"))
    convs = [layers.Conv2D(2, 3, name=f"c{i}")(x) for i, x in enumerate((left, right))]
    return keras.Model([left, right], [layers.GlobalMaxPooling2D()(c) for c in convs])


@pytest.mark.parametrize(
    "shapes",
    [[(8, 8, 1), (5, 6, 1)], {"right": (5, 6, 1), "left": (8, 8, 1)}],
    ids=["list", "mapping"],
)
def test_several_inputs_take_a_shape_each(shapes):
    calls = gg.topology(two_images(), shapes)
    assert calls["c0"].output_shapes == ((6, 6, 2),)
    assert calls["c1"].output_shapes == ((3, 4, 2),)


def test_a_mapping_may_leave_out_inputs_that_are_known():
    calls = gg.topology(models.several_outputs(), {"image": (9, 9, 2)})
    assert calls["features"].output_shapes == ((7, 7, 3),)
    assert calls["vector"].output_shapes == ((5,),)


def test_a_nested_model_with_open_dimensions_takes_each_callers_size():
    shared = keras.Sequential(
        [keras.Input((None, None, 1)), layers.Conv2D(2, 3, name="conv")], name="shared"
    )
    big, small = keras.Input((12, 12, 1), name="big"), keras.Input((6, 6, 1), name="small")
    pooled = [layers.GlobalMaxPooling2D()(shared(x)) for x in (big, small)]
    model = keras.Model([big, small], layers.Add()(pooled))
    calls = gg.topology(model)
    assert calls["shared/conv"].output_shapes == ((10, 10, 2),)
    assert calls["shared#1/conv"].output_shapes == ((4, 4, 2),)
    assert calls.n_parameters == 20
    assert gg.from_keras(model).verify().passed


def test_a_nested_model_follows_the_outer_input_shape():
    image = keras.Input((None, None, 1), name="image")
    inner = models.encoder(size=None)
    calls = gg.topology(keras.Model(image, inner(image)), (5, 7, 1))
    assert calls["encoder/norm"].output_shapes == ((5, 7, 2),)


def test_two_sizes_share_weights():
    model = models.convolutional()
    small, large = (gg.from_keras(model, (n, n, 1)) for n in (8, 16))
    for a, b in zip(small.projections, large.projections, strict=True):
        if a.kind == "weight":
            np.testing.assert_array_equal(a.kernel, b.kernel)
    assert small.topology["conv"].layer is large.topology["conv"].layer
    assert large.verify().passed


@pytest.mark.parametrize("input_shape", [[8, 8, 1], np.array([8, 8, 1]), {"image": (8, 8, 1)}])
def test_an_input_shape_is_any_collection_of_numbers(input_shape):
    graph = gg.from_keras(models.convolutional(), input_shape)
    assert graph.inputs[0].shape == (8, 8, 1)


# Refusals


@pytest.mark.parametrize(
    ("input_shape", "message"),
    [
        (None, r"'image' has shape \(None, None, 1\), which leaves a dimension open"),
        ((None, 8, 1), r"'image' has shape \(None, 8, 1\), which leaves a dimension open"),
        ((8, 8), r"'image' has 3 dimensions .* input_shape=\(8, 8\) has 2"),
        ((8, 0, 1), r"empty shape \(8, 0, 1\). Choose a larger"),
        ((-8, 8, 1), "empty shape"),
        (8, r"input_shape=8 does not fit .* \(image\). Give a tuple of whole numbers"),
        ("8x8x1", "'8x8x1' does not fit"),
        ((8.0, 8, 1), "does not fit"),
        (((8, 8, 1), (8, 8, 1)), "does not fit"),
        ([], "'image' has 3 dimensions"),
        ({"picture": (8, 8, 1)}, "input_shape names 'picture', but the model's inputs are 'image'"),
        ({"image": 8}, "does not fit"),
        ((8, 4, 1), "'conv2' .Conv2D. .* of shape 4x2x2: .*Choose another input_shape"),
    ],
)
def test_input_shapes_that_are_refused(input_shape, message):
    with pytest.raises(gg.ShapeError, match=message):
        gg.topology(models.convolutional(), input_shape)


@pytest.mark.parametrize("input_shape", [(8, 8, 1), [(8, 8, 1)], [8, 8, 1, 1]])
def test_one_shape_for_two_inputs_is_refused(input_shape):
    with pytest.raises(gg.ShapeError, match=r"\(left, right\).*for several inputs a list"):
        gg.topology(two_images(), input_shape)


def test_a_shape_that_a_layer_leaves_open_is_refused():
    class Unknown(layers.Layer):
        def call(self, x):
            return x

        def compute_output_spec(self, x):
            return keras.KerasTensor((None, None))

    x = keras.Input((4,))
    with pytest.raises(gg.ShapeError, match=r"Layer 'odd' \(Unknown\) gives shape \(None,\)"):
        gg.topology(keras.Model(x, Unknown(name="odd")(x)))


def test_a_layer_that_refuses_its_input_says_why():
    class Halves(layers.Layer):
        def call(self, x):
            if x.shape[1] % 2:
                raise ValueError("odd sizes do not halve.\nMore about it.")
            return x[:, : x.shape[1] // 2]

    x = keras.Input((4,))
    model = keras.Model(x, Halves(name="halves")(x))
    assert gg.topology(model, (6,))["halves"].output_shapes == ((3,),)
    message = r"'halves' \(Halves\) does not .* of shape 5: odd sizes do not halve\. Choose another"
    with pytest.raises(gg.ShapeError, match=message):
        gg.topology(model, (5,))


def test_an_empty_output_is_refused():
    x = keras.Input((8, 8, 1))
    model = keras.Model(x, layers.Cropping2D(2, name="crop")(x))
    with pytest.raises(gg.ShapeError, match=r"'crop' \(Cropping2D\) .*input_shape"):
        gg.topology(model, (4, 8, 1))


@pytest.mark.parametrize("model", [keras.Sequential, lambda: keras.Sequential([layers.Dense(2)])])
def test_an_unbuilt_sequential_is_refused(model):
    with pytest.raises(gg.ModelError, match=r"is not built.*keras.Input.*model.build"):
        gg.topology(model())


def test_a_sequential_built_by_use_is_taken():
    model = keras.Sequential([layers.Dense(2, name="d")])
    model(np.zeros((1, 3)))
    assert gg.topology(model)["d"].input_shapes == ((3,),)


@pytest.mark.parametrize("base", [keras.Model, keras.Sequential])
def test_a_model_with_its_own_call_is_refused(base):
    class Own(base):
        def call(self, x):
            return x

    with pytest.raises(gg.ModelError, match=r"class Own.* defines its own call.*keras.Model"):
        gg.topology(Own(name="own"))


def test_a_subclass_that_stays_functional_is_taken():
    class Named(keras.Model):
        def hello(self):
            return "hello"

    x = keras.Input((4,), name="x")
    assert names(Named(x, layers.Dense(2, name="d")(x))) == ["x", "d"]


# Inputs of another rank


@pytest.mark.parametrize(("given", "inner"), [((4, 1), (4,)), ((4,), (4, 1)), ((), (1,))])
@pytest.mark.parametrize("kind", [keras.Model, keras.Sequential])
def test_a_nested_model_takes_a_last_axis_of_one_or_leaves_it(given, inner, kind):
    y = keras.Input(inner)
    hidden = layers.Dense(3, activation="tanh")
    nested = keras.Model(y, hidden(y)) if kind is keras.Model else kind([y, hidden])
    x = keras.Input(given)
    model = keras.Model(x, nested(2 * x))
    graph = gg.from_keras(model)
    noise = np.random.default_rng(0).standard_normal((5, *given)).astype(np.float32)
    assert graph.verify(noise).passed
    (output,) = graph.outputs
    np.testing.assert_allclose(
        graph.evaluate(noise)[output.name], model.predict(noise, verbose=0), atol=1e-6
    )
    assert len(graph.populations) == 3  # a last axis of one makes no nodes
