"""Kills a real server again and again, and looks at what it acknowledged.

Used by `test_service.py` with a few kills, and by `make soak` with more.
"""

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from index.records import KINDS, Kind
from service.collection import Collection, open_collection
from service.settings import Settings
from tests.helpers import Server, ServerStarter, jpeg, wait_until

WORKERS = 3
IDS_A_WORKER = 12
KILL_SECONDS = 60.0


@dataclass
class Worker:
    """A client that puts, changes and deletes items of its own.

    truth: the step that each of its items is of. done: steps that were acknowledged.
    """

    number: int
    truth: dict[str, int] = field(default_factory=dict)
    done: int = 0

    @property
    def kind(self) -> Kind:
        """Worker 0 writes pictures, the others texts."""
        return "image" if self.number == 0 else "text"

    def until_killed(self, url: str) -> None:
        """Goes on until the server is gone. Raises AssertionError when it refuses something."""
        with httpx.Client(base_url=url, timeout=KILL_SECONDS) as client:
            while True:
                try:
                    self._perform(client)
                except httpx.TransportError:
                    return
                self.apply()

    def apply(self) -> None:
        """The next step has happened."""
        id_, deletes = self._next()
        if deletes:
            self.truth.pop(id_, None)
        else:
            self.truth[id_] = self.done
        self.done += 1

    def has_happened(self, collection: Collection) -> bool:
        """Whether the next step has, told by what is stored.

        Raises AssertionError when what is stored is neither of before nor of after it.
        """
        stored = {
            one.id: one.metadata["step"]
            for one in collection.index.list(self.kind, limit=1000)
            if one.id.startswith(f"{self.number}-")
        }
        if stored == self.truth:
            return False
        after = Worker(self.number, dict(self.truth), self.done)
        after.apply()
        assert stored == after.truth, (self.number, self.done, self.truth)
        return True

    def _next(self) -> tuple[str, bool]:
        """The item of the next step, and whether it is deleted."""
        chance = random.Random(self.number * 1_000_000 + self.done)
        return f"{self.number}-{chance.randrange(IDS_A_WORKER)}", chance.random() < 0.3

    def _perform(self, client: httpx.Client) -> None:
        id_, deletes = self._next()
        path = f"/{self.kind}s/{id_}"
        metadata = {"step": self.done}
        if deletes:
            expected = 204 if id_ in self.truth else 404
            response = client.delete(path)
        else:
            expected = 200 if id_ in self.truth else 201
            response = client.put(path, **self._content(metadata))
        assert response.status_code == expected, response.text

    def _content(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """Another text or picture at each step, so that each is encoded."""
        if self.kind == "text":
            return {"json": {"text": f"step {self.done}", "metadata": metadata}}
        data = jpeg(self.done)
        return {"files": {"image": data}, "data": {"metadata": json.dumps(metadata)}}


@dataclass
class ServerTally:
    """What happened. unacknowledged: steps that were stored in the moment of a kill."""

    kills: int = 0
    acknowledged: int = 0
    unacknowledged: int = 0


def crash_servers(
    start: ServerStarter, kills: int, seed: int, tell: Callable[[ServerTally], None]
) -> ServerTally:
    """Starts and kills a server so many times. Raises AssertionError, with the seed and the number
    of the kill, at the first thing that is not as it was acknowledged.

    tell: called after each kill.
    """
    moment = random.Random(seed)
    settings = Settings(bundle=start.bundle, data_dir=start.data_dir, device="cpu")
    workers = [Worker(number) for number in range(WORKERS)]
    tally = ServerTally()
    for _ in range(kills):
        try:
            before = sum(worker.done for worker in workers)
            _run_and_kill(start(), workers, moment.randint(5, 40))
            tally.kills += 1
            tally.acknowledged += sum(worker.done for worker in workers) - before
            with open_collection(settings) as collection:
                for worker in workers:
                    if worker.has_happened(collection):
                        worker.apply()
                        tally.unacknowledged += 1
                _check_searches(collection)
                assert collection.index.verify().problems == ()
        except BaseException as error:
            error.add_note(f"seed {seed}, kill {tally.kills}")
            raise
        tell(tally)
    return tally


def _run_and_kill(server: Server, workers: list[Worker], steps: int) -> None:
    """Lets the workers write until so many more steps were acknowledged."""
    enough = sum(worker.done for worker in workers) + steps
    with ThreadPoolExecutor(len(workers)) as threads:
        running = [threads.submit(worker.until_killed, server.url) for worker in workers]
        try:
            wait_until(
                lambda: (
                    sum(worker.done for worker in workers) >= enough
                    or any(one.done() for one in running)
                ),
                KILL_SECONDS,
            )
        finally:
            server.kill()
        for one in running:
            one.result()


def _check_searches(collection: Collection) -> None:
    """What is stored is found by a search that asks for everything, and nothing else is."""
    query = np.ones((1, collection.matcher.dimension), np.float32)
    for kind in KINDS:
        stored = [one.id for one in collection.index.list(kind, limit=1000)]
        assert sorted(collection.index.search(kind, query, 1000).ids[0]) == stored
