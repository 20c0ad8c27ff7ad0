"""`nprobe` for a recall target, found on vectors that taught the index nothing.

And on queries that were really asked, once there are some: sentences are other vectors than
pictures, and what is near to one may lie in more lists than what is near to the other.
"""

import math
import threading
from dataclasses import replace
from typing import Any

import numpy as np

from index.errors import ClosedError
from index.flat import SPARE, nearest_on_cpu
from index.flat import search as search_flat
from index.inverted import TUNED_K, Inverted
from index.plan import AsQueries
from index.ranking import Hit, scored
from index.vectors import View

_HELD_OUT = 200


def held_out_rows(rows: int) -> np.ndarray:
    """The rows that are asked for: at most a tenth, at most 200, spread at random."""
    count = min(_HELD_OUT, rows // 10)
    return np.sort(np.random.default_rng(7).choice(rows, count, replace=False))


def tuned(
    faiss_index: Any, trial: "Trial | None", target: float, stop: threading.Event
) -> Inverted:
    """The index with the fewest lists to probe that reach the target, and the recall measured.

    target: recall at 100 of exact search, over 0, at most 1. At 1, and without a trial, every list
    is probed. Where the codes are too coarse for the target, lists that add nothing aren't.
    Raises ClosedError.
    """
    every = Inverted(faiss_index, nprobe=1, recall=None)
    every = replace(every, nprobe=every.lists)
    if trial is None:
        return every
    recall, at_least = trial.recall(every)
    if target == 1:
        return replace(every, recall=recall)
    reachable = min(target, at_least)

    def reaches(nprobe: int) -> bool:
        if stop.is_set():
            raise ClosedError("the index is closed")
        return trial.recall(replace(every, nprobe=nprobe))[1] >= reachable

    low, high = 0, 1
    while high < every.lists and not reaches(high):
        low, high = high, min(2 * high, every.lists)
    while high - low > max(1, high // 16):
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    best = replace(every, nprobe=high)
    return replace(best, recall=trial.recall(best)[0])


def share_found(found: list[Hit], exact: list[Hit]) -> float:
    """The recall of one search: hits as good as the last of the exact ones, by their share.

    By score, since of equal vectors either is right.

    >>> share_found([(3.0, "a"), (1.0, "d")], [(3.0, "a"), (2.0, "b")])
    0.5
    """
    return sum(score >= exact[-1][0] for score, _ in found) / len(exact)


class Trial:
    """Queries with their exact answers in a view of which every row is alive.

    queries: (n, d) float32. own: (n,) the row that a query was made of, which is no part of its
    answer, or -1.
    """

    def __init__(self, view: View, queries: np.ndarray, own: np.ndarray) -> None:
        self._view = view
        self._queries = queries
        self._own = own
        self._k = min(TUNED_K, view.rows - 1)
        exact = search_flat(view, queries, self._k + 1, nearest_on_cpu(1))
        self._exact = [self._others(hits, row) for hits, row in zip(exact, own, strict=True)]

    def recall(self, inverted: Inverted) -> tuple[float, float]:
        """Mean share of the exact answers that the index finds, and what it is at least.

        The latter is two standard errors below: a sample this small is lucky now and then.
        """
        take = min(self._k + self._k // 4 + SPARE, self._view.rows)
        found = inverted.nearest(self._view, self._queries, TUNED_K, take, threads=1)
        shares = []
        for query, rows, own, exact in zip(
            self._queries, found, self._own, self._exact, strict=True
        ):
            hits = scored(self._view, query, rows[rows >= 0])
            shares.append(share_found(self._others(hits, own), exact))
        mean = float(np.mean(shares))
        return mean, mean - 2 * float(np.std(shares)) / math.sqrt(len(shares))

    def _others(self, hits: list[Hit], own: int) -> list[Hit]:
        left_out = self._view.ids[own] if own >= 0 else None
        return [hit for hit in hits if hit[1] != left_out][: self._k]


def trial_of(
    view: View, held_out: np.ndarray, as_queries: AsQueries, asked: np.ndarray
) -> Trial | None:
    """Held-out rows as queries and (n, d) queries that were asked; None where there are too few.

    as_queries: what stored vectors, (n, d), look like when they ask.
    """
    if view.rows < 2 or len(held_out) + len(asked) == 0:
        return None
    queries = np.concatenate([as_queries(view.matrix[held_out]), asked]).astype(np.float32)
    return Trial(view, queries, np.concatenate([held_out, np.full(len(asked), -1)]))
