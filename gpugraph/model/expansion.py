"""Keras's own graph of a model, opened into one list of layer calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from math import prod
from typing import Any

from gpugraph.errors import ModelError, ShapeError, UnsupportedLayerError, said_by_keras
from gpugraph.model.constants import Constants
from gpugraph.model.input_shape import check_shape, shape_of
from gpugraph.model.layer_call import (
    N_SAMPLES,
    Batch,
    LayerCall,
    Shape,
    TensorRef,
    grown_axis,
    refs_in,
    shapes_text,
    substitute,
)
from gpugraph.model.masks import (
    PASSING,
    TAKING,
    arguments,
    carried_masks,
    carriers,
    fresh_names,
    is_empty,
    made_masks,
    used_masks,
)
from gpugraph.model.value_numbers import ValueNumbers
from gpugraph.registry import is_of_keras


class Expansion:
    """Collects layer calls while opening nested models.

    Parameters
    ----------
    trace : bool
        Whether layers without a converter are opened too, by what their ``call`` does.
    """

    def __init__(self, *, trace: bool = False) -> None:
        self.calls: list[LayerCall] = []
        self._trace = trace
        self._opening: list[Any] = []
        self._specs: dict[TensorRef, Any] = {}
        self._axes: dict[int, int] = {}
        self._batches: dict[TensorRef, Batch] = {}
        self._masks: dict[TensorRef, TensorRef | None] = {}
        self._values = ValueNumbers()
        self._constants = Constants()
        self._passed: dict[TensorRef, TensorRef] = {}
        self._if_read: set[str] = set()
        self._given: dict[str, int] = {}

    def add_inputs(self, function: Any, shapes: Sequence[Shape]) -> list[TensorRef]:
        """Add the input layers of a function, each of the shape given."""
        layers = [tensor._keras_history.operation for tensor in function.inputs]
        return [self.add_input(x, shape) for x, shape in zip(layers, shapes, strict=True)]

    def add_input(self, layer: Any, shape: Shape) -> TensorRef:
        """Add an input layer, of the shape given."""
        import keras

        name = self._unique(layer.name)
        call = LayerCall(name, type(layer).__name__, layer, (), {}, (), (), (shape,), 0)
        spec = keras.KerasTensor((None, *shape), dtype=layer.dtype, name=name)
        (ref,) = self._add(call, [spec], [None])
        return ref

    def expand(self, function: Any, inputs: Sequence[TensorRef], prefix: str) -> list[TensorRef]:
        """Add the calls of a function fed by these tensors; return where its outputs are."""
        import keras

        known = {id(t): ref for t, ref in zip(function.inputs, inputs, strict=True)}
        uses = _uses(function)
        for depth in sorted(function._nodes_by_depth, reverse=True):
            for node in function._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                arguments = (node.arguments.args, node.arguments.kwargs)
                args, kwargs = keras.tree.map_structure(lambda x: known.get(id(x), x), arguments)
                refs = [known[id(t)] for t in node.arguments.keras_tensors]
                use = f"#{uses[id(node)]}" if uses[id(node)] else ""
                name = self._unique(prefix + node.operation.name + use)
                args, kwargs, refs = self._constants.handed_on(
                    node.operation, name, args, kwargs, refs
                )
                if isinstance(node.operation, keras.Model) and is_plain(node.operation):
                    inner = functional(node.operation, f"nested model '{name}'")
                    given = self._nested_inputs(inner, node, known, name)
                    self._give_masks(node.operation, args, kwargs, given)
                    outputs = self.expand(inner, given, prefix=f"{name}/")
                elif self._trace:
                    outputs = self._open(node, name, args, kwargs, refs)
                else:
                    outputs = self._call(node, name, args, kwargs, refs)
                known.update((id(t), ref) for t, ref in zip(node.outputs, outputs, strict=True))
        return [known[id(t)] for t in function.outputs]

    def _nested_inputs(
        self, inner: Any, node: Any, known: Mapping[int, TensorRef], name: str
    ) -> list[TensorRef]:
        """Return what a nested model is called on, in the order of its own inputs."""
        import keras

        args, kwargs = list(node.arguments.args), dict(node.arguments.kwargs)
        given = args.pop(0) if args else kwargs.pop("inputs")
        extra = [
            key
            for key, value in kwargs.items()
            # A mask that depends on the inputs is followed like one that they carry.
            if any(
                x is not None and x is not False and not (key == "mask" and id(x) in known)
                for x in keras.tree.flatten(value)
            )
        ]
        if args or extra:
            raise UnsupportedLayerError(
                f"Nested model '{name}' is called with {', '.join(extra) or 'more'} besides its "
                "inputs, which changes what its layers compute. Call it on its inputs alone."
            )
        names = [t.name for t in inner.inputs]
        if isinstance(given, dict) and not isinstance(inner.input, dict):
            given = [given[n] for n in names]  # Keras hands them on by name
        refs = []
        for n, value, tensor in zip(names, keras.tree.flatten(given), inner.inputs, strict=True):
            ref = known.get(id(value))
            adjusted = None if ref is None else self._of_rank(ref, tensor.shape, f"{name}/")
            if adjusted is None:
                got = "a constant" if ref is None else f"shape {shape_of(self._specs[ref])}"
                raise UnsupportedLayerError(
                    f"Nested model '{name}' is called on {got} for its input '{n}' of shape "
                    f"{shape_of(tensor)}. Call it on a tensor of as many dimensions."
                )
            refs.append(adjusted)
        return refs

    def _of_rank(self, ref: TensorRef, shape: Shape, prefix: str) -> TensorRef | None:
        """Return a tensor in as many dimensions as an input's shape has, as Keras's models do.

        They add a last axis, or take one off, where its length is one. None: nothing helps.
        """
        import keras

        spec = self._specs[ref]
        rank = len(spec.shape)
        if rank == len(shape):
            return ref
        with fresh_names():
            tensor = keras.KerasTensor(spec.shape, dtype=spec.dtype)
            if rank == len(shape) + 1 and spec.shape[-1] == 1:
                adjusted = keras.ops.squeeze(tensor, axis=-1)
            elif rank == len(shape) - 1 and shape[-1] == 1:
                adjusted = keras.ops.expand_dims(tensor, axis=-1)
            else:
                return None
            function = keras.Function([tensor], [adjusted])
        (found,) = self.expand(function, [ref], prefix)
        self._masks[found] = self._masks[ref]
        return found

    def _give_masks(self, model: Any, args: Any, kwargs: Any, inputs: Sequence[TensorRef]) -> None:
        """Put on a nested model's inputs the masks that it is given, or that they carry.

        As Keras does: one after the other, even where the inputs are in another order.
        """
        masks = kwargs.get("mask")
        if masks is None or "mask" in self._implied_masks(model, args, kwargs):
            masks = carried_masks(args[0] if args else kwargs["inputs"], self._masks)
        for ref, mask in zip(inputs, _leaves(masks), strict=False):
            if mask is not None:
                self._set_mask(ref, mask)

    def _open(
        self, node: Any, name: str, args: Any, kwargs: Any, refs: list[TensorRef]
    ) -> list[TensorRef]:
        """Add the calls that a layer without a converter makes; its own where none can be told."""
        from gpugraph.model.symbolic_calls import Constant, NoTraceError, is_traceable

        layer = node.operation
        if isinstance(layer, Constant):
            return [self._constant(node, name, args, kwargs, refs)]
        is_of_constants = not refs_in([args, kwargs])  # what it gives is constant, too
        if not (is_traceable(layer) or is_of_constants) or kwargs.get("training"):
            return self._call(node, name, args, kwargs, refs)
        implied = self._implied_masks(layer, args, kwargs)
        own = {key: value for key, value in kwargs.items() if key not in implied}
        call = LayerCall(name, type(layer).__name__, layer, args, own, (), (), (), 0)
        given = own | self._used_masks(call)
        try:
            outputs = self.open(layer, args, given, f"{name}/", len(node.outputs), refs)
        except NoTraceError as error:
            if is_of_constants:
                raise UnsupportedLayerError(
                    f"Cannot convert layer '{name}' ({type(layer).__name__}): it is called on "
                    f"constants alone, and its call() cannot be traced: {error}. Leave it out."
                ) from error
            return self._untraced(node, name, args, kwargs, refs, str(error))
        for ref, noted in zip(outputs, node.outputs, strict=True):
            self._check_shape(node, name, self._batch(ref).shape[1:], noted)
        masks = self._made_masks(layer, name, args, own, len(outputs))
        for ref, mask in zip(outputs, masks, strict=True):
            # What its call() has put on them stays, or what they had where it gives its input.
            if self._masks[ref] is None:
                self._masks[ref] = mask
        return outputs

    def _constant(
        self, node: Any, name: str, args: Any, kwargs: Any, refs: list[TensorRef]
    ) -> TensorRef:
        """Note a constant that a layer gives; add its nodes, if any, for what reads them."""
        ref = TensorRef(name, 0)
        self._constants.add(ref, node.operation, refs[0])
        if node.operation.is_of_samples:
            self._call(node, name, args, kwargs, refs)
            self._if_read.add(name)
        else:
            self._specs[ref], self._masks[ref] = node.outputs[0], None
        return ref

    def _untraced(
        self, node: Any, name: str, args: Any, kwargs: Any, refs: list[TensorRef], why: str
    ) -> list[TensorRef]:
        """Add the call of a layer as it is, since it cannot be traced."""
        try:
            return self._call(node, name, args, kwargs, refs, why)
        except ShapeError as error:
            raise ShapeError(
                f"The call() of layer '{name}' ({type(node.operation).__name__}) cannot be traced: "
                f"{why}. {error}"
            ) from error

    def open(
        self,
        layer: Any,
        args: Any,
        kwargs: Any,
        prefix: str,
        n_outputs: int | None = None,
        beside: Sequence[TensorRef] = (),
    ) -> list[TensorRef]:
        """Add the calls that a layer makes within its own; return where its outputs are.

        Parameters
        ----------
        layer : keras.Layer
        args, kwargs
            What it is called on; tensors are `TensorRef`.
        prefix : str
            Of the names of the calls.
        n_outputs : int, optional
            How many tensors Keras has noted as its outputs.
        beside : sequence of TensorRef
            Tensors that have the samples, where it is called on constants alone.

        Raises
        ------
        NoTraceError
            If its ``call`` cannot be traced.
        """
        from gpugraph.model.symbolic_calls import NoTraceError, symbol
        from gpugraph.model.tracing import traced

        if any(layer is other for other in self._opening):
            raise NoTraceError("it calls itself")
        self._opening.append(layer)
        try:
            with fresh_names():
                read = refs_in([args, kwargs]) or beside
                specs = {ref: self._specs[ref] for ref in read}
                inputs = {ref: symbol(self._batch(ref).shape, x.dtype) for ref, x in specs.items()}
                args, kwargs = substitute((args, dict(kwargs)), inputs)
                symbols = list(inputs.values())
                batch_axes = [self._batch(ref).axis for ref in inputs]
                trace = traced(layer, args, kwargs, symbols, batch_axes, n_outputs)
                with trace as (function, axes):
                    before, self._axes = self._axes, self._axes | axes
                    outputs = self.expand(function, list(inputs), prefix)
                    self._axes = before
                return outputs
        finally:
            self._opening.pop()

    def _call(
        self,
        node: Any,
        name: str,
        args: Any,
        kwargs: Any,
        refs: list[TensorRef],
        untraced: str | None = None,
    ) -> list[TensorRef]:
        import keras

        layer = node.operation
        if _trains_by_default(type(layer).call):
            kwargs = {key: value for key, value in kwargs.items() if key != "training"}
        made = self._made_batches(node, args, kwargs, refs)
        if all(batch.is_plain for batch in made):
            specs = self._output_specs(node, name, args, kwargs, refs)
        else:
            pairs = zip(made, node.outputs, strict=True)
            specs = [keras.KerasTensor(batch.shape, y.dtype) for batch, y in pairs]
        implied = self._implied_masks(layer, args, kwargs)
        kwargs = {key: value for key, value in kwargs.items() if key not in implied}
        refs = _without(refs, refs_in(implied))
        masks = self._made_masks(layer, name, args, kwargs, len(specs))
        call = LayerCall(
            name=name,
            layer_class=type(layer).__name__,
            layer=layer,
            args=args,
            kwargs=kwargs,
            inputs=tuple(refs),
            input_shapes=tuple(shape_of(self._specs[ref]) for ref in refs),
            output_shapes=tuple(shape_of(spec) for spec in specs),
            n_parameters=_n_parameters(layer, args, kwargs),
            untraced=untraced,
            input_dtypes=tuple(self._specs[ref].dtype for ref in refs),
            output_dtypes=tuple(spec.dtype for spec in specs),
        )
        call = self._with_batches(call, made)
        call = replace(call, masks=self._used_masks(call))
        if isinstance(layer, keras.Layer) and type(layer).__name__ in TAKING:
            self._take_masks(layer, refs)
        outputs = self._add(call, specs, masks)
        if not isinstance(layer, keras.Layer):
            self._values.add(layer, args, kwargs, outputs)
        elif type(layer).__name__ in PASSING and specs[0].dtype == self._specs[refs[0]].dtype:
            self._passed[outputs[0]] = self._passed.get(refs[0], refs[0])
        return outputs

    def _batch(self, ref: TensorRef) -> Batch:
        """Return where samples stand in a tensor."""
        return self._batches.get(ref) or Batch(0, 1, (1, *shape_of(self._specs[ref])))

    def _made_batches(
        self, node: Any, args: Any, kwargs: Any, refs: Sequence[TensorRef]
    ) -> tuple[Batch, ...]:
        """Return where samples stand in what a call gives; nothing where that cannot be told.

        Traces tell. Outside of them, operations are tried as they are, and layers on what is no
        batch of samples.
        """
        import keras

        shapes = [tuple(y.shape) for y in node.outputs]
        axes = [self._axes.get(id(y)) for y in node.outputs]
        given = [self._batch(ref) for ref in refs]
        is_layer = isinstance(node.operation, keras.Layer)
        if None in axes and not (is_layer and all(batch.is_plain for batch in given)):
            try:
                one, several = (
                    [tuple(y.shape) for y in self._specs_of(node, args, kwargs, n)]
                    for n in (1, N_SAMPLES)
                )
            except Exception:  # whatever the layer raises where several samples do not fit it
                return ()
            shapes, axes = one, [grown_axis(*s, N_SAMPLES) for s in zip(one, several, strict=True)]
        made = []
        for shape, axis in zip(shapes, axes, strict=True):
            if axis is None or None in shape:
                return ()
            made.append(Batch.of(shape, axis, _n_before(node.operation, given[0], shape, axis)))
        return tuple(made)

    def _with_batches(self, call: LayerCall, made: tuple[Batch, ...]) -> LayerCall:
        """Note where samples stand in a call's tensors, if not in the first axis alone."""
        given = tuple(self._batch(ref) for ref in call.inputs)
        if all(batch.is_plain for batch in (*given, *made)):
            return call
        self._batches |= {TensorRef(call.name, i): batch for i, batch in enumerate(made)}
        return replace(
            call,
            input_shapes=tuple(batch.sample_shape for batch in given),
            output_shapes=tuple(batch.sample_shape for batch in made) or call.output_shapes,
            input_batches=given,
            output_batches=made,
        )

    def _take_masks(self, layer: Any, refs: Sequence[TensorRef]) -> None:
        """Take the masks off tensors, but for those of which Keras casts a copy for the layer."""
        for ref in refs:
            if self._specs[ref].dtype == layer.compute_dtype:
                self._set_mask(ref, None)

    def _set_mask(self, ref: TensorRef, mask: TensorRef | None) -> None:
        """Put a mask on a tensor, or take it off, by whatever name layers have passed it on."""
        first = self._passed.get(ref, ref)
        self._masks |= {x: mask for x in self._masks if self._passed.get(x, x) == first}

    def _implied_masks(self, layer: Any, args: Any, kwargs: Any) -> dict[str, Any]:
        """Return the masks among a call's keyword arguments that its tensors carry anyway.

        Keras notes some of them at the call, and the operations that make them in the graph.
        """
        import keras

        if not isinstance(layer, keras.Layer):
            return {}
        implied = {}
        for key, value in kwargs.items():
            given = arguments(layer, args, {k: v for k, v in kwargs.items() if k != key})
            carrier = carriers(layer, given).get(key)
            if carrier is not None and not is_empty(value):
                carried = carried_masks(given[carrier], self._masks)
                if self._values.of(carried) == self._values.of(value):
                    implied[key] = value
        self._if_read |= {ref.call for ref in refs_in(implied)}
        return implied

    def _used_masks(self, call: LayerCall) -> dict[str, Any]:
        """Return the masks that a call uses, given or carried by its tensors."""
        import keras

        return used_masks(call, self._masks) if isinstance(call.layer, keras.Layer) else {}

    def _made_masks(
        self, layer: Any, name: str, args: Any, kwargs: Any, n_outputs: int
    ) -> list[TensorRef | None]:
        """Return the masks that a call's outputs carry; add the operations that make them."""
        import keras

        none: list[TensorRef | None] = [None] * n_outputs
        if not isinstance(layer, keras.Layer):
            return none
        given, own = arguments(layer, args, kwargs), kwargs.get("mask")
        made = made_masks(layer, given, own, self._specs, self._masks)
        if made is None:
            return none
        known = {id(twin): ref for ref, twin in made.inputs.items()}
        new = [spec for spec in made.masks if spec is not None and id(spec) not in known]
        if not all(isinstance(spec, keras.KerasTensor) for spec in new):
            raise UnsupportedLayerError(
                f"Cannot convert layer '{name}' ({type(layer).__name__}): the mask of what it "
                "gives is a constant. Leave out of its input what that hides."
            )
        if new:
            first = len(self.calls)
            function = keras.Function(list(made.inputs.values()), new)
            refs = self.expand(function, list(made.inputs), prefix=f"{name}/mask/")
            known |= {id(spec): ref for spec, ref in zip(new, refs, strict=True)}
            self._if_read |= {call.name for call in self.calls[first:]}
        masks = [None if spec is None else known[id(spec)] for spec in made.masks]
        return (masks + none)[:n_outputs]

    def calls_read(self, outputs: Sequence[TensorRef]) -> list[LayerCall]:
        """Return the calls but for constants, and operations that made masks, which nothing reads.

        Raises
        ------
        UnsupportedLayerError
            If an output is a constant that has no nodes.
        """
        import keras

        self._constants.refuse(outputs, "the model gives")
        read = {ref.call for ref in outputs}
        kept = []
        for call in reversed(self.calls):
            is_unread = call.name in self._if_read and call.name not in read
            if is_unread and not isinstance(call.layer, keras.Layer):
                self._if_read |= {ref.call for ref in call.inputs}
            else:
                kept.append(call)
                read |= {ref.call for ref in call.reads}
        return kept[::-1]

    def _output_specs(
        self, node: Any, name: str, args: Any, kwargs: Any, refs: list[TensorRef]
    ) -> list[Any]:
        """Return the shapes that a call gives: those Keras noted, where its inputs are as noted."""
        noted = [shape_of(t) for t in node.arguments.keras_tensors]
        is_traced = notes_wrong_shapes(node.operation, kwargs)
        if noted == [shape_of(self._specs[ref]) for ref in refs] and not is_traced:
            specs = node.outputs
        else:
            n_samples = None if all(self._batch(ref).is_plain for ref in refs) else 1
            try:
                specs = self._specs_of(node, args, kwargs, n_samples)
            except Exception as error:
                shapes = shapes_text([shape_of(self._specs[ref]) for ref in refs])
                raise ShapeError(
                    f"Layer '{name}' ({type(node.operation).__name__}) does not accept its input "
                    f"of shape {shapes}: {said_by_keras(error)}. Choose another input_shape."
                ) from error
        for spec, own in zip(specs, node.outputs, strict=True):
            self._check_shape(node, name, shape_of(spec), own)
        return list(specs)

    def _check_shape(self, node: Any, name: str, shape: Shape, noted: Any) -> None:
        """Refuse what is empty where Keras has not noted the like, or a window runs dry."""
        what = f"Layer '{name}' ({type(node.operation).__name__}) gives"
        if None in shape:
            raise ShapeError(
                f"{what} shape {shape}, which leaves a dimension open: it joins the samples of the "
                "batch, or does not tell what it gives. Cut the model before it."
            )
        check_shape(shape, what, () if has_window(node.operation) else shape_of(noted))

    def _specs_of(self, node: Any, args: Any, kwargs: Any, n_samples: int | None) -> list[Any]:
        """Work out the shapes that a call gives for so many samples; None: for any number."""
        import keras

        def spec(ref: TensorRef) -> Any:
            known = self._specs[ref]
            if n_samples is None:
                return known
            return keras.KerasTensor(self._batch(ref).shape_of(n_samples), known.dtype)

        tensors = {ref: spec(ref) for ref in refs_in([args, kwargs])}
        args, kwargs = substitute((args, kwargs), tensors)
        is_traced = notes_wrong_shapes(node.operation, kwargs)
        operation = keras.Operation if is_traced else type(node.operation)
        specs = operation.compute_output_spec(node.operation, *args, **kwargs)
        return list(keras.tree.flatten(specs))

    def _add(
        self, call: LayerCall, specs: Sequence[Any], masks: Sequence[TensorRef | None]
    ) -> list[TensorRef]:
        import keras

        if any("complex" in spec.dtype for spec in specs):
            raise UnsupportedLayerError(
                f"Cannot convert layer '{call.name}' ({call.layer_class}): it makes complex "
                "numbers, which nodes do not hold. Keep real and imaginary parts in tensors of "
                "their own, as keras.ops.fft does."
            )
        self.calls.append(call)
        refs = [TensorRef(call.name, i) for i in range(len(specs))]
        for ref, spec in zip(refs, specs, strict=True):
            shape = (None, *shape_of(spec))
            self._specs[ref] = keras.KerasTensor(shape, dtype=spec.dtype, name=ref.label)
        self._masks |= dict(zip(refs, masks, strict=True))
        return refs

    def _unique(self, name: str) -> str:
        """Return the name, with #1, #2 ... where another layer's second call has it already."""
        use = self._given.get(name, 0)
        self._given[name] = use + 1
        return self._unique(f"{name}#{use}") if use else name


def _n_before(operation: Any, given: Batch, shape: Shape, axis: int) -> int:
    """Return how many of the positions in an output's batch axis stand before the samples.

    Operations that move values are held against it (`origins_in_one`).
    """
    kind = type(operation).__name__
    if kind == "Reshape":
        return max(given.n_around[0] // max(prod(shape[:axis]), 1), 1)
    if kind == "Repeat":
        return given.before
    return max(given.before * shape[axis] // max(given.n, 1), 1)  # as tiles, or parts, of it


def _n_parameters(layer: Any, args: Any, kwargs: Any) -> int:
    """Return the parameters of a layer, or of the variables that an operation is called on."""
    import keras

    if isinstance(layer, keras.Layer):
        return int(layer.count_params())
    found = {id(x): x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, keras.Variable)}
    return sum(prod(variable.shape) for variable in found.values())


def notes_wrong_shapes(operation: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether only what a call gives has the right shape, not what Keras notes of it.

    EinsumDense notes None where its output_shape says so, and what an ellipsis stands for in
    reverse; attention notes as many keys as queries, and dot_product_attention as many channels
    of values as of queries.
    """
    import keras

    if isinstance(operation, keras.layers.EinsumDense):
        return operation.quantization_mode is None
    if isinstance(operation, keras.layers.MultiHeadAttention):
        return bool(kwargs.get("return_attention_scores"))
    return type(operation).__name__ == "DotProductAttention"


def has_window(operation: Any) -> bool:
    """Whether what an operation gives is empty only where its input is too small."""
    kind = type(operation).__name__
    is_windowed = "Conv" in kind or "Pool" in kind or kind.startswith("Crop")
    return is_windowed and is_of_keras(type(operation))


def _leaves(masks: Any) -> list[Any]:
    """Return nested masks in Keras's order, which sorts dictionaries."""
    if isinstance(masks, Mapping):
        return [leaf for key in sorted(masks) for leaf in _leaves(masks[key])]
    if isinstance(masks, (list, tuple)) and not isinstance(masks, TensorRef):
        return [leaf for value in masks for leaf in _leaves(value)]
    return [masks]


def _without(refs: Sequence[TensorRef], others: Sequence[TensorRef]) -> list[TensorRef]:
    """Return what is left of tensors when others are taken away, each once."""
    left = list(refs)
    for ref in others:
        left.remove(ref)
    return left


@cache
def _trains_by_default(call: Callable[..., Any]) -> bool:
    """Whether Keras notes training=True at all calls of layers with this ``call``: augmentation's.

    ``model.predict`` goes by what it is asked for, inference.
    """
    parameters = inspect.signature(call).parameters
    return "training" in parameters and parameters["training"].default is True


def _uses(function: Any) -> dict[int, int]:
    """Number the calls of each layer within a function, as the model's author made them."""
    nodes = {id(node): node for nodes in function._nodes_by_depth.values() for node in nodes}
    operations = {id(node.operation): node.operation for node in nodes.values()}
    return {
        id(node): use
        for operation in operations.values()
        for use, node in enumerate(n for n in operation._inbound_nodes if id(n) in nodes)
    }


def is_plain(model: Any) -> bool:
    """Whether calling the model runs its layers and nothing else."""
    import keras
    from keras.src.models.functional import Functional

    return isinstance(model, (Functional, keras.Sequential)) and type(model).call in (
        Functional.call,
        keras.Sequential.call,
    )


def functional(model: Any, where: str) -> Any:
    """Return the functional graph of a model, or say why it has none."""
    import keras

    if not is_plain(model):
        raise ModelError(
            f"{where.capitalize()} ('{model.name}', class {type(model).__name__}) defines its own "
            "call(), which Keras cannot describe as a graph of layers. Pass trace=True (--trace), "
            "which opens it, or write it as a functional model: keras.Model(inputs, outputs)."
        )
    function = model._functional if isinstance(model, keras.Sequential) else model
    if function is None:
        raise ModelError(
            f"{where.capitalize()} ('{model.name}') is not built, so it has no shapes and no "
            "weights. Start it with keras.Input(...), or call model.build((None, ...)) first."
        )
    return function
