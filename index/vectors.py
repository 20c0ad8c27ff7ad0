"""The vectors of one kind in memory: a flat matrix that is searched while it is written.

One writer, any number of searches, no lock between them. Rows are only ever appended behind those
that a published view shows; a replaced or deleted row is marked dead in the next view and stays
where it is, so a row number means the same vector for as long as anyone can see it. When a quarter
of the rows is dead, the living are copied to a new matrix; older views keep the old one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

MIN_DEAD_TO_COMPACT = 1024


@dataclass(frozen=True, eq=False)
class View:
    """One state, never changed once it is published.

    matrix: (rows, d) float32. numbers: (rows,) int64, ascending; the catalog's number of each row.
    alive: (rows,) bool. ids: at least `rows` of them. longest: at least the largest norm of a row.
    epoch: rises when row numbers change their meaning.
    """

    matrix: np.ndarray
    numbers: np.ndarray
    alive: np.ndarray
    ids: Sequence[str]
    longest: float
    epoch: int

    @property
    def rows(self) -> int:
        """Rows, dead ones included."""
        return len(self.matrix)

    @cached_property
    def count(self) -> int:
        """Rows alive."""
        return int(np.count_nonzero(self.alive))

    @cached_property
    def bits(self) -> np.ndarray:
        """(rows / 8,) uint8: `alive` as FAISS's bitmap of an ID selector."""
        return np.packbits(self.alive, bitorder="little")

    def only(self, numbers: np.ndarray) -> "View":
        """The same rows, of which only those with these numbers (ascending) are alive."""
        rows = self.rows_of(numbers)
        alive = np.zeros(self.rows, bool)
        alive[rows] = self.alive[rows]
        return replace(self, alive=alive)

    def without(self, numbers: np.ndarray) -> "View":
        """The same rows, those with these numbers dead; itself when none of them was alive."""
        rows = self.rows_of(numbers)
        if not self.alive[rows].any():
            return self
        alive = self.alive.copy()
        alive[rows] = False
        return replace(self, alive=alive)

    def rows_of(self, numbers: np.ndarray) -> np.ndarray:
        """The rows of those of the numbers that are here, dead or alive, in their order."""
        rows: np.ndarray = np.searchsorted(self.numbers, numbers)[self.holds(numbers)]
        return rows

    def holds(self, numbers: np.ndarray) -> np.ndarray:
        """(n,) bool: whether each number has a row here, dead or alive."""
        if self.rows == 0:
            return np.zeros(len(numbers), bool)
        rows = np.searchsorted(self.numbers, numbers)
        found: np.ndarray = self.numbers[np.minimum(rows, self.rows - 1)] == numbers
        return found


def empty_view(dimension: int) -> View:
    """A view of nothing."""
    return View(
        matrix=np.empty((0, dimension), np.float32),
        numbers=np.empty(0, np.int64),
        alive=np.empty(0, bool),
        ids=[],
        longest=0.0,
        epoch=0,
    )


class Vectors:
    """Writes go through here, one at a time: `prepare`, then `publish` or nothing."""

    def __init__(self, dimension: int, capacity: int = 0) -> None:
        """`capacity`: rows to make room for at once."""
        self._buffer = np.empty((capacity, dimension), np.float32)
        self._numbers = np.empty(capacity, np.int64)
        self._ids: list[str] = []
        self.view = replace(empty_view(dimension), ids=self._ids)

    def prepare(
        self, removed: Sequence[int], added: Sequence[int], ids: Sequence[str], vectors: np.ndarray
    ) -> View:
        """The view after a write; nothing changes for anyone until it is published.

        removed: numbers to take out, also of `added`; unknown ones are ignored.
        added: numbers, ascending, above all that were here. ids: of each of them.
        vectors: (len(added), d) float32, copied. A view that is not published is forgotten.
        """
        if self.view.rows - self.view.count > max(MIN_DEAD_TO_COMPACT, self.view.rows // 4):
            self._compact()
        first = self.view.rows
        rows = first + len(added)
        self._reserve(rows)
        self._buffer[first:rows] = vectors
        self._numbers[first:rows] = added
        # What an unpublished view may have left behind goes.
        del self._ids[first:]
        self._ids.extend(ids)
        alive = np.ones(rows, bool)
        alive[:first] = self.view.alive
        view = View(
            matrix=self._buffer[:rows],
            numbers=self._numbers[:rows],
            alive=alive,
            ids=self._ids,
            longest=max(longest_of(vectors), self.view.longest),
            epoch=self.view.epoch,
        )
        alive[view.rows_of(np.array(removed, np.int64))] = False
        return view

    def publish(self, view: View) -> None:
        """Makes a prepared view the current one."""
        self.view = view

    def _reserve(self, rows: int) -> None:
        if rows <= len(self._buffer):
            return
        room = max(rows, len(self._buffer) * 3 // 2)
        buffer = np.empty((room, self._buffer.shape[1]), np.float32)
        numbers = np.empty(room, np.int64)
        buffer[: self.view.rows] = self.view.matrix
        numbers[: self.view.rows] = self.view.numbers
        self._buffer, self._numbers = buffer, numbers

    def _compact(self) -> None:
        """The same items on new rows. Nobody sees a difference but in speed."""
        living = np.flatnonzero(self.view.alive)
        ids = [self.view.ids[row] for row in living.tolist()]
        room = len(ids) * 5 // 4
        buffer = np.empty((room, self._buffer.shape[1]), np.float32)
        numbers = np.empty(room, np.int64)
        np.take(self.view.matrix, living, axis=0, out=buffer[: len(ids)])
        np.take(self.view.numbers, living, out=numbers[: len(ids)])
        self.view = View(
            matrix=buffer[: len(ids)],
            numbers=numbers[: len(ids)],
            alive=np.ones(len(ids), bool),
            ids=ids,
            longest=self.view.longest,
            epoch=self.view.epoch + 1,
        )
        self._buffer, self._numbers, self._ids = buffer, numbers, ids


def longest_of(vectors: np.ndarray) -> float:
    """The largest norm of (n, d) rows; 0 without any."""
    return float(np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=float).max(initial=0)))
