from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from index.embedded import EmbeddedIndex
from index.engine import Index
from index.errors import ClosedError, FingerprintError, QueryError, RecordError, StoreError
from tests.index.conftest import Opener
from tests.index.samples import DIMENSION, FINGERPRINT, OTHER_FINGERPRINT, best, record, same

QUERY = np.ones((1, DIMENSION), np.float32)


def generation(index: EmbeddedIndex) -> int:
    return int(index.stats()["generation"])


def test_it_is_an_engine(index: EmbeddedIndex) -> None:
    engine: Index = index
    assert engine.count("text") == 0


def test_what_was_put_in_comes_out_whole_now_and_after_reopening(open_index: Opener) -> None:
    given = [record(f"i{n}", seed=n, tags=("dog", "grass")) for n in range(5)]
    given += [record("i0", "text", seed=9, metadata={"ключ": ["🐕", None, {"a": 1.5}]})]
    index = open_index()
    assert index.upsert(given) == [True] * 6
    for _ in range(2):
        for one in given:
            assert same(index.get(one.kind, one.id), one)
        index.close()
        index = open_index()


def test_an_empty_index_answers_everything(index: EmbeddedIndex) -> None:
    hits = index.search("image", np.ones((3, DIMENSION), np.float32), 5)
    assert hits.ids == [[], [], []]
    assert [len(scores) for scores in hits.scores] == [0, 0, 0]
    assert index.search("text", np.ones((0, DIMENSION), np.float32), 5).ids == []
    assert index.upsert([]) == []
    assert index.delete("image", ["a"]) == index.delete("image", []) == 0
    assert index.get("image", "a") is None
    assert index.fetch("image", []) == []
    assert index.fetch("image", ["a", "b"]) == [None, None]
    assert index.list("image") == []
    assert index.tag_counts("image") == {}
    assert index.thumbnail("a") is None
    assert index.verify().ok
    assert generation(index) == 0


def test_a_k_beyond_the_count_gives_everything_once(index: EmbeddedIndex) -> None:
    given = [record(f"i{n}", seed=n) for n in range(4)]
    index.upsert(given)
    hits = index.search("image", QUERY, 1000)
    expected = best({r.id: r.vector for r in given}, QUERY[0], 1000)
    assert list(zip(hits.ids[0], hits.scores[0].tolist(), strict=True)) == expected
    assert hits.scores[0].dtype == np.float32


def test_kinds_are_apart_even_with_one_id(index: EmbeddedIndex) -> None:
    picture, sentence = record("same", "image", seed=1), record("same", "text", seed=2)
    assert index.upsert([picture, sentence]) == [True, True]
    assert same(index.get("image", "same"), picture)
    assert same(index.get("text", "same"), sentence)
    assert index.delete("image", ["same"]) == 1
    assert same(index.get("text", "same"), sentence)
    assert index.search("text", QUERY, 5).ids == [["same"]]
    assert index.search("image", QUERY, 5).ids == [[]]


def test_an_upsert_of_an_existing_id_replaces_everything_of_it(index: EmbeddedIndex) -> None:
    index.upsert([record("a", seed=1, tags=("dog",)), record("b", seed=2)])
    created = index.get("image", "a").created_at
    again = record("a", seed=3, tags=("cat",))
    assert index.upsert([record("c", seed=4), again]) == [True, False]
    stored = index.get("image", "a")
    assert same(stored, again)
    assert stored.created_at == created < stored.updated_at
    assert index.tag_counts("image") == {"cat": 1}
    assert index.count("image") == 3
    hits = index.search("image", again.vector[None], 3)
    assert hits.ids[0][0] == "a"
    assert sorted(hits.ids[0]) == ["a", "b", "c"]


def test_the_last_of_an_id_given_twice_stays(index: EmbeddedIndex) -> None:
    first, last = record("a", seed=1), record("a", seed=2)
    assert index.upsert([first, record("b"), last]) == [True, True, False]
    assert index.upsert([first, last]) == [False, False]
    assert same(index.get("image", "a"), last)
    assert index.count("image") == 2
    assert index.verify().ok


def test_times_are_set_by_the_catalog(index: EmbeddedIndex) -> None:
    before = datetime.now(UTC)
    index.upsert([record("a")])
    stored = index.get("image", "a")
    assert before - timedelta(milliseconds=1) <= stored.created_at <= datetime.now(UTC)
    assert stored.updated_at == stored.created_at


def test_fetch_gives_vectors_when_asked_to(index: EmbeddedIndex) -> None:
    given = [record(f"i{n}", seed=n) for n in range(5)]
    index.upsert(given)
    found = index.fetch("image", ["i3", "none", "i1"], vectors=True)
    assert found[1] is None
    for one, number in ((found[0], 3), (found[2], 1)):
        assert one is not None
        assert np.array_equal(one.vector, given[number].vector)
        assert one.arrays.keys() == given[number].arrays.keys()
        assert one.thumbnail is None


def test_fetch_keeps_the_order_asked_and_leaves_out_vector_and_thumbnail(
    index: EmbeddedIndex,
) -> None:
    given = {f"i{n:04d}": record(f"i{n:04d}", seed=n) for n in range(1200)}
    index.upsert(list(given.values()))
    asked = [f"i{n:04d}" for n in (700, 3, 9999, 3, *range(1199, 0, -1))]
    found = index.fetch("image", asked)
    assert [None if r is None else r.id for r in found] == [
        i if i in given else None for i in asked
    ]
    stored = index.get("image", "i0700")
    assert found[0].arrays.keys() == stored.arrays.keys()
    assert all(np.array_equal(found[0].arrays[n], a) for n, a in stored.arrays.items())
    assert found[0].thumbnail is None
    assert found[0].vector.size == 0
    assert found[0].metadata == stored.metadata


def test_fetch_without_arrays_gives_what_a_page_gives(index: EmbeddedIndex) -> None:
    index.upsert([record("b", seed=1, tags=("t",)), record("a", seed=2), record("a", "text")])
    rows = index.fetch("image", ["b", "none", "a", "b"], arrays=False)
    page = {row.id: row for row in index.list("image")}
    for row, expected in zip(rows, ["b", None, "a", "b"], strict=True):
        assert (row is None) == (expected is None)
        if row is not None:
            assert same(row, page[row.id])
            assert (row.id, row.arrays, len(row.vector)) == (expected, {}, 0)


def test_deleting_tells_how_many_there_were_and_takes_everything_along(
    index: EmbeddedIndex,
) -> None:
    index.upsert([record(f"i{n}", seed=n, tags=("dog",)) for n in range(6)])
    assert index.delete("image", ["i1", "i4", "i4", "gone"]) == 2
    assert index.delete("image", ["i1"]) == 0
    assert index.count("image") == 4
    assert index.get("image", "i1") is None
    assert index.thumbnail("i1") is None
    assert index.tag_counts("image") == {"dog": 4}
    assert sorted(index.search("image", QUERY, 9).ids[0]) == ["i0", "i2", "i3", "i5"]
    assert index.upsert([record("i1", seed=1)]) == [True]
    assert index.verify().ok


def test_pages_follow_the_order_of_ids_without_gap_or_repeat(index: EmbeddedIndex) -> None:
    ids = ["B", "a", "b", "é", "日", "😀", "10", "9"]
    index.upsert([record(id_, tags=("t",)) for id_ in ids])
    seen: list[str] = []
    while page := index.list("image", seen[-1] if seen else None, 3):
        seen += [one.id for one in page]
        assert all(one.arrays == {} and one.vector.size == 0 for one in page)
        assert page[0].tags == ("t",)
    assert seen == sorted(ids)
    for limit in (0, 1001):
        with pytest.raises(QueryError, match=f"limit must be 1 to 1000, not {limit}"):
            index.list("image", None, limit)
    with pytest.raises(QueryError, match="after must be an id"):
        index.list("image", "\ud800")


def test_metadata_changes_without_touching_the_rest(index: EmbeddedIndex) -> None:
    given = record("a", tags=("dog", "dog", "grass"))
    index.upsert([given])
    assert index.get("image", "a").tags == ("dog", "grass")
    assert index.update_metadata("image", "a", {"new": 1})
    assert index.get("image", "a").metadata == {"new": 1}
    assert index.get("image", "a").tags == ("dog", "grass")
    assert index.update_metadata("image", "a", {}, ["cat", "cat"])
    assert index.tag_counts("image") == {"cat": 1}
    stored = index.get("image", "a")
    assert stored.created_at < stored.updated_at
    assert np.array_equal(stored.vector, given.vector)
    assert not index.update_metadata("image", "b", {})
    assert not index.update_metadata("text", "a", {})
    with pytest.raises(RecordError, match="tags"):
        index.update_metadata("image", "a", {}, "dog")


def test_tags_are_counted_most_frequent_first(index: EmbeddedIndex) -> None:
    index.upsert([record("a", tags=("x", "y")), record("b", tags=("y", "a")), record("c")])
    assert list(index.tag_counts("image").items()) == [("y", 2), ("a", 1), ("x", 1)]
    assert index.tag_counts("text") == {}


def test_the_generation_rises_with_each_write_that_changed_something(open_index: Opener) -> None:
    index = open_index()
    index.upsert([record("a")])
    index.upsert([record("b"), record("c", "text")])
    index.update_metadata("image", "a", {})
    index.delete("text", ["c"])
    assert generation(index) == 4
    index.delete("text", ["c"])
    index.update_metadata("text", "c", {})
    index.upsert([])
    with pytest.raises(StoreError):
        index.upsert([record("d"), record("")])
    assert generation(index) == 4
    assert index.search("image", QUERY, 1).generation == 4
    index.close()
    assert generation(open_index()) == 4


def test_one_bad_record_keeps_the_whole_call_out(index: EmbeddedIndex) -> None:
    with pytest.raises(RecordError):
        index.upsert([record("a"), record("b", metadata={"x": "y" * 20000})])
    assert index.count("image") == 0
    assert index.list("image") == []


def test_rows_of_another_model_are_refused_with_both_names_and_a_way_out(
    open_index: Opener,
) -> None:
    index = open_index()
    index.upsert([record("a")])
    index.close()
    with pytest.raises(FingerprintError) as caught:
        open_index(OTHER_FINGERPRINT)
    words = str(caught.value)
    assert FINGERPRINT in words
    assert OTHER_FINGERPRINT in words
    assert "sightline migrate" in words
    with pytest.raises(FingerprintError, match=r"dimension 8.*dimension 9"):
        open_index(dimension=9)
    assert open_index().count("image") == 1


def test_an_empty_directory_takes_the_next_model(open_index: Opener) -> None:
    index = open_index()
    index.upsert([record("a")])
    index.delete("image", ["a"])
    index.close()
    index = open_index(OTHER_FINGERPRINT, 5)
    assert index.upsert([record("a", dimension=5)]) == [True]
    assert index.stats()["fingerprint"] == OTHER_FINGERPRINT
    index.close()
    with pytest.raises(FingerprintError):
        open_index()


def test_stats_tell_what_is_really_there(index: EmbeddedIndex, folder: Path) -> None:
    index.upsert([record("a"), record("b"), record("c", "text")])
    stats = index.stats()
    on_disk = sum(f.stat().st_size for f in folder.iterdir() if not f.name.endswith("-shm"))
    assert stats.pop("bytes_on_disk") == pytest.approx(on_disk, abs=64)
    assert stats.pop("bytes_in_memory") == 3 * DIMENSION * 4
    assert stats.pop("faiss_version")
    assert stats.pop("hot_records")["records"] == 0
    assert stats == {
        "engine": "embedded",
        "counts": {"image": 2, "text": 1},
        "device": index.stats()["device"],
        "threads": 1,
        "fingerprint": FINGERPRINT,
        "dimension": DIMENSION,
        "generation": 1,
        "writes_waiting": 0,
        "segments": {
            "image": {"faiss_index": "Flat", "main_rows": 0, "main_dead": 0, "delta_rows": 2},
            "text": {"faiss_index": "Flat", "main_rows": 0, "main_dead": 0, "delta_rows": 1},
        },
        "building": False,
        "build_failures": {},
        "measured_recall": {},
        "format_version": 3,
        "codec": None,
        "bytes_per_item": index.stats()["bytes_per_item"],
    }


@pytest.mark.parametrize("option", ["dimension", "threads"])
def test_options_out_of_range_are_refused(open_index: Opener, option: str) -> None:
    with pytest.raises(QueryError, match=f"{option} must be at least 1, not 0"):
        open_index(**{option: 0})


def test_a_closed_index_says_so(open_index: Opener) -> None:
    with open_index() as index:
        index.upsert([record("a")])
    index.close()
    for call in (
        lambda: index.search("image", QUERY, 1),
        lambda: index.upsert([record("a")]),
        lambda: index.delete("image", ["a"]),
        lambda: index.get("image", "a"),
        lambda: index.fetch("image", ["a"]),
        lambda: index.count("image"),
        lambda: index.stats(),
        lambda: index.compact(),
        lambda: index.verify(),
        lambda: index.rebuild(),
    ):
        with pytest.raises(ClosedError, match="the index is closed"):
            call()


def test_rebuild_gives_the_same_answers(index: EmbeddedIndex) -> None:
    index.upsert([record(f"i{n}", seed=n) for n in range(50)])
    index.delete("image", [f"i{n}" for n in range(0, 50, 3)])
    before = index.search("image", QUERY, 50)
    report = index.rebuild()
    after = index.search("image", QUERY, 50)
    assert report.ok
    assert report.items == {"image": 33, "text": 0}
    assert before.ids == after.ids
    assert index.verify().ok
    assert index.upsert([record("i0"), record("i1")]) == [True, False]
    assert index.count("image") == 34
