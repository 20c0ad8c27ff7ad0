"""The items that filters have matched, remembered until the next write.

People ask one filter with many sentences. Finding a hundred thousand matches takes SQLite longer
than FAISS takes to search a million vectors.
"""

import threading
from collections import OrderedDict

import numpy as np

from index.filter_sql import Condition
from index.reads import Stamp
from index.records import Kind

# 8 bytes each.
MAX_NUMBERS = 4_000_000

_Key = tuple[Kind, Condition]


class Matches:
    """Numbers of matching items, by filter, of the last state that was asked for."""

    def __init__(self, most: int = MAX_NUMBERS) -> None:
        """`most`: numbers that are kept; those asked for longest ago go first."""
        self._most = most
        self._lock = threading.Lock()
        self._stamp: Stamp | None = None
        self._kept: OrderedDict[_Key, np.ndarray] = OrderedDict()

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
                self._stamp = stamp
            self._kept[kind, condition] = numbers
            while sum(map(len, self._kept.values())) > self._most:
                self._kept.popitem(last=False)
