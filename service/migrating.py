"""A collection embedded again by another model, from what it keeps of each item.

A text is embedded from its words, a picture from its thumbnail. Ids, metadata, thumbnails and times
stay; tags are predicted again, since the model predicted all that are stored. Nothing changes until
every item is embedded, and a run that was stopped goes on where it was (`index/staging.py`).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from PIL import Image

from index.errors import DamagedError, StorageError
from index.records import KINDS, Kind, Record
from index.staging import Staging, staging
from model.errors import PictureError
from model.matcher import Encoded, Matcher
from service.encode import read_picture
from service.settings import Settings

Advance = Callable[[int, int], None]
# An item with what the new model makes of it, or its name and why it can't be embedded.
Embedded = Record | tuple[str, str]


@dataclass(frozen=True)
class Migrated:
    """What became of a collection.

    before, after: fingerprints of the models. needed: False when it was of this model and codec
    already. items: of each kind. embedded: by this run; earlier runs did the others. errors: pairs
    of item and words; with any the collection is as it was.
    space_kept: why the space of the old vectors was not given back to the disk, if it wasn't.
    """

    before: str
    after: str
    needed: bool
    items: dict[Kind, int]
    embedded: int = 0
    errors: tuple[tuple[str, str], ...] = ()
    space_kept: str | None = None


def migrate(matcher: Matcher, settings: Settings, keep: Path | None, advance: Advance) -> Migrated:
    """Embeds every item of the data directory with this model, then switches to it.

    keep: a folder to make, with a copy of the collection as it was. advance: called with items done
    and all items. Raises LockedError while another process has the collection, StorageError,
    FormatError, DamagedError, and ConfigError for a model that encodes no pictures.
    """
    target = (matcher.fingerprint, matcher.dimension, matcher.codec)
    with staging(settings.data_dir, *target) as staged:
        items = {kind: staged.count(kind) for kind in KINDS}
        needed = staged.is_needed
        result = Migrated(staged.model.fingerprint, matcher.fingerprint, needed, items)
        if not needed:
            return result
        if keep is not None:
            staged.keep(keep)
        embedded, errors = _embed_all(matcher, settings, staged, advance)
        result = replace(result, embedded=embedded, errors=tuple(errors))
        if errors:
            return result
        staged.switch()
        try:
            staged.vacuum()
        except StorageError as error:
            # The collection is whole and switched; its next writes use the space.
            return replace(result, space_kept=str(error))
        return result


def _embed_all(
    matcher: Matcher, settings: Settings, staged: Staging, advance: Advance
) -> tuple[int, list[tuple[str, str]]]:
    """Stages what isn't yet; returns how many items, and those that can't be embedded."""
    total = sum(map(staged.count, KINDS))
    before = done = total - sum(map(staged.count_waiting, KINDS))
    errors: list[tuple[str, str]] = []

    def pictures(records: Sequence[Record]) -> list[Embedded]:
        return _pictures(matcher, settings, staged, records)

    def texts(records: Sequence[Record]) -> list[Embedded]:
        encoded = matcher.encode_texts([record.text or "" for record in records])
        return [_renewed(matcher, *pair) for pair in zip(records, encoded, strict=True)]

    embeds: dict[Kind, tuple[Callable[[Sequence[Record]], list[Embedded]], int]] = {
        "image": (pictures, settings.encode_batch_pictures),
        "text": (texts, settings.encode_batch_texts),
    }
    with ThreadPoolExecutor(settings.encoder_workers) as threads:
        for kind, (embed, size) in embeds.items():
            # Each thread takes a part, and one transaction all of them.
            for records in staged.waiting(kind, size * settings.encoder_workers):
                parts = [records[start : start + size] for start in range(0, len(records), size)]
                found = list(chain.from_iterable(threads.map(embed, parts)))
                staged.stage([one for one in found if isinstance(one, Record)])
                errors += [one for one in found if not isinstance(one, Record)]
                done += len(found)
                advance(done, total)
    return done - before - len(errors), errors


def _pictures(
    matcher: Matcher, settings: Settings, staged: Staging, records: Sequence[Record]
) -> list[Embedded]:
    opened = [_opened(settings, staged, record.id) for record in records]
    readable = [picture for picture in opened if isinstance(picture, Image.Image)]
    encoded = iter(matcher.encode_pictures(readable))
    return [
        _renewed(matcher, record, next(encoded))
        if isinstance(picture, Image.Image)
        else (f"image {record.id!r}", picture)
        for record, picture in zip(records, opened, strict=True)
    ]


def _opened(settings: Settings, staged: Staging, item_id: str) -> Image.Image | str:
    try:
        thumbnail = staged.thumbnail(item_id)
        return "no thumbnail" if thumbnail is None else read_picture(thumbnail, settings)
    except (DamagedError, PictureError) as error:
        return str(error)


def _renewed(matcher: Matcher, record: Record, encoded: Encoded) -> Record:
    tags = tuple(tag for tag, _ in matcher.top_tags(encoded.arrays))
    return replace(record, vector=encoded.vector, arrays=encoded.arrays, tags=tags)
