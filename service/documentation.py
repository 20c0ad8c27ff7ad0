"""The assets of `/docs` and `/redoc`, bundled by fastapi-offline, with the last outside link cut.

ReDoc fetches its maker's logo from a CDN. A page of this service asks nobody else, so the logo's
address is replaced by an empty picture before the script is sent.
"""

from pathlib import Path

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from service.caching import validated

MOUNT = "static-offline-docs"
REDOC = "redoc.standalone.js"
LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
EMPTY_PICTURE = b"data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


class DocumentationAssets(StaticFiles):
    """The bundled files; ReDoc's script without its CDN."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file, or 304."""
        if path != REDOC:
            return await super().get_response(path, scope)
        script = without_logo((Path(str(self.directory)) / REDOC).read_bytes())
        return validated(script, "text/javascript", "no-cache", Headers(scope=scope))


def cut_outside_links(app: FastAPI) -> None:
    """Serves the assets of an app made by fastapi-offline through `DocumentationAssets`."""
    for route in app.routes:
        if isinstance(route, Mount) and route.name == MOUNT:
            assert isinstance(route.app, StaticFiles)
            route.app = DocumentationAssets(directory=route.app.directory)


def without_logo(script: bytes) -> bytes:
    """ReDoc's script with the logo's address replaced."""
    return script.replace(LOGO, EMPTY_PICTURE)
