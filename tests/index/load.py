"""Searches and writes at the same time, each answer held to the state that it says it is of.

Used by `test_live.py` for seconds, and by `make soak` for a minute.

Each writer owns some items and writes all of them at once: in step n they get a vector whose first
coordinate is n, and every third step deletes half of them instead. So a search tells from its
scores which step of each writer it has seen, and a mixture of two steps is noticed.
"""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from index.embedded import EmbeddedIndex
from index.filter import Tagged
from index.records import Record
from tests.index.samples import DIMENSION, record

ITEMS = 12
# Asks for the first coordinate, so that a score is a step.
STEP = np.eye(1, DIMENSION, dtype=np.float32)


@dataclass(frozen=True)
class Load:
    """What was done, and the last generation."""

    searches: int
    writes: int
    generation: int


class _Seen:
    """The steps that each generation was seen with, by all searchers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: dict[int, dict[int, int]] = {}

    def agree(self, generation: int, steps: Mapping[int, int]) -> None:
        """One generation is one state, whoever looks, and with whichever filter."""
        with self._lock:
            known = self._steps.setdefault(generation, {})
            for writer, step in steps.items():
                assert known.setdefault(writer, step) == step, (generation, known, steps)

    def check_order(self) -> None:
        """Later generations are later states."""
        last: dict[int, int] = {}
        for generation in sorted(self._steps):
            for writer, step in self._steps[generation].items():
                assert step >= last.get(writer, 0), (generation, writer)
                last[writer] = step


def run(index: EmbeddedIndex, seconds: float, searchers: int, writers: int) -> Load:
    """Searches and writes for so long. Raises AssertionError at the first answer that is of no
    state, is older than what was acknowledged before it was asked, or goes back in time.
    """
    until = time.monotonic() + seconds
    acknowledged = [1] * writers
    seen = _Seen()
    for writer in range(writers):
        index.upsert(_items(writer, 1))

    def write(writer: int) -> int:
        step = 1
        while time.monotonic() < until:
            step += 1
            if step % 3 == 0:
                gone = _ids(writer)[: ITEMS // 2]
                assert index.delete("image", gone) == len(gone)
            else:
                index.upsert(_items(writer, step))
            acknowledged[writer] = step
        return step

    def search(searcher: int) -> int:
        count, last = 0, 0
        # Some look at one writer's items alone, through a filter.
        own = searcher % (writers + 1)
        looked_at = range(writers) if own == writers else [own]
        chosen = None if own == writers else Tagged((f"w{own}",))
        while time.monotonic() < until:
            known = list(acknowledged)
            hits = index.search("image", STEP, 999, chosen)
            assert hits.generation >= last, "an answer of an earlier generation"
            last = hits.generation
            steps = _steps(hits.ids[0], hits.scores[0], looked_at)
            assert all(step >= known[writer] for writer, step in steps.items())
            seen.agree(hits.generation, steps)
            fetched = index.fetch("image", hits.ids[0])
            for stored, score in zip(fetched, hits.scores[0].tolist(), strict=True):
                assert stored is None or stored.metadata["step"] >= score
            count += 1
        return count

    with ThreadPoolExecutor(searchers + writers) as threads:
        writing = [threads.submit(write, writer) for writer in range(writers)]
        searching = [threads.submit(search, searcher) for searcher in range(searchers)]
        writes = sum(done.result() for done in writing)
        searches = sum(done.result() for done in searching)
    seen.check_order()
    return Load(searches, writes, index.stats()["generation"])


def _ids(writer: int) -> list[str]:
    return [f"w{writer}-{n:02d}" for n in range(ITEMS)]


def _items(writer: int, step: int) -> list[Record]:
    vector = np.full(DIMENSION, step, np.float32)
    return [
        record(id_, vector=vector, metadata={"step": step}, tags=(f"w{writer}",))
        for id_ in _ids(writer)
    ]


def _steps(ids: list[str], scores: np.ndarray, looked_at: range | list[int]) -> dict[int, int]:
    """The step of each writer, when what was found is exactly what the writer then had."""
    steps: dict[int, int] = {}
    found = dict(zip(ids, scores.tolist(), strict=True))
    for writer in looked_at:
        own = {id_: found.pop(id_) for id_ in _ids(writer) if id_ in found}
        (step,) = set(own.values())
        kept = _ids(writer)[ITEMS // 2 :]
        if list(own) == kept:
            # The vectors are those of the step before the deletion.
            steps[writer] = int(step) + 1
        else:
            assert list(own) == _ids(writer), (writer, sorted(own))
            steps[writer] = int(step)
    assert not found, "items that were not asked for"
    return steps
