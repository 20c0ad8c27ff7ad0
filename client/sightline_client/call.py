"""One request of the API as a value: what is sent, and how the answer is read.

A call knows nothing of connections. `Client` and `AsyncClient` send the same calls.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from sightline_client.errors import UnexpectedAnswerError, problem_error

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

Method = Literal["GET", "PUT", "POST", "PATCH", "DELETE"]
SURROGATES = re.compile("[\ud800-\udfff]")
FilePart = tuple[str, tuple[str, bytes]]


@dataclass(frozen=True)
class Call(Generic[T]):
    """What is sent, and how the answer is read.

    params: of the URL. json: the body as JSON. form, files: the body as a form, whose values are
    JSON in words. repeatable: whether it may be sent again when it may have been carried out.
    items: how many pictures, texts or searches the answer waits for.
    """

    method: Method
    path: str
    read: Callable[[httpx.Response], T]
    params: Mapping[str, str | int] | None = None
    json: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    files: Sequence[FilePart] | None = None
    repeatable: bool = True
    items: int = 1

    @property
    def computes(self) -> bool:
        """Whether the service has more to do than to read."""
        return self.method != "GET"

    @property
    def arguments(self) -> dict[str, Any]:
        """What httpx's `request` takes, of a client or of an asynchronous one."""
        return {
            "method": self.method,
            "url": self.path,
            "params": encodable(self.params),
            "json": encodable(self.json),
            "data": encodable(self.form),
            "files": encodable(self.files),
        }

    def answer(self, response: httpx.Response) -> T:
        """The answer of a response. Raises ProblemError or UnexpectedAnswerError."""
        if response.is_error:
            raise problem_error(response)
        if not response.is_success:
            raise UnexpectedAnswerError(f"{response.url} answered {response.status_code}")
        try:
            return self.read(response)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in found["loc"])
            words = f"{where}: {found['msg']}" if where else found["msg"]
            raise UnexpectedAnswerError(
                f"{response.url} gave no answer of this API: {words}"
            ) from error

    def after(self, cursor: str) -> Self:
        """The same call for the page that a cursor leads to."""
        if self.json is not None:
            return replace(self, json={**self.json, "cursor": cursor})
        if self.files is not None:
            return replace(self, form={**(self.form or {}), "cursor": cursor})
        return replace(self, params={**(self.params or {}), "cursor": cursor})


def model_reader(model: type[M]) -> Callable[[httpx.Response], M]:
    """Reads an answer as this model."""
    return lambda response: model.model_validate_json(response.content)


def read_picture(response: httpx.Response) -> bytes:
    """The bytes of a picture. Raises UnexpectedAnswerError for an answer of another type."""
    _is_of(response, "image/")
    return response.content


def read_text(response: httpx.Response) -> str:
    """Plain text. Raises UnexpectedAnswerError for an answer of another type."""
    _is_of(response, "text/plain")
    return response.text


def read_nothing(response: httpx.Response) -> None:
    """For answers without a body. Raises UnexpectedAnswerError for one that has something else."""
    if response.status_code != httpx.codes.NO_CONTENT:
        raise UnexpectedAnswerError(f"{response.url} answered {response.status_code}, not 204")


def _is_of(response: httpx.Response, kind: str) -> None:
    given = response.headers.get("Content-Type", "nothing")
    if not given.startswith(kind):
        raise UnexpectedAnswerError(f"{response.url} gave {given}, not {kind.rstrip('/')}")


def encodable(value: Any) -> Any:
    r"""A value in whose texts U+FFFD stands for what UTF-8 can't hold, as the service reads them.

    Such halves of characters come from texts that were cut, and from names of files in another
    encoding.

    >>> encodable({"text": "cut \ud83d"}) == {"text": "cut \ufffd"}
    True
    """
    match value:
        case str():
            return value if value.isascii() else SURROGATES.sub("\ufffd", value)
        case Mapping():
            return {encodable(name): encodable(below) for name, below in value.items()}
        case list():
            return [encodable(each) for each in value]
        case tuple():
            return tuple(encodable(each) for each in value)
    return value


def item_path(kind: Literal["images", "texts"], id: str, below: str = "") -> str:
    """The path of an item.

    >>> item_path("images", "beach 1", "/metadata")
    '/images/beach%201/metadata'

    Raises ValueError for an id that no path can hold.
    """
    if SURROGATES.search(id):
        raise ValueError(f"an id is valid UTF-8, unlike {id!r}")
    if id in ("", ".", "..") or "/" in id:
        raise ValueError(f'an id isn\'t empty, "." or "..", and holds no "/", unlike {id!r}')
    return f"/{kind}/{quote(id, safe='')}{below}"


def listed(name: str, values: Iterable[T]) -> list[T]:
    """Values as JSON has them. Raises TypeError for a text, which would fall into its letters."""
    if isinstance(values, str):
        raise TypeError(f"{name} is a list of texts, not one text")
    return list(values)


def without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """What was given; None stands for the service's default."""
    return {name: value for name, value in values.items() if value is not None}
