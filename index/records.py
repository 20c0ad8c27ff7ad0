"""What goes in and what comes out, and the one door where it is checked. Inside it is trusted."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np

from index.errors import QueryError, RecordError

Kind = Literal["image", "text"]
KINDS: tuple[Kind, ...] = ("image", "text")

MAX_ID_CHARACTERS = 200
MAX_TAG_CHARACTERS = 200
MAX_TAGS = 1000
MAX_METADATA_BYTES = 16 * 1024
# Keeps every inner product of two vectors far inside the range of float32.
MAX_VALUE = 1e12

# Control characters and lone surrogates (which have no UTF-8) are never part of a name.
_ID = re.compile(r"[^/\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_TAG = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


@dataclass(frozen=True, eq=False)
class Record:
    """One item. Parts that a call leaves out on purpose are empty: see `engine.Index`.

    vector: (d,) float32, finite, values within 1e12; searched by inner product, so its length
    counts.
    arrays: what the re-ranker needs, under names that are the model's business.
    metadata: a JSON object, at most 16 KiB. tags: distinct, in the order given.
    text: the sentence of a text. thumbnail: the JPEG of a picture.
    created_at, updated_at: UTC, set by the catalog; what a caller puts there is not stored.
    """

    id: str
    kind: Kind
    vector: np.ndarray
    arrays: Mapping[str, np.ndarray]
    metadata: Mapping[str, Any]
    tags: tuple[str, ...] = ()
    text: str | None = None
    thumbnail: bytes | None = None
    content_hash: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, eq=False)
class Hits:
    """What a search found, a list and an array for each query, best first.

    ids: at most k each; ties in order of id, so the order is total.
    scores: (<= k,) float32, inner products.
    generation: the state of the index that all queries of the call have seen.
    """

    ids: list[list[str]]
    scores: list[np.ndarray]
    generation: int


@dataclass(frozen=True)
class Report:
    """What `verify` or `rebuild` found: items of each kind, and a sentence for each problem."""

    items: dict[Kind, int]
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True when nothing is wrong."""
        return not self.problems


def check_record(record: Record, dimension: int) -> None:
    """Raises RecordError naming the item, the field and the limit, unless everything is in order.

    Metadata and arrays are checked by their codecs (`encode_metadata`, `packing.pack`).
    """
    check_kind(record.kind)
    check_id(record.id)
    vector = record.vector
    name = f"{record.kind} {record.id!r}: vector"
    if not isinstance(vector, np.ndarray) or vector.dtype != np.float32:
        found = getattr(vector, "dtype", type(vector).__name__)
        raise RecordError(f"{name} must be float32, not {found}")
    if vector.shape != (dimension,):
        raise RecordError(f"{name} must have shape ({dimension},), not {vector.shape}")
    if not _in_range(vector):
        raise RecordError(f"{name} has values that are not finite, or beyond {MAX_VALUE:g}")
    check_tags(record.tags)
    for field in ("text", "content_hash"):
        _check_utf8(getattr(record, field) or "", f"{record.kind} {record.id!r}: {field}")


def check_id(item_id: str) -> None:
    """Raises RecordError unless the id has 1 to 200 characters, no "/", no control characters."""
    if not isinstance(item_id, str) or not 1 <= len(item_id) <= MAX_ID_CHARACTERS:
        raise RecordError(f"id must be 1 to {MAX_ID_CHARACTERS} characters, not {_short(item_id)}")
    if not _ID.fullmatch(item_id):
        raise RecordError(f"id must not hold '/' or control characters: {_short(item_id)}")


def is_id(text: str) -> bool:
    """Whether an item can have this id; nothing else is ever asked of the catalog."""
    return len(text) <= MAX_ID_CHARACTERS and _ID.fullmatch(text) is not None


def check_kind(kind: str) -> None:
    """Raises RecordError unless the kind is one of ours."""
    if kind not in KINDS:
        raise RecordError(f"kind must be one of {', '.join(KINDS)}, not {_short(kind)}")


def check_tags(tags: Sequence[str]) -> None:
    """Raises RecordError unless there are at most 1,000 tags, each of 1 to 200 characters."""
    if isinstance(tags, str) or len(tags) > MAX_TAGS:
        raise RecordError(f"tags must be a list of at most {MAX_TAGS}, not {_short(tags)}")
    for tag in tags:
        if not isinstance(tag, str) or not 1 <= len(tag) <= MAX_TAG_CHARACTERS:
            raise RecordError(f"tags: each has 1 to {MAX_TAG_CHARACTERS} characters: {_short(tag)}")
        if not _TAG.fullmatch(tag):
            raise RecordError(f"tags: no control characters: {_short(tag)}")


def check_queries(vectors: np.ndarray, k: int, dimension: int) -> None:
    """Raises QueryError unless `vectors` is (n, d) float32 and finite, and k is at least 1."""
    if not isinstance(vectors, np.ndarray) or vectors.dtype != np.float32:
        found = getattr(vectors, "dtype", type(vectors).__name__)
        raise QueryError(f"vectors must be float32, not {found}")
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise QueryError(f"vectors must have shape (n, {dimension}), not {vectors.shape}")
    if not _in_range(vectors):
        raise QueryError(f"vectors has values that are not finite, or beyond {MAX_VALUE:g}")
    if k < 1:
        raise QueryError(f"k must be at least 1, not {k}")


def encode_metadata(metadata: Mapping[str, Any]) -> str:
    """The JSON text that is stored. Raises RecordError unless it is an object of at most 16 KiB."""
    if not isinstance(metadata, Mapping):
        raise RecordError(f"metadata must be a JSON object, not {_short(metadata)}")
    try:
        text = json.dumps(
            dict(metadata), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise RecordError(f"metadata is not JSON: {error}") from error
    if size > MAX_METADATA_BYTES:
        raise RecordError(f"metadata has {size:,} bytes; the limit is {MAX_METADATA_BYTES:,}")
    return text


def distinct(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags in their order, each once."""
    return tuple(dict.fromkeys(tags))


def _in_range(values: np.ndarray) -> bool:
    # False for NaN as well: it is not less than anything.
    return bool(np.abs(values).max(initial=0.0) <= MAX_VALUE)


def _check_utf8(text: str, name: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RecordError(f"{name} is not valid Unicode: {error.reason}") from error


def _short(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
