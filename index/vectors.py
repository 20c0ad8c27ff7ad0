"""The vectors of one kind in memory: a flat matrix that FAISS searches, and the order of hits.

One writer, any number of searches, no lock between them. Rows are only ever appended behind those
that a published view shows; a replaced or deleted row is marked dead in the next view and stays
where it is, so a row number means the same vector for as long as anyone can see it. When a quarter
of the rows is dead, the living are copied to a new matrix; older views keep the old one.

FAISS is used through its brute-force function rather than through `IndexFlatIP`: the same kernel
over the same layout, but over a matrix that we own, so that a search holds what it reads.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import faiss
import numpy as np

# Fetched beyond k, so that ties and roundings at the border hardly ever need a second search.
SPARE = 16
MIN_DEAD_TO_COMPACT = 1024
_UNIT_ROUNDOFF = 2.0**-24


@dataclass(frozen=True, eq=False)
class View:
    """One state, never changed once it is published.

    matrix: (rows, d) float32. alive: (rows,) bool. ids: at least `rows` of them.
    count: rows alive. longest: at least the largest norm of a row. epoch: rises when row numbers
    change their meaning.
    """

    matrix: np.ndarray
    alive: np.ndarray
    ids: Sequence[str]
    count: int
    longest: float
    epoch: int

    @property
    def rows(self) -> int:
        """Rows, dead ones included."""
        return len(self.matrix)


@dataclass(frozen=True, eq=False)
class Change:
    """A view that is ready to be published, and what the writer's own map has to learn then."""

    view: View
    removed: tuple[str, ...]
    added: tuple[str, ...]


# (view, queries (n, d), k) -> scores (n, k) and row numbers (n, k), best first, dead rows included.
Nearest = Callable[[View, np.ndarray, int], tuple[np.ndarray, np.ndarray]]


class Vectors:
    """Writes go through here, one at a time: `prepare`, then `publish` or nothing."""

    def __init__(self, dimension: int, capacity: int = 0) -> None:
        """`capacity`: rows to make room for at once."""
        self._buffer = np.empty((capacity, dimension), np.float32)
        self._ids: list[str] = []
        self._row_of: dict[str, int] = {}
        self.view = View(self._buffer[:0], np.empty(0, bool), self._ids, 0, 0.0, 0)

    def prepare(self, removed: Sequence[str], added: Sequence[str], vectors: np.ndarray) -> Change:
        """The view after a write; nothing changes for anyone until it is published.

        removed: ids to take out; unknown ones are ignored. added: distinct ids, new or replaced.
        vectors: (len(added), d) float32, copied. A change that is not published is forgotten.
        """
        if self.view.rows - self.view.count > max(MIN_DEAD_TO_COMPACT, self.view.rows // 4):
            self._compact()
        first = self.view.rows
        rows = first + len(added)
        self._reserve(rows)
        self._buffer[first:rows] = vectors
        # What an unpublished change may have left behind goes.
        del self._ids[first:]
        self._ids.extend(added)
        alive = np.ones(rows, bool)
        alive[:first] = self.view.alive
        gone = [self._row_of[id_] for id_ in {*removed, *added} if id_ in self._row_of]
        alive[gone] = False
        longest = float(
            np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=float).max(initial=0))
        )
        view = View(
            matrix=self._buffer[:rows],
            alive=alive,
            ids=self._ids,
            count=self.view.count - len(gone) + len(added),
            longest=max(longest, self.view.longest),
            epoch=self.view.epoch,
        )
        return Change(view, tuple(removed), tuple(added))

    def publish(self, change: Change) -> View:
        """Makes the change the current view."""
        for id_ in change.removed:
            self._row_of.pop(id_, None)
        first = change.view.rows - len(change.added)
        self._row_of.update(zip(change.added, range(first, change.view.rows), strict=True))
        self.view = change.view
        return self.view

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._row_of

    def vector(self, item_id: str) -> np.ndarray | None:
        """(d,) float32 as it is searched, or None. For the writer only."""
        row = self._row_of.get(item_id)
        return None if row is None else self.view.matrix[row]

    def _reserve(self, rows: int) -> None:
        if rows <= len(self._buffer):
            return
        larger = np.empty(
            (max(rows, len(self._buffer) * 3 // 2), self._buffer.shape[1]), np.float32
        )
        larger[: self.view.rows] = self.view.matrix
        self._buffer = larger

    def _compact(self) -> None:
        """The same items on new rows. Nobody sees a difference but in speed."""
        living = np.flatnonzero(self.view.alive)
        ids = [self.view.ids[row] for row in living.tolist()]
        buffer = np.empty((len(ids) * 5 // 4, self._buffer.shape[1]), np.float32)
        np.take(self.view.matrix, living, axis=0, out=buffer[: len(ids)])
        view = View(
            matrix=buffer[: len(ids)],
            alive=np.ones(len(ids), bool),
            ids=ids,
            count=len(ids),
            longest=self.view.longest,
            epoch=self.view.epoch + 1,
        )
        row_of = {id_: row for row, id_ in enumerate(ids)}
        self._buffer, self._ids, self._row_of, self.view = buffer, ids, row_of, view


def nearest_on_cpu(threads: int) -> Nearest:
    """FAISS's flat search on so many threads; more than one pays for batches only."""

    def nearest(view: View, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        # OpenMP keeps this number for each calling thread, so it is set where the search runs.
        faiss.omp_set_num_threads(threads)
        scores = np.empty((len(queries), k), np.float32)
        rows = np.empty((len(queries), k), np.int64)
        faiss.knn_inner_product(
            faiss.swig_ptr(queries),
            faiss.swig_ptr(view.matrix),
            queries.shape[1],
            len(queries),
            view.rows,
            k,
            faiss.swig_ptr(scores),
            faiss.swig_ptr(rows),
        )
        return scores, rows

    return nearest


def search(
    view: View, queries: np.ndarray, k: int, nearest: Nearest
) -> tuple[list[list[str]], list[np.ndarray]]:
    """The k best items of a view for each of (n, d) float32 queries: ids and float32 scores.

    Order is total: score descending, then id ascending, also across the k-th place. The last bits
    of FAISS's scores depend on the batch and the device, so its candidates are scored again in
    float64, and more are fetched until none that was left out could belong to the k best.
    """
    k = min(k, view.count)
    ids: list[list[str]] = [[] for _ in queries]
    scores: list[np.ndarray] = [np.empty(0, np.float32) for _ in queries]
    if k == 0:
        return ids, scores
    queries = np.ascontiguousarray(queries)
    margins = _rounding_margin(view, queries)
    open_queries = np.arange(len(queries))
    dead = view.rows - view.count
    take = min(k + SPARE + min(dead, k + SPARE), view.rows)
    while len(open_queries):
        approximate, rows = nearest(view, queries[open_queries], take)
        still_open: list[int] = []
        for place, number in enumerate(open_queries.tolist()):
            living = rows[place][view.alive[rows[place]]]
            exact = np.einsum("ij,j->i", view.matrix[living], queries[number], dtype=np.float64)
            best = _order(exact.astype(np.float32), [view.ids[row] for row in living.tolist()])[:k]
            everything = take == view.rows
            if everything or (
                len(best) == k and approximate[place, -1] < best[-1][0] - margins[number]
            ):
                ids[number] = [id_ for _, id_ in best]
                scores[number] = np.array([score for score, _ in best], np.float32)
            else:
                still_open.append(number)
        open_queries = np.array(still_open, dtype=np.intp)
        take = min(4 * take, view.rows)
    return ids, scores


def _order(scores: np.ndarray, ids: list[str]) -> list[tuple[float, str]]:
    return sorted(zip(scores.tolist(), ids, strict=True), key=lambda hit: (-hit[0], hit[1]))


def _rounding_margin(view: View, queries: np.ndarray) -> np.ndarray:
    """(n,) how far a float32 inner product, summed in any order, may be from the exact one.

    n u |x| |y| with u the unit roundoff (Higham, Accuracy and Stability, 3.1), and once more for
    the score that it is compared with.
    """
    norms = np.linalg.norm(queries.astype(np.float64), axis=1)
    return np.asarray(norms * (2.0 * queries.shape[1] * _UNIT_ROUNDOFF * view.longest))
