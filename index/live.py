"""What searches see, and how a write changes it: the concurrency of the embedded engine.

Who holds what, and why:

- `_writing` (a lock) is held by whoever commits, from before the transaction begins until its
  state is published, and by verify, rebuild, vacuum and close. So there is one writer at a time,
  and the order of generations is the order of commits. Encoding a record takes no lock. Writes
  queue up before the lock; who gets it commits all that wait (`group.py`).
- `_building` (a lock, in `builder.py`) is held while a main segment is built and swapped in, so
  there is one build at a time. A build reads immutable views; it takes `_writing` for the swap
  alone, in the time that it takes to mark what has died meanwhile. Who needs both locks takes
  `_building` first.
- `state` is what searches see: immutable views and their generation, replaced in one assignment.
  A search reads it once and takes no lock, so it never waits for a write and never sees half of
  one. What it reads stays in memory, or mapped, until it is done (`vectors.py`, `segment.py`); the
  files of a segment that was replaced are deleted at once, and stay readable while mapped.
- A write prepares its views, commits (SQLite returns after fsync), then publishes. When the commit
  fails nothing was published; after it publishing can't fail. So a search sees a write only when
  it is durable, and whoever was told "done" finds it in the next search.
- A swap is a write of its own: it names the new segment in the catalog and makes a generation.
- Reads of the catalog use connections of their own (`connections.py`): WAL gives each statement
  the last commit, whole, without waiting. They may be one write ahead of a search that is running,
  so an item deleted in between is None in the fetch of its hits.
- Records that were fetched are kept (`hot.py`) until a write renews their items; that is settled
  after the commit and before its publication, so whoever was told "done" fetches what was written.
- A filter is asked of the catalog in a read transaction that begins in the very state that is
  searched (`matching`), however long either takes.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from index.catalog import Catalog
from index.changes import Changes, VectorChanges
from index.derived import Loader
from index.errors import ClosedError
from index.filter import Filter
from index.filter_sql import Condition, compiled
from index.group import Pending, Queue, run_group
from index.hot import HotRecords
from index.matches import Matches
from index.parts import Parts
from index.reads import Stamp
from index.records import KINDS, Kind
from index.segment import Segment
from index.vectors import Vectors, empty_view

# How often a filter meets a commit that is not yet published before it waits for the writer.
_TRIES = 100

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class State:
    """One committed state, as searches see it. Never changed."""

    stamp: Stamp
    parts: Mapping[Kind, Parts]

    @property
    def counts(self) -> dict[Kind, int]:
        """Items of each kind."""
        return {kind: parts.count for kind, parts in self.parts.items()}


class Live:
    """Keeps what is searched in step with the catalog.

    Raises DamagedError when the catalog is damaged.
    """

    def __init__(self, catalog: Catalog, loader: Loader, hot: HotRecords) -> None:
        self._catalog = catalog
        self._loader = loader
        self.hot = hot
        self._writing = threading.Lock()
        self._queue = Queue()
        self._matches = Matches()
        self._closed = False
        self._deltas: dict[Kind, Vectors] = {}
        self._state = self._loaded()

    @property
    def state(self) -> State:
        """The last published state. Raises ClosedError."""
        if self._closed:
            raise ClosedError("the index is closed")
        return self._state

    @property
    def waiting(self) -> int:
        """Writes that wait for a commit."""
        return len(self._queue)

    @contextmanager
    def exclusive(self) -> Iterator[State]:
        """The writer's lock, for the block, and the state as it stays. Raises ClosedError."""
        with self._writing:
            self._follow_catalog()
            yield self.state

    def write(self, write: Callable[[Changes], Result]) -> Result:
        """Runs a write inside a transaction; it is durable and searched when this returns.

        Other writes that wait may share the transaction. Raises what the write raises, and
        StorageError; nothing of it has happened then.
        """
        pending = Pending(write)
        self._queue.put(pending)
        with self._writing:
            if not pending.done:
                self._commit(self._queue.take_all())
        return pending.result()

    def matching(self, kind: Kind, tree: Filter) -> tuple[State, np.ndarray]:
        """A state, and the numbers (ascending) of the items that match in exactly this state."""
        condition = compiled(kind, tree)
        for _ in range(_TRIES):
            state = self.state
            numbers = self._matching(kind, condition, state.stamp)
            if numbers is not None:
                return state, numbers
        with self.exclusive() as state:
            numbers = self._matching(kind, condition, state.stamp)
            assert numbers is not None, "the writer's lock keeps state and catalog together"
            return state, numbers

    def swap(self, kind: Kind, segment: Segment | None) -> None:
        """Puts a new main segment, built of an earlier state, in the place of the one in use.

        What was written since then is kept: later items in the delta, later deletions as dead
        rows. None: everything goes to the delta. Raises StorageError; nothing has changed then.
        """
        with self.exclusive() as state:
            old = state.parts[kind]
            main_view = empty_view(self._loader.dimension) if segment is None else segment.view
            delta = Vectors(self._loader.dimension)
            for view in (old.main_view, old.delta):
                rows = np.flatnonzero(view.alive)
                later = rows[~main_view.holds(view.numbers[rows])]
                ids = [view.ids[row] for row in later.tolist()]
                delta.publish(
                    delta.prepare((), view.numbers[later].tolist(), ids, view.matrix[later])
                )
            living = [view.numbers[view.alive] for view in (old.main_view, old.delta)]
            main_view = main_view.only(np.concatenate(living))
            with self._catalog.transaction():
                self._catalog.set_segment(kind, None if segment is None else segment.token)
                stamp = self._catalog.advance()
            parts, self._deltas[kind] = self._loader.made(segment, main_view, delta)
            self._state = State(stamp, {**self._state.parts, kind: parts})

    def retune(self, kind: Kind, segment: Segment) -> None:
        """Puts the segment in use, with other figures of its index, in its own place."""
        with self.exclusive() as state:
            parts = replace(state.parts[kind], main=segment)
            self._state = State(state.stamp, {**state.parts, kind: parts})

    def forget_segments(self) -> None:
        """Makes everything that is searched anew from the catalog. Only inside `exclusive`.

        Raises DamagedError and StorageError.
        """
        if self._catalog.segments():
            with self._catalog.transaction():
                for kind in KINDS:
                    self._catalog.set_segment(kind, None)
                self._catalog.advance()
        self._state = self._loaded()

    @contextmanager
    def closing(self) -> Iterator[bool]:
        """Waits for the write in progress; the block gets False when it was all done before."""
        with self._writing:
            try:
                yield not self._closed
            finally:
                self._closed = True

    def _matching(self, kind: Kind, condition: Condition, stamp: Stamp) -> np.ndarray | None:
        known = self._matches.get(kind, condition, stamp)
        if known is not None:
            return known
        found = self._catalog.matching(kind, condition, stamp)
        if found is not None:
            self._matches.put(kind, condition, stamp, found)
        return found

    def _commit(self, group: Sequence[Pending[Any]]) -> None:
        try:
            self._follow_catalog()
            changes = Changes()
            with self.hot.committing(changes), self._catalog.transaction():
                stamp = run_group(self._catalog, group, changes)
                parts = {
                    kind: self._prepared(kind, of)
                    for kind, of in changes.of.items()
                    if of.removed or of.numbers
                }
            if stamp is not None:
                for kind, prepared in parts.items():
                    self._deltas[kind].publish(prepared.delta)
                self._state = State(stamp, {**self._state.parts, **parts})
        except BaseException as error:
            for pending in group:
                pending.refuse(error)
            raise
        for pending in group:
            pending.accept()

    def _prepared(self, kind: Kind, changes: VectorChanges) -> Parts:
        old = self._state.parts[kind]
        vectors = (
            np.stack(changes.vectors)
            if changes.vectors
            else np.empty((0, self._loader.dimension), np.float32)
        )
        return replace(
            old,
            main_view=old.main_view.without(np.array(changes.removed, np.int64)),
            delta=self._deltas[kind].prepare(
                changes.removed, changes.numbers, changes.ids, vectors
            ),
        )

    def _follow_catalog(self) -> None:
        if self.state.stamp != self._catalog.stamp():
            # A signal's exception came between a commit and its publication.
            self._state = self._loaded()

    def _loaded(self) -> State:
        # Nobody commits meanwhile: at opening, and inside `exclusive`.
        self.hot.clear()
        stamp = self._catalog.stamp()
        parts: dict[Kind, Parts] = {}
        for kind in KINDS:
            parts[kind], self._deltas[kind] = self._loader.load(kind)
        return State(stamp, parts)
