"""What every request passes: its id, its size, where it comes from, and headers that protect.

Plain ASGI, outermost first: `Watch` of watching.py (metrics, log, traces), `Envelope` (request id,
security headers, the last resort for errors), `Guard` of guard.py (keys), `Gate` (host name, other
sites, body size).
"""

import asyncio
import logging
import re
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

from fastapi import Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from index.errors import ClosedError
from service.access_log import route_of
from service.errors import BodyTooLargeError, CrossSiteError, OtherHostError, ServiceError
from service.policies import HEADERS, policy_for
from service.problems import problem_of, problem_of_status, respond
from service.running import Running
from service.settings import Settings, is_loopback

log = logging.getLogger("sightline.http")

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
# Where JSON may hold pictures in base64.
PICTURE_PATHS = (
    *("/search/image-to-text", "/search/image-to-image", "/search/batch"),
    *("/v1/embeddings", "/rerank"),
)
CHANGING_METHODS = ("POST", "PUT", "PATCH", "DELETE")


def request_id_of(scope: Scope) -> str:
    """The id under which a request is answered and logged."""
    request_id: str = scope["state"]["request_id"]
    return request_id


class Envelope:
    """Gives each response its request id and security headers, and each failure an answer.

    Answers are whole, as RFC 9110 allows (section 14.2): nothing here is large, and the framework
    refuses a `Range` that it can't read in its own words.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # The server has given one to a request that it refused before it came here.
        taken_or_new = _taken_or_new(Headers(scope=scope).get("x-request-id", ""))
        request_id = scope.setdefault("state", {}).setdefault("request_id", taken_or_new)
        about = {"request_id": request_id}
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"range"]
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                del headers["Accept-Ranges"]
                headers.setdefault("Content-Security-Policy", policy_for(scope["path"]))
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            log.info("%s: the client hung up", _name_of_route(scope), extra=about)
        except asyncio.CancelledError:
            # Of a server that stops, after the time that it gives to what is running.
            if started or not _is_stopping(scope):
                raise
            error = ClosedError("the service stopped before the request was done")
            await respond(problem_of(error), request_id)(scope, receive, send_with_headers)
        except Exception as error:
            if started:
                raise
            # The one place that sees every unexpected error: logged whole, told without details.
            log.exception("%s failed", _name_of_route(scope), extra=about)
            await respond(problem_of(error), request_id)(scope, receive, send_with_headers)


class Gate:
    """Refuses foreign host names, changes that other sites ask for, and bodies over the limit.

    A body is refused while it arrives, if its length wasn't announced.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = body_limit(scope["path"], headers.get("content-type", ""), self._settings)
        refusal = next(self._refusals(scope["method"], headers, limit), None)
        if refusal is not None:
            await respond(problem_of(refusal), request_id_of(scope))(scope, receive, send)
            return
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                # An HTTPException, since the framework turns any other error of reading into 400.
                raise HTTPException(413, str(_too_large(limit)))
            return message

        await self._app(scope, receive_within_limit, send)

    def _refusals(self, method: str, headers: Headers, limit: int) -> Iterator[ServiceError]:
        host = headers.get("host", "")
        if not self._settings.faces_the_network and not is_loopback(_name_of(host)):
            # A page whose own name was made to lead here (DNS rebinding) counts as this service's
            # page for a browser, but can't hide that name.
            yield OtherHostError(
                f"this service answers as localhost, not as {host!r}; behind a proxy, set "
                "SIGHTLINE_KEYS_FILE, or SIGHTLINE_ALLOW_OPEN_NETWORK=true"
            )
        if method in CHANGING_METHODS and _is_cross_site(headers, host):
            origin = headers.get("origin", "another site")
            yield CrossSiteError(f"requests from pages of {origin} are refused")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > limit:
            yield _too_large(limit)


def body_limit(path: str, content_type: str, settings: Settings) -> int:
    """The most bytes that the body of a request may have."""
    if path == "/images:bulk":
        return settings.max_bulk_body_bytes
    if path in PICTURE_PATHS or content_type.lower().startswith("multipart/"):
        return settings.max_body_bytes
    return settings.max_json_bytes


def answer_http_exception(scope: Scope, error: HTTPException) -> Response:
    """The framework's own refusals (no such path, no such method, body too large)."""
    if error.status_code == 413:
        problem = problem_of(BodyTooLargeError(error.detail))
    else:
        problem = problem_of_status(error.status_code, _refusal_in_words(scope, error))
    return respond(problem, request_id_of(scope), error.headers)


def _is_stopping(scope: Scope) -> bool:
    running: Running | None = getattr(scope["app"].state, "running", None)
    return running is not None and running.drain.begun


def _name_of_route(scope: Scope) -> str:
    return f"{scope['method']} {route_of(scope) or '(no route)'}"


def _name_of(host: str) -> str:
    """The name in a `Host` header, without port and brackets.

    >>> _name_of("[::1]:8000"), _name_of("localhost:8000"), _name_of("127.0.0.1")
    ('::1', 'localhost', '127.0.0.1')
    """
    name = host.rpartition(":")[0] if re.search(r":\d*$", host) else host
    return name.removeprefix("[").removesuffix("]").lower()


def _is_cross_site(headers: Headers, host: str) -> bool:
    # Fetch metadata is right behind every proxy; older browsers, and plain HTTP, have Origin alone.
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc != host
    except ValueError:
        # No page of this service has an origin that can't be read.
        return True


def _refusal_in_words(scope: Scope, error: HTTPException) -> str:
    match error.status_code:
        case 404:
            return f"there is nothing at {scope['path']}"
        case 405:
            allowed = (error.headers or {}).get("Allow", "other methods")
            return f"{scope['path']} answers {allowed}, not {scope['method']}"
        case _:
            return error.detail


def _too_large(limit: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"the request's body is over the limit of {limit:,} bytes")


def _taken_or_new(given: str) -> str:
    return given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
