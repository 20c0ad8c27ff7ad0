"""The batcher: what waits is worked on together, in the pool's limits, and nothing is lost."""

import asyncio
import sys
import threading
from collections.abc import Sequence

import pytest

from service.batcher import Batcher
from service.errors import OverloadedError
from service.pool import BoundedPool

pytestmark = pytest.mark.anyio


class Doubling:
    """Work that holds until it may go on, and keeps what it was called with."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.calls.append(list(items))
        self.begun.release()
        self.may_end.acquire()
        if 13 in items:
            raise ValueError("thirteen")
        return [2 * item for item in items]

    async def hold(self, batcher: Batcher[int, int], item: int) -> "asyncio.Future[int]":
        """Sends one item, and returns once it is worked on."""
        task = asyncio.ensure_future(batcher.run(item))
        await asyncio.to_thread(self.begun.acquire)
        return task


async def started(batcher: Batcher[int, int], items: Sequence[int]) -> "list[asyncio.Future[int]]":
    """Sends items that have to wait."""
    tasks = [asyncio.ensure_future(batcher.run(item)) for item in items]
    await asyncio.sleep(0)
    return tasks


async def test_an_item_is_worked_on_at_once_and_those_that_wait_are_together() -> None:
    pool, work = BoundedPool("doubling", 1, 10, 1), Doubling()
    batcher = Batcher(pool, work, 8)
    first = await work.hold(batcher, 1)
    others = await started(batcher, [2, 3, 4])
    work.may_end.release(2)
    assert await asyncio.gather(first, *others) == [2, 4, 6, 8]
    assert work.calls == [[1], [2, 3, 4]]
    pool.close()


async def test_no_call_has_more_than_the_limit() -> None:
    pool, work = BoundedPool("doubling", 1, 10, 1), Doubling()
    batcher = Batcher(pool, work, 2)
    first = await work.hold(batcher, 0)
    others = await started(batcher, [1, 2, 3, 4, 5])
    work.may_end.release(4)
    assert await asyncio.gather(first, *others) == [0, 2, 4, 6, 8, 10]
    assert work.calls == [[0], [1, 2], [3, 4], [5]]
    pool.close()


async def test_an_error_reaches_all_that_were_together_and_nobody_else() -> None:
    pool, work = BoundedPool("doubling", 1, 10, 1), Doubling()
    batcher = Batcher(pool, work, 8)
    first = await work.hold(batcher, 1)
    unlucky = await started(batcher, [12, 13])
    work.may_end.release(2)
    assert await first == 2
    for task in unlucky:
        with pytest.raises(ValueError, match="thirteen"):
            await task
    work.may_end.release()
    assert await batcher.run(5) == 10
    pool.close()


@pytest.mark.parametrize("most", [1, 8])
async def test_an_item_that_is_cancelled_while_it_waits_is_left_out(most: int) -> None:
    pool, work = BoundedPool("doubling", 1, 10, 1), Doubling()
    batcher = Batcher(pool, work, most)
    first = await work.hold(batcher, 1)
    second, third = await started(batcher, [2, 3])
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    work.may_end.release(2)
    assert await asyncio.gather(first, third) == [2, 6]
    assert work.calls == [[1], [3]]
    pool.close()
    assert pool.load()["jobs"] == 0


async def test_the_queue_is_that_of_the_pool() -> None:
    pool, work = BoundedPool("doubling", 1, 2, 7), Doubling()
    batcher = Batcher(pool, work, 8)
    first = await work.hold(batcher, 1)
    others = await started(batcher, [2, 3])
    with pytest.raises(OverloadedError) as refusal:
        await batcher.run(4)
    assert refusal.value.retry_after_s == 7
    work.may_end.release(2)
    assert await asyncio.gather(first, *others) == [2, 4, 6]
    pool.close()


async def test_items_that_were_taken_leave_their_places_in_the_queue() -> None:
    pool, work = BoundedPool("doubling", 1, 3, 7), Doubling()
    batcher = Batcher(pool, work, 8)
    tasks = [await work.hold(batcher, 1)]
    for begin in (10, 20, 30):
        tasks += await started(batcher, [begin, begin + 1, begin + 2])
        work.may_end.release()
        await asyncio.to_thread(work.begun.acquire)
        assert pool.load()["jobs"] == 1
    work.may_end.release()
    assert await asyncio.gather(*tasks) == [2, 20, 22, 24, 40, 42, 44, 60, 62, 64]
    assert work.calls == [[1], [10, 11, 12], [20, 21, 22], [30, 31, 32]]
    pool.close()


async def test_what_waits_when_the_pool_closes_is_cancelled() -> None:
    pool, work = BoundedPool("doubling", 1, 10, 1), Doubling()
    batcher = Batcher(pool, work, 8)
    first = await work.hold(batcher, 1)
    [second] = await started(batcher, [2])
    closing = asyncio.ensure_future(asyncio.to_thread(pool.close))
    with pytest.raises(asyncio.CancelledError):
        await second
    work.may_end.release()
    assert await first == 2
    await closing


@pytest.mark.parametrize("most", [1, 3])
async def test_with_threads_in_each_others_way_nothing_is_left_waiting(most: int) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    pool = BoundedPool("squaring", 2, 64, 1)
    batcher = Batcher(pool, lambda items: [sum(range(item)) for item in items], most)

    async def ask(number: int) -> None:
        for item in range(number, 4000, 16):
            assert await batcher.run(item) == item * (item - 1) // 2

    try:
        async with asyncio.timeout(30):
            await asyncio.gather(*map(ask, range(16)))
    finally:
        sys.setswitchinterval(interval)
    pool.close()
    assert pool.load()["jobs"] == 0
