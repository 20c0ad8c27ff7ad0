"""A request whose client hangs up is called off; every other is answered."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from service.leaving import Leaving

pytestmark = pytest.mark.anyio

SCOPE = {"type": "http", "method": "POST", "path": "/"}
BODY = [
    {"type": "http.request", "body": b"a", "more_body": True},
    {"type": "http.request", "body": b"b", "more_body": False},
]


class Client:
    """Sends a body, and hangs up when it is told to."""

    def __init__(self) -> None:
        self._body = iter(BODY)
        self.hangs_up = asyncio.Event()
        self.answered: list[str] = []

    async def receive(self) -> MutableMapping[str, Any]:
        message = next(self._body, None)
        if message is not None:
            return dict(message)
        await self.hangs_up.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.answered.append(message["type"])


class App:
    """Reads the body and then works until it may end."""

    def __init__(self) -> None:
        self.reads = True
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        self.was_cancelled = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while self.reads:
            message = await receive()
            body += message["body"]
            if not message["more_body"]:
                assert body == b"ab"
                break
        self.begun.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        await send({"type": "http.response.start"})


async def test_work_for_a_client_that_hangs_up_is_cancelled() -> None:
    client, app = Client(), App()
    request = asyncio.ensure_future(Leaving(app)(SCOPE, client.receive, client.send))
    await app.begun.wait()
    client.hangs_up.set()
    with pytest.raises(ClientDisconnect):
        await request
    assert app.was_cancelled
    assert client.answered == []


async def test_a_client_that_stays_is_answered_and_nobody_listens_on() -> None:
    client, app = Client(), App()
    others = asyncio.all_tasks()
    request = asyncio.ensure_future(Leaving(app)(SCOPE, client.receive, client.send))
    await app.begun.wait()
    app.may_end.set()
    await request
    assert client.answered == ["http.response.start"]
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == others


async def test_a_server_that_stops_is_not_taken_for_a_client_that_left() -> None:
    client, app = Client(), App()
    request = asyncio.ensure_future(Leaving(app)(SCOPE, client.receive, client.send))
    await app.begun.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request


async def test_a_body_that_nobody_reads_is_left_where_it_is() -> None:
    client, app = Client(), App()
    app.reads = False
    request = asyncio.ensure_future(Leaving(app)(SCOPE, client.receive, client.send))
    await app.begun.wait()
    app.may_end.set()
    await request
    assert (await client.receive())["body"] == b"a"


async def test_what_is_tidied_up_after_an_answer_is_not_called_off() -> None:
    client = Client()
    tidied = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        await asyncio.sleep(0)
        await send({"type": "http.response.start"})
        await send({"type": "http.response.body", "body": b""})
        client.hangs_up.set()
        for _ in range(5):
            await asyncio.sleep(0)
        tidied.set()

    await Leaving(app)(SCOPE, client.receive, client.send)
    assert tidied.is_set()
