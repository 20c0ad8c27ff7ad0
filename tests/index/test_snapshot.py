import logging
from pathlib import Path

import numpy as np
import pytest

from tests.index.conftest import Opener
from tests.index.samples import DIMENSION, best, record

GIVEN = [record(f"ключ-{n:02d}", seed=n) for n in range(40)]
QUERY = np.ones((1, DIMENSION), np.float32)
EXPECTED = [id_ for id_, _ in best({r.id: r.vector for r in GIVEN}, QUERY[0], 40)]


def filled(open_index: Opener, folder: Path) -> Path:
    """A closed data directory with the given records; returns its snapshot."""
    with open_index() as index:
        index.upsert([*GIVEN, record("gone"), record("t", "text")])
        index.delete("image", ["gone"])
    return folder / "vectors.snapshot"


def check(open_index: Opener) -> None:
    with open_index() as index:
        assert index.search("image", QUERY, 40).ids == [EXPECTED]
        assert index.search("text", QUERY, 40).ids == [["t"]]
        assert index.verify().ok


def test_a_snapshot_of_the_last_state_is_used(
    open_index: Opener, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "index")
    file = filled(open_index, folder)
    written = file.stat().st_mtime_ns
    caplog.clear()
    check(open_index)
    assert not any("snapshot" in message for message in caplog.messages)
    assert file.stat().st_mtime_ns == written, "an unchanged state was saved again"


@pytest.mark.parametrize("place", [0.0, 0.001, 0.03, 0.2, 0.5, 0.8, 0.9999])
@pytest.mark.parametrize("how", ["flip", "truncate"])
def test_a_damaged_snapshot_is_noticed_and_made_again(
    open_index: Opener,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    place: float,
    how: str,
) -> None:
    file = filled(open_index, folder)
    good = file.read_bytes()
    at = int(place * len(good))
    if how == "flip":
        file.write_bytes(good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :])
    else:
        file.write_bytes(good[:at])
    caplog.set_level(logging.INFO, "index")
    check(open_index)
    assert any("snapshot" in m and "vectors" in m for m in caplog.messages)
    assert file.read_bytes() == good


def test_a_snapshot_of_an_older_state_is_not_used(
    open_index: Opener, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = filled(open_index, folder)
    stale = file.read_bytes()
    with open_index() as index:
        index.delete("image", [EXPECTED[0]])
    file.write_bytes(stale)
    caplog.set_level(logging.INFO, "index")
    with open_index() as index:
        assert index.search("image", QUERY, 1).ids == [[EXPECTED[1]]]
    assert any("no snapshot of the catalog's last state" in m for m in caplog.messages)


def test_a_snapshot_of_another_history_with_the_same_generation_is_not_used(
    open_index: Opener, folder: Path
) -> None:
    file = filled(open_index, folder)
    catalog = folder / "catalog.sqlite"
    backup = catalog.read_bytes()
    with open_index() as index:
        index.upsert([record("first history")])
    snapshot = file.read_bytes()
    catalog.write_bytes(backup)
    with open_index() as index:
        index.upsert([record("other history")])
    file.write_bytes(snapshot)
    with open_index() as index:
        assert "other history" in index.search("image", QUERY, 99).ids[0]
        assert index.verify().ok


def test_an_index_without_snapshot_opens(open_index: Opener, folder: Path) -> None:
    filled(open_index, folder).unlink()
    check(open_index)


def test_a_snapshot_is_saved_on_demand_while_the_index_is_in_use(
    open_index: Opener, folder: Path
) -> None:
    index = open_index()
    index.upsert(GIVEN)
    index.snapshot()
    size = (folder / "vectors.snapshot").stat().st_size
    index.upsert([record("more")])
    index.snapshot()
    assert (folder / "vectors.snapshot").stat().st_size > size
    assert sorted(f.name for f in folder.iterdir() if f.suffix == ".new") == []
