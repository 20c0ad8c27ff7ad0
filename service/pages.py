"""The web page's files, served with validators so that a new version is seen at once."""

from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

PAGE_FOLDER = Path(__file__).resolve().parent / "page"


class PageFiles(StaticFiles):
    """Static files that a browser keeps and asks about (ETag) each time: no stale modules."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, or 304."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response
