"""Which methods a path answers, for `Allow` of a refusal (RFC 9110, section 15.5.6)."""

from collections.abc import Iterable

from starlette.routing import BaseRoute, Match
from starlette.types import Scope


def allowed_methods(scope: Scope, routes: Iterable[BaseRoute]) -> list[str]:
    """The methods of all routes at a request's path, in order of the alphabet.

    The framework names those of the first route that fits, though a path has a route for each.
    """
    asked = {name: scope[name] for name in ("type", "path", "root_path", "method")}
    found: set[str] = set()
    for route in routes:
        if route.matches(asked)[0] is not Match.NONE:
            found.update(getattr(route, "methods", None) or ())
    if "GET" in found:
        found.add("HEAD")
    return sorted(found)
