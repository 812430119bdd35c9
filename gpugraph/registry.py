"""Which function converts which layer class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from gpugraph.errors import UnsupportedLayerError

if TYPE_CHECKING:
    from gpugraph.conversion import Conversion
    from gpugraph.population import Tensor

Converter = Callable[["Conversion"], "Tensor | Sequence[Tensor]"]

C = TypeVar("C", bound=Converter)

_CONVERTERS: dict[str, Converter] = {}
_KNOWING_MASKS: set[Converter] = set()


def converts(*class_names: str, masks: bool = False) -> Callable[[C], C]:
    """Register a function as the converter of the layers of these classes.

    Functional operators go by ``ops.`` and their class: ``x + y`` is "ops.Add".

    The function takes a `Conversion`, adds populations and projections to it, and returns the
    tensor (or tensors) that the layer gives.

    Parameters
    ----------
    *class_names : str
    masks : bool
        Whether it goes by the masks of Keras that the layer uses (``call.masks``). Calls that use
        one are refused otherwise.

    Raises
    ------
    ValueError
        If one of the classes has a converter already.

    Examples
    --------
    >>> import gpugraph as gg
    >>> @gg.converts("Halve")
    ... def halve(call):
    ...     target = call.population()
    ...     call.project_elementwise(call.source, target, kernel=0.5, kind="scale")
    ...     return target
    """

    def register(converter: C) -> C:
        if not _is_own(converter):
            import gpugraph.layers  # noqa: F401  (so that Keras's own layers are taken already)
        for name in class_names:
            if name in _CONVERTERS:
                taken = _CONVERTERS[name]
                raise ValueError(
                    f"Layer class '{name}' already has the converter "
                    f"{taken.__module__}.{getattr(taken, '__name__', taken)}. Give your class "
                    "another name."
                )
        _CONVERTERS.update(dict.fromkeys(class_names, converter))
        if masks:
            _KNOWING_MASKS.add(converter)
        return converter

    return register


def find_converter(
    layer: Any, name: str, *, probe: bool = False, untraced: str | None = None
) -> Converter:
    """Return the converter of a layer; ``name`` is its call's, for the error.

    With ``probe``, what has no converter is probed. ``untraced`` is why the layer's ``call`` could
    not be traced, where that was tried.
    """
    from gpugraph.layers.refused import REFUSED
    from gpugraph.layers.refused_operations import REFUSED_OPERATIONS

    if has_converter(layer):
        return _CONVERTERS[class_name(layer)]
    if probe:
        from gpugraph.layers.probed import probed

        return probed
    cls, key = type(layer), class_name(layer)
    why = f"no converter is registered for {cls.__module__}.{cls.__name__}"
    reasons = REFUSED | REFUSED_OPERATIONS
    way_out = "Where it is affine, pass probe=True (--probe)."
    if untraced is not None:
        why += f", and its call() cannot be traced: {untraced}"
        way_out = f"Write its call() with keras.ops alone. {way_out}"
    elif key == "Lambda" or not is_of_keras(cls):
        way_out = f"With trace=True (--trace) its call() is opened. {way_out}"
    if is_of_keras(cls) and key in reasons:
        why += f", since {reasons[key]}"
    is_taken = key in _CONVERTERS
    first = "Give your class a name that Keras does not use. " if is_taken else ""
    raise UnsupportedLayerError(
        f"Cannot convert layer '{name}' ({cls.__name__}): {why}. {first}Register one with "
        f'@gpugraph.converts("{"NewName" if is_taken else key}"), or cut the model before this '
        f"layer. {way_out}"
    )


def has_converter(layer: Any) -> bool:
    """Whether there is a converter for a layer or operation, but for probing."""
    import gpugraph.layers  # noqa: F401  (registers Keras's own layers)

    converter = _CONVERTERS.get(class_name(layer))
    # A user's own class may bear the name of one of Keras's: its call() is another.
    return converter is not None and not (_is_own(converter) and not is_of_keras(type(layer)))


def class_name(layer: Any) -> str:
    """Return the name by which a layer's or operation's converter is registered."""
    import keras

    name = type(layer).__name__
    return name if isinstance(layer, keras.Layer) else f"ops.{name}"


def is_of_keras(cls: type) -> bool:
    """Whether a class is one of Keras's, or one that tracing puts among them."""
    return cls.__module__.startswith(("keras.", "gpugraph."))


def knows_masks(converter: Converter) -> bool:
    """Whether a converter goes by the masks that a layer uses."""
    return converter in _KNOWING_MASKS


def _is_own(converter: Converter) -> bool:
    """Whether a converter is one of gpugraph's."""
    return converter.__module__.startswith("gpugraph.layers")


def supported_layers() -> dict[str, str]:
    """Return the layer classes that have a converter and what each becomes, in one line."""
    import gpugraph.layers  # noqa: F401

    return {
        name: (converter.__doc__ or "").strip().partition("\n")[0]
        for name, converter in sorted(_CONVERTERS.items())
    }
