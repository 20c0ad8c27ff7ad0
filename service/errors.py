"""Everything that this room raises.

ServiceError
├── InvalidFieldsError        one or more fields of a request are wrong; names each with its limit
├── NotFoundError             no item with this id
├── CursorMismatchError       a cursor of another query, or of other options
├── CursorExpiredError        a cursor of an earlier state of the index
├── DuplicateError            two items of one bulk request have the same id
├── UnsupportedTypeError      a request body of a type that the route doesn't read
├── MalformedBodyError        a body that is not the JSON or the form it says it is
├── BodyTooLargeError         a request body over the limit
├── MissingKeyError           a request without a key, where one is needed
├── UnknownKeyError           a key that the service doesn't have
├── ReadOnlyKeyError          a change, with a key that may only read
├── CrossSiteError            another site's page asks for a change
├── OtherHostError            asked under a name that isn't this machine's own
├── OverloadedError           the queue is full
├── DrainingError             not ready: the service is about to stop
└── StartError                the service or a command can't start as asked
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Place = Literal["body", "query", "path", "header"]


@dataclass(frozen=True)
class FieldProblem:
    """One wrong field: where it is (a JSON pointer) and what is wrong, with the limit."""

    pointer: str
    detail: str
    place: Place = "body"


class ServiceError(Exception):
    """Base of the errors of the service room."""


class InvalidFieldsError(ServiceError):
    """One or more fields of a request are wrong."""

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        super().__init__("; ".join(f"{p.pointer.lstrip('/')}: {p.detail}" for p in problems))
        self.problems = tuple(problems)

    @classmethod
    def one(cls, pointer: str, detail: str, place: Place = "body") -> "InvalidFieldsError":
        """The error for a single field."""
        return cls([FieldProblem(pointer, detail, place)])


class NotFoundError(ServiceError):
    """There is no item with this id; `pointer` is the field that names it, if one does."""

    def __init__(self, message: str, pointer: str | None = None) -> None:
        super().__init__(message)
        self.pointer = pointer


class CursorMismatchError(ServiceError):
    """The cursor was made for another query, or for other options."""


class CursorExpiredError(ServiceError):
    """The index has changed since the cursor was made, so the order may be another one."""


class DuplicateError(ServiceError):
    """Two items of one bulk request have the same id."""


class UnsupportedTypeError(ServiceError):
    """The request's content type is none that the route reads."""


class MalformedBodyError(ServiceError):
    """The body is not the JSON, or the form, that its content type says."""


class BodyTooLargeError(ServiceError):
    """The request's body is over the limit."""


class MissingKeyError(ServiceError):
    """The service has keys, and the request came without one."""


class UnknownKeyError(ServiceError):
    """The request's key is none of the service's."""


class ReadOnlyKeyError(ServiceError):
    """The request changes something, and its key may only read."""


class CrossSiteError(ServiceError):
    """A page of another site asks for a change; browsers say so in `Origin`."""


class OtherHostError(ServiceError):
    """The request's `Host` is a name that a service on loopback doesn't answer to."""


class OverloadedError(ServiceError):
    """The queue is full; the client should come back."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DrainingError(ServiceError):
    """The service was told to stop; it answers a while longer, but isn't ready for more."""


class StartError(ServiceError):
    """The service or a command can't start as it was asked to."""
