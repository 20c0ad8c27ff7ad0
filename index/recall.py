"""The first stage's recall on live queries: now and then one is answered exactly as well."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from index.parts import Parts, search_exactly
from index.ranking import Hit
from index.records import KINDS, Kind
from index.tuning import share_found

# So many queries are remembered, and so many are enough to tell what recall they have.
_REMEMBERED = 200
ENOUGH = 50


@dataclass(frozen=True, eq=False)
class _Sample:
    kind: Kind
    parts: Parts
    query: np.ndarray
    k: int
    found: list[Hit]


@dataclass(frozen=True, eq=False)
class _Answer:
    query: np.ndarray
    share: float


class RecallMonitor:
    """A thread that answers a small sample of the queries exactly, with the state they have seen.

    At most one query in `every_s` seconds, and none while the last one is still being answered.
    """

    def __init__(self, every_s: float, on_answer: Callable[[], None]) -> None:
        """`on_answer`: is called after each exact answer, and returns at once."""
        self._every_s = every_s
        self._on_answer = on_answer
        self._changed = threading.Condition()
        self._waiting: _Sample | None = None
        self._busy = False
        self._closed = False
        self._next_s = time.monotonic()
        self._answers: dict[Kind, deque[_Answer]] = {
            kind: deque(maxlen=_REMEMBERED) for kind in KINDS
        }
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
                kind: {"recall": _mean(answers), "queries": len(answers)}
                for kind, answers in self._answers.items()
                if answers
            }

    def is_below(self, kind: Kind, target: float) -> bool:
        """Whether enough queries were answered to tell that their recall is below the target."""
        with self._changed:
            answers = self._answers[kind]
            return len(answers) >= ENOUGH and _mean(answers) < target

    def queries(self, kind: Kind) -> np.ndarray | None:
        """(n, d) float32, the queries remembered; None when there are too few to tell anything."""
        with self._changed:
            answers = self._answers[kind]
            return np.stack([one.query for one in answers]) if len(answers) >= ENOUGH else None

    def take(self, kind: Kind) -> np.ndarray:
        """(n, d) float32, the queries remembered, which are forgotten."""
        with self._changed:
            queries = np.stack([one.query for one in self._answers[kind]])
            self._answers[kind].clear()
            return queries

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
                self._answers[sample.kind].append(_Answer(sample.query[0], share))
                self._busy = False
            self._on_answer()


def _mean(answers: Iterable[_Answer]) -> float:
    return float(np.mean([one.share for one in answers]))


def _share(sample: _Sample) -> float:
    (exact,) = search_exactly(sample.parts, sample.query, sample.k)
    if sample.parts.main is not None:
        sample.parts.main.let_go()
    return share_found(sample.found, exact)
