"""Fully convolutional models: what a model does to one window, done at every position."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from gpugraph.errors import UnsupportedLayerError
from gpugraph.layers.layout import Layout
from gpugraph.model.expansion import Expansion, functional, is_plain
from gpugraph.model.input_shape import shape_of
from gpugraph.model.layer_call import LayerCall, TensorRef
from gpugraph.model.load import load_model
from gpugraph.model.positions import layouts, positions
from gpugraph.model.trial import misfit
from gpugraph.transform.convolutional_form import Form, Map, NoFormError, begin, follow, is_pooling

# A multiple of every usual total stride, so that a size larger by this leaves the same remainders.
GROWTH = 2**6 * 3**2 * 5 * 7


@dataclass(frozen=True)
class Change:
    """A layer that became another.

    Attributes
    ----------
    name : str
        As in `LayerCall`.
    before, after : str
        Class names.
    window : tuple of int
        What the new layer covers at each position; empty for what has no window.
    """

    name: str
    before: str
    after: str
    window: tuple[int, ...]


def to_fully_convolutional(model: Any) -> Any:
    """Return the model as one that takes inputs of any size, and gives a map.

    Dense layers behind Flatten become convolutions as large as what was flattened, with the same
    weights in the same order; Dense layers behind those become convolutions of size 1; global
    pooling before Dense becomes pooling of the original map's size at stride 1, so that a larger
    input gives a map there too. On the original size, outputs are the same but for axes of size 1:
    ``(1, 1, classes)``. On a larger one, each position of a map holds what the original model
    makes of the part of the input that is seen from there, where no layer pads.

    Parameters
    ----------
    model : keras.Model, str or path
        As for `gpugraph.from_keras`; of a known size. Nested models and layers that are called
        several times are kept so.

    Returns
    -------
    keras.Model
        With the names, weights, activations and dtype policies of the old one's layers, and no
        variable of it; Sequential if the old one is; not compiled. Inputs that lead to what has
        changed have open sizes. Flatten became Identity. Where global pooling joins what it pools
        (squeeze and excitation), or no Dense follows, it stays; without any layer to change, the
        model is copied as it is.

    Raises
    ------
    UnsupportedLayerError
        If a layer behind Flatten has no convolutional form, or another fixes the input's size.
    ModelError
        If the model cannot be read, is not built, or defines its own ``call``.

    Notes
    -----
    With TensorFlow, the new model's weights stay the old one's memory until either is trained;
    with jax and torch they are copied.

    References
    ----------
    Long, Shelhamer & Darrell (2015), arXiv:1411.4038; Sermanet et al. (2013), arXiv:1312.6229.

    Examples
    --------
    >>> import keras, gpugraph as gg
    >>> model = keras.Sequential([
    ...     keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3), keras.layers.Flatten(),
    ...     keras.layers.Dense(10, activation="softmax"),
    ... ])
    >>> gg.to_fully_convolutional(model).output_shape
    (None, None, None, 10)
    """
    return transformed(model)[0]


def transformed(model: Any) -> tuple[Any, list[Change]]:
    """Return the fully convolutional model, and what has changed, in topological order."""
    model = load_model(model)
    built = calls_as_built(model)
    with _same_random_numbers():
        plan, copy = _without_refusals(lambda kept: _grown_copy(Plan(model, built, kept)))
        copy.give_weights()
    return copy.model, plan.changes


def is_tied_by_flatten(model: Any) -> bool:
    """Whether Dense layers behind Flatten tie a model to its own input size.

    Raises
    ------
    UnsupportedLayerError
        If they do, and could not become convolutions.
    """
    built = calls_as_built(model)
    plan = _without_refusals(lambda kept: Plan(model, built, kept))
    return not all(is_pooling(plan.calls[name]) for name in plan.origins)


T = TypeVar("T")


def _without_refusals(attempt: Callable[[frozenset[str]], T]) -> T:
    """Attempt something; where global pooling is in the way, once more with that kept."""
    kept: frozenset[str] = frozenset()
    while True:
        try:
            return attempt(kept)
        except _RefusedError as refused:
            # What pools all positions may go on doing so: it takes any size as it is.
            if not refused.origins or not all(map(is_pooling, refused.origins)):
                raise UnsupportedLayerError(str(refused)) from refused
            kept |= {call.name for call in refused.origins}


def _grown_copy(plan: Plan) -> tuple[Plan, Copy]:
    """Carry out a plan, and see that what it makes takes larger inputs."""
    copy = Copy(plan)
    _check_growth(plan, copy.model)
    return plan, copy


class _RefusedError(Exception):
    """A layer call that cannot be made convolutional, and where its vectors began."""

    def __init__(self, call: LayerCall | None, why: str, origins: Sequence[LayerCall]) -> None:
        where = f"Layer '{call.name}' ({call.layer_class})" if call else "The model"
        behind = " and ".join(f"'{c.name}'" for c in origins)
        super().__init__(
            f"{where} cannot be made fully convolutional{f', behind {behind}' if behind else ''}: "
            f"{why.rstrip('.')}. Cut the model before it, or write it with Dense layers alone "
            "behind Flatten."
        )
        self.origins = list(origins)


class Plan:
    """What each layer becomes, found from the layer calls alone.

    Parameters
    ----------
    model : keras.Model
    built : CallsAsBuilt
        Its layer calls.
    kept : set of str
        Layer calls that make vectors (Flatten, global pooling) and shall go on doing so.

    Attributes
    ----------
    forms : dict of int to Form
        By the id of the layer.
    maps : dict of TensorRef to Map
        What stands for tensors that were vectors.
    origins : set of str
        Layer calls at which vectors began, and now no longer do.
    shapes : dict of str to shape
        Of the model's inputs; axes that were opened are None.
    """

    def __init__(self, model: Any, built: CallsAsBuilt, kept: frozenset[str]) -> None:
        self.model = model
        self.calls = {call.name: call for call in built.calls}
        self.inputs, self.fed = built.inputs, built.fed
        self.layouts, self.positions = built.layouts, built.positions
        self.seen = self._inputs_seen()
        self._follow(kept)
        while idle := self._idle():
            kept |= idle
            self._follow(kept)
        self.shapes = self._opened()

    def _follow(self, kept: frozenset[str]) -> None:
        """Walk through the calls and note what becomes of each layer."""
        self.maps: dict[TensorRef, Map] = {}
        self.forms: dict[int, Form] = {}
        self.weighted: set[str] = set()
        users: dict[int, tuple[Form | None, frozenset[str]]] = {}
        for call in self.calls.values():
            form, found = self._becomes(call, kept)
            if found is not None:
                self.maps[TensorRef(call.name, 0)] = found
            origins = found.origins if found else frozenset()
            other, others = users.setdefault(id(call.layer), (form, origins))
            if form is not other and not (form and form.is_same(other)):
                why = "it is called in several places, and would have to become several layers"
                raise self._refused(call, why, origins | others)
            if form is not None:
                self.forms[id(call.layer)] = form

    def _becomes(self, call: LayerCall, kept: frozenset[str]) -> tuple[Form | None, Map | None]:
        """Return the form of one call's layer, and the map that it gives."""
        maps = [self.maps.get(ref) for ref in call.inputs]
        given = [m for m in maps if m is not None]
        if not given:
            ref = call.inputs[0] if call.inputs else None
            begun = None
            if ref is not None and call.name not in kept:
                begun = begin(call, self.layouts.get(ref))
            return begun or (None, None)
        origins: frozenset[str] = frozenset().union(*(m.origins for m in given))
        if len(given) < len(maps):
            other = next(r.call for r, m in zip(call.inputs, maps, strict=True) if m is None)
            why = f"it joins them with '{other}', which does not move over the same positions"
            raise self._refused(call, why, origins)
        try:
            form, found = follow(call, given)
        except NoFormError as error:
            raise self._refused(call, str(error), origins) from error
        if call.layer_class in ("Dense", "Conv1D", "Conv2D", "Conv3D"):
            self.weighted |= origins
        return form, found

    def _refused(self, call: LayerCall | None, why: str, origins: Any) -> _RefusedError:
        return _RefusedError(call, why, [self.calls[name] for name in sorted(origins)])

    def _idle(self) -> frozenset[str]:
        """Return the origins of vectors that no Dense reads: they may stay vectors."""
        regions: list[set[str]] = []
        for found in self.maps.values():
            meeting = [r for r in regions if r & found.origins]
            regions = [r for r in regions if not r & found.origins]
            regions.append(set(found.origins).union(*meeting))
        return frozenset().union(*(r for r in regions if not r & self.weighted))

    @property
    def origins(self) -> frozenset[str]:
        """Layer calls at which vectors began, and now no longer do."""
        return frozenset().union(*(m.origins for m in self.maps.values()))

    @property
    def changes(self) -> list[Change]:
        """What has changed, in topological order."""
        found = []
        for call in self.calls.values():
            form = self.forms.get(id(call.layer))
            if form is not None and form.layer_class != call.layer_class:
                window = form.options.get("kernel_size") or form.options.get("pool_size") or ()
                found.append(Change(call.name, call.layer_class, form.layer_class, tuple(window)))
        return found

    def _inputs_seen(self) -> dict[TensorRef, frozenset[str]]:
        """Return the inputs on which each tensor depends."""
        seen: dict[TensorRef, frozenset[str]] = {}
        for call in self.calls.values():
            own = frozenset([call.name]) if call.name in self.inputs else frozenset()
            found = own.union(*(seen[ref] for ref in call.inputs))
            seen |= dict.fromkeys(
                (TensorRef(call.name, i) for i in range(len(call.output_shapes))), found
            )
        return seen

    def _opened(self) -> dict[str, tuple[int | None, ...]]:
        """Return the inputs' shapes, open where the model will take any size."""
        opened: set[str] = set()
        for name in sorted(self.origins):
            reached = {n for n in self.seen[TensorRef(name, 0)] if self.positions[n]}
            if not reached:
                why = "no input that it depends on has positions"
                raise self._refused(self.calls[name], why, [name])
            opened |= reached
        return {
            name: tuple(
                None if name in opened and axis in self.positions[name] else n
                for axis, n in enumerate(self.calls[name].output_shapes[0])
            )
            for name in self.inputs
        }

    def shape_in_copy(self, ref: TensorRef) -> tuple[int | None, ...]:
        """Return a tensor's shape in the new model, without the batch axis."""
        if ref.call in self.shapes:
            return self.shapes[ref.call]
        if ref in self.maps:
            return self.maps[ref].shape
        shape = self.calls[ref.call].output_shapes[ref.output]
        if len(shape) < 2 or not any(None in self.shapes[name] for name in self.seen[ref]):
            return shape
        layout = self.layouts[ref]
        return layout.shape((None,) * (len(shape) - 1), layout.channels(shape))  # type: ignore[arg-type]


@dataclass(frozen=True)
class CallsAsBuilt:
    """The layer calls of a model at the shapes for which it was built.

    Attributes
    ----------
    calls : list of LayerCall
        Open dimensions are None.
    inputs : list of str
        Names, in the model's order.
    fed : dict of int to list of TensorRef
        What nested models are called on first, by the id of their functional graph.
    layouts : dict of TensorRef to Layout
    positions : dict of input name to axes
    """

    calls: list[LayerCall]
    inputs: list[str]
    fed: dict[int, list[TensorRef]]
    layouts: dict[TensorRef, Layout]
    positions: dict[str, tuple[int, ...]]


def calls_as_built(model: Any) -> CallsAsBuilt:
    """Open a model at the shapes for which it was built."""
    function = functional(model, "the model")
    shapes = [shape_of(t) for t in function.inputs]
    expansion = _NotedOpen() if any(None in shape for shape in shapes) else _Noted()
    inputs = expansion.add_inputs(function, shapes)
    expansion.expand(function, inputs, prefix="")
    names = [ref.call for ref in inputs]
    known = layouts(expansion.calls)
    found = positions(expansion.calls, names, known)
    return CallsAsBuilt(expansion.calls, names, expansion.fed, known, found)


class _Noted(Expansion):
    """The calls of a model, and what its nested models are called on."""

    def __init__(self) -> None:
        super().__init__()
        self.fed: dict[int, list[TensorRef]] = {}

    def _nested_inputs(self, inner: Any, *arguments: Any, **options: Any) -> list[TensorRef]:
        refs = super()._nested_inputs(inner, *arguments, **options)
        self.fed.setdefault(id(inner), refs)
        return refs


class _NotedOpen(_Noted):
    """The same at the shapes that Keras noted, where some are open."""

    def _output_specs(self, node: Any, *_: Any) -> list[Any]:
        return list(node.outputs)


class Copy:
    """A model made anew by a plan.

    Parameters
    ----------
    plan : Plan

    Attributes
    ----------
    model : keras.Model
        Its convolutions that were Dense have their weights; others have initial ones until
        `give_weights`.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._layers: dict[int, tuple[Any, Any]] = {}
        self.model = self._copied_model(plan.model, [plan.shapes[n] for n in plan.inputs])

    def _copied_model(self, model: Any, shapes: Sequence[Any]) -> Any:
        import keras

        function = functional(model, f"nested model '{model.name}'")
        inputs = [_input(t, shape) for t, shape in zip(function.inputs, shapes, strict=True)]
        if isinstance(model, keras.Sequential):
            copies = [self._copied(layer) for layer in model.layers]
            copy = _sequence(inputs[0], copies, model.name)
        else:
            outputs = _run(function, inputs, self._copied)
            given, found = (
                keras.tree.pack_sequence_as(structure, tensors)
                for structure, tensors in ((function.input, inputs), (function.output, outputs))
            )
            copy = keras.Model(given, found, name=model.name)
        if not model.trainable:
            copy.trainable = False
        return copy

    def _copied(self, layer: Any) -> Any:
        """Return the layer or operation that stands for an old one, the same one each time."""
        import keras

        if id(layer) not in self._layers:
            if isinstance(layer, keras.Model) and is_plain(layer):
                fed = self.plan.fed[id(functional(layer, "nested model"))]
                copy = self._copied_model(layer, [self.plan.shape_in_copy(ref) for ref in fed])
            else:
                copy = self._copied_layer(layer)
            self._layers[id(layer)] = layer, copy
        return self._layers[id(layer)][1]

    def _copied_layer(self, layer: Any) -> Any:
        form = self.plan.forms.get(id(layer))
        try:
            if form is None:
                return type(layer).from_config(layer.get_config())
            copy = form.make(layer)
        except Exception as error:  # a layer's own get_config may do anything
            raise UnsupportedLayerError(
                f"Layer '{layer.name}' ({type(layer).__name__}) cannot be copied: {error}. Give it "
                "a get_config() from which it can be made again."
            ) from error
        if form.index is not None:
            # No random numbers for what may be most of the model.
            kernel = _as_convolution(layer, form.index)
            copy.kernel_initializer = lambda *_, **__: kernel
        return copy

    def give_weights(self) -> None:
        """Give every layer the values of the one it stands for."""
        import keras

        for old, new in self._layers.values():
            if not isinstance(old, keras.Layer) or (isinstance(new, keras.Model) and is_plain(new)):
                continue
            form = self.plan.forms.get(id(old))
            of_kernel = form is not None and form.index is not None
            if of_kernel:
                new.kernel_initializer = keras.initializers.get(
                    keras.initializers.serialize(old.kernel_initializer)
                )
            pairs = list(zip(old.weights, new.weights, strict=True))
            for value, variable in pairs[1:] if of_kernel else pairs:
                variable.assign(_reshaped(value, variable.shape))
            if hasattr(new, "finalize_state"):
                new.finalize_state()


def _input(tensor: Any, shape: Sequence[int | None]) -> Any:
    """Make an input like another, of another shape."""
    import keras

    layer = tensor._keras_history.operation
    return keras.Input(
        batch_shape=(tensor.shape[0], *shape),
        dtype=tensor.dtype,
        name=layer.name,
        sparse=tensor.sparse,
        optional=getattr(layer, "optional", False),
    )


def _run(function: Any, inputs: Sequence[Any], copied: Callable[[Any], Any]) -> list[Any]:
    """Call the copies of a function's layers on new inputs, each in the order of its old calls."""
    import keras

    known = {id(t): x for t, x in zip(function.inputs, inputs, strict=True)}
    depths = sorted(function._nodes_by_depth, reverse=True)
    waiting = [n for d in depths for n in function._nodes_by_depth[d] if not n.is_input]
    pending = {id(node) for node in waiting}
    while waiting:
        for node in waiting:
            calls = node.operation._inbound_nodes
            earlier = {id(n) for n in calls[: calls.index(node)]}
            if earlier & pending or any(id(t) not in known for t in node.input_tensors):
                continue
            arguments = (node.arguments.args, node.arguments.kwargs)
            args, kwargs = keras.tree.map_structure(lambda x: known.get(id(x), x), arguments)
            found = _called(copied(node.operation), *args, **kwargs)
            known.update(
                (id(t), x) for t, x in zip(node.outputs, keras.tree.flatten(found), strict=True)
            )
            pending.discard(id(node))
        waiting = [node for node in waiting if id(node) in pending]
    return [known[id(t)] for t in function.outputs]


def _called(operation: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a layer of the new model; say which one does not take it."""
    try:
        return operation(*args, **kwargs)
    except Exception as error:  # Keras raises whatever its layers raise
        raise _bound_to_size(operation, error) from error


def _sequence(given: Any, copies: Sequence[Any], name: str) -> Any:
    """Make a Sequential; say which layer does not take what it is given."""
    import keras

    try:
        return keras.Sequential([given, *copies], name=name)
    except Exception as error:
        raise _bound_to_size(next(c for c in copies if not c.built), error) from error


def _bound_to_size(layer: Any, error: Exception) -> UnsupportedLayerError:
    return UnsupportedLayerError(
        f"Layer '{layer.name}' ({type(layer).__name__}) does not take an input of open size: "
        f"{str(error).strip().splitlines()[0].rstrip('. ')}. Give it weights and shapes that do "
        "not depend on the input's size."
    )


def _as_convolution(layer: Any, index: np.ndarray) -> Any:
    """Return a Dense kernel as that of a convolution."""
    import keras

    shape = (*index.shape, layer.units)
    if np.array_equal(index.reshape(-1), np.arange(index.size)):
        return _reshaped(layer.kernel, shape)
    return keras.ops.take(keras.ops.convert_to_tensor(layer.kernel), index, axis=0)


def _reshaped(variable: Any, shape: Sequence[int]) -> Any:
    """Return what a variable holds now, in another shape, for another variable to hold.

    In the same memory with TensorFlow, which never writes where two variables look; torch trains
    in place, and jax gives arrays away as it trains.
    """
    import keras

    value = keras.ops.stop_gradient(keras.ops.convert_to_tensor(variable))
    value = keras.ops.reshape(value, shape)
    return value if keras.config.backend() == "tensorflow" else keras.ops.copy(value)


def _check_growth(plan: Plan, copy: Any) -> None:
    """Refuse a model that takes no size but its own."""
    old = {name: plan.calls[name].output_shapes[0] for name in plan.inputs}
    if not plan.origins or any(None in shape for shape in old.values()):
        return
    function = functional(copy, "the model")
    shapes = [
        tuple(n + GROWTH * (o is None) for n, o in zip(old[name], plan.shapes[name], strict=True))
        for name in plan.inputs
    ]
    found = misfit(function, shapes)
    if found is not None:
        call = plan.calls[found.name]
        maps = [plan.maps[ref] for ref in call.inputs if ref in plan.maps]
        origins: frozenset[str] = frozenset().union(*(m.origins for m in maps))
        why = f"at another size than its own, {found.error}"
        raise plan._refused(call, why, origins) from found.error


@contextmanager
def _same_random_numbers() -> Iterator[None]:
    """Draw seeds for the copied layers without taking them from anybody else."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)
