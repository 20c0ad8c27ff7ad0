"""What waits for the same work is done together; nothing waits for company.

Each item brings a job of its own into the pool's queue, its turn, so the pool's limit is the limit
here, and items take their turn with all other work. A turn that gets a thread takes every item that
waits, not only the one that brought it, and calls off the turns of those: nothing would be left for
them but to fill the queue.

Who holds what: `_waiting` is filled on the event loop and emptied by the pool's threads, under
`_lock`, which nobody keeps while working. A future is settled by the thread that took its item, or
cancelled by its task before that.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.pool import BoundedPool

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class _Waiting(Generic[Item, Result]):
    """An item with its result to be, and its turn in the pool's queue."""

    item: Item
    result: Future[Result]
    turn: Future[None]

    def is_wanted(self) -> bool:
        """Whether its task still waits for it; from then on it can't call it off."""
        wanted = self.result.set_running_or_notify_cancel()
        self.turn.cancel()
        return wanted


class Batcher(Generic[Item, Result]):
    """One kind of work in a pool, done for several items at once."""

    def __init__(
        self, pool: BoundedPool, work: Callable[[Sequence[Item]], Sequence[Result]], most: int
    ) -> None:
        """work: a result for each item, in order. most: items of one call, at least 1."""
        self._pool, self._work, self._most = pool, work, most
        self._lock = threading.Lock()
        self._waiting: list[_Waiting[Item, Result]] = []

    async def run(self, item: Item) -> Result:
        """The item's result. An item whose task is cancelled while it waits is left out.

        Raises OverloadedError at once if the pool's queue is full, and whatever the work raises.
        """
        result: Future[Result] = Future()
        with self._lock:
            turn = self._pool.submit(self._take_turn)
            self._waiting.append(_Waiting(item, result, turn))
        # A pool that closes cancels the turns that wait, and so what waits for them.
        turn.add_done_callback(lambda turn: turn.cancelled() and result.cancel())
        return await asyncio.wrap_future(result)

    def _take_turn(self) -> None:
        with self._lock:
            taken, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        wanted = [waiting for waiting in taken if waiting.is_wanted()]
        if not wanted:
            return
        try:
            results = self._work([waiting.item for waiting in wanted])
        except BaseException as error:
            for waiting in wanted:
                waiting.result.set_exception(error)
            raise
        for waiting, result in zip(wanted, results, strict=True):
            waiting.result.set_result(result)
