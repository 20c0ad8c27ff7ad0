"""`/docs` and `/redoc`: pages with a policy of their own, and their assets, which fastapi-offline
bundles, with the last outside link cut.

ReDoc fetches its maker's logo from a CDN. A page of this service asks nobody else, so the logo's
address is replaced by an empty picture before the script is sent.
"""

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from service.caching import validated
from service.policies import REDOC_NEEDS, SWAGGER_UI_NEEDS, documentation_policy

MOUNT = "static-offline-docs"
OPENAPI = "/openapi.json"
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


def serve_documentation(app: FastAPI) -> None:
    """The two pages of an app made by fastapi-offline without its own."""
    _cut_outside_links(app)

    @app.get("/docs", include_in_schema=False)
    async def swagger_ui(request: Request) -> HTMLResponse:
        assets, document = _addresses(request)
        return _with_policy(
            get_swagger_ui_html(
                openapi_url=document,
                title=f"{app.title} - Swagger UI",
                swagger_js_url=f"{assets}/swagger-ui-bundle.js",
                swagger_css_url=f"{assets}/swagger-ui.css",
                swagger_favicon_url=f"{assets}/favicon.png",
            ),
            SWAGGER_UI_NEEDS,
        )

    @app.get("/redoc", include_in_schema=False)
    async def redoc(request: Request) -> HTMLResponse:
        assets, document = _addresses(request)
        return _with_policy(
            get_redoc_html(
                openapi_url=document,
                title=f"{app.title} - ReDoc",
                redoc_js_url=f"{assets}/{REDOC}",
                redoc_favicon_url=f"{assets}/favicon.png",
                with_google_fonts=False,
            ),
            REDOC_NEEDS,
        )


def _addresses(request: Request) -> tuple[str, str]:
    root = request.scope.get("root_path", "")
    return f"{root}/{MOUNT}", f"{root}{OPENAPI}"


def _with_policy(page: HTMLResponse, needs: str) -> HTMLResponse:
    html = bytes(page.body).decode()
    page.headers["Content-Security-Policy"] = documentation_policy(html, needs)
    return page


def _cut_outside_links(app: FastAPI) -> None:
    for route in app.routes:
        if isinstance(route, Mount) and route.name == MOUNT:
            assert isinstance(route.app, StaticFiles)
            route.app = DocumentationAssets(directory=route.app.directory)


def without_logo(script: bytes) -> bytes:
    """ReDoc's script with the logo's address replaced."""
    return script.replace(LOGO, EMPTY_PICTURE)
