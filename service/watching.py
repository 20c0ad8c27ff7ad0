"""The outermost middleware: each request is counted, timed, logged and traced, refused ones too."""

import time
from collections.abc import Sequence
from contextlib import nullcontext

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import access_log
from service.running import Running

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# Of a request whose client was gone before there was an answer; nginx's number for it.
HUNG_UP = 499


class Watch:
    """Tells `Metrics`, the log, and `Spans` if there are, what came of each request.

    routes: all there are. They are looked through for requests that were refused before one was
    chosen, and for files.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = [route for route in routes if hasattr(route, "path")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Before the lifespan begins there is nothing that could count.
        running: Running | None = getattr(scope["app"].state, "running", None)
        if scope["type"] != "http" or running is None:
            await self._app(scope, receive, send)
            return
        # Routing changes the scope.
        asked = dict(scope)
        status: int | None = None
        sent = 0
        begun = time.perf_counter()

        async def send_and_note(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            sent += len(message.get("body", b""))
            await send(message)

        spans = running.spans
        with nullcontext() if spans is None else spans.request(scope) as span:
            try:
                await self._app(scope, receive, send_and_note)
            finally:
                took = time.perf_counter() - begun
                # None where the client was gone, or where the server refused the rest of the body.
                status = status or scope.get("state", {}).get("refused")
                method = scope["method"] if scope["method"] in METHODS else None
                route = scope.get("route") or self._route_of(asked)
                template: str | None = getattr(route, "path", None)
                logged = access_log.route_of(scope) or template
                access_log.tell(scope, logged, status, sent, took)
                running.collection.metrics.request(template, method, status or HUNG_UP, took)
                if spans is not None and span is not None:
                    spans.answered(span, scope, method, template, status or HUNG_UP)

    def _route_of(self, asked: Scope) -> BaseRoute | None:
        matches = (route for route in self._routes if route.matches(asked)[0] is not Match.NONE)
        return next(matches, None)


def tell_of_refused(
    running: Running, request_id: str, status: int, sent: int, seconds: float
) -> None:
    """Tells of a request that the server refused before it could be read. sent: bytes."""
    scope = {"method": "-", "state": {"request_id": request_id}}
    access_log.tell(scope, None, status, sent, seconds)
    running.collection.metrics.request(None, None, status, seconds)
