"""Projections on their way to workers: large arrays travel once each, the rest is kilobytes.

What is sent becomes a task that returns it: the scheduler keeps it, workers hand copies on to
each other, and those that are lost with a worker are made again. Data that a client scatters
would be lost with the last worker that holds it.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from gpugraph.population import Population
from gpugraph.projection import Projection

if TYPE_CHECKING:
    from distributed import Client, Future

# Larger arrays (kernels, factors, listed edges) travel by themselves.
LARGE_BYTES = 2**16


# A projection as tasks take it: its description and the large arrays in it, or futures of them.
Parcel = list[Any]


def pack(projection: Projection) -> tuple[bytes, list[np.ndarray]]:
    """Return what a projection's edges follow from: a description, and the large arrays in it."""
    file = BytesIO()
    pickler = _Pickler(file, pickle.HIGHEST_PROTOCOL)
    pickler.dump(bare(projection))
    return zlib.compress(file.getvalue(), 1), pickler.arrays


def unpack(description: bytes | Local, arrays: Sequence[np.ndarray] = ()) -> Projection:
    """Return the projection that `pack` took apart."""
    if isinstance(description, Local):
        return description.projection
    return _Unpickler(BytesIO(zlib.decompress(description)), arrays).load()


def open_parcels(
    cut: Iterable[tuple[int, int, int]], contents: Sequence[Any]
) -> list[tuple[Projection, int, int]]:
    """Return ranges of projections, on a worker, from their parcels' contents in a row.

    Parameters
    ----------
    cut : iterable of (int, int, int)
        Per range: how many things its parcel holds, its first edge, and one past its last.
    contents : sequence
    """
    ranges, at = [], 0
    for length, start, stop in cut:
        description, *arrays = contents[at : at + length]
        ranges.append((unpack(description, arrays), start, stop))
        at += length
    return ranges


class Local:
    """A projection that stays in this process: Dask takes it as it is."""

    def __init__(self, projection: Projection) -> None:
        self.projection = bare(projection)
        self._token = uuid4().hex

    def __dask_tokenize__(self) -> str:
        return self._token


def bare(projection: Projection) -> Projection:
    """Return a projection with nothing but what its edges follow from; no biases, no functions."""
    return replace(
        projection,
        source=_bare(projection.source),
        target=_bare(projection.target),
        axes=tuple(replace(axis) for axis in projection.axes),  # without what they worked out
    )


def _bare(population: Population) -> Population:
    return Population(population.name, (population.size,), population.offset, population.layer)


def stay(projections: Iterable[Projection]) -> list[Parcel]:
    """Return parcels that go nowhere: for Dask's schedulers in this process."""
    return [[Local(projection)] for projection in projections]


def send(client: Client, projections: Iterable[Projection]) -> list[Parcel]:
    """Send projections to a cluster; arrays that several share are sent once."""
    import dask

    name = uuid4().hex
    sent: dict[int, Future] = {}
    parcels: list[Parcel] = []
    # Dask warns of large data among tasks, as each would travel with every task that takes it.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": 2**62}):
        for i, projection in enumerate(projections):
            description, arrays = pack(projection)
            for array in arrays:
                if id(array) not in sent:
                    sent[id(array)] = _send(client, array, f"weights-{name}-{len(sent)}")
            described = _send(client, description, f"projection-{name}-{i}")
            parcels.append([described, *(sent[id(array)] for array in arrays)])
    return parcels


def _send(client: Client, thing: bytes | np.ndarray, key: str) -> Future:
    return client.submit(_itself, thing, key=key, pure=False)


def _itself(thing: Any) -> Any:
    return thing


class _Pickler(pickle.Pickler):
    """Sets large arrays aside."""

    def __init__(self, file: BytesIO, protocol: int) -> None:
        super().__init__(file, protocol)
        self.arrays: list[np.ndarray] = []

    def persistent_id(self, obj: Any) -> int | None:
        """Return the number of a large array among those set aside."""
        if type(obj) is not np.ndarray or obj.nbytes < LARGE_BYTES:
            return None
        self.arrays.append(obj)
        return len(self.arrays) - 1


class _Unpickler(pickle.Unpickler):
    """Puts large arrays back."""

    def __init__(self, file: BytesIO, arrays: Sequence[np.ndarray]) -> None:
        super().__init__(file)
        self._arrays = arrays

    def persistent_load(self, pid: int) -> np.ndarray:
        """Return the array of this number."""
        return self._arrays[pid]
