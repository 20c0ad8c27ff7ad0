"""The vectors of another model, gathered beside those in use: whole before, whole after."""

import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from index.embedded import EmbeddedIndex
from index.errors import (
    FingerprintError,
    FormatError,
    LockedError,
    RecordError,
    StagingError,
    StorageError,
)
from index.filter import Tagged
from index.records import Record
from index.staging import codec_of, staging
from tests.index.conftest import Opener
from tests.index.samples import (
    DIMENSION,
    FINGERPRINT,
    OTHER_FINGERPRINT,
    SMALL,
    best,
    eventually,
    record,
    same,
)

ROOT = Path(__file__).parents[2]
OTHER_DIMENSION = 12
THIRD_FINGERPRINT = "c" * 64
GIVEN = [
    record(f"i{n:02d}", seed=n, metadata={"n": n}, tags=("old", f"o{n % 2}")) for n in range(20)
] + [record(f"t{n:02d}", "text", seed=100 + n, tags=("old",)) for n in range(12)]


def renewed(given: Record) -> Record:
    """What the other model makes of an item: a new vector, new arrays and new tags."""
    seed = int(given.content_hash, 16) + 1000
    made = record(given.id, given.kind, seed=seed, dimension=OTHER_DIMENSION)
    return replace(given, vector=made.vector, arrays=made.arrays, tags=(f"new{seed % 3}", "new"))


def stage(folder: Path, lists: int | None = None, limit: int = 5) -> int:
    """Stages what waits, or so many lists of it; returns how many items."""
    count = 0
    with staging(folder, OTHER_FINGERPRINT, OTHER_DIMENSION) as staged:
        for kind in ("image", "text"):
            for records in staged.waiting(kind, limit):
                if lists is not None and count >= lists * limit:
                    return count
                staged.stage([renewed(one) for one in _whole(records)])
                count += len(records)
    return count


def _whole(records: list[Record]) -> list[Record]:
    """The given records of those that a list names."""
    given = {(one.kind, one.id): one for one in GIVEN}
    return [given.get((one.kind, one.id), one) for one in records]


def switch(folder: Path) -> None:
    with staging(folder, OTHER_FINGERPRINT, OTHER_DIMENSION) as staged:
        staged.switch()


def filled(folder: Path, **options: object) -> None:
    with EmbeddedIndex.open(folder, FINGERPRINT, DIMENSION, **options) as index:
        index.upsert(GIVEN)
        index.upsert([record("gone")])
        index.delete("image", ["gone"])


def check_is_old(folder: Path, given: list[Record] = GIVEN) -> None:
    _check(folder, FINGERPRINT, DIMENSION, given)


def check_is_new(folder: Path, given: list[Record] = GIVEN) -> None:
    _check(folder, OTHER_FINGERPRINT, OTHER_DIMENSION, [renewed(one) for one in given])


def _check(folder: Path, fingerprint: str, dimension: int, expected: list[Record]) -> None:
    with EmbeddedIndex.open(folder, fingerprint, dimension) as index:
        assert index.verify().problems == ()
        for one in expected:
            assert same(index.get(one.kind, one.id), one)
        for kind in ("image", "text"):
            of_kind = {one.id: one for one in expected if one.kind == kind}
            assert [one.id for one in index.list(kind, limit=1000)] == sorted(of_kind)
            query = np.ones((1, dimension), np.float32)
            ranked = best({id_: one.vector for id_, one in of_kind.items()}, query[0], 99)
            assert index.search(kind, query, 99).ids == [[id_ for id_, _ in ranked]]
            counts: dict[str, int] = {}
            for one in of_kind.values():
                for tag in one.tags:
                    counts[tag] = counts.get(tag, 0) + 1
            assert index.tag_counts(kind) == counts
            for tag, count in counts.items():
                assert len(index.search(kind, query, 99, Tagged((tag,))).ids[0]) == count


def test_a_switch_brings_vectors_arrays_and_tags_and_leaves_the_rest(folder: Path) -> None:
    filled(folder, plan=SMALL)
    with EmbeddedIndex.open(folder, FINGERPRINT, DIMENSION) as index:
        before = {(one.kind, one.id): index.get(one.kind, one.id) for one in GIVEN}
        generation = index.stats()["generation"]
    assert stage(folder) == len(GIVEN)
    check_is_old(folder)
    switch(folder)
    check_is_new(folder)
    with EmbeddedIndex.open(folder, OTHER_FINGERPRINT, OTHER_DIMENSION) as index:
        for (kind, id_), old in before.items():
            new = index.get(kind, id_)
            assert (new.created_at, new.updated_at) == (old.created_at, old.updated_at)
        assert index.stats()["generation"] > generation
        assert not any((folder / "segments").iterdir()), "segments of the other model"
    with pytest.raises(FingerprintError):
        EmbeddedIndex.open(folder, FINGERPRINT, DIMENSION)


def test_a_switched_collection_has_the_schema_of_a_new_one(folder: Path) -> None:
    def schema(file: Path) -> set[tuple[str, ...]]:
        connection = sqlite3.connect(file)
        rows = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
        connection.close()
        return {
            (kind, name, " ".join((sql or "").replace('"', "").split())) for kind, name, sql in rows
        }

    filled(folder)
    fresh = schema(folder / "catalog.sqlite")
    stage(folder)
    switch(folder)
    assert schema(folder / "catalog.sqlite") == fresh


def test_a_switched_collection_grows_and_gets_segments(folder: Path) -> None:
    filled(folder)
    stage(folder)
    switch(folder)
    with EmbeddedIndex.open(folder, OTHER_FINGERPRINT, OTHER_DIMENSION, plan=SMALL) as index:
        index.upsert([record("more", dimension=OTHER_DIMENSION)])
        index.delete("image", ["i00"])
        eventually(lambda: index.stats()["segments"]["image"]["main_rows"] >= 20)
        assert index.verify().ok


def test_a_second_run_stages_only_what_the_first_did_not(folder: Path) -> None:
    filled(folder)
    assert stage(folder, lists=2) == 10
    check_is_old(folder)
    assert stage(folder) == len(GIVEN) - 10
    switch(folder)
    check_is_new(folder)


def test_what_changed_between_two_runs_is_staged_anew(folder: Path) -> None:
    filled(folder)
    stage(folder, lists=2)
    again = replace(GIVEN[0], content_hash=f"{7777:064x}", text=None)
    with EmbeddedIndex.open(folder, FINGERPRINT, DIMENSION) as index:
        index.upsert([again, record("added")])
        index.delete("image", [GIVEN[1].id])
        index.update_metadata("image", GIVEN[2].id, {"changed": True})
    waiting = []
    with staging(folder, OTHER_FINGERPRINT, OTHER_DIMENSION) as staged:
        for records in staged.waiting("image", 5):
            waiting += [one.id for one in records]
    assert waiting == [*(one.id for one in GIVEN[10:20]), GIVEN[0].id, "added"]
    with staging(folder, OTHER_FINGERPRINT, OTHER_DIMENSION) as staged:
        for kind in ("image", "text"):
            for records in staged.waiting(kind, 5):
                staged.stage([renewed(one) for one in records])
        staged.switch()
    with EmbeddedIndex.open(folder, OTHER_FINGERPRINT, OTHER_DIMENSION) as index:
        assert index.verify().ok
        assert np.array_equal(index.get("image", GIVEN[0].id).vector, renewed(again).vector)
        assert index.get("image", GIVEN[1].id) is None
        assert index.get("image", GIVEN[2].id).metadata == {"changed": True}


def test_a_switch_waits_until_every_item_is_staged(folder: Path) -> None:
    filled(folder)
    stage(folder, lists=2)
    with pytest.raises(StagingError, match=r"22 items of .* are not staged yet"):
        switch(folder)
    check_is_old(folder)


def test_what_was_staged_for_another_model_is_dropped(folder: Path) -> None:
    filled(folder)
    stage(folder)
    with staging(folder, THIRD_FINGERPRINT, OTHER_DIMENSION) as staged:
        assert staged.count_waiting("image") == staged.count("image") == 20
    with staging(folder, OTHER_FINGERPRINT, OTHER_DIMENSION) as staged:
        assert staged.count_waiting("text") == 12


def test_opening_for_the_model_in_use_gives_a_migration_up(folder: Path) -> None:
    filled(folder)
    stage(folder)
    with staging(folder, FINGERPRINT, DIMENSION) as staged:
        assert not staged.is_needed
    with sqlite3.connect(folder / "catalog.sqlite") as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'staged%'")
        assert found.fetchall() == []
    connection.close()
    check_is_old(folder)


def test_the_collection_as_it_was_is_kept_once(folder: Path) -> None:
    filled(folder)
    stage(folder)
    kept = folder.parent / "kept"
    for _ in range(2):
        # The second time as after a kill between the copy and the switch.
        with staging(folder, OTHER_FINGERPRINT, OTHER_DIMENSION) as staged:
            staged.keep(kept)
    switch(folder)
    size = (kept / "catalog.sqlite").stat().st_size
    with sqlite3.connect(kept / "catalog.sqlite") as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'staged%'")
        assert tables.fetchall() == []
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
    connection.close()
    assert size < (folder / "catalog.sqlite").stat().st_size
    check_is_old(kept)
    check_is_new(folder)
    with (
        staging(folder, FINGERPRINT, DIMENSION) as staged,
        pytest.raises(StorageError, match="kept: File exists"),
    ):
        staged.keep(kept)
    (folder.parent / "other").mkdir()
    with (
        staging(folder, FINGERPRINT, DIMENSION) as staged,
        pytest.raises(StorageError, match="unable to open"),
    ):
        staged.keep(folder.parent / "other")


def test_only_a_collection_that_nobody_has_open_is_staged(open_index: Opener, folder: Path) -> None:
    with (
        pytest.raises(StorageError, match="data holds no collection"),
        staging(folder, OTHER_FINGERPRINT, OTHER_DIMENSION),
    ):
        pass
    assert not folder.exists()
    index = open_index()
    with (
        pytest.raises(LockedError, match="is open in another process"),
        staging(folder, OTHER_FINGERPRINT, OTHER_DIMENSION),
    ):
        pass
    # Not even to look whose it is: that brings the schema up to date.
    with pytest.raises(LockedError, match="is open in another process"):
        codec_of(folder)
    index.close()
    assert codec_of(folder) is None
    with staging(folder, OTHER_FINGERPRINT, OTHER_DIMENSION), pytest.raises(LockedError):
        open_index()
    (folder / "catalog.sqlite").unlink()
    sqlite3.connect(folder / "catalog.sqlite").execute("CREATE TABLE x (y)").connection.close()
    with (
        pytest.raises(FormatError, match="not a catalog of ours"),
        staging(folder, OTHER_FINGERPRINT, OTHER_DIMENSION),
    ):
        pass


def test_a_vector_of_another_length_is_refused(folder: Path) -> None:
    filled(folder)
    with staging(folder, OTHER_FINGERPRINT, OTHER_DIMENSION) as staged:
        with pytest.raises(RecordError, match=r"shape \(12,\)"):
            staged.stage([renewed(GIVEN[0]), GIVEN[1]])
        assert staged.count_waiting("image") == 20


def test_a_disk_that_takes_no_more_leaves_the_collection_as_it_was() -> None:
    # A limit on the size of files stands for the end of the disk.
    child = """
import resource, sys
from pathlib import Path
from index.errors import StorageError
from tests.index.test_staging import *
folder = Path(sys.argv[1]) / "data"
filled(folder)
for work in (stage, switch):
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
    try:
        work(folder)
    except StorageError as error:
        print(work.__name__, error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    check_is_old(folder)
    stage(folder)
switch(folder)
check_is_new(folder)
"""
    with tempfile.TemporaryDirectory() as name:
        done = subprocess.run(
            [sys.executable, "-c", child, name], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert [line.split()[0] for line in done.stdout.splitlines()] == ["stage", "switch"]
        assert f"{name}/data" in done.stdout


# Works on a copy of the folder again and again, each time in a process that SIGKILL ends before one
# more statement of the catalog's writer, until one comes to its end. Prints whether the copies were
# left by a killed process.
KILL = f"""
import os, shutil, signal, sys
from pathlib import Path
from tests.index.test_staging import *

def die_before(statement, staged):
    left = [statement]
    def count(sql):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    staged._writer.set_trace_callback(count)

def work(staged):
    if sys.argv[2] == "switch":
        staged.switch()
        staged.vacuum()
    else:
        for kind in ("image", "text"):
            for records in staged.waiting(kind, 5):
                staged.stage([renewed(one) for one in records])

folder, step, statement, status = Path(sys.argv[1]), int(sys.argv[3]), 0, 9
while status:
    copy = folder.with_name(f"killed{{statement}}")
    shutil.copytree(folder, copy)
    child = os.fork()
    if child == 0:
        with staging(copy, {OTHER_FINGERPRINT!r}, {OTHER_DIMENSION}) as staged:
            die_before(statement, staged)
            work(staged)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    print(copy.name, flush=True)
    statement += step
"""


def killed(folder: Path, work: str, step: int) -> list[Path]:
    """What was left of the folder by processes that were killed at work, and last by one that
    wasn't.
    """
    done = subprocess.run(
        [sys.executable, "-c", KILL, str(folder), work, str(step)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [folder.with_name(name) for name in done.stdout.split()]


def test_a_process_killed_while_it_stages_loses_nothing_but_its_last_list(folder: Path) -> None:
    filled(folder)
    left: list[int] = []
    for copy in killed(folder, "stage", step=25):
        check_is_old(copy)
        with staging(copy, OTHER_FINGERPRINT, OTHER_DIMENSION) as staged:
            left.append(staged.count_waiting("image") + staged.count_waiting("text"))
        assert stage(copy) == left[-1]
        switch(copy)
        check_is_new(copy)
    assert left == sorted(left, reverse=True)
    assert left[0] == 32
    assert left[-1] == 0
    assert set(left) <= {32, 27, 22, 17, 12, 7, 2, 0}
    assert len(set(left)) > 5


def test_a_process_killed_at_the_switch_leaves_the_old_collection_or_the_new_one(
    folder: Path,
) -> None:
    filled(folder)
    stage(folder)
    outcomes = []
    for copy in killed(folder, "switch", step=1):
        with staging(copy, OTHER_FINGERPRINT, OTHER_DIMENSION) as staged:
            outcomes.append("old" if staged.is_needed else "new")
        if outcomes[-1] == "old":
            check_is_old(copy)
            assert stage(copy) == 0
            switch(copy)
        check_is_new(copy)
    assert outcomes == sorted(outcomes, reverse=True), "once it is new it stays new"
    assert outcomes.count("old") > 10
    assert outcomes.count("new") > 2
