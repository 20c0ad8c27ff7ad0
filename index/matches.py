"""The items that filters have matched, remembered until the next write.

People ask one filter with many sentences. Finding a hundred thousand matches takes SQLite longer
than FAISS takes to search a million vectors.
"""

import sys
import threading
from collections import OrderedDict

import numpy as np

from index.filter_sql import Condition
from index.reads import Stamp
from index.records import Kind

MAX_BYTES = 32 * 2**20
# What an entry takes besides its numbers and its condition, roughly.
_ENTRY_BYTES = 1024

_Key = tuple[Kind, Condition]


class Matches:
    """Numbers of matching items, by filter, of the last state that was asked for."""

    def __init__(self, most_bytes: int = MAX_BYTES) -> None:
        """most_bytes: of filters and numbers together; those asked for longest ago go first."""
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._stamp: Stamp | None = None
        self._kept: OrderedDict[_Key, np.ndarray] = OrderedDict()
        self._bytes = 0

    def get(self, kind: Kind, condition: Condition, stamp: Stamp) -> np.ndarray | None:
        """(n,) int64 of exactly this state, or None."""
        with self._lock:
            found = self._kept.get((kind, condition)) if stamp == self._stamp else None
            if found is not None:
                self._kept.move_to_end((kind, condition))
            return found

    def put(self, kind: Kind, condition: Condition, stamp: Stamp, numbers: np.ndarray) -> None:
        """Remembers what a filter matches in this state, and forgets other states."""
        with self._lock:
            if stamp != self._stamp:
                self._kept.clear()
                self._stamp, self._bytes = stamp, 0
            key = (kind, condition)
            if key in self._kept:
                self._bytes -= _bytes_of(condition, self._kept.pop(key))
            self._kept[key] = numbers
            self._bytes += _bytes_of(condition, numbers)
            while self._bytes > self._most_bytes:
                (_, oldest), forgotten = self._kept.popitem(last=False)
                self._bytes -= _bytes_of(oldest, forgotten)


def _bytes_of(condition: Condition, numbers: np.ndarray) -> int:
    parameters = sum(map(sys.getsizeof, condition.parameters))
    return numbers.nbytes + len(condition.sql) + parameters + _ENTRY_BYTES
