"""The embedded engine: one machine, one process. Ties the catalog and the vectors together.

The verbs, and the checks at the door; who may do what at the same time is told in `live.py`.
"""

# A class with a method named `list` has to call the type by its full name.
import builtins
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import faiss
import numpy as np

from index.attributes import attributes
from index.backup import backup
from index.builder import Builder
from index.catalog import Catalog
from index.changes import Changes
from index.connections import translated
from index.derived import Loader, problems
from index.device import Device, choose_device
from index.errors import CodecError, QueryError
from index.filter import Filter
from index.filter_sql import compiled
from index.hot import DEFAULT_HOT_BYTES, HotRecords
from index.live import Live
from index.lock import FolderLock
from index.migrations import FORMAT_VERSION
from index.packing import pack
from index.parts import search, search_exactly
from index.plan import DEFAULT_PLAN, Plan
from index.records import (
    Hits,
    Kind,
    Record,
    Report,
    check_kind,
    check_queries,
    check_record,
    check_tags,
    distinct,
    encode_metadata,
    is_id,
)
from index.rows import to_row
from index.segment_writer import sync_folder
from index.segments import Segments

MAX_PAGE = 1000

Convert = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray] | None]
Result = TypeVar("Result")


class EmbeddedIndex:
    """`engine.Index` over SQLite and FAISS in one folder; made by `open`, and a context manager."""

    @classmethod
    def open(
        cls,
        folder: Path,
        fingerprint: str,
        dimension: int,
        *,
        codec: str | None = None,
        device: Device = "auto",
        threads: int = 1,
        plan: Plan = DEFAULT_PLAN,
        hot_bytes: int = DEFAULT_HOT_BYTES,
    ) -> Self:
        """Opens a data directory, or makes one.

        fingerprint, dimension: of the model whose vectors it holds. codec: the caller's label for
        how arrays are coded; None takes any, and `codec` says which. device: where FAISS searches.
        threads: of a search with many queries; a single query always runs on one. plan: when a
        main segment is built, and how well. hot_bytes: of memory for what was fetched lately.
        Raises LockedError, FingerprintError, CodecError, FormatError, DamagedError, DeviceError,
        StorageError, and QueryError for an option out of its range.
        """
        for name, value in (("dimension", dimension), ("threads", threads)):
            if value < 1:
                raise QueryError(f"{name} must be at least 1, not {value}")
        chosen = choose_device(device)
        with ExitStack() as undo:
            with translated(folder):
                folder.mkdir(parents=True, exist_ok=True)
                lock = FolderLock(folder)
                undo.callback(lock.release)
            catalog = Catalog(folder, fingerprint, dimension, codec)
            undo.callback(catalog.close)
            with translated(folder):
                sync_folder(folder)
                sync_folder(folder.absolute().parent)
            segments = Segments(folder, fingerprint, dimension)
            segments.remove_all_but(catalog.segments().values())
            loader = Loader(catalog, segments, dimension, chosen, threads)
            live = Live(catalog, loader, HotRecords(hot_bytes))
            facts = {
                "engine": "embedded",
                "faiss_version": faiss.__version__,
                "device": chosen,
                "threads": threads,
                "fingerprint": fingerprint,
                "dimension": dimension,
                "format_version": FORMAT_VERSION,
            }
            index = cls(dimension, lock, catalog, segments, live, plan, facts)
            undo.pop_all()
        return index

    def __init__(
        self,
        dimension: int,
        lock: FolderLock,
        catalog: Catalog,
        segments: Segments,
        live: Live,
        plan: Plan,
        facts: Mapping[str, Any],
    ) -> None:
        """Takes over what `open` has opened."""
        self._dimension = dimension
        self._lock = lock
        self._catalog = catalog
        self._segments = segments
        self._live = live
        self._plan = plan
        self._facts = facts
        self._builder = Builder(live, segments, plan)
        # A segment may have been left out as damaged, or the process killed before one was built.
        self._builder.look()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Writing.

    def upsert(self, records: Sequence[Record]) -> builtins.list[bool]:
        """Adds or replaces all of them or none; True = new, False = replaced.

        Durable, and found by the next search, on return. Of an id that comes twice the last one
        stays. Raises RecordError naming item, field and limit, and StorageError; nothing is
        written then.
        """
        for record in records:
            check_record(record, self._dimension)
        last = {(record.kind, record.id): record for record in records}
        rows = [to_row(record) for record in last.values()]

        def write(changes: Changes) -> set[tuple[Kind, str]]:
            if not rows:
                return set()
            numbers, replaced = self._catalog.put(rows)
            for (kind, item_id), number in replaced.items():
                changes.remove(kind, [number], [item_id])
            for number, record in zip(numbers, last.values(), strict=True):
                changes.add(record.kind, [number], [record.id], [record.vector])
            return set(replaced)

        taken = self._write(write)
        new: builtins.list[bool] = []
        for record in records:
            new.append((record.kind, record.id) not in taken)
            taken.add((record.kind, record.id))
        return new

    def delete(self, kind: Kind, ids: Sequence[str]) -> int:
        """Deletes and tells how many of the ids existed; durable and gone from search on return."""
        check_kind(kind)
        distinct_ids = [item_id for item_id in dict.fromkeys(ids) if is_id(item_id)]

        def write(changes: Changes) -> int:
            numbers = self._catalog.delete(kind, distinct_ids)
            if numbers:
                changes.remove(kind, numbers, distinct_ids)
            return len(numbers)

        return self._write(write)

    def update_metadata(
        self,
        kind: Kind,
        item_id: str,
        metadata: Mapping[str, Any],
        tags: Sequence[str] | None = None,
    ) -> bool:
        """Replaces the metadata, and the tags when given; False when there is no such item.

        Durable on return. Raises RecordError, and StorageError.
        """
        check_kind(kind)
        text = encode_metadata(metadata)
        if tags is not None:
            check_tags(tags)
            tags = distinct(tags)
        if not is_id(item_id):
            return False
        found = attributes(json.loads(text))

        def write(changes: Changes) -> bool:
            there = self._catalog.update_metadata(kind, item_id, text, found, tags)
            if there:
                changes.renew(kind, [item_id])
            return there

        return self._write(write)

    # Reading: no method here waits for a write.

    def search(self, kind: Kind, vectors: np.ndarray, k: int, filter: Filter | None = None) -> Hits:
        """The k items of one kind with the largest inner products, for each of (n, d) float32.

        filter: only items that match it are looked at (`filter.py`), so k of them are found if
        there are k. Order is total: score descending, then id ascending. Raises QueryError.
        """
        check_kind(kind)
        check_queries(vectors, k, self._dimension)
        if filter is None:
            state = self._live.state
            parts = state.parts[kind]
        else:
            state, numbers = self._live.matching(kind, filter)
            parts = state.parts[kind].only(numbers)
        if filter is None and self._facts["device"] == "cuda":
            found = search_exactly(parts, vectors, k)
        else:
            found = search(
                parts,
                vectors,
                k,
                exact_rows=self._plan.exact_rows,
                threads=self._facts["threads"],
            )
            if filter is None:
                self._builder.monitor.offer(kind, parts, vectors, k, found)
        return Hits(
            [[item_id for _, item_id in hits] for hits in found],
            [np.array([score for score, _ in hits], np.float32) for hits in found],
            state.stamp.generation,
        )

    def get(self, kind: Kind, item_id: str) -> Record | None:
        """Everything about one item. Raises DamagedError."""
        check_kind(kind)
        return self._catalog.get(kind, item_id) if is_id(item_id) else None

    def fetch(
        self, kind: Kind, ids: Sequence[str], vectors: bool = False, arrays: bool = True
    ) -> builtins.list[Record | None]:
        """The items in the order asked, see `engine.py`. Raises DamagedError."""
        check_kind(kind)
        asked = [item_id for item_id in ids if is_id(item_id)]
        hot, read = self._live.hot, self._catalog
        found = hot.fetch(kind, asked, vectors, read.fetch) if arrays else read.rows(kind, asked)
        return [found.get(item_id) for item_id in ids]

    def list(self, kind: Kind, after: str | None = None, limit: int = 100) -> builtins.list[Record]:
        """A page in order of id, after that id, without vector, arrays and thumbnail.

        limit: 1 to 1,000. Raises QueryError.
        """
        check_kind(kind)
        if not 1 <= limit <= MAX_PAGE:
            raise QueryError(f"limit must be 1 to {MAX_PAGE}, not {limit}")
        if after is not None and not is_id(after):
            raise QueryError(f"after must be an id, not {after[:60]!a}")
        return self._catalog.page(kind, after, limit)

    def thumbnail(self, item_id: str) -> bytes | None:
        """The JPEG of a picture. Raises DamagedError."""
        return self._catalog.thumbnail(item_id) if is_id(item_id) else None

    def tag_counts(self, kind: Kind, filter: Filter | None = None) -> dict[str, int]:
        """How many items carry each tag, of those that match; most frequent first, then by name."""
        check_kind(kind)
        return self._catalog.tag_counts(kind, None if filter is None else compiled(kind, filter))

    def count(self, kind: Kind) -> int:
        """How many items of a kind a search sees."""
        check_kind(kind)
        return self._live.state.parts[kind].count

    def stats(self) -> dict[str, Any]:
        """What the index holds, where, and how it searches; `device` is the one really in use."""
        state = self._live.state
        mains = [parts.main for parts in state.parts.values() if parts.main is not None]
        return {
            **self._facts,
            "codec": self.codec,
            "bytes_per_item": self._catalog.bytes_per_item(),
            "counts": state.counts,
            "generation": state.stamp.generation,
            "writes_waiting": self._live.waiting,
            "segments": {kind: parts.facts for kind, parts in state.parts.items()},
            "building": self._builder.busy,
            "build_failures": dict(self._builder.failures),
            "measured_recall": self._builder.monitor.stats(),
            "bytes_on_disk": self._catalog.bytes_on_disk() + sum(m.bytes_on_disk for m in mains),
            "hot_records": self._live.hot.stats(),
            "bytes_in_memory": sum(parts.delta.matrix.nbytes for parts in state.parts.values()),
        }

    # Care.

    @property
    def codec(self) -> str | None:
        """The label of the codec of all arrays; None where nobody has said it yet."""
        return self._catalog.codec()[0]

    def recode(self, codec: str, convert: Convert) -> int:
        """Gives a collection without a codec this one; returns how many items had to change.

        convert: an item's arrays to the new ones, or None for those that are new already. A few
        hundred items are one transaction: after a kill the same call goes on. Damaged items are
        left as they are. Writes wait, searches don't. Raises CodecError for another codec than the
        collection's, RecordError, and StorageError.
        """
        changed = 0
        with self._live.exclusive():
            known, recoded = self._catalog.codec()
            if known not in (None, codec):
                raise CodecError(f"the items are stored by the codec {known}, not {codec}")
            if known is not None and recoded is None:
                return 0
            for last, part in self._catalog.arrays(after=recoded or 0):
                new = [(number, convert(arrays)) for number, arrays in part]
                blobs = [(number, pack(arrays)) for number, arrays in new if arrays is not None]
                with self._catalog.transaction():
                    self._catalog.set_arrays(blobs)
                    self._catalog.set_codec(codec, recoded=last)
                self._live.hot.clear()
                changed += len(blobs)
            with self._catalog.transaction():
                self._catalog.set_codec(codec, recoded=None)
        return changed

    def verify(self) -> Report:
        """Reads everything back: pages, checksums, and that FAISS holds what the catalog holds.

        Writes wait until it is done, searches don't.
        """
        with self._live.exclusive() as state:
            found = problems(self._catalog, self._segments, state.parts)
            return Report(state.counts, found)

    def rebuild(self) -> Report:
        """Throws away everything derived and makes it again from the catalog.

        Writes wait until the catalog is read; searches go on with the old vectors until the new
        ones are there. Raises DamagedError when the catalog itself is damaged, StorageError.
        """
        with self._builder.paused(), self._live.exclusive():
            self._live.forget_segments()
        self._builder.merge()
        return Report(self._live.state.counts, ())

    def backup(self, target: Path) -> None:
        """Makes the folder `target`, a consistent copy of the collection as it is now.

        Neither writes nor searches wait. `index.backup.restore` puts it back. Raises StorageError
        when the folder is there already or the disk refuses; there is no folder then.
        """
        backup(self._catalog.copy_to, target)

    def compact(self) -> None:
        """Merges everything into the main segments and gives free space back to the disk.

        Writes wait for the second part of it, searches don't. It takes twice the free space of the
        catalog while it lasts. Raises StorageError; nothing is lost then.
        """
        self._builder.merge()
        with self._live.exclusive():
            self._catalog.vacuum()

    def close(self) -> None:
        """Finishes the write in progress, gives up a build, lets go of files. Idempotent."""
        self._builder.close()
        with self._live.closing() as still_open:
            if not still_open:
                return
            self._catalog.close()
            self._lock.release()

    def _write(self, write: Callable[[Changes], Result]) -> Result:
        result = self._live.write(write)
        self._builder.look()
        return result
