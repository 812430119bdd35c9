"""The cluster that is meant: a client from an address, a cluster object, or a client."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gpugraph.errors import DeviceError, MissingDependencyError, SelectionError

if TYPE_CHECKING:
    from distributed import Client

Cluster = Any  # a scheduler's address, a cluster object, or a client

TIMEOUT_S = 10


def require_dask() -> None:
    """Raise MissingDependencyError where Dask is not installed."""
    try:
        import dask.dataframe  # noqa: F401
        import distributed  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"Dask is needed ({error}): pip install 'gpugraph[dask]'."
        ) from error


@contextmanager
def connected(cluster: Cluster) -> Iterator[Client]:
    """Give a client of a cluster; it is closed afterwards if it was opened here."""
    client = client_of(cluster)
    try:
        yield client
    finally:
        if client is not cluster:
            client.close()


def client_of(cluster: Cluster) -> Client:
    """Return a client of a cluster; a new one, unless it is one.

    Raises
    ------
    MissingDependencyError
        If Dask is not installed.
    DeviceError
        If no scheduler answers, or the client is closed.
    SelectionError
        If ``cluster`` is nothing of that kind.
    """
    require_dask()
    from distributed import Client

    if isinstance(cluster, Client):
        if cluster.status == "closed":
            raise DeviceError("The Dask client is closed: make another, by distributed.Client.")
        return cluster
    if not isinstance(cluster, str) and not hasattr(cluster, "scheduler_address"):
        raise SelectionError(
            "cluster must be a scheduler's address such as 'tcp://host:8786', a Dask cluster or a "
            f"client, not {cluster!r}."
        )
    try:
        return Client(cluster, timeout=TIMEOUT_S)
    except (OSError, ValueError, RuntimeError) as error:  # the last from a cluster that is closed
        raise DeviceError(
            f"No Dask scheduler answers at {_address(cluster)!r} ({error}). Start one with 'dask "
            "scheduler', and workers with 'dask worker ADDRESS'."
        ) from error


def _address(cluster: Cluster) -> str:
    return cluster if isinstance(cluster, str) else str(cluster.scheduler_address)


def current_client() -> Client | None:
    """Return the client that Dask would compute with, if there is one."""
    if "distributed" not in sys.modules:
        return None
    import dask
    from distributed import default_client

    if dask.config.get("scheduler", None) not in (None, "distributed", "dask.distributed"):
        return None

    try:
        return default_client()
    except ValueError:
        return None
