"""Single items: read, change, delete. Each raises NotFoundError for an id that isn't there."""

from collections.abc import Mapping
from typing import Any

from index.records import Kind
from service.collection import Collection
from service.errors import InvalidFieldsError, NotFoundError
from service.fields import check_metadata
from service.ingest import Outcome
from service.results import item_of
from service.schemas import Item, Stored

NAMES: Mapping[Kind, str] = {"image": "picture", "text": "text"}


def get(collection: Collection, kind: Kind, item_id: str) -> Item:
    """What is stored about an item."""
    record = collection.index.get(kind, item_id)
    if record is None:
        raise _missing(kind, item_id)
    return item_of(record)


def thumbnail(collection: Collection, item_id: str) -> bytes:
    """The JPEG of a picture."""
    data = collection.index.thumbnail(item_id)
    if data is None:
        raise _missing("image", item_id)
    return data


def delete(collection: Collection, kind: Kind, item_id: str) -> None:
    """Deletes an item; on return it is durably gone and no search finds it."""
    if not collection.index.delete(kind, [item_id]):
        raise _missing(kind, item_id)


def merge_metadata(
    collection: Collection, kind: Kind, item_id: str, patch: Mapping[str, Any]
) -> Item:
    """Merges a patch into an item's metadata. Runs on the writer, so no other write slips in.

    Raises InvalidFieldsError if the merged metadata is over the limit.
    """
    item = get(collection, kind, item_id)
    try:
        merged = check_metadata(merge_patch(item.metadata, patch))
    except ValueError as error:
        raise InvalidFieldsError.one("", str(error)) from error
    collection.index.update_metadata(kind, item_id, merged)
    return get(collection, kind, item_id)


def merge_patch(target: Any, patch: Any) -> Any:
    """JSON Merge Patch, RFC 7396 section 2.

    >>> merge_patch({"a": 1, "b": {"c": 2, "d": 3}}, {"a": None, "b": {"c": 4}})
    {'b': {'c': 4, 'd': 3}}
    """
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def stored(outcome: Outcome) -> Stored:
    """The answer to an upload of one item. Raises its error if it wasn't stored."""
    if outcome.error is not None:
        raise outcome.error
    assert outcome.id is not None
    return Stored(id=outcome.id, created=outcome.created)


def _missing(kind: Kind, item_id: str) -> NotFoundError:
    return NotFoundError(f"no {NAMES[kind]} has the id {item_id!r}")
