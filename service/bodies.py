"""Request bodies to checked models: JSON and forms, with every finding named by its field.

One reader for all routes, so that wrong types, unknown fields and broken bodies are answered
alike, and so that big bodies are parsed off the event loop.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from service.errors import InvalidFieldsError, MalformedBodyError, UnsupportedTypeError
from service.pool import BoundedPool
from service.problems import field_problems
from service.schemas import Form

M = TypeVar("M", bound=BaseModel)
F = TypeVar("F", bound=Form)

JSON_TYPES = ("application/json", "application/merge-patch+json")
FORM_TYPES = ("multipart/form-data",)
PARSED_ON_THE_LOOP_BYTES = 64 * 1024
MAX_FORM_FIELDS = 32
MAX_FORM_FIELD_BYTES = 8 * 1024 * 1024


def content_type(request: Request, *accepted: str) -> str:
    """The request's content type. Raises UnsupportedTypeError if it isn't one of `accepted`."""
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found not in accepted:
        raise UnsupportedTypeError(
            f"expected a body of type {' or '.join(accepted)}, not {found or 'an unnamed type'}"
        )
    return found


async def read_json(request: Request, model: type[M], pool: BoundedPool) -> M:
    """The JSON body as a model.

    Raises UnsupportedTypeError, MalformedBodyError, or InvalidFieldsError.
    """
    content_type(request, *JSON_TYPES)
    body = await request.body()
    if len(body) <= PARSED_ON_THE_LOOP_BYTES:
        return checked(model, parse_json(body))
    return await pool.run(lambda: checked(model, parse_json(body)))


@asynccontextmanager
async def read_form(request: Request, file_field: str, max_files: int) -> AsyncIterator[FormData]:
    """The parts of a multipart form; files that were spooled to disk are gone afterwards.

    Raises UnsupportedTypeError, MalformedBodyError, or InvalidFieldsError for too many files.
    """
    content_type(request, *FORM_TYPES)
    parser = _WholeForm(
        request.headers,
        request.stream(),
        max_files=max_files,
        max_fields=MAX_FORM_FIELDS,
        max_part_size=MAX_FORM_FIELD_BYTES,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            detail = f"at most {max_files} file{'s' if max_files > 1 else ''} in one request"
            raise InvalidFieldsError.one(f"/{file_field}", detail) from error
        raise MalformedBodyError(error.message) from error
    except (UnicodeError, LookupError) as error:
        if isinstance(error, KeyError | IndexError):
            raise
        detail = "the form's charset can't be used for its fields; leave it out for UTF-8"
        raise MalformedBodyError(detail) from error
    try:
        yield form
    finally:
        await form.close()


def form_fields(form: FormData, model: type[F]) -> F:
    """A form as a model. Raises InvalidFieldsError."""
    values: dict[str, Any] = {}
    for name in form:
        parts = form.getlist(name)
        if name in model.list_fields:
            values[name] = _list_field(name, parts)
        elif len(parts) == 1:
            only = parts[0]
            is_json = name in model.json_fields and isinstance(only, str)
            values[name] = _json_field(name, str(only)) if is_json else only
        elif all(isinstance(part, UploadFile) for part in parts):
            values[name] = parts
        else:
            raise InvalidFieldsError.one(f"/{name}", "this field appears more than once")
    return checked(model, values)


def parse_json(body: bytes | str) -> Any:
    """Any JSON value. Raises MalformedBodyError."""
    try:
        return json.loads(body)
    except RecursionError as error:
        raise MalformedBodyError("the JSON is nested too deeply") from error
    except ValueError as error:
        raise MalformedBodyError(f"the body is not JSON: {error}") from error


def checked(model: type[M], value: Any, below: str = "") -> M:
    """A value as a model. Raises InvalidFieldsError with pointers that start with `below`."""
    if not isinstance(value, dict):
        raise InvalidFieldsError.one(below, f"expected a JSON object, not {_json_name(value)}")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise InvalidFieldsError(field_problems(error, below=below)) from error


def documented(
    json: type[BaseModel] | None = None, form: type[Form] | None = None
) -> dict[str, Any]:
    """The request body for OpenAPI: as JSON, as a form, or either."""
    content: dict[str, Any] = {}
    if form is not None:
        as_json = {"contentType": "application/json"}
        content[FORM_TYPES[0]] = {
            "schema": {"$ref": f"#/components/schemas/{form.__name__}"},
            "encoding": dict.fromkeys(form.json_fields, as_json),
        }
    if json is not None:
        content[JSON_TYPES[0]] = {"schema": {"$ref": f"#/components/schemas/{json.__name__}"}}
    return {"requestBody": {"required": True, "content": content}}


class _WholeForm(MultiPartParser):
    """Starlette's parser, which takes a form that was cut off for one that is over."""

    _ended = False

    def on_end(self) -> None:
        """Called at the boundary that closes the form."""
        self._ended = True

    async def parse(self) -> FormData:
        """The parts. Raises MultiPartException, also if the closing boundary is missing."""
        form = await super().parse()
        if not self._ended:
            await form.close()
            raise MultiPartException("the form ends before its closing boundary")
        return form


def _list_field(name: str, parts: Sequence[Any]) -> Any:
    if len(parts) == 1 and isinstance(parts[0], str) and parts[0].lstrip().startswith(("[", "{")):
        return _json_field(name, parts[0])
    return list(parts)


def _json_field(name: str, text: str) -> Any:
    try:
        return parse_json(text)
    except MalformedBodyError as error:
        raise InvalidFieldsError.one(f"/{name}", str(error)) from error


def _json_name(value: Any) -> str:
    names: Mapping[type, str] = {
        list: "an array",
        str: "a string",
        bool: "true or false",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
    return names[type(value)]
