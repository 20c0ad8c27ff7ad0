"""Items on their way in: what is encoded, what is recognised, what fails alone."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from index.errors import DamagedError
from model.matcher import Matcher
from service.collection import Collection
from service.errors import InvalidFieldsError
from service.ingest import NewPicture, NewText, content_hash, prepare_pictures, prepare_texts, store
from tests.helpers import jpeg


def add_pictures(collection: Collection, *pictures: NewPicture) -> list[tuple[str | None, bool]]:
    outcomes = store(collection, "image", prepare_pictures(collection, pictures))
    assert [outcome.error for outcome in outcomes] == [None] * len(pictures)
    return [(outcome.id, outcome.created) for outcome in outcomes]


def test_a_picture_becomes_a_whole_record(collection: Collection) -> None:
    assert add_pictures(collection, NewPicture(jpeg(1), "a", {"n": 1})) == [("a", True)]
    record = collection.index.get("image", "a")
    assert record is not None
    [encoded] = collection.matcher.encode_pictures([decoded(jpeg(1))])
    assert record.vector.tolist() == pytest.approx(encoded.vector.tolist(), abs=1e-6)
    assert record.arrays.keys() == encoded.arrays.keys()
    assert record.tags == tuple(tag for tag, _ in collection.matcher.top_tags(encoded.arrays))
    assert record.content_hash == content_hash(jpeg(1))
    assert record.thumbnail is not None
    assert record.thumbnail.startswith(b"\xff\xd8")


def decoded(data: bytes) -> Any:
    from model.picture import decode

    return decode(data)


def test_what_is_stored_is_not_encoded_again(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_pictures(collection, NewPicture(jpeg(1), "a"))
    encodings: list[int] = []
    encode = Matcher.encode_pictures

    def counted(self: Matcher, pictures: Any, *options: Any) -> Any:
        encodings.append(len(pictures))
        return encode(self, pictures, *options)

    monkeypatch.setattr(Matcher, "encode_pictures", counted)
    assert add_pictures(collection, NewPicture(jpeg(1), "a"), NewPicture(jpeg(2), "b")) == [
        ("a", False),
        ("b", True),
    ]
    assert encodings == [1]


def test_metadata_that_change_while_an_item_is_encoded_stay(collection: Collection) -> None:
    index = collection.index
    add_pictures(collection, NewPicture(jpeg(1), "a", {"n": 1}))
    store(collection, "text", prepare_texts(collection, [NewText("one", "t", {"n": 1})]))
    pictures = prepare_pictures(collection, [NewPicture(jpeg(2), "a", captions=("two",))])
    texts = prepare_texts(collection, [NewText("two", "t")])
    index.update_metadata("image", "a", {"n": 2})
    index.update_metadata("text", "t", {"n": 2})
    store(collection, "image", pictures)
    store(collection, "text", texts)
    for kind, item_id in (("image", "a"), ("text", "t")):
        record = index.get(kind, item_id)
        assert record is not None
        assert record.metadata == {"n": 2}
    caption = index.get("text", "a-0")
    assert caption is not None
    assert caption.metadata == {"image_id": "a"}


def test_of_two_that_overlap_the_later_one_is_stored_whole(collection: Collection) -> None:
    index = collection.index
    for kind, earlier, other in (
        ("image", NewPicture(jpeg(1), "i", {"of": 1}), NewPicture(jpeg(2), "i", {"of": 2})),
        ("text", NewText("one", "i", {"of": 1}), NewText("two", "i", {"of": 2})),
    ):
        prepare: Any = prepare_pictures if kind == "image" else prepare_texts
        store(collection, kind, prepare(collection, [earlier]))
        expected = index.get(kind, "i")
        found_the_same = prepare(collection, [replace(earlier, metadata={"of": "one again"})])
        store(collection, kind, prepare(collection, [other]))
        store(collection, kind, found_the_same)
        record = index.get(kind, "i")
        assert record is not None
        assert expected is not None
        assert record.content_hash == expected.content_hash
        assert record.metadata == {"of": "one again"}
        found_the_same = prepare(collection, [earlier])
        index.delete(kind, ["i"])
        store(collection, kind, found_the_same)
        assert index.count(kind) == 1


def test_a_damaged_item_is_mended_by_sending_it_again(collection: Collection) -> None:
    store(collection, "text", prepare_texts(collection, [NewText("one", "t", {"n": 1})]))
    file = collection.settings.data_dir / "catalog.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE arrays SET arrays = zeroblob(length(arrays))")
    with pytest.raises(DamagedError):
        collection.index.get("text", "t")
    texts = [NewText("two", "u"), NewText("one", "t")]
    outcomes = store(collection, "text", prepare_texts(collection, texts))
    assert [outcome.error for outcome in outcomes] == [None, None]
    record = collection.index.get("text", "t")
    assert record is not None
    assert (record.text, record.metadata) == ("one", {"n": 1})
    assert collection.index.verify().ok


def test_a_damaged_thumbnail_is_mended_by_sending_the_same_file(collection: Collection) -> None:
    add_pictures(collection, NewPicture(jpeg(1), "a", {"n": 1}))
    whole = collection.index.thumbnail("a")
    file = collection.settings.data_dir / "catalog.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE thumbnail SET jpeg = zeroblob(length(jpeg))")
    with pytest.raises(DamagedError):
        collection.index.thumbnail("a")
    assert add_pictures(collection, NewPicture(jpeg(1), "a")) == [("a", False)]
    assert collection.index.thumbnail("a") == whole
    assert collection.index.verify().ok
    [record] = collection.index.fetch("image", ["a"])
    assert record is not None
    assert record.metadata == {"n": 1}


def test_captions_of_overlapping_uploads_do_not_mix(collection: Collection) -> None:
    earlier = NewPicture(jpeg(1), "a", captions=("a dog", "two cats", "snow"))
    later = NewPicture(jpeg(1), "a", captions=("one horse", "two cats"))
    first, second = (prepare_pictures(collection, [one]) for one in (earlier, later))
    store(collection, "image", first)
    store(collection, "image", second)
    assert captions_of(collection) == {"a-0": "one horse", "a-1": "two cats"}
    # Found the same as what is stored, which isn't there any more when its turn comes.
    second = prepare_pictures(collection, [later])
    add_pictures(collection, earlier)
    collection.index.update_metadata("text", "a-1", {"image_id": "another"})
    store(collection, "image", second)
    assert captions_of(collection) == {"a-0": "one horse", "a-1": "two cats"}


def captions_of(collection: Collection) -> dict[str, str | None]:
    assert collection.index.verify().ok
    texts = collection.index.list("text")
    assert [text.metadata for text in texts] == [{"image_id": "a"}] * len(texts)
    return {text.id: text.text for text in texts}


def test_the_same_file_twice_in_a_batch_is_one_picture(collection: Collection) -> None:
    added = add_pictures(collection, NewPicture(jpeg(1)), NewPicture(jpeg(1)))
    assert added == [(content_hash(jpeg(1)), True), (content_hash(jpeg(1)), False)]
    assert collection.index.count("image") == 1


def test_a_bad_picture_fails_alone(collection: Collection) -> None:
    pictures = [NewPicture(jpeg(1), "a"), NewPicture(b"words", "b"), NewPicture(jpeg(3), "c")]
    outcomes = store(collection, "image", prepare_pictures(collection, pictures))
    assert [(outcome.id, outcome.created, outcome.error is None) for outcome in outcomes] == [
        ("a", True, True),
        ("b", False, False),
        ("c", True, True),
    ]
    assert collection.index.count("image") == 2
    # Each kept the vector of its own file, not its neighbour's.
    [third] = collection.matcher.encode_pictures([decoded(jpeg(3))])
    record = collection.index.get("image", "c")
    assert record is not None
    assert record.vector.tolist() == pytest.approx(third.vector.tolist(), abs=1e-6)


def test_metadata_that_is_not_given_stays(collection: Collection) -> None:
    add_pictures(collection, NewPicture(jpeg(1), "a", {"n": 1}))
    add_pictures(collection, NewPicture(jpeg(2), "a"))
    assert metadata_of(collection, "a") == {"n": 1}
    add_pictures(collection, NewPicture(jpeg(2), "a", {}))
    assert metadata_of(collection, "a") == {}


def metadata_of(collection: Collection, id_: str) -> dict[str, Any]:
    record = collection.index.get("image", id_)
    assert record is not None
    return dict(record.metadata)


def test_a_bad_caption_keeps_its_picture_out(collection: Collection) -> None:
    picture = NewPicture(jpeg(1), "a", None, ("fine", "x" * 1001))
    [outcome] = store(collection, "image", prepare_pictures(collection, [picture]))
    assert isinstance(outcome.error, InvalidFieldsError)
    assert outcome.error.problems[0].pointer == "/captions/1"
    assert collection.index.count("image") == collection.index.count("text") == 0


def test_an_id_with_no_room_for_captions_is_refused(collection: Collection) -> None:
    picture = NewPicture(jpeg(1), "x" * 199, None, ("one",))
    [outcome] = store(collection, "image", prepare_pictures(collection, [picture]))
    assert isinstance(outcome.error, InvalidFieldsError)
    assert outcome.error.problems[0].pointer == "/captions"


def test_captions_of_others_are_left_alone(collection: Collection) -> None:
    store(collection, "text", prepare_texts(collection, [NewText("mine", "a-1")]))
    add_pictures(collection, NewPicture(jpeg(1), "a", None, ("only one",)))
    assert collection.index.get("text", "a-1") is not None


def test_the_length_of_a_text_follows_the_setting(collection: Collection) -> None:
    settings = collection.settings.model_copy(update={"max_text_characters": 3})
    narrow = replace(collection, settings=settings)
    prepared = prepare_texts(
        narrow, [NewText(text) for text in ("abc", " ab", "abcd", " abc", "  ")]
    )
    assert [item.error is None for item in prepared] == [True, True, False, False, False]
