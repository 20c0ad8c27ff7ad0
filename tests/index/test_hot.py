"""Records that are kept decoded: the same until a write, never older than one."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from index.changes import Changes
from index.embedded import EmbeddedIndex
from index.errors import QueryError
from index.hot import HotRecords
from index.records import Record
from tests.index.conftest import Opener
from tests.index.samples import record

ARRAYS = 3 * 16 * 4 + 3 * 4 * 4 + 3 * 2 * 4 + 4
TOLD = sum(map(sys.getsizeof, (None, {"seed": 1}, "seed", 1)))
A_FEW = 5 * (2048 + ARRAYS + TOLD)


def bare(item_id: str) -> Record:
    return replace(record(item_id), arrays={})


def fetched(index: EmbeddedIndex, item_id: str, vectors: bool = False) -> Record:
    [found] = index.fetch("image", [item_id], vectors)
    assert found is not None
    return found


def test_what_was_fetched_is_the_same_object_again(index: EmbeddedIndex) -> None:
    index.upsert([record("a", seed=1), record("b", seed=2)])
    first = fetched(index, "a")
    assert fetched(index, "a") is first
    index.upsert([record("b", seed=3)])
    assert fetched(index, "a") is first
    assert index.stats()["hot_records"] == {
        "records": 1,
        "bytes": A_FEW // 5,
        "most_bytes": 128 * 2**20,
        "hits": 2,
        "misses": 1,
    }


def test_it_is_renewed_by_every_kind_of_write(index: EmbeddedIndex) -> None:
    index.upsert([record("a", seed=1)])
    old = fetched(index, "a")
    index.upsert([record("a", seed=2)])
    new = fetched(index, "a")
    assert not np.array_equal(new.arrays["entity"], old.arrays["entity"])
    index.update_metadata("image", "a", {"year": 2021}, ["dog"])
    assert fetched(index, "a").metadata == {"year": 2021}
    assert fetched(index, "a").tags == ("dog",)
    index.delete("image", ["a"])
    assert index.fetch("image", ["a"]) == [None]


def test_it_is_renewed_by_a_codec(index: EmbeddedIndex) -> None:
    index.upsert([record("a", seed=1)])
    fetched(index, "a")
    index.recode("half", lambda arrays: {"entity": arrays["entity"] / 2})
    assert list(fetched(index, "a").arrays) == ["entity"]


def test_a_record_without_its_vector_is_read_again_for_it(index: EmbeddedIndex) -> None:
    item = record("a", seed=1)
    index.upsert([item])
    assert len(fetched(index, "a").vector) == 0
    whole = fetched(index, "a", vectors=True)
    np.testing.assert_array_equal(whole.vector, item.vector)
    assert fetched(index, "a") is whole


def test_those_asked_for_last_are_kept(open_index: Opener) -> None:
    index = open_index(hot_bytes=A_FEW)
    index.upsert([record(name, seed=1) for name in "abcdefg"])
    first = fetched(index, "a")
    for name in "bcde":
        fetched(index, name)
    assert fetched(index, "a") is first
    index.fetch("image", ["f", "g"])
    assert fetched(index, "a") is first
    stats = index.stats()["hot_records"]
    assert (stats["records"], stats["bytes"]) == (5, A_FEW)
    misses = stats["misses"]
    index.fetch("image", ["b", "c"])
    assert index.stats()["hot_records"]["misses"] == misses + 2


def test_metadata_and_text_take_room_too(open_index: Opener) -> None:
    index = open_index(hot_bytes=2_000_000)
    many: dict[str, object] = {"k": [{} for _ in range(4000)]}
    index.upsert([record(f"many{n}", metadata=many) for n in range(20)])
    index.fetch("image", [f"many{n}" for n in range(20)])
    assert 1 <= index.stats()["hot_records"]["records"] <= 2_000_000 // (4000 * sys.getsizeof({}))
    long = replace(record("long", kind="text", metadata=many), text="x" * 1_900_000)
    index.upsert([long])
    index.fetch("text", ["long"])
    assert index.stats()["hot_records"]["records"] == 0


def test_nothing_is_kept_where_there_is_no_room(open_index: Opener) -> None:
    index = open_index(hot_bytes=0)
    index.upsert([record("a")])
    assert fetched(index, "a") is not fetched(index, "a")
    assert index.stats()["hot_records"]["bytes"] == 0
    index.close()
    with pytest.raises(QueryError, match="hot_bytes must be at least 0, not -1"):
        open_index(hot_bytes=-1)


def test_nobody_can_change_what_others_get(index: EmbeddedIndex) -> None:
    index.upsert([record("a")])
    with pytest.raises(ValueError, match="read-only"):
        fetched(index, "a").arrays["entity"][0] = 0


def test_a_write_between_reading_and_keeping_wins() -> None:
    hot, changes, old, new = HotRecords(10**6), Changes(), bare("a"), bare("a")
    changes.renew("image", ["a"])

    def read_before_a_commit(*_: object) -> dict[str, Record]:
        with hot.committing(changes):
            pass
        return {"a": old}

    def read(*_: object) -> dict[str, Record]:
        return {"a": new}

    hot.fetch("image", ["a"], False, read_before_a_commit)
    assert hot.stats()["records"] == 0
    with hot.committing(changes):
        hot.fetch("image", ["a"], False, read_before_a_commit)
    assert hot.stats()["records"] == 0
    hot.fetch("image", ["a"], False, read)
    found = hot.fetch("image", ["a"], False, read_before_a_commit)["a"]
    assert found is not old
    assert hot.stats() | {"bytes": 0, "most_bytes": 0} == {
        "records": 1,
        "bytes": 0,
        "most_bytes": 0,
        "hits": 1,
        "misses": 3,
    }


def test_a_commit_that_fails_leaves_nothing_that_it_may_have_changed() -> None:
    hot = HotRecords(10**6)
    hot.fetch("image", ["a"], False, lambda *_: {"a": bare("a")})
    assert hot.stats()["records"] == 1
    with pytest.raises(KeyboardInterrupt), hot.committing(Changes()):
        raise KeyboardInterrupt
    assert hot.stats()["records"] == 0


def test_every_fetch_sees_one_state(open_index: Opener) -> None:
    # Room for two of three, so that nearly every fetch is half from here, half from the catalog.
    index = open_index(hot_bytes=2 * A_FEW // 5)
    names = ["a", "b", "c"]

    def write(count: int) -> None:
        items = [replace(record(name), metadata={"count": count}) for name in names]
        index.upsert(items)

    write(0)
    done = threading.Event()

    def read() -> list[set[int]]:
        seen = []
        while not done.is_set():
            found = index.fetch("image", names)
            seen.append({item.metadata["count"] for item in found if item is not None})
            for name in names:
                index.fetch("image", [name])
        return seen

    with ThreadPoolExecutor(3) as threads:
        readers = [threads.submit(read) for _ in range(3)]
        try:
            for count in range(1, 60):
                write(count)
                assert fetched(index, "b").metadata == {"count": count}
        finally:
            done.set()
        seen = [states for reader in readers for states in reader.result()]
    assert len(seen) > 100
    assert all(len(states) == 1 for states in seen)
