"""What waits for the same work is done together; nothing waits for company.

Each item brings a turn into the pool's queue, so the pool's limit is the limit here, and items take
their turn with all other work. A turn belongs to no item: when it gets a thread it takes those that
have waited longest, as many as go together. Then there are more turns in the queue than items that
wait, and the last of them are called off, or they would only fill it.

Who holds what, and why nothing is stranded: `_waiting` and `_turns` change under `_lock`, which
nobody keeps while working. Of the turns that no thread has begun, never more are called off than
leave one for each item that waits; and one that has begun takes an item if any waits. So there are
always as many turns to come as items. A future is settled by the thread that took its item, or
cancelled by its task before that.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.pool import BoundedPool

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class _Waiting(Generic[Item, Result]):
    """An item with its result to be."""

    item: Item
    result: Future[Result]


class Batcher(Generic[Item, Result]):
    """One kind of work in a pool, done for several items at once."""

    def __init__(
        self, pool: BoundedPool, work: Callable[[Sequence[Item]], Sequence[Result]], most: int
    ) -> None:
        """work: a result for each item, in order. most: items of one call, at least 1."""
        self._pool, self._work, self._most = pool, work, most
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting[Item, Result]] = deque()
        self._turns: list[Future[None]] = []

    async def run(self, item: Item) -> Result:
        """The item's result. An item whose task is cancelled while it waits is left out.

        Raises OverloadedError at once if the pool's queue is full, and whatever the work raises.
        """
        result: Future[Result] = Future()
        with self._lock:
            turn = self._pool.submit(self._take_turn)
            self._turns.append(turn)
            self._waiting.append(_Waiting(item, result))
        turn.add_done_callback(self._end_with_the_pool)
        return await asyncio.wrap_future(result)

    def _take_turn(self) -> None:
        wanted: list[_Waiting[Item, Result]] = []
        with self._lock:
            while self._waiting and len(wanted) < self._most:
                waiting = self._waiting.popleft()
                # From here on its task can't call it off.
                if waiting.result.set_running_or_notify_cancel():
                    wanted.append(waiting)
            to_come = [turn for turn in self._turns if not (turn.running() or turn.done())]
            needed = len(self._waiting)
            self._turns = to_come[:needed]
        for turn in to_come[needed:]:
            turn.cancel()
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

    def _end_with_the_pool(self, turn: Future[None]) -> None:
        """A pool that closes cancels the turns to come: then nothing takes what waits."""
        if not turn.cancelled():
            return
        with self._lock:
            if turn not in self._turns:
                return
            self._turns.remove(turn)
            waiting = self._waiting.pop()
        waiting.result.cancel()
