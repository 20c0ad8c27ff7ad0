"""`nprobe` for a recall target, found on vectors that taught the index nothing."""

import threading
from dataclasses import replace

import numpy as np

from index.errors import ClosedError
from index.flat import SPARE, nearest_on_cpu
from index.flat import search as search_flat
from index.inverted import TUNED_K, Inverted
from index.ranking import Hit, scored
from index.vectors import View

_HELD_OUT = 200


def held_out_rows(rows: int) -> np.ndarray:
    """The rows that are asked for: at most a tenth, at most 200, spread at random."""
    count = min(_HELD_OUT, rows // 10)
    return np.sort(np.random.default_rng(7).choice(rows, count, replace=False))


def tuned(
    faiss_index: object, view: View, held_out: np.ndarray, target: float, stop: threading.Event
) -> Inverted:
    """The index with the fewest lists to probe that reach the target, and the recall measured.

    view: all rows, alive. target: recall at 100 of exact search, over 0, at most 1; at 1, and
    where there are too few rows to measure, every list is probed. Raises ClosedError.
    """
    every = Inverted(faiss_index, nprobe=1, recall=None)
    every = replace(every, nprobe=every.lists)
    if len(held_out) == 0:
        return every
    trial = _Trial(view, held_out)
    low, high = 0, 1
    while high < every.lists and target < 1:
        _check(stop)
        if trial.recall(replace(every, nprobe=high)) >= target:
            break
        low, high = high, min(2 * high, every.lists)
    high = every.lists if target == 1 else high
    while target < 1 and high - low > max(1, high // 16):
        _check(stop)
        middle = (low + high) // 2
        if trial.recall(replace(every, nprobe=middle)) >= target:
            high = middle
        else:
            low = middle
    best = replace(every, nprobe=high)
    return replace(best, recall=trial.recall(best))


def share_found(found: list[Hit], exact: list[Hit]) -> float:
    """The recall of one search: hits as good as the last of the exact ones, by their share.

    By score, since of equal vectors either is right.

    >>> share_found([(3.0, "a"), (1.0, "d")], [(3.0, "a"), (2.0, "b")])
    0.5
    """
    return sum(score >= exact[-1][0] for score, _ in found) / len(exact)


class _Trial:
    """Held-out rows as queries, each with its exact answer. A row itself is no part of either."""

    def __init__(self, view: View, held_out: np.ndarray) -> None:
        self._view = view
        self._rows = held_out
        self._queries = view.matrix[held_out]
        self._k = min(TUNED_K, view.rows - 1)
        exact = search_flat(view, self._queries, self._k + 1, nearest_on_cpu(1))
        self._exact = [self._others(hits, row) for hits, row in zip(exact, held_out, strict=True)]

    def recall(self, inverted: Inverted) -> float:
        """Mean share of the exact answers that the index finds."""
        take = min(self._k + self._k // 4 + SPARE, self._view.rows)
        rows = inverted.nearest(self._view, self._queries, TUNED_K, take, threads=1)
        shares = []
        for query, own, row, exact in zip(
            self._queries, rows, self._rows, self._exact, strict=True
        ):
            hits = scored(self._view, query, own[own >= 0])
            shares.append(share_found(self._others(hits, row), exact))
        return float(np.mean(shares))

    def _others(self, hits: list[Hit], row: int) -> list[Hit]:
        own = self._view.ids[row]
        return [hit for hit in hits if hit[1] != own][: self._k]


def _check(stop: threading.Event) -> None:
    if stop.is_set():
        raise ClosedError("the index is closed")
