"""Many clients that search and write over HTTP for long, over a collection that stays as large.

Used by `test_busy.py` for seconds, and by `make soak` for minutes. Each client owns some items, so
it knows what each of its requests has to be answered with. All items and sentences come round
again, so that memory that grows is the service's own.
"""

import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

import httpx

from tests.helpers import Server, jpeg
from tests.process import resident_mib

ITEMS_A_CLIENT = 6
WORDS = ("dog", "child", "snow", "red", "coat", "beach", "runs", "jumps", "water", "street", "two")
TIMEOUT_S = 60.0
BETWEEN_LOOKS_S = 1.0


@dataclass
class Quarter:
    """What happened in a quarter of the time.

    seconds: of each answered request. refused: the same of each 503 with `Retry-After`. mib: the
    resident memory of the server at the end.
    """

    seconds: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    mib: float = 0.0

    def percentile(self, share: float) -> float:
        """The time, in seconds, within which this share of the requests was answered."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass
class Busy:
    """The four quarters, of which the first warms up."""

    quarters: tuple[Quarter, Quarter, Quarter, Quarter]
    quarter_s: float

    @property
    def slower(self) -> float:
        """The p99 of the last quarter over that of the second."""
        return self.quarters[3].percentile(0.99) / self.quarters[1].percentile(0.99)

    @property
    def larger(self) -> float:
        """The resident memory at the end over that after the first quarter."""
        return self.quarters[3].mib / self.quarters[0].mib

    @property
    def table(self) -> str:
        """A line for each quarter."""
        head = f"{'quarter':>8}{'requests':>10}{'a second':>10}{'503':>6}" + "".join(
            f"{name:>10}" for name in ("p50 ms", "p95 ms", "p99 ms", "MiB")
        )
        lines = [
            f"{number:>8}{len(one.seconds):>10,}{len(one.seconds) / self.quarter_s:>10.1f}"
            f"{len(one.refused):>6}"
            + "".join(f"{one.percentile(share) * 1000:>10.0f}" for share in (0.5, 0.95, 0.99))
            + f"{one.mib:>10.1f}"
            for number, one in enumerate(self.quarters, start=1)
        ]
        return "\n".join([head, *lines])


def keep_busy(server: Server, seconds: float, clients: int, seed: int) -> Busy:
    """Asks for so long. Raises AssertionError at the first answer that is wrong, with the seed."""
    busy = Busy((Quarter(), Quarter(), Quarter(), Quarter()), seconds / 4)
    with ExitStack() as connections:
        asking = [_client(connections, server, number, seed) for number in range(clients)]
        for client in asking:
            client.fill()
        _ask_for(busy, asking, server, seconds, seed)
    return busy


def _client(connections: ExitStack, server: Server, number: int, seed: int) -> "Client":
    http = connections.enter_context(httpx.Client(base_url=server.url, timeout=TIMEOUT_S))
    return Client(number, http, random.Random(seed * 1000 + number))


def _ask_for(
    busy: Busy, asking: Sequence["Client"], server: Server, seconds: float, seed: int
) -> None:
    began = time.monotonic()
    stop = threading.Event()

    def quarter() -> Quarter:
        return busy.quarters[min(3, int((time.monotonic() - began) / busy.quarter_s))]

    def ask(client: Client) -> None:
        try:
            while not stop.is_set():
                asked = time.monotonic()
                is_answered = client.ask()
                now = quarter()
                (now.seconds if is_answered else now.refused).append(time.monotonic() - asked)
        except BaseException as error:
            after = time.monotonic() - began
            error.add_note(f"seed {seed}, client {client.number}, after {after:.1f} s")
            raise
        finally:
            stop.set()

    with ThreadPoolExecutor(len(asking)) as threads:
        running = [threads.submit(ask, client) for client in asking]
        while (left := began + seconds - time.monotonic()) > 0 and not stop.is_set():
            stop.wait(min(left, BETWEEN_LOOKS_S))
            quarter().mib = resident_mib(server.process.pid)
        stop.set()
        for one in running:
            one.result()


class Client:
    """One client, whose number is in the ids of its items.

    stored: which of its pictures and texts are there, as it was acknowledged.
    """

    def __init__(self, number: int, http: httpx.Client, chance: random.Random) -> None:
        self.number = number
        self._http = http
        self._chance = chance
        self._stored: set[str] = set()

    def fill(self) -> None:
        """Stores all of its items, so that the collection is as large at first as it will be."""
        for item in range(ITEMS_A_CLIENT):
            id_ = f"{self.number}-{item}"
            assert self._put_text_at(id_)
            assert self._put_picture_at(id_)

    def ask(self) -> bool:
        """One request, chosen by chance. False when the service was busy and said so.

        Raises AssertionError for another answer than what was asked for has.
        """
        kinds = (self._search, self._search_by_picture, self._search_many, self._search_filtered)
        others = (self._put_text, self._put_picture, self._patch, self._delete, self._look)
        weights = (30, 8, 4, 16, 12, 6, 8, 8, 8)
        (chosen,) = self._chance.choices((*kinds, *others), weights)
        return chosen()

    def _sentence(self) -> str:
        return " ".join(self._chance.choices(WORDS, k=self._chance.randint(1, 6)))

    def _item(self) -> tuple[str, str]:
        """One of this client's own items: its kind and id."""
        kind = self._chance.choice(("images", "texts"))
        return kind, f"{self.number}-{self._chance.randrange(ITEMS_A_CLIENT)}"

    def _call(
        self, expected: int, method: str, path: str, **content: object
    ) -> httpx.Response | None:
        answer = self._http.request(method, path, **content)  # type: ignore[arg-type]
        if answer.status_code == 503 and "retry-after" in answer.headers:
            return None
        assert answer.status_code == expected, (method, path, answer.status_code, answer.text)
        return answer

    def _search(self) -> bool:
        path = self._chance.choice(("text-to-image", "text-to-text"))
        explain = self._chance.random() < 0.2
        body = {"query": self._sentence(), "k": 10, "explain": explain}
        return self._call(200, "POST", f"/search/{path}", json=body) is not None

    def _search_by_picture(self) -> bool:
        path = self._chance.choice(("image-to-text", "image-to-image"))
        files = {"image": jpeg(self._chance.randrange(20))}
        return self._call(200, "POST", f"/search/{path}", files=files) is not None

    def _search_many(self) -> bool:
        queries = [{"search": "text-to-image", "query": self._sentence()} for _ in range(4)]
        answer = self._call(200, "POST", "/search/batch", json={"queries": queries})
        if answer is None:
            return False
        statuses = {item["status"] for item in answer.json()["items"]}
        assert statuses <= {200, 503}, statuses
        return statuses == {200}

    def _search_filtered(self) -> bool:
        body = {
            "query": self._sentence(),
            "filter": {"field": "client", "equals": self.number},
            "k": 2 * ITEMS_A_CLIENT,
        }
        answer = self._call(200, "POST", "/search/text-to-image", json=body)
        if answer is None:
            return False
        # All of its own, none of anybody else's.
        found = {f"images/{result['id']}" for result in answer.json()["results"]}
        assert found == {one for one in self._stored if one.startswith("images/")}
        return True

    def _put(self, kind: str, id_: str, **content: object) -> bool:
        name = f"{kind}/{id_}"
        expected = 200 if name in self._stored else 201
        if self._call(expected, "PUT", f"/{name}", **content) is None:
            return False
        self._stored.add(name)
        return True

    def _put_text(self) -> bool:
        return self._put_text_at(self._item()[1])

    def _put_text_at(self, id_: str) -> bool:
        body = {"text": self._sentence(), "metadata": {"client": self.number}}
        return self._put("texts", id_, json=body)

    def _put_picture(self) -> bool:
        return self._put_picture_at(self._item()[1])

    def _put_picture_at(self, id_: str) -> bool:
        form = {"metadata": f'{{"client": {self.number}}}'}
        files = {"image": jpeg(self._chance.randrange(20))}
        return self._put("images", id_, files=files, data=form)

    def _patch(self) -> bool:
        kind, id_ = self._item()
        expected = 200 if f"{kind}/{id_}" in self._stored else 404
        patch = {"seen": self._chance.randrange(100)}
        path = f"/{kind}/{id_}/metadata"
        return self._call(expected, "PATCH", path, json=patch) is not None

    def _delete(self) -> bool:
        kind, id_ = self._item()
        name = f"{kind}/{id_}"
        if self._call(204 if name in self._stored else 404, "DELETE", f"/{name}") is None:
            return False
        self._stored.discard(name)
        return True

    def _look(self) -> bool:
        path = self._chance.choice(("/stats", "/tags", "/images?limit=20", "/metrics", "/readyz"))
        return self._call(200, "GET", path) is not None
