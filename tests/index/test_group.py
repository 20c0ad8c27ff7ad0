"""Writes that come together are committed together, and each is refused or done alone."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from index.catalog import Catalog
from index.changes import Changes
from index.embedded import EmbeddedIndex
from index.errors import RecordError
from index.group import Pending, run_group
from tests.index.samples import DIMENSION, FINGERPRINT, record


def test_writes_that_wait_share_one_commit(index: EmbeddedIndex, folder: Path) -> None:
    """Twelve writers wait for a stranger's transaction; two commits are enough for them all."""
    holder = sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    started = threading.Barrier(13)

    def write(number: int) -> list[bool]:
        started.wait()
        return index.upsert([record(f"w{number}"), record("shared", seed=number)])

    before = commits(folder)
    with ThreadPoolExecutor(12) as pool:
        writes = [pool.submit(write, number) for number in range(12)]
        started.wait()
        while index.stats()["writes_waiting"] < 11:
            pass
        holder.execute("ROLLBACK")
        assert sum(write.result()[1] for write in writes) == 1
        assert all(write.result()[0] for write in writes)
    assert 0 < commits(folder) - before <= 2
    holder.close()
    assert index.count("image") == 13
    assert index.stats()["generation"] == 12
    assert index.verify().ok


def commits(folder: Path) -> int:
    """The frames of the write-ahead log that end a transaction (SQLite file format, 4.1)."""
    log = (folder / "catalog.sqlite-wal").read_bytes()
    page = int.from_bytes(log[8:12])
    frames = [log[at : at + 24] for at in range(32, len(log), 24 + page)]
    return sum(frame[4:8] != bytes(4) and frame[8:16] == log[16:24] for frame in frames)


def test_a_write_that_is_refused_takes_nothing_of_the_others_along(folder: Path) -> None:
    folder.mkdir()
    catalog = Catalog(folder, FINGERPRINT, DIMENSION)

    def good(changes: Changes) -> str:
        changes.renew("image", ["a"])
        return "done"

    def bad(changes: Changes) -> None:
        changes.remove("image", [7], ["b"])
        catalog.advance()
        raise RecordError("no")

    group = [Pending(good), Pending(bad), Pending(good)]
    changes = Changes()
    with catalog.transaction():
        stamp = run_group(catalog, group, changes)
    assert stamp == catalog.stamp()
    assert stamp.generation == 2
    assert changes.of["image"].removed == []
    for pending in group:
        if not pending.done:
            pending.accept()
    assert [group[0].result(), group[2].result()] == ["done", "done"]
    with pytest.raises(RecordError, match="no"):
        group[1].result()
    catalog.close()
