"""Everything that this package raises of its own.

SightlineError
├── UnreachableError          no answer came: no connection, or one that broke
│   └── TimedOutError             no answer came in time; the service may still be at work on it
├── UnexpectedAnswerError     an answer that isn't one of this API; is the URL right?
└── ProblemError              the service refused, and says why (RFC 9457)
    ├── MalformedBodyError        400
    ├── UnauthorizedError         401
    ├── ForbiddenError            403
    ├── NotFoundError             404
    ├── ConflictError             409
    ├── ExpiredError              410
    ├── TooLargeError             413
    ├── UnsupportedTypeError      415
    ├── InvalidFieldsError        422
    ├── TooManyRequestsError      429
    └── ServerError               500 and above
        └── UnavailableError          503
"""

import json
from collections.abc import Sequence
from typing import Any

import httpx
from pydantic import ValidationError

from sightline_client.answers import BadField, Problem


class SightlineError(Exception):
    """Base of what this package raises; each can be pickled, for pools of processes."""

    def __reduce__(self) -> tuple[Any, ...]:
        # By default the class is called with the message alone, and these take more.
        return Exception.__new__, (type(self), *self.args), self.__dict__


class UnreachableError(SightlineError):
    """No answer came. maybe_done: whether the request may have been carried out all the same."""

    def __init__(self, message: str, *, maybe_done: bool) -> None:
        super().__init__(message)
        self.maybe_done = maybe_done


class TimedOutError(UnreachableError):
    """No answer came in time. The service may still be at work on the request."""


class UnexpectedAnswerError(SightlineError):
    """The answer isn't one that this API gives."""


class ProblemError(SightlineError):
    """The service refused.

    status, title, detail, type, request_id: as the service tells them. errors: the fields at fault,
    each with a JSON pointer. retry_after: seconds after which to come back, if it says so.
    """

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        super().__init__(problem.detail)
        self.status = problem.status
        self.title = problem.title
        self.detail = problem.detail
        self.type = problem.type
        self.errors: Sequence[BadField] = problem.errors or ()
        self.request_id = problem.request_id
        self.retry_after = retry_after


class MalformedBodyError(ProblemError):
    """400: the body is not what it says it is."""


class UnauthorizedError(ProblemError):
    """401: a key is needed, or this one isn't known."""


class ForbiddenError(ProblemError):
    """403: the key may not do this."""


class NotFoundError(ProblemError):
    """404: there is no such item, model or path."""


class ConflictError(ProblemError):
    """409: an id appears twice, or a cursor belongs to another search."""


class ExpiredError(ProblemError):
    """410: the index has changed since the cursor was made. Search again."""


class TooLargeError(ProblemError):
    """413: a body or a picture is over a limit, which `detail` names."""


class UnsupportedTypeError(ProblemError):
    """415: the body is of another type."""


class InvalidFieldsError(ProblemError):
    """422: a field is wrong, or the file is not a readable picture. `errors` names each."""


class TooManyRequestsError(ProblemError):
    """429: more requests than are allowed; `retry_after` says when to come back."""


class ServerError(ProblemError):
    """500 and above: the service failed."""


class UnavailableError(ServerError):
    """503: too many requests wait, or the service is closing."""


BY_STATUS: dict[int, type[ProblemError]] = {
    400: MalformedBodyError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: ExpiredError,
    413: TooLargeError,
    415: UnsupportedTypeError,
    422: InvalidFieldsError,
    429: TooManyRequestsError,
    503: UnavailableError,
}
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


def problem_error(response: httpx.Response) -> ProblemError:
    """The error of a refusal; of one that isn't a problem document (a proxy's) what can be told."""
    status = response.status_code
    parent = ServerError if status >= 500 else ProblemError
    return BY_STATUS.get(status, parent)(_problem(response), _seconds(response))


def transport_error(url: str, error: httpx.TransportError) -> UnreachableError:
    """The error of a request that no answer came to."""
    if isinstance(error, httpx.ReadTimeout):
        return TimedOutError(f"{url}: no answer came in time", maybe_done=True)
    words = str(error) or type(error).__name__
    return UnreachableError(f"{url}: {words}", maybe_done=not isinstance(error, NOT_SENT))


def _problem(response: httpx.Response) -> Problem:
    try:
        return Problem.model_validate_json(response.content)
    except ValidationError:
        phrase = response.reason_phrase or "Refused"
        return Problem(
            type="about:blank",
            title=phrase,
            status=response.status_code,
            detail=f"{response.url} answered {response.status_code} {phrase}{_words(response)}",
            request_id=response.headers.get("X-Request-ID"),
        )


def _words(response: httpx.Response) -> str:
    try:
        return f": {json.loads(response.content)['detail']}"
    except (ValueError, KeyError, TypeError):
        return ""


def _seconds(response: httpx.Response) -> float | None:
    given = response.headers.get("Retry-After", "").strip()
    return float(given) if given.isdecimal() else None
