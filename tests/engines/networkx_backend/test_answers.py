"""What gpugraph answers has networkx's signatures, and is complete."""

import inspect
from pathlib import Path

import pytest
from networkx.utils.backends import _registered_algorithms

from gpugraph.engines.networkx_backend import functions
from gpugraph.engines.networkx_backend.backend import backend
from gpugraph.engines.networkx_backend.functions import ANSWERS
from gpugraph.engines.networkx_backend.info import EXTRA


@pytest.mark.parametrize("name", ANSWERS)
def test_signatures_are_networkxs(name):
    ours = inspect.signature(getattr(backend, name)).parameters
    theirs = inspect.signature(_registered_algorithms[name].orig_func).parameters
    shared = {n: p for n, p in ours.items() if n in theirs}
    assert list(shared) == list(theirs)
    assert {n: (p.default, p.kind) for n, p in shared.items()} == {
        n: (p.default, p.kind) for n, p in theirs.items()
    }
    extra = {n: p for n, p in ours.items() if n not in theirs}
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in extra.values())
    assert {text.split(" :")[0] for text in EXTRA.get(name, {})} == set(extra)


def test_every_file_of_functions_is_imported():
    files = {path.stem for path in Path(functions.__path__[0]).glob("[!_]*.py")}
    assert files <= set(vars(functions))
