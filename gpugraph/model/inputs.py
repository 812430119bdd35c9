"""The inputs of a model that defines its own ``call``, which Keras has no input layers for."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from gpugraph.errors import ModelError, ShapeError
from gpugraph.model.input_shape import InputShape, full_shapes, shape_of


def model_inputs(
    model: Any, input_shape: InputShape | None, dtypes: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the tensors of new input layers, by parameter of ``call`` and nested as it takes them.

    They are named after the parameter, or the key within it; those of a list are numbered.

    Parameters
    ----------
    model : keras.Model
    input_shape : optional
        As for `gpugraph.from_keras`; a mapping may name parameters of ``call``. By default that
        for which the model was built.
    dtypes : mapping of str, optional
        Of inputs, by their names; others have that of the model.

    Raises
    ------
    ModelError
        If the model is not built, so that it has no weights.
    ShapeError
        If a shape is unknown.
    """
    import keras

    where = f"Model '{model.name}' (class {type(model).__name__})"
    if not model.built:
        raise ModelError(
            f"{where} is not built, so it has no weights. Call it on data once, or call "
            "model.build((None, ...))."
        )
    if isinstance(input_shape, str):
        raise ShapeError(f"{where} defines its own call(): give its input_shape in numbers.")
    parameters = _parameters(model, where)
    built = _built_inputs(model)
    if isinstance(input_shape, Mapping) and set(input_shape) <= set(parameters):
        structure: Any = dict.fromkeys(input_shape)
    elif built is not None:
        structure = {next(iter(parameters)): built}
    elif input_shape is not None:
        structure = {next(iter(parameters)): _structure(input_shape)}
    else:
        raise ShapeError(
            f"{where} does not tell for which shapes it was built. Give them without the batch "
            "axis: input_shape=(height, width, channels), or --input-shape on the command."
        )
    missing = [n for n, p in parameters.items() if p.default is p.empty and n not in structure]
    if missing:
        places = ", ".join(f"'{name}': (...)" for name in (*structure, *missing))
        raise ShapeError(
            f"{where} is called on {' and '.join(missing)}, too. Give the shapes of all by "
            f"parameter: input_shape={{{places}}}."
        )
    names = [_name(path) for path, _ in keras.tree.flatten_with_path(structure)]
    specs = keras.tree.flatten(structure)
    declared = None if None in specs else [shape_of(spec) for spec in specs]
    shapes = full_shapes(names, declared, input_shape)
    layers = []
    for name, spec, shape in zip(names, specs, shapes, strict=True):
        dtype = model.dtype if spec is None else spec.dtype
        layers.append(keras.Input(shape, dtype=(dtypes or {}).get(name, dtype), name=name))
    return dict(keras.tree.pack_sequence_as(structure, layers))


def _parameters(model: Any, where: str) -> dict[str, inspect.Parameter]:
    """Return the parameters of ``call`` that have a name; ``training`` is given by Keras."""
    parameters = inspect.signature(model.call).parameters.values()
    named = {
        p.name: p
        for p in parameters
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name != "training"
    }
    if not named:
        raise ModelError(
            f"{where} defines a call() whose parameters have no names. Write it as call(self, "
            "inputs), where inputs may be a list."
        )
    return named


def _built_inputs(model: Any) -> Any:
    """Return what the model was built on, nested; None where it does not tell.

    Keras notes the first parameter of ``call`` alone, but where ``build`` takes more.
    """
    import keras
    from keras.src.models.functional import Functional

    if isinstance(model, Functional):
        return model.input
    if isinstance(model, keras.Sequential) and model._functional is not None:
        return model._functional.input
    config = model.get_build_config() or {}
    shapes = config.get("shapes_dict") or {"input_shape": config.get("input_shape")}
    first = next(iter(shapes.values()))
    if first is None:
        return None
    return keras.tree.map_shape_structure(lambda x: keras.KerasTensor(x, model.dtype), first)


def _structure(input_shape: Any) -> Any:
    """Return a place per shape that is given, nested as they are."""
    if isinstance(input_shape, Mapping):
        return dict.fromkeys(input_shape)
    is_list = isinstance(input_shape, (list, tuple)) and any(
        isinstance(shape, (list, tuple)) for shape in input_shape
    )
    return [None] * len(input_shape) if is_list else None


def _name(path: tuple[Any, ...]) -> str:
    """Name an input by where it stands."""
    keys = [i for i, part in enumerate(path) if isinstance(part, str)]
    return "_".join(map(str, path[keys[-1] :]))
