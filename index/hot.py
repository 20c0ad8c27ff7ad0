"""Records that were fetched lately, kept as they were decoded: what is found often is read once.

A record that comes out is the object that came out before, until a write changes its item; so
whoever keeps something for one of its arrays can know it again.

Who holds what, and why: all is under `_lock`, taken for dictionary work alone. `_epoch` is odd
while a write commits, from before until it is certain what it has changed: nothing comes out or
goes in then. A reader that found some of its records here and read others from the catalog puts
those in under the epoch of its beginning. If that is over, a write may lie between the two halves,
and it reads everything again, so that it sees one state.
"""

import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from index.changes import Changes
from index.errors import QueryError
from index.records import Kind, Record

DEFAULT_HOT_BYTES = 128 * 2**20
# What a record takes besides its arrays, text and metadata, roughly.
_OBJECTS_BYTES = 2048


class HotRecords:
    """At most so many bytes of records, those that were asked for last. Safe for threads."""

    def __init__(self, most_bytes: int) -> None:
        """most_bytes: 0 keeps nothing. Raises QueryError for less."""
        if most_bytes < 0:
            raise QueryError(f"hot_bytes must be at least 0, not {most_bytes}")
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._epoch = 0
        # Each with its bytes: counting them takes too long to do it under the lock.
        self._records: OrderedDict[tuple[Kind, str], tuple[Record, int]] = OrderedDict()
        self._bytes = 0
        self._hits = self._misses = 0

    def fetch(
        self,
        kind: Kind,
        ids: Sequence[str],
        vectors: bool,
        read: Callable[[Kind, Sequence[str], bool], dict[str, Record]],
    ) -> dict[str, Record]:
        """Those of the items that exist, by id, all of one state.

        vectors: only records that have theirs. read: gets those that aren't here, from one state.
        """
        found, epoch = self._known(kind, ids, vectors)
        missing = [item_id for item_id in ids if item_id not in found]
        if not missing:
            return found
        fresh = read(kind, missing, vectors)
        if self._most_bytes:
            fresh = {item_id: _alone(record) for item_id, record in fresh.items()}
        if self._keep(kind, fresh, epoch) or not found:
            return found | fresh
        # A write came between: half of this may be older than the other half.
        return read(kind, ids, vectors)

    @contextmanager
    def committing(self, changes: Changes) -> Iterator[None]:
        """Around a commit, by the one writer: what the changes renew is gone afterwards.

        If the block raises, everything is.
        """
        with self._lock:
            self._epoch += 1
        renewed = None
        try:
            yield
            renewed = changes.renewed
        finally:
            with self._lock:
                for key in list(self._records) if renewed is None else renewed:
                    self._drop(key)
                self._epoch += 1

    def clear(self) -> None:
        """Forgets everything, outside of a commit."""
        with self._lock:
            self._records.clear()
            self._bytes = 0
            self._epoch += 2

    def stats(self) -> dict[str, int]:
        """Records and bytes held, the most bytes, and how often a record was and wasn't here."""
        with self._lock:
            return {
                "records": len(self._records),
                "bytes": self._bytes,
                "most_bytes": self._most_bytes,
                "hits": self._hits,
                "misses": self._misses,
            }

    def _known(
        self, kind: Kind, ids: Sequence[str], vectors: bool
    ) -> tuple[dict[str, Record], int]:
        found: dict[str, Record] = {}
        with self._lock:
            if self._epoch % 2 == 0:
                for item_id in ids:
                    kept = self._records.get((kind, item_id))
                    if kept is not None and (len(kept[0].vector) or not vectors):
                        self._records.move_to_end((kind, item_id))
                        found[item_id] = kept[0]
            self._hits += len(found)
            self._misses += len(ids) - len(found)
            return found, self._epoch

    def _keep(self, kind: Kind, records: Mapping[str, Record], epoch: int) -> bool:
        """Keeps what was read since this epoch; False when it is over."""
        sized = [(item_id, record, _bytes_of(record)) for item_id, record in records.items()]
        with self._lock:
            if epoch != self._epoch or epoch % 2:
                return False
            for item_id, record, size in sized:
                self._drop((kind, item_id))
                self._records[kind, item_id] = record, size
                self._bytes += size
            while self._bytes > self._most_bytes:
                self._drop(next(iter(self._records)))
            return True

    def _drop(self, key: tuple[Kind, str]) -> None:
        kept = self._records.pop(key, None)
        if kept is not None:
            self._bytes -= kept[1]


def _alone(record: Record) -> Record:
    """The record without what its arrays share with those that were decoded with it."""
    arrays = {name: _own(array) for name, array in record.arrays.items()}
    return replace(record, arrays=arrays)


def _own(array: np.ndarray) -> np.ndarray:
    own = array.copy() if isinstance(array.base, np.ndarray) else array
    own.flags.writeable = False
    return own


def _bytes_of(record: Record) -> int:
    arrays = sum(array.nbytes for array in record.arrays.values())
    told = sys.getsizeof(record.text) + _bytes_within(record.metadata)
    return arrays + record.vector.nbytes + told + _OBJECTS_BYTES


def _bytes_within(value: Any) -> int:
    """What a value out of JSON takes in memory, with all that it holds."""
    total, parts = 0, [value]
    while parts:
        part = parts.pop()
        total += sys.getsizeof(part)
        match part:
            case Mapping():
                parts += [*part.keys(), *part.values()]
            case list():
                parts += part
    return total
