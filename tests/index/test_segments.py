"""Main segments: built in the background, swapped in whole, and never the only copy of anything."""

import logging
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from index.embedded import EmbeddedIndex
from index.filter import Tagged
from index.inverted import Inverted
from index.live import Live
from index.segments import Segments
from index.tuning import tuned
from index.vectors import View
from tests.index.conftest import Opener
from tests.index.samples import DIMENSION, FINGERPRINT, SMALL, best, eventually, record

ROOT = Path(__file__).parents[2]
GIVEN = [record(f"ключ-{n:02d}", seed=n, tags=(f"t{n % 3}",)) for n in range(60)]
QUERY = np.ones((1, DIMENSION), np.float32)
FILES = ("manifest", "vectors", "numbers", "ids", "ends", "index")


def every_list(faiss_index: object, view: View, held_out: np.ndarray) -> Inverted:
    return tuned(faiss_index, None, 1.0, threading.Event())


def ranked(records: list = GIVEN) -> list[str]:
    return [id_ for id_, _ in best({r.id: r.vector for r in records}, QUERY[0], 999)]


def facts(index: EmbeddedIndex) -> dict:
    return index.stats()["segments"]["image"]


def filled(open_index: Opener) -> EmbeddedIndex:
    index = open_index(plan=SMALL)
    index.upsert(GIVEN)
    index.upsert([record("t", "text")])
    eventually(lambda: facts(index)["main_rows"] == 60)
    return index


def segment_folder(folder: Path) -> Path:
    (found,) = (folder / "segments").iterdir()
    return found


def test_a_collection_that_grows_gets_a_main_segment_in_the_background(
    open_index: Opener,
) -> None:
    index = open_index(plan=SMALL)
    index.upsert(GIVEN[:8])
    assert facts(index) == {
        "faiss_index": "Flat",
        "main_rows": 0,
        "main_dead": 0,
        "delta_rows": 8,
    }
    before = index.stats()["generation"]
    index.upsert(GIVEN[8:])
    eventually(lambda: facts(index)["main_rows"] == 60)
    stats = index.stats()
    assert stats["generation"] == before + 2, "the write and the swap"
    assert stats["segments"]["image"]["faiss_index"] == "IVF32,SQ8"
    assert stats["segments"]["image"]["delta_rows"] == 0
    assert stats["segments"]["text"]["main_rows"] == 0
    assert index.search("image", QUERY, 99).ids == [ranked()]
    assert index.verify().ok


def test_what_is_written_after_a_build_is_found_and_what_is_deleted_is_not(
    open_index: Opener,
) -> None:
    index = filled(open_index)
    for _ in range(2):
        again = record(GIVEN[0].id, vector=-GIVEN[0].vector)
        new = [record("new", seed=99)]
        index.upsert([again, *new])
        index.delete("image", [GIVEN[1].id, GIVEN[2].id])
        expected = ranked([again, *new, *GIVEN[3:]])
        assert facts(index)["main_dead"] == 3
        assert facts(index)["delta_rows"] >= 2
        assert index.search("image", QUERY, 99).ids == [expected]
        assert index.search("image", QUERY, 5).ids == [expected[:5]]
        assert index.count("image") == 59
        assert index.verify().ok
        index.close()
        index = open_index(plan=SMALL)


def test_compacting_leaves_no_dead_rows_an_empty_delta_and_no_free_pages(
    open_index: Opener, folder: Path
) -> None:
    index = filled(open_index)
    index.delete("image", [r.id for r in GIVEN[:30]])
    index.upsert([record("new", seed=99)])
    size = index.stats()["bytes_on_disk"]
    index.compact()
    assert facts(index)["main_rows"] == 31
    assert facts(index)["main_dead"] == facts(index)["delta_rows"] == 0
    assert index.stats()["bytes_on_disk"] < size / 2
    assert (folder / "catalog.sqlite-wal").stat().st_size == 0
    with sqlite3.connect(folder / "catalog.sqlite") as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
    connection.close()
    assert index.search("image", QUERY, 99).ids == [ranked([*GIVEN[30:], record("new", seed=99)])]
    assert len(list((folder / "segments").iterdir())) == 1, "the old one is gone"
    assert index.verify().ok


def test_a_collection_that_shrinks_gives_its_main_segment_up(
    open_index: Opener, folder: Path
) -> None:
    index = filled(open_index)
    index.delete("image", [r.id for r in GIVEN[4:]])
    eventually(lambda: facts(index)["faiss_index"] == "Flat")
    assert index.search("image", QUERY, 99).ids == [ranked(GIVEN[:4])]
    eventually(lambda: not any((folder / "segments").iterdir()))
    index.delete("image", [r.id for r in GIVEN])
    assert index.search("image", QUERY, 99).ids == [[]]
    assert index.verify().ok


def test_a_segment_in_use_is_opened_again_and_not_built(
    open_index: Opener, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(open_index).close()
    before = segment_folder(folder)
    caplog.set_level(logging.INFO, "index")
    index = open_index(plan=SMALL)
    assert facts(index)["main_rows"] == 60
    assert index.search("image", QUERY, 99).ids == [ranked()]
    assert segment_folder(folder) == before
    assert not any("segment" in message for message in caplog.messages)


def flip(file: Path) -> None:
    good = bytearray(file.read_bytes())
    good[len(good) // 2] ^= 0x10
    file.write_bytes(good)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
def test_a_damaged_segment_is_noticed_at_opening_and_built_again(
    open_index: Opener,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    damage: Callable[[Path], None],
) -> None:
    filled(open_index).close()
    old = segment_folder(folder)
    damage(old / name)
    index = open_index(plan=SMALL)
    assert index.search("image", QUERY, 99).ids == [ranked()]
    assert any("can't be used and will be built again" in m for m in caplog.messages)
    assert any(str(old / name) in m for m in caplog.messages)
    eventually(lambda: facts(index)["main_rows"] == 60)
    eventually(lambda: not old.exists())
    assert index.verify().ok


def test_verify_names_a_damaged_segment_and_rebuild_makes_it_anew(
    open_index: Opener, folder: Path
) -> None:
    index = filled(open_index)
    file = segment_folder(folder) / "vectors"
    flip(file)
    (problem, *_) = index.verify().problems
    assert problem.startswith(f"{file}: the checksum")
    assert index.rebuild().ok
    assert facts(index)["main_rows"] == 60
    assert index.verify().ok


def test_a_lost_folder_of_segments_is_built_again(open_index: Opener, folder: Path) -> None:
    filled(open_index).close()
    shutil.rmtree(folder / "segments")
    index = open_index(plan=SMALL)
    assert index.search("image", QUERY, 99).ids == [ranked()]
    eventually(lambda: facts(index)["main_rows"] == 60)


def test_what_a_killed_build_and_the_first_format_left_behind_is_removed(
    open_index: Opener, folder: Path
) -> None:
    filled(open_index).close()
    kept = segment_folder(folder)
    (folder / "segments" / "image-12.new").mkdir()
    (folder / "segments" / "image-12.new" / "vectors").write_bytes(b"half")
    (folder / "vectors.snapshot").write_bytes(b"old")
    with open_index(plan=SMALL):
        assert segment_folder(folder) == kept
        assert not (folder / "vectors.snapshot").exists()


def test_a_segment_of_another_history_is_never_used(open_index: Opener, folder: Path) -> None:
    filled(open_index).close()
    saved = folder.parent / "saved"
    shutil.copytree(folder, saved)
    with open_index(plan=SMALL) as index:
        index.upsert([record(f"lost-{n}", seed=n) for n in range(20)])
        eventually(lambda: facts(index)["main_rows"] == 80)
    later = segment_folder(folder)
    # The catalog of before comes back, and goes on with numbers that the lost items had.
    for file in folder.glob("catalog.sqlite*"):
        file.unlink()
    shutil.copy(saved / "catalog.sqlite", folder)
    with open_index(plan=SMALL) as index:
        index.upsert([record("other", seed=7)])
        assert not later.exists()
        assert index.search("image", QUERY, 99).ids == [ranked([*GIVEN, record("other", seed=7)])]
        assert index.verify().ok


def test_writes_during_a_build_are_kept_by_the_swap(open_index: Opener, folder: Path) -> None:
    index = open_index()
    index.upsert(GIVEN)
    live: Live = index._live
    segments = Segments(folder, FINGERPRINT, DIMENSION)
    parts = live.state.parts["image"]
    segment = segments.write("image", [parts.main_view, parts.delta], every_list, threading.Event())
    again, new = record(GIVEN[0].id, vector=-GIVEN[0].vector), record("new", seed=99)
    index.upsert([again, new])
    index.delete("image", [GIVEN[1].id])
    expected = ranked([again, new, *GIVEN[2:]])
    held = live.state
    live.swap("image", segment)
    assert index.search("image", QUERY, 99).ids == [expected]
    assert facts(index)["main_rows"] == 60
    assert facts(index)["main_dead"] == facts(index)["delta_rows"] == 2
    assert index.search("image", QUERY, 99, Tagged(("t0",))).ids[0] == [
        id_ for id_ in expected if id_ in {r.id for r in GIVEN[3::3]}
    ]
    # Whoever began before the swap goes on with what there was.
    assert held.parts["image"].count == live.state.parts["image"].count == 60
    assert index.verify().ok


def test_a_full_disk_stops_a_build_and_nothing_else() -> None:
    # A limit on the size of files stands for the end of the disk. The segment's vectors are longer
    # than the catalog's log, whose pages are written one after the other.
    child = f"""
import resource, sys
from pathlib import Path
import numpy as np
from index.embedded import EmbeddedIndex
from index.errors import StorageError
from index.plan import Plan
from tests.index.samples import SMALL, record
folder = Path(sys.argv[1])
given = [record(f"i{{n}}", seed=n) for n in range(300)]
index = EmbeddedIndex.open(folder, {FINGERPRINT!r}, {DIMENSION}, plan=Plan(flat_rows=500))
index.upsert(given)
index.close()
index = EmbeddedIndex.open(folder, {FINGERPRINT!r}, {DIMENSION}, plan=Plan(flat_rows=200))
resource.setrlimit(resource.RLIMIT_FSIZE, (8000, resource.RLIM_INFINITY))
try:
    index.compact()
except StorageError as error:
    print(error)
assert list((folder / "segments").iterdir()) == []
query = np.ones((1, {DIMENSION}), np.float32)
assert len(index.search("image", query, 999).ids[0]) == 300
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
index.compact()
assert index.stats()["segments"]["image"]["main_rows"] == 300
assert len(index.search("image", query, 999).ids[0]) == 300
assert index.verify().ok
index.close()
"""
    with tempfile.TemporaryDirectory() as name:
        done = subprocess.run(
            [sys.executable, "-c", child, name], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert f"{name}/segments" in done.stdout
        assert "File too large" in done.stdout


def test_a_build_that_fails_is_told_and_tried_again_later(
    open_index: Opener, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index = open_index(plan=SMALL)
    # A file lies where the folder should be.
    (folder / "segments").write_text("")
    index.upsert(GIVEN[:10])
    eventually(lambda: "image" in index.stats()["build_failures"])
    assert "StorageError" in index.stats()["build_failures"]["image"]
    assert any("no main segment of kind image was built" in m for m in caplog.messages)
    (folder / "segments").unlink()
    index.upsert(GIVEN[10:])
    eventually(lambda: facts(index)["main_rows"] == 60)
    eventually(lambda: index.stats()["build_failures"] == {})


def test_closing_gives_up_a_build(open_index: Opener, folder: Path) -> None:
    index = open_index(plan=SMALL)
    index.upsert([record(f"i{n}", seed=n) for n in range(3000)])
    # Under way by now, or about to begin, or done: whatever it is, closing comes back soon.
    index.close()
    index = open_index(plan=SMALL)
    assert index.count("image") == 3000
    assert index.verify().ok
