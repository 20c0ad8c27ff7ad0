"""Pages of a collection, in order of id, and the cursor that leads from one to the next."""

import base64
import binascii

from index.errors import FilterError
from index.filter import Filter, parse_filter
from index.records import Kind
from service.bodies import parse_json
from service.collection import Collection
from service.errors import InvalidFieldsError, MalformedBodyError
from service.fields import check_id
from service.results import item_of
from service.schemas import Page, TagCount, Tags


def page(collection: Collection, kind: Kind, cursor: str | None, limit: int) -> Page:
    """At most `limit` items after the cursor. Raises InvalidFieldsError for a foreign cursor.

    Items that come or go between two pages never make another one appear twice or be left out.
    """
    after = None if cursor is None else id_of(cursor)
    records = collection.index.list(kind, after, limit + 1)
    more = len(records) > limit
    return Page(
        items=[item_of(record) for record in records[:limit]],
        next_cursor=cursor_of(records[limit - 1].id) if more else None,
    )


def tags(collection: Collection, kind: Kind, filter: str | None = None) -> Tags:
    """How many items carry each tag, of those that match; most frequent first.

    filter: as JSON. Raises InvalidFieldsError.
    """
    counts = collection.index.tag_counts(kind, None if filter is None else _filter(filter))
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return Tags(tags=[TagCount(tag=tag, count=count) for tag, count in ordered])


def _filter(text: str) -> Filter:
    try:
        return parse_filter(parse_json(text))
    except MalformedBodyError as error:
        raise InvalidFieldsError.one("/filter", "not JSON", "query") from error
    except FilterError as error:
        raise InvalidFieldsError.one(f"/filter{error.pointer}", error.words, "query") from error


def cursor_of(last_id: str) -> str:
    """The cursor that continues after an id.

    >>> id_of(cursor_of("höhle 7"))
    'höhle 7'
    """
    return base64.urlsafe_b64encode(last_id.encode()).decode().rstrip("=")


def id_of(cursor: str) -> str:
    """The id that a cursor continues after. Raises InvalidFieldsError."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return check_id(base64.b64decode(padded, altchars=b"-_", validate=True).decode())
    except (binascii.Error, ValueError) as error:
        detail = "not a cursor of this service; take `next_cursor` of the page before"
        raise InvalidFieldsError.one("/cursor", detail, "query") from error
