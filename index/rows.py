"""Records to the values that the catalog stores, and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from index.attributes import Attribute, attributes
from index.errors import DamagedError
from index.packing import pack, seal, unpack_all, unseal
from index.records import Kind, Record, distinct, encode_metadata

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NO_VECTOR = np.empty(0, np.float32)
_NO_VECTOR.flags.writeable = False


@dataclass(frozen=True)
class Row:
    """A record as it is stored; made before the writer's lock is taken."""

    id: str
    kind: Kind
    metadata: str
    attributes: tuple[Attribute, ...]
    tags: tuple[str, ...]
    text: str | None
    content_hash: str
    vector: bytes
    arrays: bytes
    thumbnail: bytes | None


def to_row(record: Record) -> Row:
    """Encodes a checked record. Raises RecordError for metadata or arrays that can't be stored."""
    metadata = encode_metadata(record.metadata)
    return Row(
        id=record.id,
        kind=record.kind,
        metadata=metadata,
        # Of the text and not of the mapping: JSON makes texts of keys that are none.
        attributes=tuple(attributes(json.loads(metadata))),
        tags=distinct(record.tags),
        text=record.text,
        content_hash=record.content_hash,
        vector=seal(record.vector.astype("<f4").tobytes()),
        arrays=pack(record.arrays),
        thumbnail=None if record.thumbnail is None else seal(record.thumbnail),
    )


def now() -> int:
    """Microseconds since 1970, UTC."""
    return (datetime.now(UTC) - _EPOCH) // _MICROSECOND


def tags_text(tags: Sequence[str]) -> str:
    """The JSON list that is stored."""
    return json.dumps(tags, ensure_ascii=False)


def read_record(
    item: Sequence[Any],
    vector: np.ndarray = _NO_VECTOR,
    arrays: Mapping[str, np.ndarray] | None = None,
    thumbnail: bytes | None = None,
) -> Record:
    """A record from the catalog's item columns and the blobs that were asked for.

    Raises DamagedError when the JSON of a column is not what was written.
    """
    item_id, kind, metadata, tags, text, content_hash, created, updated = item
    try:
        return Record(
            id=item_id,
            kind=kind,
            vector=vector,
            arrays={} if arrays is None else arrays,
            metadata=json.loads(metadata),
            tags=tuple(json.loads(tags)),
            text=text,
            thumbnail=thumbnail,
            content_hash=content_hash,
            created_at=_EPOCH + timedelta(microseconds=created),
            updated_at=_EPOCH + timedelta(microseconds=updated),
        )
    except (ValueError, TypeError) as error:
        raise DamagedError(f"{kind} {item_id!r}: its row can't be read: {error}") from error


def read_vector(kind: Kind, item_id: str, blob: bytes, dimension: int) -> np.ndarray:
    """(d,) float32, read-only. Raises DamagedError."""
    body = unseal(blob, f"{kind} {item_id!r}: vector")
    if len(body) != 4 * dimension:
        raise DamagedError(
            f"{kind} {item_id!r}: vector of {len(body) // 4} values, not {dimension}"
        )
    return np.frombuffer(body, "<f4")


def read_arrays(
    kind: Kind, ids: Sequence[str], blobs: Sequence[bytes]
) -> list[dict[str, np.ndarray]]:
    """The re-ranker's arrays of some items. Raises DamagedError."""
    return unpack_all(blobs, [f"{kind} {item_id!r}: arrays" for item_id in ids])


def read_thumbnail(kind: Kind, item_id: str, blob: bytes) -> bytes:
    """JPEG bytes. Raises DamagedError."""
    return bytes(unseal(blob, f"{kind} {item_id!r}: thumbnail"))
