"""Values that depend on no input, where Keras notes tensors: layers make them of shapes alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpugraph.errors import UnsupportedLayerError
from gpugraph.model.layer_call import TensorRef, substitute


class Constants:
    """The constants that traced layers give, by the tensors that stand for them."""

    def __init__(self) -> None:
        self._made: dict[TensorRef, Any] = {}
        self._sources: dict[TensorRef, TensorRef] = {}

    def add(self, ref: TensorRef, constant: Any, source: TensorRef) -> None:
        """Note the operation that gives a constant, beside a tensor that has the samples."""
        self._made[ref], self._sources[ref] = constant, source

    def handed_on(
        self, operation: Any, name: str, args: Any, kwargs: Any, refs: Sequence[TensorRef]
    ) -> tuple[Any, Any, list[TensorRef]]:
        """Put constants as they are in place of the tensors that a call is given.

        What is traced takes them as if they were its own. Others are given nodes of the values of
        each sample, where the constant has any; operations take it as it is where it has none.

        Parameters
        ----------
        operation : keras.Layer or keras.Operation
        name : str
            Of its call.
        args, kwargs
            What it is called on; tensors are `TensorRef`.
        refs : sequence of TensorRef
            The tensors among them.

        Returns
        -------
        args, kwargs
            Without the tensors that constants have taken the place of.
        refs
            The tensors that are left; if none, one that has the samples.

        Raises
        ------
        UnsupportedLayerError
            If the call needs tensors where there are constants without nodes.
        """
        held = [ref for ref in refs if ref in self._made]
        if not held:
            return args, kwargs, list(refs)
        import keras

        from gpugraph.model.symbolic_calls import is_traceable

        if not is_traceable(operation):
            held = [ref for ref in held if not self._made[ref].is_of_samples]
            if isinstance(operation, keras.Layer):
                self.refuse(held, f"'{name}' ({type(operation).__name__}) reads")
        given = {ref: self._made[ref].values if ref in held else ref for ref in refs}
        args, kwargs = substitute((args, kwargs), given)
        left = [ref for ref in refs if ref not in held]
        return args, kwargs, left or [self._sources[held[0]]]

    def refuse(self, refs: Sequence[TensorRef], reader: str) -> None:
        """Refuse to read, as tensors, constants that have no nodes.

        Raises
        ------
        UnsupportedLayerError
            Naming the constant, and who reads it.
        """
        for ref in refs:
            if ref in self._made and not self._made[ref].is_of_samples:
                shape = tuple(self._made[ref].values.shape)
                raise UnsupportedLayerError(
                    f"Cannot convert '{ref.call}', which {reader}: it is a constant of shape "
                    f"{shape}, which has no axis for the batch, or no values. Let the layer give "
                    "one for each sample: ops.broadcast_to(x, (batch, ...))."
                )
