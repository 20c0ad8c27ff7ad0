"""Copies taken while the collection is in use, and put back."""

import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

from index.backup import backup_folder, restore
from index.embedded import EmbeddedIndex
from index.errors import DamagedError, FormatError, LockedError, StorageError
from index.filter import Tagged
from tests.helpers import as_nobody
from tests.index.conftest import Opener
from tests.index.samples import DIMENSION, FINGERPRINT, SMALL, eventually, record, same

ROOT = Path(__file__).parents[2]
GIVEN = [record(f"i{n:02d}", seed=n, tags=("t",)) for n in range(40)]
QUERY = np.ones((1, DIMENSION), np.float32)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return tmp_path / "backups" / "monday"


def test_a_backup_holds_everything_as_it_was(open_index: Opener, folder: Path, saved: Path) -> None:
    index = open_index(plan=SMALL)
    index.upsert(GIVEN)
    eventually(lambda: index.stats()["segments"]["image"]["main_rows"] == 40)
    index.backup(saved)
    index.delete("image", [one.id for one in GIVEN[:30]])
    assert [file.name for file in saved.iterdir()] == ["catalog.sqlite"]
    elsewhere = folder.parent / "elsewhere"
    restore(saved, elsewhere)
    with EmbeddedIndex.open(elsewhere, FINGERPRINT, DIMENSION, plan=SMALL) as other:
        assert all(same(other.get("image", one.id), one) for one in GIVEN)
        assert sorted(other.search("image", QUERY, 99).ids[0]) == [one.id for one in GIVEN]
        assert len(other.search("image", QUERY, 99, Tagged(("t",))).ids[0]) == 40
        eventually(lambda: other.stats()["segments"]["image"]["main_rows"] == 40)
        assert other.verify().ok
        other.upsert([record("new")])
    assert index.count("image") == 10


def test_a_backup_under_writes_is_of_one_moment(open_index: Opener, saved: Path) -> None:
    index = open_index()
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            index.upsert([record(one.id, seed=number, metadata={"n": number}) for one in GIVEN])

    writer = threading.Thread(target=write)
    writer.start()
    eventually(lambda: index.count("image") > 0)
    for attempt in range(3):
        index.backup(saved / str(attempt))
    stop.set()
    writer.join()
    seen = []
    for attempt in range(3):
        restore(saved / str(attempt), saved / f"data{attempt}")
        with EmbeddedIndex.open(saved / f"data{attempt}", FINGERPRINT, DIMENSION) as copy:
            (number,) = {one.metadata["n"] for one in copy.list("image")}
            seen.append(number)
            assert copy.verify().ok
    assert seen == sorted(seen)


def test_nothing_is_ever_written_over(open_index: Opener, folder: Path, saved: Path) -> None:
    index = open_index()
    index.upsert(GIVEN)
    index.backup(saved)
    with pytest.raises(StorageError, match="monday: File exists"):
        index.backup(saved)
    with pytest.raises(LockedError):
        restore(saved, folder)
    index.close()
    with pytest.raises(StorageError, match=r"catalog\.sqlite: File exists"):
        restore(saved, folder)


def test_the_log_of_a_catalog_that_is_gone_is_not_played_into_a_restored_one(
    open_index: Opener, folder: Path, saved: Path
) -> None:
    index = open_index()
    index.upsert(GIVEN[:5])
    index.backup(saved)
    index.upsert(GIVEN)
    log = (folder / "catalog.sqlite-wal").read_bytes()
    index.close()
    (folder / "catalog.sqlite").unlink()
    (folder / "catalog.sqlite-wal").write_bytes(log)
    restore(saved, folder)
    assert open_index().count("image") == 5


def test_a_collection_that_was_killed_is_no_backup(
    open_index: Opener, folder: Path, saved: Path, tmp_path: Path
) -> None:
    index = open_index()
    index.upsert(GIVEN)
    shutil.copytree(folder, tmp_path / "killed")
    with pytest.raises(FormatError, match=r"no backup .* catalog\.sqlite-wal holds"):
        restore(tmp_path / "killed", saved)
    assert not saved.exists()
    backup_folder(tmp_path / "killed", tmp_path / "whole")
    restore(tmp_path / "whole", saved)
    index.close()


def test_a_backup_that_was_killed_is_made_again(
    open_index: Opener, saved: Path, tmp_path: Path
) -> None:
    index = open_index()
    index.upsert(GIVEN)
    beside = saved.with_name(saved.name + ".new")
    beside.mkdir(parents=True)
    (beside / "catalog.sqlite").write_bytes(b"half")
    index.backup(saved)
    assert not beside.exists()
    restore(saved, tmp_path / "again")
    letters = saved.with_name("tuesday.new") / "letters.txt"
    letters.parent.mkdir()
    letters.write_text("of somebody else")
    with pytest.raises(StorageError, match="File exists"):
        index.backup(saved.with_name("tuesday"))
    assert letters.exists()


def test_a_damaged_backup_is_refused_and_nothing_is_touched(
    open_index: Opener, folder: Path, saved: Path
) -> None:
    index = open_index()
    index.upsert(GIVEN)
    index.backup(saved)
    file = saved / "catalog.sqlite"
    good = file.read_bytes()
    target = folder.parent / "new"
    with sqlite3.connect(file) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'tag_by_kind'"
        ).fetchone()
    connection.close()
    bad = bytearray(good)
    bad[(page - 1) * 8192 : (page - 1) * 8192 + 64] = b"\xff" * 64
    for content, error, words in (
        (bytes(bad), DamagedError, "is damaged"),
        (good[: len(good) // 2], DamagedError, "is damaged"),
        (b"nonsense" * 999, DamagedError, "is damaged"),
        (b"", FormatError, "not a catalog of ours"),
    ):
        file.write_bytes(content)
        with pytest.raises(error, match=words):
            restore(saved, target)
        assert not target.exists()
    file.unlink()
    with pytest.raises(StorageError, match="unable to open"):
        restore(saved, target)


def test_a_backup_of_a_later_format_is_refused(open_index: Opener, saved: Path) -> None:
    open_index().backup(saved)
    connection = sqlite3.connect(saved / "catalog.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(FormatError, match="format 99"):
        restore(saved, saved.parent / "data")


def test_a_full_disk_leaves_no_half_of_a_backup() -> None:
    # A limit on the size of files stands for the end of the disk.
    child = f"""
import resource, sys
from pathlib import Path
from index.embedded import EmbeddedIndex
from index.errors import StorageError
from tests.index.samples import record
folder = Path(sys.argv[1])
index = EmbeddedIndex.open(folder / "data", {FINGERPRINT!r}, {DIMENSION})
index.upsert([record(f"i{{n}}", seed=n) for n in range(300)])
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
try:
    index.backup(folder / "saved")
except StorageError as error:
    print(error)
assert [f.name for f in folder.iterdir()] == ["data"]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
index.backup(folder / "saved")
assert index.verify().ok
"""
    with tempfile.TemporaryDirectory() as name:
        done = subprocess.run(
            [sys.executable, "-c", child, name], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip(), "the backup went beyond the limit"


def test_who_may_only_read_is_told_what_a_backup_needs(open_index: Opener, folder: Path) -> None:
    open_index().close()
    with tempfile.TemporaryDirectory() as name:
        copy, saved = Path(name) / "copy", Path(name) / "saved"
        shutil.copytree(folder, copy)
        saved.mkdir(mode=0o777)
        for path, mode in ((saved, 0o777), (copy, 0o555), (copy / "catalog.sqlite", 0o444)):
            path.chmod(mode)
        with (
            as_nobody(Path(name)),
            pytest.raises(StorageError, match="write access to its folder"),
        ):
            backup_folder(copy, saved / "monday")
        assert list(saved.iterdir()) == []
        copy.chmod(0o755)
