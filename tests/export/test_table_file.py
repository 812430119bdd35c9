import gzip

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import gpugraph as gg
from gpugraph.export.table_file import check_table, write_table

TABLE = pa.table(
    {
        "name": pa.array(["a", "b", "a", 'say "c"']).dictionary_encode(),
        "row": pa.array([0, None, 2, 3], pa.int32()),
        "value": [0.1, 1e-300, float("-inf"), 5.0],
    }
)
READERS = {".parquet": pq.read_table, ".csv": pyarrow.csv.read_csv, ".csv.gz": pyarrow.csv.read_csv}


@pytest.mark.parametrize("ending", READERS)
def test_tables_come_back(tmp_path, ending):
    path = tmp_path / f"table{ending}"
    write_table(path, TABLE.schema, TABLE.to_batches(max_chunksize=3))
    assert READERS[ending](path).to_pylist() == TABLE.to_pylist()
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_without_rows_has_a_header(tmp_path):
    write_table(tmp_path / "table.csv.gz", TABLE.schema, [])
    assert gzip.decompress((tmp_path / "table.csv.gz").read_bytes()) == b'"name","row","value"\n'


def fails_halfway():
    yield from TABLE.to_batches(max_chunksize=2)
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("ending", READERS)
def test_half_a_table_leaves_nothing(tmp_path, ending):
    path = tmp_path / f"table{ending}"
    path.write_text("precious")
    with pytest.raises(gg.OutputError, match=r"the disk is full.*untouched"):
        write_table(path, TABLE.schema, fails_halfway(), overwrite=True)
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_existing_files_and_folders_are_kept(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("precious")
    with pytest.raises(gg.OutputError, match="exists already"):
        write_table(path, TABLE.schema, TABLE.to_batches())
    with pytest.raises(gg.OutputError, match="exists already"):
        check_table(path, overwrite=False)
    check_table(path, overwrite=True)
    with pytest.raises(gg.OutputError, match="is a folder"):
        check_table(tmp_path, overwrite=True)
