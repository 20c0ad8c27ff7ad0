"""A client that goes away stops costing: what its request still waits for is called off.

A server goes on computing an answer that nobody will read, since it only learns that when it sends.
Here somebody listens meanwhile. Jobs that wait in a pool's queue are cancelled with the request;
one that already has a thread ends on its own, and a write that has begun is done whole.
"""

import asyncio

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Leaving:
    """Cancels a request whose client hangs up after its body has come. Plain ASGI.

    Raises ClientDisconnect then.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = asyncio.current_task()
        assert request is not None
        has_left = False
        listening: asyncio.Task[None] | None = None

        async def listen() -> None:
            nonlocal has_left
            # Behind the body nothing but this can come.
            while (await receive())["type"] != "http.disconnect":
                pass
            has_left = True
            request.cancel()

        async def receive_and_listen() -> Message:
            nonlocal listening
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                listening = asyncio.create_task(listen())
            return message

        async def send_and_stop_listening(message: Message) -> None:
            # After the answer there is nothing left to call off but tidying up.
            ends = message["type"] == "http.response.body" and not message.get("more_body", False)
            if ends and listening is not None:
                listening.cancel()
            await send(message)

        try:
            await self._app(scope, receive_and_listen, send_and_stop_listening)
        except asyncio.CancelledError:
            # Whoever else cancels, a server that stops, means something else by it.
            if not has_left or request.uncancel():
                raise
            raise ClientDisconnect from None
        finally:
            if listening is not None:
                listening.cancel()
