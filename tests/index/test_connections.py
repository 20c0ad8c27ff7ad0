import errno
import sqlite3
from pathlib import Path

import pytest

from index.connections import Readers, connect_writer, translated
from index.errors import ClosedError, StorageError, StorageFullError


def test_a_commit_is_logged_ahead_and_synced(tmp_path: Path) -> None:
    writer = connect_writer(tmp_path / "c.sqlite")
    assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    # 2 is FULL: the log is synced after each commit.
    assert writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert writer.execute("PRAGMA foreign_keys").fetchone() == (1,)
    writer.close()


def test_readers_cannot_write_and_are_used_again(tmp_path: Path) -> None:
    file = tmp_path / "c.sqlite"
    writer = connect_writer(file)
    writer.execute("CREATE TABLE t (x)")
    readers = Readers(file)
    with readers.lent() as first, readers.lent() as second:
        assert first is not second
        with pytest.raises(StorageError, match="readonly"), readers.lent() as third:
            third.execute("INSERT INTO t VALUES (1)")
    with readers.lent() as again:
        assert again in (first, second, third)
        readers.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        again.execute("SELECT 1")
    with pytest.raises(ClosedError), readers.lent():
        pass
    writer.close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_has_an_error_of_its_own(tmp_path: Path, code: int) -> None:
    with pytest.raises(StorageFullError, match=f"{tmp_path}"), translated(tmp_path):
        raise OSError(code, "No space left on device")


def test_a_full_database_has_the_same_error(tmp_path: Path) -> None:
    writer = connect_writer(tmp_path / "c.sqlite")
    writer.execute("CREATE TABLE t (x)")
    writer.execute("PRAGMA max_page_count = 3")
    with pytest.raises(StorageFullError, match="no space is left"), translated(tmp_path):
        writer.execute("INSERT INTO t VALUES (zeroblob(1000000))")
    writer.close()


def test_a_mistake_of_ours_stays_what_it_is(tmp_path: Path) -> None:
    writer = connect_writer(tmp_path / "c.sqlite")
    with pytest.raises(sqlite3.OperationalError, match="syntax error"), translated(tmp_path):
        writer.execute("SELEKT")
    writer.close()
