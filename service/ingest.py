"""One item in, one way through: bytes, decode, encode, record, index.

Two steps, since they run in different pools: `prepare_*` does all the work that can fail for one
item alone, and `store` writes what was prepared in one transaction. An item whose content is
already stored under its id is not encoded again, which makes repeating an upload cheap.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from index.errors import DamagedError, RecordError
from index.records import Kind, Record, encode_metadata
from model.errors import PictureError
from model.matcher import Encoded
from model.picture import thumbnail
from service.collection import Collection
from service.encode import encode_pictures, encode_texts, read_picture
from service.errors import InvalidFieldsError
from service.fields import MAX_CAPTIONS, check_id, length_problem

Told = dict[tuple[Kind, str], Mapping[str, Any]]


@dataclass(frozen=True)
class NewPicture:
    """A picture to store. No id: its content's hash. No metadata: what is there stays.

    adds_metadata: what is there stays also beside these, but for the keys that they have.
    """

    data: bytes
    id: str | None = None
    metadata: Mapping[str, Any] | None = None
    captions: tuple[str, ...] | None = None
    adds_metadata: bool = False


@dataclass(frozen=True)
class NewText:
    """A sentence to store. No id: its content's hash. No metadata: what is there stays.

    adds_metadata: as of a picture.
    """

    text: str
    id: str | None = None
    metadata: Mapping[str, Any] | None = None
    adds_metadata: bool = False


@dataclass(frozen=True)
class Prepared:
    """What is left to do for one item: a record to write, metadata to change, or an error to tell.

    With none of the three the item is already stored as it should be. keeps_metadata: what is there
    when it is written stays beside the item's metadata, or its record's. captions: the texts that
    are to be all of the picture's captions. same_as: what came, where it is what is stored already.
    """

    id: str
    record: Record | None = None
    metadata: Mapping[str, Any] | None = None
    keeps_metadata: bool = False
    captions: tuple["Prepared", ...] | None = None
    same_as: NewPicture | NewText | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one item: stored (new or not), or not stored because of `error`.

    The id is None only for an item that was refused before it had one.
    """

    id: str | None
    created: bool = False
    error: Exception | None = None


def prepare_pictures(collection: Collection, pictures: Sequence[NewPicture]) -> list[Prepared]:
    """Decodes and encodes those that aren't stored yet, together. A bad one fails alone."""
    hashes = [content_hash(picture.data) for picture in pictures]
    ids = [picture.id or hash_ for picture, hash_ in zip(pictures, hashes, strict=True)]
    known = _known(collection, "image", ids)
    opened = [
        None
        if _is_stored(record, hash_) and _has_whole_thumbnail(collection, id_)
        else _opened(collection, picture.data)
        for picture, id_, hash_, record in zip(pictures, ids, hashes, known, strict=True)
    ]
    new = [picture for picture in opened if isinstance(picture, Image.Image)]
    encoded = iter(encode_pictures(collection, new))
    prepared = []
    for item, id_, hash_, record, picture in zip(pictures, ids, hashes, known, opened, strict=True):
        match picture:
            case PictureError():
                prepared.append(Prepared(id_, error=picture))
                continue
            case None:
                made = _unchanged(id_, record, item)
            case _:
                new_record = _record(collection, id_, "image", next(encoded), item.metadata, hash_)
                small = thumbnail(picture, collection.settings.thumbnail_side_pixels)
                made = _replacing(replace(new_record, thumbnail=small), item)
        prepared.append(_with_captions(collection, made, item.captions))
    return prepared


def prepare_texts(collection: Collection, texts: Sequence[NewText]) -> list[Prepared]:
    """Encodes those that aren't stored yet, together. A bad one fails alone."""
    hashes = [content_hash(text.text.encode()) for text in texts]
    ids = [text.id or hash_ for text, hash_ in zip(texts, hashes, strict=True)]
    known = _known(collection, "text", ids)
    errors = [_length_error(text.text, collection.settings.max_text_characters) for text in texts]
    stored = [_is_stored(record, hash_) for record, hash_ in zip(known, hashes, strict=True)]
    new = [
        text.text
        for text, error, there in zip(texts, errors, stored, strict=True)
        if error is None and not there
    ]
    encoded = iter(encode_texts(collection, new))
    prepared = []
    for text, id_, hash_, record, error, there in zip(
        texts, ids, hashes, known, errors, stored, strict=True
    ):
        if error is not None:
            prepared.append(Prepared(id_, error=error))
        elif there:
            prepared.append(_unchanged(id_, record, text))
        else:
            new_record = _record(collection, id_, "text", next(encoded), text.metadata, hash_)
            prepared.append(_replacing(replace(new_record, text=text.text), text))
    return prepared


def store(collection: Collection, kind: Kind, prepared: Sequence[Prepared]) -> list[Outcome]:
    """Writes all records in one transaction. On return they are durable and searchable.

    Runs on the writer, so that no other write slips between what it reads and what it writes.
    Raises StorageError; nothing of the transaction is written then.
    """
    index = collection.index
    told: Told = {}
    prepared = [_as_of_now(collection, kind, item, told) for item in prepared]
    records = [record for item in prepared for record in _records(item)]
    new = iter(index.upsert(records) if records else [])
    outcomes = []
    for item in prepared:
        if item.error is not None:
            outcomes.append(Outcome(item.id, error=item.error))
            continue
        written = [(record, next(new)) for record in _records(item)]
        if item.metadata is not None:
            index.update_metadata(kind, item.id, item.metadata)
        if item.captions is not None:
            _keep_only(collection, item.id, item.captions)
        created = any(is_new for record, is_new in written if record is item.record)
        outcomes.append(Outcome(item.id, created=created))
    return outcomes


def content_hash(data: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _record(
    collection: Collection,
    id_: str,
    kind: Kind,
    encoded: Encoded,
    metadata: Mapping[str, Any] | None,
    hash_: str,
) -> Record:
    return Record(
        id=id_,
        kind=kind,
        vector=encoded.vector,
        arrays=encoded.arrays,
        metadata=metadata or {},
        tags=tuple(tag for tag, _ in collection.matcher.top_tags(encoded.arrays)),
        content_hash=hash_,
    )


def _is_stored(record: Record | None, hash_: str) -> bool:
    return record is not None and record.content_hash == hash_


def _replacing(record: Record, item: NewPicture | NewText) -> Prepared:
    keeps = item.metadata is None or item.adds_metadata
    return Prepared(record.id, record, keeps_metadata=keeps)


def _records(item: Prepared) -> list[Record]:
    """The item's own and its captions'."""
    captions = [caption.record for caption in item.captions or ()]
    return [record for record in (item.record, *captions) if record is not None]


def _as_of_now(collection: Collection, kind: Kind, item: Prepared, told: Told) -> Prepared:
    """The item and its captions, by what is stored by now.

    What is no longer the same as what is stored is prepared again, and what keeps metadata gets
    those that are there. told: the metadata of the items before it, which aren't stored yet.
    """
    item = _with_all_metadata(collection, kind, _still_true(collection, kind, item), told)
    if item.captions is not None:
        captions = (_as_of_now(collection, "text", caption, told) for caption in item.captions)
        item = replace(item, captions=tuple(captions))
    return item


def _with_all_metadata(collection: Collection, kind: Kind, item: Prepared, told: Told) -> Prepared:
    new = item.metadata if item.record is None else item.record.metadata
    if new is None:
        return item
    whole = dict(new)
    if item.keeps_metadata:
        there = told.get((kind, item.id))
        whole = {**(_metadata_of(collection, kind, item.id) if there is None else there), **new}
        try:
            encode_metadata(whole)
        except RecordError as error:
            wrong = f"with what is there, {error}"
            return Prepared(item.id, error=InvalidFieldsError.one("/metadata", wrong))
    told[kind, item.id] = whole
    if item.record is None:
        return replace(item, metadata=whole)
    return replace(item, record=replace(item.record, metadata=whole))


def _keep_only(collection: Collection, image_id: str, captions: Sequence[Prepared]) -> None:
    """Makes these texts name the picture, and deletes the captions it had beyond them."""
    index = collection.index
    there = index.fetch("text", _caption_ids(image_id), arrays=False)
    own = {
        record.id
        for record in there
        if record is not None and record.metadata.get("image_id") == image_id
    }
    wanted = [caption.id for caption in captions]
    for caption in wanted:
        if caption not in own:
            index.update_metadata("text", caption, _of_picture(image_id))
    if stale := own.difference(wanted):
        index.delete("text", sorted(stale))


def _metadata_of(collection: Collection, kind: Kind, item_id: str) -> Mapping[str, Any]:
    [there] = collection.index.fetch(kind, [item_id], arrays=False)
    return {} if there is None else there.metadata


def _still_true(collection: Collection, kind: Kind, item: Prepared) -> Prepared:
    """The item, prepared again if what it is the same as was replaced or deleted since."""
    if item.same_as is None:
        return item
    [there] = collection.index.fetch(kind, [item.id], arrays=False)
    match item.same_as:
        case NewPicture() as picture:
            if _is_stored(there, content_hash(picture.data)):
                return item
            return prepare_pictures(collection, [picture])[0]
        case NewText() as text:
            if _is_stored(there, content_hash(text.text.encode())):
                return item
            return prepare_texts(collection, [text])[0]


def _known(collection: Collection, kind: Kind, ids: Sequence[str]) -> list[Record | None]:
    """What is stored under these ids; what of it is damaged has no hash, and so is written anew."""
    index = collection.index
    try:
        return index.fetch(kind, ids)
    except DamagedError:
        if len(ids) > 1:
            return [record for id_ in ids for record in _known(collection, kind, [id_])]
        [row] = index.fetch(kind, ids, arrays=False)
        return [None if row is None else replace(row, content_hash="")]


def _has_whole_thumbnail(collection: Collection, image_id: str) -> bool:
    try:
        return collection.index.thumbnail(image_id) is not None
    except DamagedError:
        return False


def _unchanged(id_: str, record: Record | None, item: NewPicture | NewText) -> Prepared:
    there = {} if record is None else dict(record.metadata)
    wanted = there | dict(item.metadata or {}) if item.adds_metadata else item.metadata
    same = wanted is None or wanted == there
    return Prepared(
        id_,
        metadata=None if same else item.metadata,
        keeps_metadata=item.adds_metadata,
        same_as=item,
    )


def _opened(collection: Collection, data: bytes) -> Image.Image | PictureError:
    try:
        return read_picture(data, collection.settings)
    except PictureError as error:
        return error


def _length_error(text: str, limit: int) -> InvalidFieldsError | None:
    problem = length_problem(text, limit)
    return None if problem is None else InvalidFieldsError.one("/text", problem)


def _with_captions(
    collection: Collection, picture: Prepared, captions: tuple[str, ...] | None
) -> Prepared:
    if captions is None:
        return picture
    ids = _caption_ids(picture.id)
    try:
        check_id(ids[-1])
    except ValueError as error:
        return Prepared(
            picture.id, error=InvalidFieldsError.one("/captions", f"as the id of a text, {error}")
        )
    texts = [
        NewText(text, id_, _of_picture(picture.id))
        for text, id_ in zip(captions, ids, strict=False)
    ]
    prepared = prepare_texts(collection, texts)
    for number, text in enumerate(prepared):
        if text.error is not None:
            wrong = InvalidFieldsError.one(f"/captions/{number}", str(text.error))
            return Prepared(picture.id, error=wrong)
    return replace(picture, captions=tuple(prepared))


def _caption_ids(image_id: str) -> list[str]:
    """The ids that a picture's captions can have."""
    return [f"{image_id}-{n}" for n in range(MAX_CAPTIONS)]


def _of_picture(image_id: str) -> Mapping[str, Any]:
    """The metadata of a picture's caption."""
    return {"image_id": image_id}
