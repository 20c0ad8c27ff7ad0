"""The bounded pool: off the event loop, never more than its places, always usable again."""

import asyncio
import threading

import pytest

from service.errors import OverloadedError
from service.pool import BoundedPool

pytestmark = pytest.mark.anyio


async def test_jobs_run_on_threads_of_the_pool() -> None:
    pool = BoundedPool("testing", 1, 0, 1)
    name = await pool.run(lambda: threading.current_thread().name)
    assert name.startswith("testing")
    pool.close()


async def test_a_full_queue_refuses_at_once_and_recovers() -> None:
    pool = BoundedPool("testing", 2, 3, 4)
    gate = threading.Event()
    jobs = [asyncio.ensure_future(pool.run(gate.wait)) for _ in range(5)]
    await asyncio.sleep(0)
    assert pool.load() == {"workers": 2, "jobs": 5, "limit": 5}
    with pytest.raises(OverloadedError, match="5 requests are already testing") as refusal:
        await pool.run(gate.wait)
    assert refusal.value.retry_after_s == 4
    gate.set()
    assert await asyncio.gather(*jobs) == [True] * 5
    assert await pool.run(lambda: "again") == "again"
    pool.close()


async def test_a_job_that_fails_gives_its_place_back() -> None:
    pool = BoundedPool("testing", 1, 0, 1)

    def fail() -> None:
        raise ValueError("of the job")

    for _ in range(3):
        with pytest.raises(ValueError, match="of the job"):
            await pool.run(fail)
    pool.close()
    assert pool.load()["jobs"] == 0


async def test_a_cancelled_job_gives_its_place_back() -> None:
    pool = BoundedPool("testing", 1, 1, 1)
    gate = threading.Event()
    running = asyncio.ensure_future(pool.run(gate.wait))
    waiting = asyncio.ensure_future(pool.run(gate.wait))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert pool.load()["jobs"] == 1
    gate.set()
    assert await running
    pool.close()
