"""The first stage's recall on live queries: now and then one is answered exactly as well."""

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from index.parts import Parts, search_exactly
from index.ranking import Hit
from index.records import KINDS, Kind
from index.tuning import share_found

_REMEMBERED = 200


@dataclass(frozen=True, eq=False)
class _Sample:
    kind: Kind
    parts: Parts
    query: np.ndarray
    k: int
    found: list[Hit]


class RecallMonitor:
    """A thread that answers a small sample of the queries exactly, with the state they have seen.

    At most one query in `every_s` seconds, and none while the last one is still being answered.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._changed = threading.Condition()
        self._waiting: _Sample | None = None
        self._busy = False
        self._closed = False
        self._next_s = time.monotonic()
        self._shares: dict[Kind, deque[float]] = {kind: deque(maxlen=_REMEMBERED) for kind in KINDS}
        # A daemon, so that a program that forgets to close the index can end.
        self._thread = threading.Thread(target=self._run, name="recall monitor", daemon=True)
        self._thread.start()

    def offer(
        self, kind: Kind, parts: Parts, queries: np.ndarray, k: int, found: list[list[Hit]]
    ) -> None:
        """A search that was answered: (n, d) queries and their hits. Returns at once."""
        if parts.main is None or not found or not found[0] or time.monotonic() < self._next_s:
            return
        with self._changed:
            if self._busy or self._closed:
                return
            self._busy = True
            self._next_s = time.monotonic() + self._every_s
            self._waiting = _Sample(kind, parts, queries[:1].copy(), k, found[0])
            self._changed.notify()

    def stats(self) -> dict[Kind, dict[str, Any]]:
        """Mean recall of the last queries of each kind that were also answered exactly."""
        with self._changed:
            return {
                kind: {"recall": float(np.mean(shares)), "queries": len(shares)}
                for kind, shares in self._shares.items()
                if shares
            }

    def close(self) -> None:
        """Waits for the answer under way."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._waiting is not None)
                if self._closed:
                    return
                sample, self._waiting = self._waiting, None
            assert sample is not None
            share = _share(sample)
            with self._changed:
                self._shares[sample.kind].append(share)
                self._busy = False


def _share(sample: _Sample) -> float:
    (exact,) = search_exactly(sample.parts, sample.query, sample.k)
    if sample.parts.main is not None:
        sample.parts.main.let_go()
    return share_found(sample.found, exact)
