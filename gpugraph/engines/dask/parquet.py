"""Parts of a Parquet folder, written by the workers of a cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from gpugraph.engines.dask.cluster import Cluster, connected
from gpugraph.engines.dask.shipping import open_parcels, send
from gpugraph.errors import DeviceError, OutputError
from gpugraph.export.files import Progress, no_progress
from gpugraph.export.parquet import write_part

if TYPE_CHECKING:
    import pyarrow as pa
    from distributed import Client, Future

    from gpugraph.graph import NeuronGraph
    from gpugraph.partition import Range


def write_parts(
    graph: NeuronGraph,
    parts: Sequence[tuple[Sequence[Range], Path]],
    schema: pa.Schema,
    cluster: Cluster,
    report: Progress,
) -> None:
    """Have a cluster write parts of the edges as one file each; the files are whole or missing.

    Parameters
    ----------
    parts : sequence of (sequence of Range, path)
        The paths lie in one folder, which all machines share.
    schema : pyarrow.Schema
    cluster : str, dask cluster or distributed.Client
    report : callable
        Called with the number of edges of each part that was written.

    Raises
    ------
    OutputError
        If a worker cannot write there.
    DeviceError
        If workers keep dying.
    """
    folder = parts[0][1].parent
    with connected(cluster) as client:
        try:
            _follow(_submit(client, graph, parts, schema), report)
        except BaseException:
            # Tasks that run on find no folder to start a file in, so that it can be removed.
            folder.rename(folder.with_name(f"{folder.name}-given-up"))
            raise
    wanted = {path for _, path in parts}
    for file in folder.iterdir():
        if file not in wanted:
            file.unlink()  # left by a worker that died
    missing = sorted(wanted - set(folder.iterdir()))
    if missing:
        raise OutputError(
            f"The cluster wrote '{missing[0].name}', but it is not here: {_SHARED.format(folder)}"
        )


_SHARED = "a cluster writes to a folder that all of its machines share, and '{}' seems to be none."


def _submit(
    client: Client,
    graph: NeuronGraph,
    parts: Sequence[tuple[Sequence[Range], Path]],
    schema: pa.Schema,
) -> dict[Future, int]:
    """Have workers write; return how many edges each will have written."""
    parcels = send(client, graph.projections)
    name = uuid4().hex
    written = {}
    for i, (ranges, path) in enumerate(parts):
        cut = [(len(parcels[r.projection]), r.start, r.stop) for r in ranges]
        contents = [thing for r in ranges for thing in parcels[r.projection]]
        key = f"write-part-{name}-{i}"
        future = client.submit(_write, cut, str(path), schema, *contents, key=key)
        written[future] = sum(r.stop - r.start for r in ranges)
    return written


def _follow(written: dict[Future, int], report: Progress) -> None:
    """Report what is written; raise what a worker raised."""
    from distributed import KilledWorker, as_completed

    try:
        for future in as_completed(written):
            if future.status != "finished":
                future.result()
            # Let go of at once, it is not written again where its worker dies later.
            future.release()
            report(written[future])
    except KilledWorker as error:
        raise DeviceError(
            f"Workers died again and again while they wrote ({error}). They may lack memory: a "
            "part takes about 200 MB beside the weights."
        ) from error
    finally:
        for future in written:
            future.cancel()


def _write(
    cut: Sequence[tuple[int, int, int]], path: str, schema: pa.Schema, *contents: Any
) -> None:
    """Write one part, on a worker, under a name of its own until it is whole.

    After a broken connection two workers may write the same part, with the same bytes.
    """
    whole = Path(path)
    if not whole.parent.is_dir():
        raise OutputError(
            f"The worker on '{gethostname()}' finds no folder '{whole.parent}': "
            f"{_SHARED.format(whole.parent)}"
        )
    partial = whole.with_name(f".{uuid4().hex}-{whole.name}")
    write_part(open_parcels(cut, contents), partial, schema, no_progress)
    with open(partial, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(partial, whole)
