"""The outermost middleware: every request is counted and timed, refused ones too."""

import time
from collections.abc import Sequence

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.running import Running

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# Of a request whose client was gone before there was an answer; nginx's number for it.
HUNG_UP = 499
NO_ROUTE = "none"


class Watch:
    """Tells `Metrics` of each request by the template of its route, its method and its status.

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
        status = HUNG_UP
        begun = time.perf_counter()

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            took = time.perf_counter() - begun
            route = scope.get("route") or self._route_of(asked)
            template = getattr(route, "path", NO_ROUTE)
            running.collection.metrics.request(template, method_of(scope), status, took)

    def _route_of(self, asked: Scope) -> BaseRoute | None:
        matches = (route for route in self._routes if route.matches(asked)[0] is not Match.NONE)
        return next(matches, None)


def method_of(scope: Scope) -> str:
    """The method, or `other` for one that a client made up."""
    method: str = scope["method"]
    return method if method in METHODS else "other"
