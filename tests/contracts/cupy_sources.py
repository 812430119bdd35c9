"""CuPy's signatures, found in its sources through the imports that make names public."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

# A ufunc takes numpy's operands and fewer options.
UFUNC = "ufunc"
# LinearOperator(...) makes one of its subclass.
MADE = {"LinearOperator": "_CustomLinearOperator"}


class Sources:
    """CuPy's sources.

    Parameters
    ----------
    texts : mapping of path to text
        Such as ``cupy/_core/raw.pyx``.
    parameters : callable
        Gives the parameters of a function or a class from its file's text.
    """

    def __init__(self, texts: Mapping[str, str], parameters: Callable[[str, str], str]) -> None:
        self.texts, self.parameters = texts, parameters

    def signature(self, public: str) -> str | None:
        """Return a name's signature; `UFUNC` for ufuncs, None for what is numpy's own.

        Raises
        ------
        LookupError
            If CuPy has no such name.
        """
        module, _, name = public.rpartition(".")
        if name == "at" and "scatter_op=" in self.definition(module)[2]:
            return "(a, indices, b=None)"
        text, name, value = self.definition(public)
        if not value:
            return f"({self.parameters(text, MADE.get(name, name))})" if text else None
        if re.match(r"(\w+\.)?_?create_\w+\(|_GUFunc\(", value):
            return UFUNC
        raise LookupError(f"{public} is {value}")

    def definition(self, public: str) -> tuple[str, str, str]:
        """Return the file's text, the name there, and what is assigned to it, if something is."""
        module, _, name = public.rpartition(".")
        text = self.module(module)
        if re.search(rf"^(?:(?:def|cpdef)\b[^(]*\b{name}\(|(?:cdef )?class {name}\b)", text, re.M):
            return text, name, ""
        source = self.imported(text, name)
        if source is not None:
            return ("", name, "") if source.startswith("numpy.") else self.definition(source)
        value = re.search(rf"^(?:\w+ = )*{name} = (?:\w+ = )*(.*(?:\n(?:[ \t)].*)?)*)", text, re.M)
        if value is None:
            raise LookupError(f"there is no {public}")
        alias = re.fullmatch(r"(?:(\w+)\.)?(\w+)", value[1].strip())
        if alias is None:
            return text, name, value[1]
        owner = self.imported(text, alias[1]) if alias[1] else module
        return self.definition(f"{owner}.{alias[2]}")

    def module(self, module: str) -> str:
        """Return a module's text."""
        path = module.replace(".", "/")
        for file in (f"{path}.py", f"{path}/__init__.py", f"{path}.pyx"):
            if file in self.texts:
                return self.texts[file]
        parent, _, name = module.rpartition(".")
        source = self.imported(self.module(parent), name) if parent else None
        if source in (None, module):  # the latter where it is compiled, and no source is there
            raise LookupError(f"there is no {module}")
        return self.module(source)

    @staticmethod
    def imported(text: str, name: str) -> str | None:
        """Return what a name is imported as."""
        found = re.search(rf"^from (\S+) import (?:(\w+) as )?{name}\b(?! as)", text, re.M)
        if found is None:
            found = re.search(r"^from (\S+) import \*()", text, re.M)
        return f"{found[1]}.{found[2] or name}" if found else None
