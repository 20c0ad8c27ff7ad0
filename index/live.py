"""What searches see, and how a write changes it: the concurrency of the embedded engine.

Who holds what, and why:

- `_writing` (a lock) is held by whoever commits, from before the transaction begins until its
  state is published, and by verify, rebuild and close. So there is one writer at a time, and the
  order of generations is the order of commits. Encoding a record takes no lock. Writes queue up
  before the lock; who gets it commits all that wait (`group.py`).
- `_saving` (a lock) is held while the snapshot file is replaced or removed. Who needs both locks
  takes `_writing` first.
- `state` is what searches see: immutable views and their generation, replaced in one assignment.
  A search reads it once and takes no lock, so it never waits for a write and never sees half of
  one. What it reads stays in memory until it is done (`vectors.py`).
- A write prepares its views, commits (SQLite returns after fsync), then publishes. When the commit
  fails nothing was published; after it publishing can't fail. So a search sees a write only when
  it is durable, and whoever was told "done" finds it in the next search.
- Reads of the catalog use connections of their own (`connections.py`): WAL gives each statement
  the last commit, whole, without waiting. They may be one write ahead of a search that is running,
  so an item deleted in between is None in the fetch of its hits.
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
from index.changes import Changes
from index.derived import from_catalog, load
from index.device import UsedDevice, nearest_on
from index.errors import ClosedError
from index.filter import Filter
from index.group import Pending, Queue, run_group
from index.nearest import Nearest
from index.reads import Stamp
from index.records import KINDS, Kind
from index.snapshot import Snapshot
from index.vectors import Vectors, View

# How often a filter meets a commit that is not yet published before it waits for the writer.
_TRIES = 100

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class State:
    """One committed state, as searches see it. Never changed."""

    stamp: Stamp
    views: Mapping[Kind, View]
    # Beside the views, because a copy on a GPU follows the views of one set of vectors.
    nearest: Mapping[Kind, Nearest]

    @property
    def counts(self) -> dict[Kind, int]:
        """Items of each kind."""
        return {kind: self.views[kind].count for kind in KINDS}


class Live:
    """Keeps the vectors in memory in step with the catalog.

    At opening they come from the snapshot if it is of exactly the catalog's state, else from the
    catalog. Raises DamagedError when the catalog is damaged.
    """

    def __init__(
        self,
        catalog: Catalog,
        snapshot: Snapshot,
        dimension: int,
        device: UsedDevice,
        threads: int,
    ) -> None:
        self._catalog = catalog
        self._snapshot = snapshot
        self._dimension = dimension
        self._device = device
        self._threads = threads
        self._writing = threading.Lock()
        self._saving = threading.Lock()
        self._queue = Queue()
        self._closed = False
        self.vectors = load(catalog, snapshot, dimension)
        self._state = self._first_state()

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
    def exclusive(self) -> Iterator[dict[Kind, Vectors]]:
        """The writer's lock, for the block, and the vectors that it may ask. Raises ClosedError."""
        with self._writing:
            self._follow_catalog()
            yield self.vectors

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

    def matching(self, kind: Kind, tree: Filter) -> tuple["State", np.ndarray]:
        """A state, and the numbers (ascending) of the items that match in exactly this state."""
        for _ in range(_TRIES):
            state = self.state
            numbers = self._catalog.matching(kind, tree, state.stamp)
            if numbers is not None:
                return state, numbers
        with self.exclusive():
            numbers = self._catalog.matching(kind, tree, self.state.stamp)
            assert numbers is not None, "the writer's lock keeps state and catalog together"
            return self.state, numbers

    def restart(self) -> None:
        """Makes vectors and state anew from the catalog. Only inside `exclusive`."""
        self.vectors = from_catalog(self._catalog, self._dimension)
        self._state = self._first_state()

    def save(self) -> None:
        """Makes the snapshot one of the present state. Raises ClosedError, OSError."""
        with self._saving:
            state = self.state
            if not self._snapshot.is_of(state.stamp, state.counts):
                self._snapshot.save(state.stamp, state.views)

    def forget_snapshot(self) -> None:
        """Removes the snapshot. Raises OSError."""
        with self._saving:
            self._snapshot.remove()

    @contextmanager
    def closing(self) -> Iterator[bool]:
        """Waits for the write in progress; the block gets False when it was all done before."""
        with self._writing:
            try:
                yield not self._closed
            finally:
                self._closed = True

    def _commit(self, group: Sequence[Pending[Any]]) -> None:
        try:
            self._follow_catalog()
            changes = Changes()
            with self._catalog.transaction():
                stamp = run_group(self._catalog, group, changes)
                views = {
                    kind: self.vectors[kind].prepare(
                        of.removed, of.numbers, of.ids, self._stacked(of.vectors)
                    )
                    for kind, of in changes.of.items()
                    if of.removed or of.numbers
                }
            if stamp is not None:
                self._publish(stamp, views)
        except BaseException as error:
            for pending in group:
                pending.refuse(error)
            raise
        for pending in group:
            pending.accept()

    def _publish(self, stamp: Stamp, views: Mapping[Kind, View]) -> None:
        for kind, view in views.items():
            self.vectors[kind].publish(view)
        self._state = replace(self._state, stamp=stamp, views={**self._state.views, **views})

    def _stacked(self, vectors: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack(vectors) if vectors else np.empty((0, self._dimension), np.float32)

    def _follow_catalog(self) -> None:
        if self.state.stamp != self._catalog.stamp():
            # A signal's exception came between a commit and its publication.
            self.restart()

    def _first_state(self) -> State:
        return State(
            stamp=self._catalog.stamp(),
            views={kind: vectors.view for kind, vectors in self.vectors.items()},
            nearest={kind: nearest_on(self._device, self._threads) for kind in KINDS},
        )
