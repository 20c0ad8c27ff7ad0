"""The codec of a collection: a label that is kept, and arrays of before that are stored anew."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from index.errors import CodecError
from tests.index.conftest import Opener
from tests.index.samples import OTHER_FINGERPRINT, record

Arrays = Mapping[str, np.ndarray]


def doubled(arrays: Arrays) -> Arrays | None:
    """What a codec would make of arrays of before; None for its own."""
    if "doubled" in arrays:
        return None
    return {"doubled": (2 * arrays["spans"]).astype(np.uint8)}


def forget_the_codec(folder: Path) -> None:
    """Makes the catalog one of the format before the codecs."""
    connection = sqlite3.connect(folder / "catalog.sqlite")
    with connection:
        connection.execute("ALTER TABLE model DROP COLUMN codec")
        connection.execute("ALTER TABLE model DROP COLUMN recoded")
        connection.execute("PRAGMA user_version = 2")
    connection.close()


def test_a_collection_keeps_the_codec_that_it_began_with(open_index: Opener) -> None:
    with open_index(codec="small") as index:
        index.upsert([record("a")])
        assert index.codec == index.stats()["codec"] == "small"
    for same in (None, "small"):
        with open_index(codec=same) as index:
            assert index.codec == "small"
    with pytest.raises(CodecError, match=r"codec small; large was asked for\. Ask for small"):
        open_index(codec="large")


def test_an_empty_collection_takes_another_codec(open_index: Opener) -> None:
    with open_index(codec="small"):
        pass
    with open_index(codec="large") as index:
        assert index.codec == "large"
    with open_index() as index:
        assert index.codec == "large"
    with open_index(fingerprint=OTHER_FINGERPRINT) as index:
        assert index.codec is None


def test_arrays_of_before_are_stored_anew_once(open_index: Opener, folder: Path) -> None:
    given = [record(f"i{n}", seed=n) for n in range(5)] + [record("t", kind="text", seed=9)]
    with open_index() as index:
        index.upsert(given)
    forget_the_codec(folder)
    with open_index(codec="small") as index:
        assert index.codec is None
        generation = index.stats()["generation"]
        assert index.recode("small", doubled) == 6
        assert index.recode("small", doubled) == 0
        assert (index.codec, index.stats()["generation"]) == ("small", generation)
        with pytest.raises(CodecError, match="by the codec small, not large"):
            index.recode("large", doubled)
    with open_index() as index:
        assert index.codec == "small"
        for one in given:
            stored = index.get(one.kind, one.id)
            assert stored is not None
            assert list(stored.arrays) == ["doubled"]
            assert np.array_equal(stored.arrays["doubled"], 2 * one.arrays["spans"])
            assert np.array_equal(stored.vector, one.vector)
        assert index.verify().ok


def test_recoding_goes_on_where_it_was_stopped(
    open_index: Opener, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index.reads._IDS_A_STATEMENT", 2)
    with open_index() as index:
        index.upsert([record(f"i{n}", seed=n) for n in range(7)])
    forget_the_codec(folder)
    seen: list[int] = []

    def convert(arrays: Arrays, stop_at: int = 99) -> Arrays | None:
        if len(seen) == stop_at:
            raise KeyboardInterrupt
        seen.append(1)
        return doubled(arrays)

    with open_index() as index, pytest.raises(KeyboardInterrupt):
        index.recode("small", lambda arrays: convert(arrays, stop_at=5))
    # The third part was not committed, and what is stored already decides the codec.
    with pytest.raises(CodecError, match="stored by the codec small"):
        open_index(codec="large")
    with open_index() as index:
        assert index.codec == "small"
        seen.clear()
        assert index.recode("small", convert) == len(seen) == 3
        assert all(list(r.arrays) == ["doubled"] for r in index.fetch("image", ["i0", "i4", "i6"]))


def test_a_damaged_item_is_left_as_it_is(
    open_index: Opener, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_index() as index:
        index.upsert([record(f"i{n}", seed=n) for n in range(3)])
    connection = sqlite3.connect(folder / "catalog.sqlite")
    with connection:
        connection.execute("UPDATE arrays SET arrays = zeroblob(99) WHERE number = 2")
    connection.close()
    with open_index() as index:
        assert index.recode("small", doubled) == 2
        assert "left as it is: image 'i1': arrays" in caplog.text
        assert any("image 'i1'" in problem for problem in index.verify().problems)


def test_stats_tell_the_bytes_of_the_arrays_of_an_item(open_index: Opener) -> None:
    with open_index() as index:
        assert index.stats()["bytes_per_item"] == {"image": 0, "text": 0}
        index.upsert([record(f"i{n}", seed=n) for n in range(3)])
        sizes = index.stats()["bytes_per_item"]
        assert sizes["text"] == 0
        # Three rows of 16 in a byte each with a scale, boxes in float16, spans, and the header.
        assert 3 * 20 + 24 + 24 < sizes["image"] < 500
