"""One line for each request: what was asked for, what came of it, and how long it took.

A route is logged by its template, so neither ids of items nor query strings are in the log.
"""

import logging

from starlette.types import Scope

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


def tell(scope: Scope, route: str | None, status: int | None, sent: int, seconds: float) -> None:
    """Logs a request that is over.

    route: what `route_of` said, or where the request would have gone; None for nowhere. status:
    None where nothing was answered. sent: bytes of the answer's body.
    """
    state = scope.get("state", {})
    key = state.get("key_name")
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
