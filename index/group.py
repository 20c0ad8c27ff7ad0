"""Group commit: writes that come at the same time share a transaction and a sync of the disk."""

import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from index.catalog import Catalog
from index.changes import Changes
from index.errors import StoreError
from index.reads import Stamp

Result = TypeVar("Result")


class Pending(Generic[Result]):
    """A write that waits for its commit, then its outcome."""

    def __init__(self, write: Callable[[Changes], Result]) -> None:
        self.done = False
        self._write = write
        self._value: Result
        self._error: BaseException | None = None

    def run(self, changes: Changes) -> None:
        """Writes inside the open transaction."""
        self._value = self._write(changes)

    def accept(self) -> None:
        """It is committed and published."""
        self.done = True

    def refuse(self, error: BaseException) -> None:
        """It is undone."""
        self.done, self._error = True, error

    def result(self) -> Result:
        """What the write returned; raises what it was refused with."""
        match self._error:
            case None:
                return self._value
            case Exception():
                raise self._error
            case _:
                # The Ctrl-C of the thread that committed the group is not this thread's.
                raise StoreError("the write was interrupted; it may be stored or not")


class Queue:
    """Writes that wait, in the order in which they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Pending[Any]] = []

    def put(self, pending: Pending[Any]) -> None:
        """Adds one at the end."""
        with self._lock:
            self._waiting.append(pending)

    def __len__(self) -> int:
        return len(self._waiting)

    def take_all(self) -> list[Pending[Any]]:
        """Everything that waits; nothing does then."""
        with self._lock:
            group, self._waiting = self._waiting, []
        return group


def run_group(catalog: Catalog, group: Sequence[Pending[Any]], changes: Changes) -> Stamp | None:
    """Runs writes inside the open transaction, and returns the stamp of the last that changed
    something.

    A write that is refused is undone and told; the others go on. What they did is added to
    `changes`. Raises what ends the whole transaction.
    """
    stamp = None
    for pending in group:
        own = Changes()
        try:
            with catalog.savepoint():
                pending.run(own)
                if own.touched:
                    stamp = catalog.advance()
        except StoreError as error:
            if not catalog.in_transaction:
                # SQLite has undone everything, as after some errors of the disk.
                raise
            pending.refuse(error)
        else:
            changes.follow_with(own)
    return stamp
