"""What a converter works with: a layer call, its source tensors, and the graph being built."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from gpugraph.axes import Axis, fan_in, fan_out, one_to_one
from gpugraph.errors import NonFiniteError, ShapeError, UnsupportedLayerError
from gpugraph.model.layer_call import LayerCall, TensorRef, refs_in, substitute
from gpugraph.model.masks import given_masks, refuse_masks
from gpugraph.population import (
    AXIS_NAMES,
    LINEAR,
    Activation,
    Dynamics,
    Population,
    Reduce,
    Tensor,
    strides,
)
from gpugraph.projection import Kind, Projection
from gpugraph.registry import find_converter, knows_masks

EXTREMES = ("max", "min")
RESERVED = {"id", "population", "layer", "activation", "subset", *AXIS_NAMES}


@dataclass
class Draft:
    """Populations and projections so far; ids are given out in order.

    Attributes
    ----------
    allow_nonfinite : bool
        Whether weights may hold NaN or infinity.
    couplings : bool
        Whether neurons that meet in the statistics of a normalisation, or in a softmax, are
        joined by edges (`dynamic`).
    probe : bool
        Whether layers without a converter are probed.
    trace : bool
        Whether layers without a converter are opened by tracing their ``call``.
    channels_first_inputs : set of str
        The model's inputs whose channel is their first dimension.
    populations : dict of str to Population
    projections : list of Projection
    n_nodes : int
    logits : dict of str to Population
        Where couplings make two populations of one: by the second's name, the first, which takes
        what is projected to the second.
    """

    allow_nonfinite: bool = False
    couplings: bool = False
    probe: bool = False
    trace: bool = False
    channels_first_inputs: frozenset[str] = frozenset()
    populations: dict[str, Population] = field(default_factory=dict)
    projections: list[Projection] = field(default_factory=list)
    n_nodes: int = 0
    logits: dict[str, Population] = field(default_factory=dict)
    _kernels: dict[int, list[np.ndarray]] = field(default_factory=dict)

    def shared(self, layer: Any, kernel: np.ndarray) -> np.ndarray:
        """Return the array that stands for a layer's kernel in all of its calls.

        What is read, or worked out, anew at each call is the first call's array again, so that
        projections share a kernel where ``a.kernel is b.kernel``, whatever the backend.
        """
        known = self._kernels.setdefault(id(layer), [])  # the layer calls keep layers alive
        for other in known:
            if _is_same(kernel, other):
                return other
        known.append(kernel)
        return kernel


@dataclass(frozen=True)
class Conversion:
    """One layer call to be turned into populations and projections.

    Attributes
    ----------
    call : LayerCall
    sources : tuple of Tensor
        What the layer is called on, in order; without masks.
    draft : Draft
        The graph being built.
    masks : mapping of str
        The masks that the layer uses, by its parameter: tensors of ones and zeros, constants,
        lists of them.
    tensors : mapping of TensorRef to Tensor
        Sources and masks, by what stands for them in the call's arguments.
    """

    call: LayerCall
    sources: tuple[Tensor, ...]
    draft: Draft
    masks: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[TensorRef, Tensor] = field(default_factory=dict)

    @property
    def layer(self) -> Any:
        """The Keras layer or operation."""
        return self.call.layer

    @property
    def source(self) -> Tensor:
        """The only source.

        Raises
        ------
        UnsupportedLayerError
            If the layer is called on several tensors (a mask, an initial state ...).
        """
        if len(self.sources) != 1:
            raise self.unsupported(f"it is called on {len(self.sources)} tensors instead of one")
        return self.sources[0]

    @property
    def mask(self) -> Tensor:
        """The only mask.

        Raises
        ------
        UnsupportedLayerError
            If it is a constant.
        """
        (mask,) = self.masks.values()
        if not isinstance(mask, Tensor):
            raise self.unsupported("its mask is a constant; leave out of its input what that hides")
        return mask

    @property
    def dtype(self) -> np.dtype:
        """float64 where the layer computes in it, else float32."""
        import keras

        computes = getattr(self.layer, "compute_dtype", None) or keras.config.floatx()
        return np.dtype(np.float64 if computes == "float64" else np.float32)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the only output, without the batch axis."""
        (shape,) = self.call.output_shapes
        return shape

    def convert(
        self,
        layer: Any,
        part: str | None,
        sources: Sequence[Tensor],
        output_shapes: Sequence[tuple[int, ...]],
        masks: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, ...]:
        """Convert a layer that this one wraps, and return what it gives.

        Parameters
        ----------
        layer : keras.Layer
        part : str or None
            Its populations are named ``name/part``; None: as this call's.
        sources : sequence of Tensor
            What it is called on.
        output_shapes : sequence of tuple of int
            What it gives, without the batch axis.
        masks : mapping of str, optional
            The masks that it uses.
        **kwargs
            What else it is called with.
        """
        call = replace(
            self.call,
            name=self.call.name if part is None else f"{self.call.name}/{part}",
            layer_class=type(layer).__name__,
            layer=layer,
            args=(),
            kwargs=kwargs,
            inputs=(),
            input_shapes=tuple(tensor.shape for tensor in sources),
            output_shapes=tuple(tuple(shape) for shape in output_shapes),
            input_dtypes=(),
            output_dtypes=(),
            masks=masks or {},
        )
        return convert_call(call, sources, self.draft, masks)

    def unsupported(self, why: str) -> UnsupportedLayerError:
        """Make the error for an option that has no exact form; ``raise`` it."""
        return UnsupportedLayerError(
            f"Cannot convert layer '{self.call.name}' ({self.call.layer_class}): {why}. Cut the "
            "model before this layer, or write it with layers that have a converter."
        )

    def misfit(self, expected: str) -> ShapeError:
        """Make the error for weights that do not fit the input's shape; ``raise`` it."""
        shapes = " and ".join(str(tensor.shape) for tensor in self.sources)
        return ShapeError(
            f"Layer '{self.call.name}' ({self.call.layer_class}) was built for {expected}, but its "
            f"input has shape {shapes}. Choose an input_shape for which the model was built, or a "
            "model that is convolutional throughout."
        )

    def population(
        self,
        part: str | None = None,
        shape: Sequence[int] | None = None,
        *,
        bias: np.ndarray | float | None = None,
        activation: Activation = LINEAR,
        reduce: Reduce = "sum",
        channels_first: bool | None = None,
        attributes: Mapping[str, np.ndarray] | None = None,
        dynamics: Callable[..., np.ndarray] | None = None,
        sources: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Add a population named after the call and return it as a tensor.

        With couplings, one whose activation lets nodes meet (softmax) becomes two, so that the
        graph stays acyclic: ``name/logits`` takes the edges and the bias, and the population
        itself what `activated` adds.

        Parameters
        ----------
        part : str, optional
            Suffix of the name (``name/part``), for layers of several populations.
        shape : tuple of int, optional
            By default the call's output shape.
        bias : array broadcastable to the shape, optional
        activation : Activation
        reduce : {"sum", "max", "min", "product"}
        channels_first : bool, optional
            By default as in a source of the same rank.
        attributes : mapping of str to arrays broadcastable to the shape, optional
        dynamics : callable, optional
            Takes the values of the sources, of shape ``(batch, *source shape)`` each, to what
            the nodes hold before bias and activation, where no weighted sum says it.
        sources : sequence of Tensor, optional
            What the population will be projected to from, where not the call's sources.
        """
        shape = self.output_shape if shape is None else tuple(shape)
        sources = self.sources if sources is None else tuple(sources)
        if self.dimensions(activation.axes, len(shape)) and self.draft.couplings:
            logits = self.population(
                "logits" if part is None else f"{part}/logits",
                shape,
                bias=bias,
                reduce=reduce,
                channels_first=channels_first,
                dynamics=dynamics,
                sources=sources,
            )
            target = self.activated(logits, activation, part, attributes=attributes)
            self.draft.logits[target.population.name] = logits.population
            return target
        name = self.call.name if part is None else f"{self.call.name}/{part}"
        if name in self.draft.populations:
            raise ValueError(
                f"There is a population '{name}' already. Give this part another name."
            )
        before = [t.population for t in sources]
        if channels_first is None:
            channels_first = any(p.channels_first and len(p.shape) == len(shape) for p in before)
        population = Population(
            name=name,
            shape=shape,
            offset=self.draft.n_nodes,
            layer=self.call.layer_class,
            depth=1 + max((p.depth for p in before), default=-1),
            bias=None if bias is None else self._per_node(bias, "bias", shape),
            activation=activation,
            reduce=reduce,
            channels_first=channels_first,
            attributes={
                name: self._per_node(values, name, shape)
                for name, values in (attributes or {}).items()
            },
            dynamics=None if dynamics is None else Dynamics(dynamics, tuple(sources)),
        )
        self.draft.populations[population.name] = population
        self.draft.n_nodes += population.size
        return Tensor(population, shape)

    def activated(
        self,
        source: Tensor,
        activation: Activation,
        part: str | None = None,
        *,
        attributes: Mapping[str, np.ndarray] | None = None,
    ) -> Tensor:
        """Add a population that is an activation of a tensor, one to one (`copy`).

        With couplings, nodes that meet in the activation are joined too; see `couple`.
        """
        met = self.dimensions(activation.axes, len(source.shape))
        coupled = bool(met) and self.draft.couplings
        target = self.population(
            part,
            source.shape,
            activation=replace(activation, axes=()) if coupled else activation,
            attributes=attributes,
            # Edges that say who takes part are not to be summed over.
            dynamics=_as_it_is if coupled else None,
            sources=[source],
        )
        self.project_elementwise(source, target)
        self.couple(source, target, met)
        return target

    def dimensions(self, axes: int | Sequence[int], rank: int) -> tuple[int, ...]:
        """Return which dimensions of a shape Keras's axes are, which count the batch's too.

        Parameters
        ----------
        axes : int or sequence of int
            Negative: from the end.
        rank : int
            Number of dimensions without the batch's.

        Raises
        ------
        UnsupportedLayerError
            If one of them is the batch's.
        """
        axes = (axes,) if isinstance(axes, int) else tuple(axes)
        for axis in axes:
            if axis in (0, -rank - 1):
                raise self.unsupported(
                    f"along its axis {axis}, the batch's, samples depend on one another"
                )
        return tuple(sorted({axis % (rank + 1) - 1 for axis in axes}))

    def couple(self, source: Tensor, target: Tensor, dimensions: Sequence[int]) -> None:
        """Add an edge (`dynamic`) from each neuron of a group to each of its neurons' outputs.

        Adds none unless couplings were asked for. A neuron takes part in its own group, so that
        one edge leads to its own output, beside the one that carries its value.

        Parameters
        ----------
        source, target : Tensor
            Of the same shape.
        dimensions : sequence of int
            A group is what differs in these alone.
        """
        if not (dimensions and self.draft.couplings):
            return
        places = list(zip(target.shape, source.strides, target.strides, strict=True))
        apart = [p for i, p in enumerate(places) if i not in dimensions]
        together = [p for i, p in enumerate(places) if i in dimensions]
        axes = [one_to_one(n).place(src=src, dst=dst) for n, src, dst in apart]
        axes += [fan_in(n).place(src=src) for n, src, _ in together]
        axes += [fan_out(n).place(dst=dst) for n, _, dst in together]
        self.project(source, target, axes, kind="dynamic")

    def project(
        self,
        source: Tensor,
        target: Tensor,
        axes: Sequence[Axis],
        kernel: np.ndarray | float | None = None,
        kind: Kind = "weight",
    ) -> None:
        """Add all edges of an outer product of axes from a source to a target.

        Parameters
        ----------
        source, target : Tensor
        axes : sequence of Axis
            Placed along the dimensions of source, target and kernel. Edges are numbered with
            the last one fastest.
        kernel : array, optional
            Weights, in any shape; the axes' tap strides count its elements in C order. None: 1.
        kind : str
            Kind of the edges.

        Raises
        ------
        ShapeError
            If the axes reach beyond the source, the target or the kernel: the layer's weights
            do not fit the shape of its input.
        NonFiniteError
            If the kernel holds NaN or infinity.
        """
        if kernel is not None:
            kernel = self._checked(np.asarray(kernel), "weights").reshape(-1)
            kernel = self.draft.shared(self.layer, kernel)
        if not (prod(source.shape) and prod(target.shape)):
            if prod(target.shape) and (kind == "mean" or target.population.reduce in EXTREMES):
                raise self.unsupported(f"it takes a mean or an extreme of none ({source.shape})")
            return
        axes = axes or [one_to_one(1)]  # one number has no dimension to lay an axis along
        reach = {
            "source": (sum((a.n_src - 1) * a.src_stride for a in axes), np.prod(source.shape)),
            "target": (sum((a.n_dst - 1) * a.dst_stride for a in axes), np.prod(target.shape)),
            "kernel": (
                sum((a.n_tap - 1) * a.tap_stride for a in axes),
                np.inf if kernel is None else kernel.size,
            ),
        }
        for what, (last, size) in reach.items():
            if last >= size:
                shapes = f"input {source.shape}, output {target.shape}"
                raise ShapeError(
                    f"The weights of layer '{self.call.name}' ({self.call.layer_class}) do not fit "
                    f"its shapes ({shapes}): {what} element {last} of {size:.0f} would be read. "
                    "Choose an input_shape for which the model was built."
                )
        into = self.draft.logits.get(target.population.name, target.population)
        projection = Projection(source.population, into, tuple(axes), kernel, kind)
        self.draft.projections.append(projection)

    def project_elementwise(
        self,
        source: Tensor,
        target: Tensor,
        kernel: np.ndarray | float | None = None,
        kind: Kind = "copy",
    ) -> None:
        """Add an edge from each source element to the target element at the same index.

        Source and kernel broadcast to the target's shape as in numpy.
        """
        kernel = None if kernel is None else np.asarray(kernel)
        rank = len(target.shape)
        from_source = _broadcast(source.shape, rank)
        from_kernel = [(1, 0)] * rank if kernel is None else _broadcast(kernel.shape, rank)
        axes = []
        for n, step, (n_src, src), (n_tap, tap) in zip(
            target.shape, strides(target.shape), from_source, from_kernel, strict=True
        ):
            if n_src not in (1, n) or n_tap not in (1, n):
                raise ShapeError(
                    f"Layer '{self.call.name}' ({self.call.layer_class}): input {source.shape} and "
                    f"weights {getattr(kernel, 'shape', ())} do not broadcast to {target.shape}."
                )
            axis = one_to_one(n) if n_src == n else fan_out(n)
            axes.append(axis.place(src if n_src > 1 else 0, step, tap if n_tap > 1 else 0))
        self.project(source, target, axes, kernel, kind)

    def _per_node(self, values: Any, what: str, shape: tuple[int, ...]) -> np.ndarray:
        """Return values that broadcast to a population's shape, checked."""
        if what in RESERVED:
            raise ValueError(f"An attribute cannot be called '{what}': every node has one already.")
        array = self._checked(np.asarray(values), what)
        if not _broadcasts(array.shape, shape):
            raise self.misfit(f"{what} of shape {array.shape}")
        return array

    def _checked(self, values: np.ndarray, what: str) -> np.ndarray:
        """Return values in the precision of the layer, refusing NaN and infinity."""
        values = values.astype(self.dtype, copy=False)
        # Minimum and maximum show NaN and infinity without a temporary array.
        if (
            values.size
            and not self.draft.allow_nonfinite
            and not (np.isfinite(values.min()) and np.isfinite(values.max()))
        ):
            raise NonFiniteError(
                f"The {what} of layer '{self.call.name}' ({self.call.layer_class}) hold NaN or "
                "infinity. Pass allow_nonfinite=True (--allow-nonfinite) to convert anyway."
            )
        return values


def convert_call(
    call: LayerCall,
    sources: Sequence[Tensor],
    draft: Draft,
    masks: Mapping[str, Any] | None = None,
) -> tuple[Tensor, ...]:
    """Run a call's converter and hold what it gives against the shapes that Keras computed.

    Parameters
    ----------
    call : LayerCall
    sources : sequence of Tensor
        One per input of the call.
    draft : Draft
    masks : mapping of str, optional
        The call's masks, with tensors in place of what stands for them.
    """
    if call.kwargs.get("training"):
        raise UnsupportedLayerError(
            f"Layer '{call.name}' ({call.layer_class}) is called with training=True, so it does "
            "not compute at inference what the graph would say. Call it without."
        )
    converter = find_converter(call.layer, call.name, probe=draft.probe, untraced=call.untraced)
    if call.masks and not knows_masks(converter):
        refuse_masks(call)
    outputs = converter(_conversion(call, sources, draft, masks or {}))
    outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
    if not isinstance(outputs, (tuple, list)) or not all(isinstance(t, Tensor) for t in outputs):
        raise UnsupportedLayerError(
            f"The converter of layer '{call.name}' ({call.layer_class}) gives "
            f"{type(outputs).__name__}; let it return the Tensor (or Tensors) that the layer gives."
        )
    given = tuple(tensor.shape for tensor in outputs)
    if given != call.output_shapes:
        raise ShapeError(
            f"The converter of layer '{call.name}' ({call.layer_class}) gives shapes {given}; "
            f"Keras gives {call.output_shapes}."
        )
    return tuple(outputs)


def convert_calls(
    calls: Iterable[LayerCall], tensors: dict[TensorRef, Tensor], draft: Draft, prefix: str = ""
) -> None:
    """Convert calls one after another, and add what they give to the tensors that are known.

    Populations are named after the calls, with a prefix.
    """
    for call in calls:
        named = replace(call, name=prefix + call.name)
        sources = [tensors[ref] for ref in call.inputs]
        masks = substitute(dict(call.masks), tensors)
        if call.input_batches:
            from gpugraph.layers.batched import convert_batched

            outputs = convert_batched(named, sources, draft, masks)
        else:
            outputs = convert_call(named, sources, draft, masks)
        tensors |= {TensorRef(call.name, i): tensor for i, tensor in enumerate(outputs)}


def check_outputs(calls: Iterable[LayerCall], outputs: Collection[TensorRef]) -> None:
    """Refuse calls that give something else than a batch of samples in the end."""
    for call in calls:
        for i, batch in enumerate(call.output_batches):
            if TensorRef(call.name, i) in outputs and not batch.is_plain:
                raise UnsupportedLayerError(
                    f"Cannot convert the output that '{call.name}' gives: the batch axis is not in "
                    "front, or holds positions. Let it be a batch of samples."
                )


def _conversion(
    call: LayerCall, sources: Sequence[Tensor], draft: Draft, masks: Mapping[str, Any]
) -> Conversion:
    """Return what a converter works with: masks are no sources."""
    if not call.inputs:  # a layer that another wraps
        return Conversion(call, tuple(sources), draft, masks)
    tensors = dict(zip(call.inputs, sources, strict=True))
    inputs = list(call.inputs)
    for ref in refs_in(given_masks(call)):
        inputs.remove(ref)
    return Conversion(call, tuple(tensors[ref] for ref in inputs), draft, masks, tensors)


def _as_it_is(values: np.ndarray) -> np.ndarray:
    """Return what the source holds."""
    return values


def _is_same(kernel: np.ndarray, other: np.ndarray) -> bool:
    """Tell whether two flat kernels are one: the same memory, or equal in every bit."""
    if (kernel.size, kernel.dtype) != (other.size, other.dtype):
        return False
    if (kernel.ctypes.data, kernel.strides) == (other.ctypes.data, other.strides):
        return True
    bits, others = (k.view(f"u{k.itemsize}") for k in (kernel, other))
    return bool((bits[:16] == others[:16]).all() and (bits == others).all())


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Tell whether an array of one shape broadcasts to another, larger one."""
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def _broadcast(shape: tuple[int, ...], rank: int) -> list[tuple[int, int]]:
    """Return (size, stride) of each of ``rank`` dimensions to which a shape is broadcast."""
    missing = rank - len(shape)
    if missing < 0:
        raise ShapeError(f"Shape {shape} has more than the {rank} dimensions of its target.")
    return [(1, 0)] * missing + list(zip(shape, strides(shape), strict=True))
