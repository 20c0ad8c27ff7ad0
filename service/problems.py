"""Errors as RFC 9457 problem details: one table from the rooms' errors to status and title."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import Response
from pydantic import ValidationError

from index.errors import ClosedError, DamagedError, RecordError, StorageError, StorageFullError
from model.errors import PictureError, PictureTooLargeError
from service import errors
from service.schemas import BadField, Problem

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:sightline:problem:"


@dataclass(frozen=True)
class Kind:
    """One row of the table; `pointer` is the field at fault when the error itself names none."""

    status: int
    name: str
    title: str
    pointer: str | None = None


# The first class that an error is an instance of decides, so children stand before parents.
TABLE: tuple[tuple[type[Exception], Kind], ...] = (
    (errors.InvalidFieldsError, Kind(422, "invalid-fields", "Some fields are wrong")),
    (errors.NotFoundError, Kind(404, "not-found", "There is no such item")),
    (
        errors.CursorMismatchError,
        Kind(409, "cursor-mismatch", "The cursor belongs to another search", "/cursor"),
    ),
    (
        errors.CursorExpiredError,
        Kind(410, "cursor-expired", "What the cursor was made for is gone", "/cursor"),
    ),
    (errors.DuplicateError, Kind(409, "duplicate", "The id appears twice in the request", "/id")),
    (errors.UnsupportedTypeError, Kind(415, "unsupported-type", "The body has another type")),
    (errors.MalformedBodyError, Kind(400, "malformed-body", "The body can't be read")),
    (errors.BodyTooLargeError, Kind(413, "body-too-large", "The body is too large")),
    (errors.MissingKeyError, Kind(401, "missing-key", "A key is needed")),
    (errors.UnknownKeyError, Kind(401, "unknown-key", "There is no such key")),
    (errors.ReadOnlyKeyError, Kind(403, "read-only-key", "The key may only read")),
    (errors.CrossSiteError, Kind(403, "cross-site", "Another site may not change this collection")),
    (errors.OtherHostError, Kind(421, "other-host", "The service answers under another name")),
    (errors.OverloadedError, Kind(503, "overloaded", "The service is busy")),
    (errors.DrainingError, Kind(503, "draining", "The service is about to stop")),
    (PictureTooLargeError, Kind(413, "picture-too-large", "The picture is too large", "/image")),
    (PictureError, Kind(422, "bad-picture", "The file is not a readable picture", "/image")),
    (RecordError, Kind(422, "bad-record", "The item can't be stored")),
    (StorageFullError, Kind(507, "disk-full", "No space is left on the service's disk")),
    (StorageError, Kind(503, "storage", "The service's disk refuses")),
    (DamagedError, Kind(500, "damaged", "What is stored of an item is damaged")),
    (ClosedError, Kind(503, "closing", "The service is shutting down")),
)
KNOWN = tuple(error for error, _ in TABLE)
UNEXPECTED = Kind(500, "internal", "Something went wrong inside the service")


def kind_of(error: Exception) -> Kind:
    """The row of the table for an error; 500 for one that isn't in it."""
    return next((kind for cls, kind in TABLE if isinstance(error, cls)), UNEXPECTED)


def problem_of(error: Exception) -> Problem:
    """What the client is told. Errors that aren't in the table keep their words to the log."""
    kind = kind_of(error)
    if kind is UNEXPECTED:
        return _problem(kind, "The error is in the service's log under this request id.")
    if isinstance(error, errors.InvalidFieldsError):
        fields = [
            BadField(pointer=p.pointer, detail=p.detail, place=p.place) for p in error.problems
        ]
        return _problem(kind, str(error), fields)
    pointer = error.pointer if isinstance(error, errors.NotFoundError) else kind.pointer
    named = [BadField(pointer=pointer, detail=str(error))] if pointer else None
    return _problem(kind, str(error), named)


def problem_of_status(status: int, detail: str) -> Problem:
    """What the client is told when the framework itself refuses, as with an unknown path."""
    phrase = HTTPStatus(status).phrase
    return Problem(type="about:blank", title=phrase, status=status, detail=detail or phrase)


def headers_of(error: Exception) -> dict[str, str]:
    """Headers that belong to an error."""
    if isinstance(error, errors.OverloadedError):
        return {"Retry-After": str(error.retry_after_s)}
    # RFC 6750, section 3: a request without a key gets no error code.
    if isinstance(error, errors.MissingKeyError):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, errors.UnknownKeyError):
        return {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    if isinstance(error, errors.ReadOnlyKeyError):
        return {"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="write"'}
    return {}


def respond(
    problem: Problem, request_id: str | None, headers: Mapping[str, str] | None = None
) -> Response:
    """The problem as a response."""
    body = problem.model_copy(update={"request_id": request_id})
    return Response(body.model_dump_json(), problem.status, headers=headers, media_type=MEDIA_TYPE)


def field_problems(
    error: ValidationError, place: errors.Place = "body", below: str = ""
) -> list[errors.FieldProblem]:
    """Pydantic's findings as JSON pointers and words; the input itself is not repeated."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return [
        errors.FieldProblem(below + pointer_to(e["loc"]), _words(e["type"], e["msg"]), place)
        for e in found
    ]


def parameter_problems(found: Sequence[Mapping[str, Any]]) -> list[errors.FieldProblem]:
    """The framework's findings about parameters of the path and the query, in our shape."""
    return [
        errors.FieldProblem(pointer_to(e["loc"][1:]), _words(e["type"], e["msg"]), e["loc"][0])
        for e in found
    ]


def pointer_to(location: Sequence[str | int]) -> str:
    """A location as a JSON pointer.

    >>> pointer_to(("items", 3, "a/b"))
    '/items/3/a~1b'
    """
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in location)
    return "".join(f"/{part}" for part in parts)


def _words(kind: str, message: str) -> str:
    match kind:
        case "extra_forbidden":
            return "there is no such field here"
        case "missing":
            return "this field is required"
        case "value_error":
            return message.removeprefix("Value error, ")
        case _:
            return message


def _problem(kind: Kind, detail: str, fields: list[BadField] | None = None) -> Problem:
    extra: dict[str, Any] = {"errors": fields} if fields else {}
    return Problem(
        type=TYPE_PREFIX + kind.name, title=kind.title, status=kind.status, detail=detail, **extra
    )
