"""The OpenAPI document: the models of hand-read bodies, and problem details on every route."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from service import __version__, exchange, queries, schemas
from service.access import needed_access
from service.problems import MEDIA_TYPE

TITLE = "Sightline"
DESCRIPTION = """Finds photos with sentences and sentences with photos, and shows which region
answered which word.

Errors are problem details (RFC 9457): `type`, `title`, `status`, `detail`, and for wrong fields
`errors` with a JSON pointer to each. Every response carries `X-Request-ID`.

A service that has keys asks for one on every route but `/healthz` and `/readyz`: in
`Authorization: Bearer`, or in `X-API-Key`."""
TAGS = [
    {"name": "search", "description": "Pictures and sentences for a picture, a sentence, or both."},
    {"name": "images", "description": "The pictures of the collection."},
    {"name": "texts", "description": "The sentences of the collection."},
    {"name": "exchange", "description": "Embeddings and re-ranking for other systems."},
    {"name": "operations", "description": "For who runs the service."},
]
BODIES = (
    queries.TextQuery,
    queries.PictureQuery,
    queries.PictureQueryForm,
    queries.BatchQuery,
    exchange.EmbeddingsQuery,
    exchange.RerankQuery,
    schemas.TextItem,
    schemas.BulkTexts,
    schemas.PictureForm,
    schemas.BulkPictureItem,
    schemas.BulkPicturesForm,
    schemas.MetadataPatch,
    schemas.Problem,
)
BODY_ERRORS = {
    "400": "The body is not the JSON or the form that it says it is.",
    "413": "The body or the picture is over a limit.",
    "415": "The body has a type that this route doesn't read.",
    "422": "A field is wrong; `errors` names it and its limit.",
}
# Routes whose body may name a stored item, or a model.
NAMING_ITEMS = (
    *("/search/text-to-image", "/search/image-to-text"),
    *("/search/image-to-image", "/search/text-to-text"),
    *("/v1/embeddings", "/rerank"),
)
# Either of the two; a service without keys asks for none.
KEY_SCHEMES = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key of the service."},
    "keyHeader": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same key, for clients that can't send `Authorization`.",
    },
}
KEY_ERRORS = {
    "401": "The service has keys, and the request has none of them.",
    "403": "The key may only read, or a page of another site asks.",
}
BUSY = "Too many requests wait already; `Retry-After` says when to come back."
DRAINING = "The service is about to stop, or too many requests wait already."


def operation_name(route: APIRoute) -> str:
    """What generated clients call a route: the name of its function."""
    return route.name


def describe(app: FastAPI) -> dict[str, Any]:
    """The document, built once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=TITLE,
            version=__version__,
            summary="Image-text retrieval",
            description=DESCRIPTION,
            tags=TAGS,
            routes=app.routes,
        )
        _, definitions = models_json_schema(
            [(model, "validation") for model in BODIES],
            ref_template="#/components/schemas/{model}",
        )
        components = document.setdefault("components", {}).setdefault("schemas", {})
        for name, schema in definitions["$defs"].items():
            components.setdefault(name, schema)
        for name in ("HTTPValidationError", "ValidationError"):
            components.pop(name, None)
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                _add_problems(method, path, operation)
                _add_keys(method, path, operation)
        document["components"]["securitySchemes"] = KEY_SCHEMES
        app.openapi_schema = document
    return app.openapi_schema


def _add_problems(method: str, path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    if "requestBody" in operation:
        for status, description in BODY_ERRORS.items():
            responses[status] = _problem(description)
    elif operation.get("parameters"):
        responses["422"] = _problem(BODY_ERRORS["422"])
    if operation.get("parameters"):
        responses["414"] = _problem("The URL is over 64 KiB.")
    if ("{id}" in path and method != "put") or path in NAMING_ITEMS:
        responses["404"] = _problem("There is no item with this id, or no such model.")
    if path.startswith("/search/") and path != "/search/batch":
        responses["409"] = _problem("The cursor belongs to another search.")
        responses["410"] = _problem(
            "The index has changed since the cursor was made, or the query is no longer remembered."
        )
    if path not in ("/healthz", "/metrics"):
        responses["503"] = _problem(DRAINING if path == "/readyz" else BUSY)


def _add_keys(method: str, path: str, operation: dict[str, Any]) -> None:
    needed = needed_access(method.upper(), path)
    if needed is None:
        return
    operation["security"] = [{name: []} for name in KEY_SCHEMES]
    operation["responses"]["401"] = _problem(KEY_ERRORS["401"])
    if needed == "write":
        operation["responses"]["403"] = _problem(KEY_ERRORS["403"])


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}
