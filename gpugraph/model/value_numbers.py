"""Value numbering: which tensors hold the same, since the same operations make them of the same."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from gpugraph.model.layer_call import TensorRef


class ValueNumbers:
    """Tells tensors that hold the same values, whatever the inputs."""

    def __init__(self) -> None:
        self._first: dict[Hashable, str] = {}
        self._same: dict[TensorRef, TensorRef] = {}

    def add(self, operation: Any, args: Any, kwargs: Any, outputs: list[TensorRef]) -> None:
        """Note what an operation makes of its arguments."""
        options = {k: v for k, v in vars(operation).items() if k[0] != "_" and k != "name"}
        key = (type(operation), self.of(options), self.of(args), self.of(kwargs))
        for ref in outputs:
            first = self._first.setdefault(key, ref.call)
            self._same[ref] = TensorRef(first, ref.output)

    def of(self, structure: Any) -> Hashable:
        """Return nested arguments as a key: the same for tensors that hold the same."""
        if isinstance(structure, TensorRef):
            return self._same.get(structure, structure)
        if isinstance(structure, Mapping):
            return tuple((key, self.of(value)) for key, value in sorted(structure.items()))
        if isinstance(structure, (list, tuple)):
            return tuple(map(self.of, structure))
        if isinstance(structure, (bool, int, float, str, type(None))):
            return type(structure), structure
        return id(structure)
