"""A bounded pool: work off the event loop, and a plain no when too much of it waits.

Who holds what: `_places` counts running and waiting jobs. It is taken on the event loop, without
blocking, and given back by the thread that ends the job (or by the cancelling task while the job
still waits). Nothing else is shared.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from service.errors import OverloadedError

P = ParamSpec("P")
R = TypeVar("R")


class BoundedPool:
    """Threads with a queue of limited length in front of them."""

    def __init__(self, name: str, workers: int, waiting: int, retry_after_s: int) -> None:
        self._name = name
        self._workers = workers
        self._limit = workers + waiting
        self._retry_after_s = retry_after_s
        self._lock = threading.Lock()
        self._places = 0
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix=name)

    async def run(self, job: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The job's result, computed on one of the threads; a job that still waits is cancelled
        with its task.

        Raises OverloadedError at once if the queue is full, and whatever the job raises.
        """
        return await asyncio.wrap_future(self.submit(job, *args, **kwargs))

    def submit(self, job: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Puts a job into the queue. Raises OverloadedError if that is full."""
        with self._lock:
            if self._places >= self._limit:
                raise OverloadedError(
                    f"{self._limit} requests are already {self._name}; come back in "
                    f"{self._retry_after_s} s",
                    self._retry_after_s,
                )
            self._places += 1
        future = self._threads.submit(job, *args, **kwargs)
        future.add_done_callback(self._leave)
        return future

    def load(self) -> dict[str, int]:
        """Workers, jobs running or waiting now, and the most there may be."""
        with self._lock:
            return {"workers": self._workers, "jobs": self._places, "limit": self._limit}

    def close(self) -> None:
        """Lets running jobs end; those that wait are cancelled."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _leave(self, _: Future[R]) -> None:
        with self._lock:
            self._places -= 1
