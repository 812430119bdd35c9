"""Files appear whole or not at all, whatever goes wrong."""

import errno
import os
import resource
import signal

import pytest

import gpugraph as gg
from gpugraph.export import files
from tests.models import cnn

WRITERS = {
    "net.graphml": "write_graphml",
    "net.graphml.gz": "write_graphml",
    "net.csv": "write_csv",
    "net.csv.gz": "write_csv",
    "net.parquet": "write_parquet",
    "net.npz": "write_npz",
}


@pytest.fixture(scope="module")
def graph():
    return gg.from_keras(cnn())


def write(graph, path, **options):
    getattr(graph, WRITERS[path.name])(path, **options)


@pytest.mark.parametrize("name", WRITERS)
def test_leaves_only_what_was_asked_for(graph, tmp_path, name):
    write(graph, tmp_path / name)
    beside = {name.replace(".csv", ".nodes.csv")} if ".csv" in name else set()
    assert {p.name for p in tmp_path.iterdir()} == {name} | beside


@pytest.mark.parametrize("name", WRITERS)
def test_keeps_an_existing_output(graph, tmp_path, name):
    (tmp_path / name).write_text("precious")
    with pytest.raises(gg.OutputError, match=r"exists already.*overwrite"):
        write(graph, tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"


@pytest.mark.parametrize("name", WRITERS)
def test_overwrites_its_own_kind_when_asked(graph, tmp_path, name):
    write(graph, tmp_path / name)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    write(graph, tmp_path / name, overwrite=True)
    after = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    assert before.keys() == after.keys()
    assert all(after[p] > before[p] for p in before)


@pytest.mark.parametrize("path", ["", ".", "/", "a\0b", "a\0/b", 3, None], ids=repr)
@pytest.mark.parametrize("method", sorted(set(WRITERS.values())))
def test_what_is_no_path_is_refused(graph, tmp_path, monkeypatch, method, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(gg.OutputError, match=r"no path|the name of a file|no folder"):
        getattr(graph, method)(path, overwrite=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["", "a\0b.csv", None], ids=repr)
def test_values_need_a_path_too(graph, tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(gg.OutputError, match=r"no path|the name of a file"):
        gg.out_degree(graph).write_parquet(path)
    assert list(tmp_path.iterdir()) == []


def test_csv_keeps_an_existing_node_file(graph, tmp_path):
    (tmp_path / "net.nodes.csv").write_text("precious")
    with pytest.raises(gg.OutputError, match="exists already"):
        graph.write_csv(tmp_path / "net.csv")
    assert (tmp_path / "net.nodes.csv").read_text() == "precious"


@pytest.mark.parametrize("name", WRITERS)
def test_an_interrupt_leaves_nothing(graph, tmp_path, name):
    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(graph, tmp_path / name, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", WRITERS)
def test_an_interrupt_leaves_the_previous_output(graph, tmp_path, name):
    write(graph, tmp_path / name)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(graph, tmp_path / name, overwrite=True, progress=interrupt)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.fixture
def no_file_beyond_100_bytes():
    """Make every write past 100 bytes of a file fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("name", WRITERS)
def test_a_failing_disk_leaves_nothing(graph, tmp_path, name, no_file_beyond_100_bytes):
    with pytest.raises(gg.OutputError, match=rf"Cannot write '.*{name}.*Nothing of it was kept"):
        write(graph, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named(graph, tmp_path):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(gg.OutputError, match="the disk is full"):
        graph.write_graphml(tmp_path / "net.graphml", progress=full)
    assert list(tmp_path.iterdir()) == []


def test_too_small_a_disk_is_told_before_any_work(graph, tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: _Free)
    with pytest.raises(gg.OutputError, match=r"at least .* but only 10 B are free"):
        graph.write_graphml(tmp_path / "net.graphml")
    assert list(tmp_path.iterdir()) == []


class _Free:
    free = 10


@pytest.mark.parametrize("name", WRITERS)
def test_a_missing_folder_is_named(graph, tmp_path, name):
    with pytest.raises(gg.OutputError, match="there is no folder"):
        write(graph, tmp_path / "nowhere" / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_named(graph, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(gg.OutputError, match="not writable"):
        graph.write_graphml(tmp_path / "net.graphml")


def test_an_unwritable_folder_is_named_even_to_root(graph, tmp_path, monkeypatch):
    monkeypatch.setattr(files.os, "access", lambda *_: False)
    with pytest.raises(gg.OutputError, match="not writable"):
        graph.write_graphml(tmp_path / "net.graphml")


def test_a_folder_is_not_replaced_by_a_file(graph, tmp_path):
    (tmp_path / "net.graphml").mkdir()
    with pytest.raises(gg.OutputError, match="is a folder; it is not replaced by a file"):
        graph.write_graphml(tmp_path / "net.graphml", overwrite=True)
    assert list((tmp_path / "net.graphml").iterdir()) == []


def test_a_file_is_not_replaced_by_a_folder(graph, tmp_path):
    (tmp_path / "net.parquet").write_text("precious")
    with pytest.raises(gg.OutputError, match="is a file; it is not replaced by a folder"):
        graph.write_parquet(tmp_path / "net.parquet", overwrite=True)
    assert (tmp_path / "net.parquet").read_text() == "precious"


@pytest.mark.parametrize("name", WRITERS)
def test_progress_counts_every_edge(graph, tmp_path, name):
    seen = []
    write(graph, tmp_path / name, progress=seen.append)
    assert sum(seen) == graph.n_edges


def test_a_folder_of_others_is_not_replaced(graph, tmp_path):
    (tmp_path / "net.parquet").mkdir()
    (tmp_path / "net.parquet" / "thesis.txt").write_text("precious")
    with pytest.raises(gg.OutputError, match=r"'thesis.txt', which gpugraph did not write"):
        graph.write_parquet(tmp_path / "net.parquet", overwrite=True)
    assert (tmp_path / "net.parquet" / "thesis.txt").read_text() == "precious"


@pytest.mark.parametrize("name", ["net.graphml", "net.csv", "net.parquet", "net.npz"])
def test_too_long_a_name_is_told(graph, tmp_path, name):
    with pytest.raises(gg.OutputError, match="name too long"):
        getattr(graph, WRITERS[name])(tmp_path / ("n" * 300 + name))
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_a_link(graph, tmp_path):
    graph.write_graphml(tmp_path / "real.graphml")
    (tmp_path / "link.graphml").symlink_to(tmp_path / "real.graphml")
    before = (tmp_path / "real.graphml").stat().st_ino
    graph.write_graphml(tmp_path / "link.graphml", overwrite=True)
    assert (tmp_path / "link.graphml").is_symlink()
    assert (tmp_path / "real.graphml").stat().st_ino != before
