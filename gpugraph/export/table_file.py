"""One table as one file, Parquet or CSV, written in batches."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from gpugraph.errors import OutputError
from gpugraph.export.files import check_output, new_file, open_output


def check_table(path: str | os.PathLike[str], overwrite: bool) -> None:
    """Raise OutputError where a table cannot be put; before any work is done."""
    check_output(path, overwrite)
    if Path(path).is_dir():
        raise OutputError(f"'{path}' is a folder; it is not replaced by a file.")


def write_table(
    path: str | os.PathLike[str],
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    *,
    overwrite: bool = False,
) -> None:
    """Write batches of rows as Parquet, or as CSV where the name ends in .csv or .csv.gz.

    Raises
    ------
    OutputError
        If the file cannot be written; what stood there is then untouched.
    """
    name = Path(path).name
    with new_file(path, overwrite=overwrite, least_bytes=0) as partial:
        if not name.endswith((".csv", ".csv.gz")):
            with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
                for batch in batches:
                    writer.write_batch(batch)
            return
        plain = pa.schema([(field.name, _plain(field.type)) for field in schema])
        with open_output(partial) as sink, pyarrow.csv.CSVWriter(sink, plain) as writer:
            for batch in batches:
                writer.write(batch.cast(plain))


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return words in place of a dictionary, which CSV does not have."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind
