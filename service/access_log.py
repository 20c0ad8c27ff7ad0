"""One line for each request: what was asked for, what came of it, and how long it took.

A route is logged by its template, so neither ids of items nor query strings are in the log.
"""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("sightline.access")


def route_of(scope: Scope) -> str | None:
    """The template of the route that a request went to, as in `/images/{id}`; None for none.

    What is mounted counts as one route, `/page/*`.
    """
    template: str | None = getattr(scope.get("route"), "path", None)
    if template is not None:
        return template
    mounted: str = scope.get("root_path", "").removeprefix(scope.get("app_root_path", ""))
    return f"{mounted}/*" if mounted else None


class AccessLog:
    """The outermost of all, so that it sees what is really sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not log.isEnabledFor(logging.INFO):
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status: int | None = None
        sent = 0

        async def send_counted(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_counted)
        finally:
            _tell(scope, status, sent, time.perf_counter() - begun)


def _tell(scope: Scope, status: int | None, sent: int, seconds: float) -> None:
    state = scope.get("state", {})
    route, key = route_of(scope), state.get("key_name")
    fields = {
        "method": scope["method"],
        "route": route,
        "status": status,
        "duration_ms": round(seconds * 1000, 1),
        "bytes": sent,
        "key": key,
    }
    log.info(
        "%s %s %s in %.1f ms, %d bytes%s",
        scope["method"],
        route or "(no route)",
        status or "(no answer)",
        seconds * 1000,
        sent,
        f", key {key}" if key else "",
        extra={"request_id": state.get("request_id"), "fields": fields},
    )
