"""A pytest plugin for networkx's tests: which of their calls our backend answers, and why not.

Calls that it leaves to networkx because their graph has a cycle are made again on the same graph
with its edges turned so that it has none, and compared with networkx's own result. Writes a JSON
file, named by the environment variable below, when the tests are done.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from networkx.utils.backends import _registered_algorithms

from gpugraph.engines.networkx_backend.answers import Answer
from gpugraph.engines.networkx_backend.backend import Backend
from gpugraph.engines.networkx_backend.functions import ANSWERS

OUTPUT = "GPUGRAPH_TEST_RECORD"
UNDIRECTED = "the graph is undirected"
CYCLIC = "the graph has a cycle"
MOST_CALLS, MOST_NODES = 20, 80  # made again: of one function, and on what graphs

answered = Counter()  # calls by function
again = Counter()  # calls by function, on graphs whose edges were turned
differing = []  # of these, calls with another result than networkx's
left = Counter()  # calls of functions that we have, by function and reason
helped = set()  # tests with an answer of ours
outcomes = Counter()
skipped = {}
now = {"test": None, "call": None, "is_recording": True}


def record_calls():
    """Count what the backend answers and what it leaves."""
    answer, can_run, convert = Answer.__call__, Backend.can_run, Backend.convert_from_nx

    def answering(self, *args, **kwargs):
        name = self.function.__name__
        try:
            result = answer(self, *args, **kwargs)
        except NotImplementedError as error:
            leave(name, str(error))
            raise
        except nx.NetworkXException:
            note_answer(name)  # what networkx raises is an answer, too
            raise
        note_answer(name)
        return result

    def asked(self, name, args, kwargs):
        found = can_run(self, name, args, kwargs)
        now["call"] = name, args, kwargs
        if name in ANSWERS and found is not True:
            leave(name, found)
        return found

    def converting(self, graph, *, name=None, **options):
        try:
            return convert(self, graph, name=name, **options)
        except NotImplementedError as error:
            leave(name, str(error))
            raise

    Answer.__call__, Backend.can_run, Backend.convert_from_nx = answering, asked, converting


def note_answer(name):
    if now["is_recording"]:
        answered[name] += 1
        helped.add(now["test"])


def leave(name, reason):
    """Note a call that is left to networkx, and make it again where only a cycle is the reason."""
    if not now["is_recording"]:
        return
    if "undirected edge" in reason:
        reason = UNDIRECTED
    elif "a cycle leads to" in reason:
        reason = CYCLIC
    left[name, re.sub(r"^.*: (?=gpugraph)", "", reason, flags=re.DOTALL)] += 1
    if reason in (UNDIRECTED, CYCLIC):
        now["is_recording"] = False
        try:
            call_again(*now["call"])
        finally:
            now["is_recording"] = True


def call_again(name, args, kwargs):
    """Compare with networkx on a graph whose edges were turned to the order of its nodes."""
    if again[name] >= MOST_CALLS or not args or len(args[0]) > MOST_NODES:
        return
    if any(isinstance(value, Iterator) for value in (*args[1:], *kwargs.values())):
        return
    graph = acyclic(args[0])
    if Backend().can_run(name, (graph, *args[1:]), kwargs) is not True:
        return
    if name == "hits" and not has_one_leading_vector(graph):
        return  # networkx's answer is one of many
    with nx.config(backend_priority=[], warnings_to_ignore={"cache"}):
        try:
            theirs = outcome(name, graph, args, kwargs, "networkx")
            ours = outcome(name, graph, args, kwargs, "gpugraph")
        except (nx.PowerIterationFailedConvergence, NotImplementedError):
            return  # there is no result to compare with
    again[name] += 1
    if not is_close(ours, theirs):
        differing.append(f"{now['test']} {name}{args[1:]}{kwargs}: {ours} instead of {theirs}")


def has_one_leading_vector(graph):
    """Tell whether the adjacency matrix has one largest singular value."""
    values = np.linalg.svd(nx.to_numpy_array(graph), compute_uv=False)
    return len(values) > 1 and values[0] > 1.001 * values[1]


def acyclic(graph):
    """Return the graph directed, each edge from the node that comes first; without loops."""
    order = {node: i for i, node in enumerate(graph)}
    turned = nx.MultiDiGraph() if graph.is_multigraph() else nx.DiGraph()
    turned.add_nodes_from(graph)
    for u, v, data in graph.edges(data=True):
        if u != v:
            turned.add_edge(*sorted((u, v), key=order.get), **data)
    return turned


def outcome(name, graph, args, kwargs, backend):
    """Return what a call results in, or which error it raises."""
    args, kwargs = deepcopy((args[1:], kwargs))
    try:
        result = _registered_algorithms[name](graph, *args, backend=backend, **kwargs)
        return list(result) if isinstance(result, Iterator) else result
    except (nx.PowerIterationFailedConvergence, NotImplementedError):
        raise
    except Exception as error:
        return type(error).__name__


def is_close(ours, theirs):
    """Compare numbers as far as networkx iterates, and sequences in any order."""
    if isinstance(theirs, Mapping):
        return set(ours) == set(theirs) and all(is_close(ours[k], theirs[k]) for k in theirs)
    if isinstance(theirs, tuple):
        return all(is_close(a, b) for a, b in zip(ours, theirs, strict=True))
    if isinstance(theirs, list):
        return sorted(map(as_text, ours)) == sorted(map(as_text, theirs))
    if isinstance(theirs, float):
        return ours == pytest.approx(theirs, rel=1e-4, abs=1e-5, nan_ok=True)
    return ours == theirs


def as_text(item):
    return str(sorted(map(str, item))) if isinstance(item, (set, list)) else str(item)


def pytest_configure(config):
    record_calls()


def pytest_runtest_protocol(item):
    now["test"] = f"{item.path.name}::{item.name}"


def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        outcomes[report.outcome] += 1
    if report.skipped and isinstance(report.longrepr, tuple):
        skipped[now["test"]] = report.longrepr[2].removeprefix("Skipped: ")


def pytest_sessionfinish(session):
    functions = {
        name: {
            "answered": answered[name],
            "again": again[name],
            "left": {why: n for (of, why), n in sorted(left.items()) if of == name},
        }
        for name in ANSWERS
    }
    record = {
        "networkx": nx.__version__,
        "outcomes": outcomes,
        "functions": functions,
        "differing": differing,
        "helped": sorted(helped),
        "skipped": skipped,
    }
    Path(os.environ[OUTPUT]).write_text(json.dumps(record, indent=1))
